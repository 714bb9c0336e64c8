#!/usr/bin/env bash
# Formats the C++ files that git knows; `scripts/format.sh --check` only says which would change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

options=(-i)
if [[ "${1:-}" == --check ]]; then
  options=(--dry-run --Werror)
fi
git ls-files -z '*.cpp' '*.h' '*.cu' | xargs -0 --no-run-if-empty clang-format "${options[@]}"
