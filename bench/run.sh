#!/usr/bin/env bash
# Runs every benchmark beside its peer and writes bench/RESULTS.md.
#
#   PYTHON=/path/to/python bench/run.sh [threads]
#
# PYTHON needs what bench/requirements.txt names. DNC_TEST_DATA is the folder with photos/ and
# camvid/, if it is not ../shared/data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
threads=${1:-1}
cmake --build --preset release --target dnc-host plugins benchmarks >&2

section() { # TITLE COMMAND...
  echo "## $1"
  echo
  echo "\`${*:2}\`"
  echo
  echo '```'
  "$python" "${@:3}"
  echo '```'
  echo
}

output=$(mktemp)
trap 'rm -f "$output"' EXIT
{
  echo "# Results"
  echo
  echo "$(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
    "$(nproc) cores, $threads thread(s) on both sides; commit $(git rev-parse --short HEAD)." \
    "Ratios are the peer's time over ours: above 1 ours is faster. On a shared machine the ratios mean" \
    "something, the times do not."
  echo
  section "DNC head" python3 bench/head_peer.py --threads "$threads"
  section "DNC head on pixels" python3 bench/pixel_head_peer.py --threads "$threads"
  section "Training step" python3 bench/step_peer.py --threads "$threads"
  section "Inference" python3 bench/infer_peer.py --threads "$threads"
  section "Evaluation of segmentation" python3 bench/evaluation_peer.py --threads "$threads"
  section "Loader" python3 bench/loader_peer.py
  section "Photographs" python3 bench/photos_peer.py
  section "Images with label images" python3 bench/pairs_peer.py
  section "Two processes" python3 bench/ranks.py
  section "Start" python3 bench/start.py
} | tee "$output"
mv "$output" bench/RESULTS.md
