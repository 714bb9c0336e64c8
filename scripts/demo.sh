#!/usr/bin/env bash
# Trains a small network twice on Fashion-MNIST, with a linear head and with Deep Nearest Centroids,
# and compares them. The first run installs and builds what is missing; later runs start at once.
#
#   scripts/demo.sh [options of `dnc-host compare`]
set -euo pipefail
# shellcheck source=scripts/bootstrap.sh
source "$(dirname "${BASH_SOURCE[0]}")/bootstrap.sh"

bootstrap
build dnc-host plugins
exec build/release/bin/dnc-host compare \
  configs/fashion_mnist/resnet8_linear.yaml configs/fashion_mnist/resnet8_dnc.yaml "$@"
