#!/usr/bin/env bash
# Render the docstrings of the public API to pages:  bash scripts/reference.sh [FOLDER]     (default: build/reference)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment docs
target="${1:-build/reference}"
pdoc --docformat google --no-show-source -o "$target" \
  huracan_sync huracan_sync.{errors,refusals,connect,push,restore,hamilton,reader,engine,settings,layout} \
  huracan_sync.emulator.running
echo "the reference is in $target/index.html"
