#!/usr/bin/env bash
# Runs all tests. The first run installs what is missing; every run builds what has changed.
#
#   scripts/test.sh [options of ctest, e.g. -R Registry]
set -euo pipefail
# shellcheck source=scripts/bootstrap.sh
source "$(dirname "${BASH_SOURCE[0]}")/bootstrap.sh"

bootstrap
build all
exec ctest --test-dir build/release --output-on-failure --no-tests=error -j2 "$@"
