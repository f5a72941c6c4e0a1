#!/usr/bin/env bash
# Install the checkout into an empty environment, as a user does, and try it:  bash scripts/test_install.sh [PYTHON...]
# For each Python that is named (default: python3): the pinned requirements, the wheel, the command, every public name.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- python3
room="$(mktemp -d)"
trap 'rm -rf "$room"' EXIT
for python in "$@"; do
  "$python" -m venv "$room/env"
  install=("$room/env/bin/python" -m pip install -qq --disable-pip-version-check)
  "${install[@]}" --require-hashes -r requirements/runtime.txt
  "${install[@]}" --no-deps .
  (
    cd "$room"   # away from the checkout: what is imported is what was installed
    env/bin/huracan-sync --help >/dev/null
    env/bin/python -m huracan_sync --version
    env/bin/python -c '
import huracan_sync, pathlib, sys
assert "site-packages" in huracan_sync.__file__, huracan_sync.__file__
for name in huracan_sync.__all__:
    getattr(huracan_sync, name)
assert (pathlib.Path(huracan_sync.__file__).parent / "py.typed").exists()
print(f"{len(huracan_sync.__all__)} public names on Python {sys.version.split()[0]}")'
  )
  rm -rf "$room/env"
done
