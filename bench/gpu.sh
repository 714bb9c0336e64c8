#!/usr/bin/env bash
# All that needs a GPU, in one run: the tests, NVIDIA's compute-sanitizer over the kernels, and the
# figures, each beside its peer on the same GPU. Appends a dated section to bench/GPU.md.
#
#   PYTHON=/path/to/python bench/gpu.sh [build/release]
#
# Needs the built tree (cmake --build --preset release --target all benchmarks) and, for the peers, a
# Python with what bench/requirements.txt names, torch for CUDA among them. CIFAR10 in the environment
# is the folder of CIFAR-10's binary files; without it the training to 94 % is left out. Ends with 1
# where there is no GPU, and where something failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
build=${1:-build/release}

fail() {
  printf '%s\n' "bench/gpu.sh: $1" "${@:2}" >&2
  exit 1
}

gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null |
  head -n 1) || true
[[ -n "$gpu" ]] || fail "no GPU: nvidia-smi shows none. Nothing was run, bench/GPU.md is as it was."
for file in bin/dnc-host tests/test_ops tests/test_host bench/bench_step bench/bench_head \
  bench/bench_pixel_head lib/dnc-host/dnc_ops_cuda.so; do
  [[ -e "$build/$file" ]] || fail "$build/$file is not built." \
    "Build where CMake finds nvcc: cmake --build --preset release --target all benchmarks"
done
"$python" -c 'import sys, torch, torchvision; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
  fail "$python has no torch for CUDA with torchvision, which the peers need." \
    "Name one that has: PYTHON=/path/to/python bench/gpu.sh"

failures=0
record() { # TITLE COMMAND...: the command and the end of what it prints
  local output status
  echo "== $1" >&2
  output=$("${@:2}" 2>&1)
  status=$?
  ((status == 0)) || ((++failures))
  printf '### %s\n\n`%s`%s\n\n```\n%s\n```\n\n' "$1" "${*:2}" \
    "$( ((status == 0)) || echo ", **failed ($status)**")" "$(tail -n 25 <<<"$output")"
}
leave_out() { # TITLE REASON
  printf '### %s\n\nNot run: %s.\n\n' "$1" "$2"
}

without_skips() { # COMMAND...: tests that must not be skipped here
  local output status
  output=$("$@")
  status=$?
  printf '%s\n' "$output"
  ((status == 0)) && ! grep --quiet 'Skipped' <<<"$output"
}

sanitize() {
  local tool title="compute-sanitizer over the kernels"
  if ! command -v compute-sanitizer >/dev/null; then
    leave_out "$title" "compute-sanitizer, which is part of CUDA's toolkit, is not in PATH"
    return
  fi
  for tool in memcheck racecheck synccheck; do
    record "$title, $tool" compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$build/tests/test_ops" '--gtest_filter=OnGpu.*-*ManyPixels*' --gtest_brief=1
  done
}

train_to_94() {
  local head folder
  if [[ -z "${CIFAR10:-}" ]]; then
    leave_out "CIFAR-10 to 94 %" "CIFAR10 does not say where the data is"
    return
  fi
  for head in linear dnc; do
    folder=$(mktemp -d)
    record "CIFAR-10 to 94 %, $head head, end to end" bash -c 'time "$@"' - "$build/bin/dnc-host" \
      train "configs/cifar10/speed_$head.yaml" --work-dir "$folder/run" --set device=cuda \
      --set train.precision=bfloat16 --set train.cuda_graph=auto
    rm -rf "$folder"
  done
}

figures() {
  local step=("$python" bench/step_peer.py --device cuda --bench "$build/bench/bench_step"
    --classes 1000)
  record "ResNet-50, 224, batch 256" "${step[@]}" --batch 256 --networks resnet50 --compile resnet50
  record "Swin-T, 224, batch 128" "${step[@]}" --batch 128 --networks swin_t --compile swin_t
  record "DNC head" "$python" bench/head_peer.py --device cuda --bench "$build/bench/bench_head"
  record "DNC head on pixels" "$python" bench/pixel_head_peer.py --device cuda \
    --bench "$build/bench/bench_pixel_head"
  train_to_94
  record "Two processes on CPUs, Gloo" "$python" bench/ranks.py
}

section=$(mktemp)
trap 'rm -f "$section"' EXIT
{
  printf '## %s, %s\n\n' "$(date -u +%Y-%m-%d)" "$gpu"
  printf 'Commit %s, torch %s. Ratios are the peer'"'"'s time over ours: above 1 ours is faster.\n\n' \
    "$(git rev-parse --short HEAD)" "$("$python" -c 'import torch; print(torch.__version__)')"
  record "Kernels" without_skips "$build/tests/test_ops" '--gtest_filter=CudaLibrary.*:OnGpu.*' --gtest_brief=1
  record "Training step" without_skips "$build/tests/test_host" \
    '--gtest_filter=*StepWaits*:StepOfAGpu*:ReadBack*:BatchCopy*:ExperimentTest*' --gtest_brief=1
  sanitize
  figures
} >"$section"
{
  echo
  cat "$section"
} >>bench/GPU.md
echo "bench/GPU.md has a new section; $failures of its runs failed." >&2
((failures == 0))
