#!/usr/bin/env bash
# Write requirements/*.txt anew: every package pinned, with the hashes of its files, for all platforms and Pythons.
# Needs uv (pip install uv). No index host is written into the files.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
    --python-version 3.11 "${@:2}" --output-file "requirements/$1.txt"
}
lock runtime pyproject.toml
lock emulator pyproject.toml --extra emulator
lock dev pyproject.toml --extra emulator --group test --group lint --group build
lock fuzz pyproject.toml --group fuzz
# Only the demo's price series come from this one; it is installed without its dependencies and never imported.
printf 'backtesting==0.6.6\n' | lock data - --no-deps
