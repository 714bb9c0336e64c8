#!/usr/bin/env bash
# Installs what the build needs and is not there: system packages through apt-get, and LibTorch.
# A second run finds everything in place and ends at once.
#
#   scripts/bootstrap.sh                        LibTorch from PyTorch's wheel, into .deps/python
#   LIBTORCH=/path/to/libtorch scripts/...      your own LibTorch 2.11 (it has include/ and lib/)
#
# demo.sh and test.sh source this file for the functions bootstrap and build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly packages=(
  g++ cmake ninja-build ccache                    # the build
  libyaml-cpp-dev libboost-dev                    # config files, plugin loading
  libcli11-dev nlohmann-json3-dev                 # the command line, reports
  libjpeg-dev libpng-dev libtiff-dev libwebp-dev  # image files
  zlib1g-dev                                      # .gz files, checksums
  libcpp-httplib-dev pkg-config                   # the server
  libgtest-dev libgmock-dev libbenchmark-dev      # tests and benchmarks
  dataset-fashion-mnist                           # the data of the demo
)

say() { printf '== %s\n' "$*" >&2; }
fail() {
  printf '\n' >&2
  printf '%s\n' "$@" >&2
  exit 1
}

# Installs the Debian packages that are named and not installed.
install_packages() {
  local installed missing=() package
  installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
  for package in "$@"; do
    [[ $'\n'$installed$'\n' == *$'\n'"$package installed"$'\n'* ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then return; fi

  say "System packages to install (${#missing[@]}), with what they need:"
  printf '     %s\n' "${missing[@]}" >&2
  local run_as_root=(env DEBIAN_FRONTEND=noninteractive)
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "Only root may install packages, and sudo is not here." \
      "Ask somebody who may to run:  apt-get install ${missing[*]}"
    run_as_root=(sudo "${run_as_root[@]}")
  fi
  "${run_as_root[@]}" apt-get update || say "apt-get update failed; trying with the old lists"
  "${run_as_root[@]}" apt-get install --yes --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install the packages; its own message is above." \
      "'Unable to locate package': on Ubuntu, enable 'universe' (add-apt-repository universe)." \
      "'Could not get lock': another installation is running; try again when it is done." \
      "No network: the packages named above must be installed some other way."
}

# Puts the wheels of requirements.txt into .deps/python. They are installed beside it and renamed at
# the end, so a download that broke off is never taken for a finished one.
install_libtorch() {
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3 python3-pip

  say "LibTorch: downloading PyTorch's wheel, about 530 MB, into $PWD/.deps (1.3 GB unpacked)"
  echo "     Have one already? Stop this, and give LIBTORCH=/path/to/libtorch (version 2.11)." >&2
  mkdir -p .deps
  local free_mb
  free_mb=$(df --output=avail -m .deps | tail -1)
  ((free_mb >= 3000)) ||
    fail "$PWD/.deps has $((free_mb)) MB free; 3000 MB are needed while unpacking." \
      "Free some space, or give LIBTORCH=/path/to/libtorch."

  rm -rf .deps/python .deps/partial
  mkdir -p .deps/partial/tmp
  # Only C++ is used, so one Python version's wheel serves every system, whatever its Python.
  TMPDIR=$PWD/.deps/partial/tmp PIP_ROOT_USER_ACTION=ignore python3 -m pip install \
    --disable-pip-version-check --no-deps --no-compile --only-binary :all: --python-version 3.11 \
    --target .deps/partial/python --requirement requirements.txt ||
    fail "pip could not install LibTorch; its own message is above. Nothing half-done is left in use." \
      "Network: check that PyPI can be reached (a proxy: https_proxy=...), and run this again." \
      "Disk: $((free_mb)) MB were free in $PWD/.deps; pip's cache (~/.cache/pip) needs 600 MB more." \
      "Else: download LibTorch 2.11 from https://pytorch.org, and give LIBTORCH=/path/to/libtorch."
  cp requirements.txt .deps/partial/python/
  mv .deps/partial/python .deps/python
  rm -rf .deps/partial
}

bootstrap() {
  command -v apt-get >/dev/null || fail \
    "This script installs with apt-get (Debian 12 and later, Ubuntu 22.04 and later)." \
    "On another system install what these Debian packages hold: ${packages[*]}" \
    "and run:  cmake --preset release -DLIBTORCH=/path/to/libtorch && cmake --build --preset release"
  install_packages "${packages[@]}"
  if [[ -n "${LIBTORCH:-}" ]]; then
    [[ -e "$LIBTORCH/lib/libtorch_cpu.so" && -d "$LIBTORCH/include/torch/csrc/api" ]] ||
      fail "LIBTORCH=$LIBTORCH is not a LibTorch folder: it has no lib/libtorch_cpu.so with" \
        "include/torch/csrc/api beside it. Give the folder that holds include/ and lib/."
  elif ! cmp --quiet requirements.txt .deps/python/requirements.txt; then
    install_libtorch
  fi
}

# build <target>...: configures if needed, and builds into build/release.
build() {
  local log=build/release/configure.log
  mkdir -p build/release
  if ! grep --quiet --line-regexp --fixed-strings "LIBTORCH:PATH=${LIBTORCH:-}" \
    build/release/CMakeCache.txt 2>/dev/null || [[ ! -e build/release/build.ninja ]]; then
    say "Configuring (log: $log)"
    cmake --preset release -DLIBTORCH="${LIBTORCH:-}" >"$log" 2>&1 || {
      cat "$log" >&2
      fail "CMake could not configure the build; the reason is above."
    }
  fi
  # A file that includes LibTorch takes up to 2 GB of memory to compile.
  local memory_gb jobs
  memory_gb=$(awk '/MemTotal/ {print int($2 / 1048576)}' /proc/meminfo)
  jobs=$((memory_gb / 2 < $(nproc) ? memory_gb / 2 : $(nproc)))
  cmake --build --preset release --parallel $((jobs > 0 ? jobs : 1)) --target "$@" ||
    fail "The build failed; the first error is above. 'Killed' means too little memory: try again," \
      "ninja goes on where it stopped."
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  bootstrap
  say "Everything is in place. Next: scripts/demo.sh or scripts/test.sh"
fi
