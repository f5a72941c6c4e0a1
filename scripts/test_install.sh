#!/usr/bin/env bash
# Install the checkout into empty environments, as users do, and try it:  bash scripts/test_install.sh [PYTHON...]
# For each Python that is named (default: every one from 3.11 to 3.14 that this machine has): the pinned requirements, the
# wheel, the command, every public name. Then, with the first of them: `pipx install`, `uv tool install`, and the sdist,
# unpacked elsewhere, whose tests run.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout="$PWD"
if [ $# -eq 0 ]; then
  for minor in 11 12 13 14; do
    for python in "python3.$minor" "$HOME"/.pyenv/versions/"3.$minor".*/bin/python3; do
      if "$python" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then set -- "$@" "$python"; break; fi
    done
  done
  [ $# -gt 0 ] || set -- python3
fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
say() { printf '\n=== %s (%d s)\n' "$1" "$SECONDS"; }

try() {   # the command, from a folder that is not the checkout: what is imported is what was installed
  (cd "$folder" && "$1" --help >/dev/null && "$1" --version && "$1" status --json >/dev/null)
}

for python in "$@"; do
  say "$("$python" --version): pip install"
  "$python" -m venv "$folder/env"
  install=("$folder/env/bin/python" -m pip install -qq --disable-pip-version-check)
  "${install[@]}" --require-hashes -r requirements/runtime.txt
  "${install[@]}" --no-deps .
  HURACAN_SYNC_HOME="$folder/state" try "$folder/env/bin/huracan-sync"
  (cd "$folder" && env/bin/python -W error -c '
import huracan_sync, pathlib, sys
assert "site-packages" in huracan_sync.__file__, huracan_sync.__file__
for name in huracan_sync.__all__:
    getattr(huracan_sync, name)
assert (pathlib.Path(huracan_sync.__file__).parent / "py.typed").exists()
print(f"{len(huracan_sync.__all__)} public names on Python {sys.version.split()[0]}")')
  rm -rf "$folder/env"
done

export HOME="$folder/home" HURACAN_SYNC_HOME="$folder/state"
mkdir -p "$HOME"
"$1" -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install -qq --disable-pip-version-check pipx uv
say "pipx install"
PIPX_HOME="$folder/pipx" PIPX_BIN_DIR="$folder/bin" "$folder/tools/bin/pipx" install --quiet --python "$(command -v "$1")" "$checkout" >/dev/null
try "$folder/bin/huracan-sync"
rm -rf "$folder/bin" "$folder/pipx"
say "uv tool install"
UV_TOOL_DIR="$folder/uv" UV_TOOL_BIN_DIR="$folder/bin" "$folder/tools/bin/uv" tool install --quiet --python "$(command -v "$1")" "$checkout"
try "$folder/bin/huracan-sync"

say "the tests, from the sdist"
bash scripts/build.sh "$folder/dist" >/dev/null
tar -xf "$folder"/dist/*.tar.gz -C "$folder"
cd "$folder"/huracan_sync-*/
# The package of the sdist; of the checkout only the environment, so that nothing is installed once more.
env -u PYTHONPATH HURACAN_VENV="$checkout/.venv-dev" PYTHONPATH="$PWD" bash scripts/test.sh tests/tree tests/manifest tests/house -q
say "done"
