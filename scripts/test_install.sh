#!/usr/bin/env bash
# Install as users do, each time into an empty environment, and try it:  bash scripts/test_install.sh [PYTHON...]
# The archives are built first (scripts/build.sh: two builds are the same, byte by byte). Then, with the first Python that
# is named (default: every one from 3.11 to 3.14 that this machine has, or that scripts/debian_python.sh has put into
# build/): the README's way; the emulator alone; `pipx install`; `uv tool install`; tests of the sdist, unpacked elsewhere.
# With each other Python: the pinned requirements and the wheel. As many at once as there are cores.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout="$PWD"
if [ $# -eq 0 ]; then
  for minor in 11 12 13 14; do
    for python in "python3.$minor" "$HOME"/.pyenv/versions/"3.$minor".*/bin/python3 "build/python3.$minor/usr/bin/python3"; do
      if "$python" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
        # Not a link of pyenv's, which asks the folder it is called in.
        set -- "$@" "$("$python" -c 'import sys; print(sys._base_executable)')"
        break
      fi
    done
  done
  [ $# -gt 0 ] || set -- python3
fi
# shellcheck source=scripts/env.sh
source scripts/env.sh
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
bash scripts/build.sh "$folder/dist"
wheel="$(echo "$folder"/dist/*.whl)"
(HURACAN_VENV="" && use_environment install)   # pipx and uv
tools="$checkout/.venv-install/bin"
export PIP_DISABLE_PIP_VERSION_CHECK=1 HURACAN_SYNC_HOME="$folder/state"

try() {   # the command, from a folder that is not the checkout: what is imported is what was installed
  (cd "$folder" && "$1" --help >/dev/null && "$1" --version && "$1" status --json >/dev/null)
}

names() {   # every public name, where nothing but what was installed can be imported
  (cd "$folder" && "$1" -I -W error -c '
import huracan_sync, pathlib, sys
assert "site-packages" in huracan_sync.__file__, huracan_sync.__file__
for name in huracan_sync.__all__:
    getattr(huracan_sync, name)
assert (pathlib.Path(huracan_sync.__file__).parent / "py.typed").exists()
print(f"{len(huracan_sync.__all__)} public names on Python {sys.version.split()[0]}")')
}

readme() {   # as README.md says, from the checkout
  "$1" -m venv "$folder/readme"
  "$folder/readme/bin/python" -m pip install -q --require-hashes -r requirements/runtime.txt
  "$folder/readme/bin/python" -m pip install -q --no-deps .
  try "$folder/readme/bin/huracan-sync"
  names "$folder/readme/bin/python"
}

emulator() {   # as its own README says: the sources and four libraries, and no more
  "$1" -m venv "$folder/alone"
  "$folder/alone/bin/python" -m pip install -q --require-hashes -r requirements/emulator-only.txt
  cp -r huracan_sync "$folder/alone/"
  (cd "$folder/alone" && bin/python - <<'PY'
import json, subprocess, sys, urllib.request
with subprocess.Popen([sys.executable, "-m", "huracan_sync.emulator", "--port", "0"], stdout=subprocess.PIPE) as server:
    address = json.loads(server.stdout.readline())
    token = urllib.request.urlopen(urllib.request.Request(address["control"] + "/token", b"{}")).read()
    assert json.loads(token)["access_token"]
    server.terminate()
print("the emulator answers without the rest")
PY
  )
}

wheel_on() {   # uv, because it downloads nothing twice
  "$tools/uv" venv -q --python "$1" "$folder/on-${1//\//_}"
  local python="$folder/on-${1//\//_}/bin/python"
  "$tools/uv" pip install -q --python "$python" --require-hashes -r requirements/runtime.txt
  "$tools/uv" pip install -q --python "$python" --no-deps "$wheel"
  try "$(dirname "$python")/huracan-sync"
  names "$python"
}

with_pipx() {
  HOME="$folder/home" PIPX_HOME="$folder/pipx" PIPX_BIN_DIR="$folder/pipx-bin" "$tools/pipx" install -q --python "$1" . >/dev/null
  try "$folder/pipx-bin/huracan-sync"
}

with_uv() {
  UV_TOOL_DIR="$folder/uv" UV_TOOL_BIN_DIR="$folder/uv-bin" "$tools/uv" tool install -q --python "$1" "$checkout"
  try "$folder/uv-bin/huracan-sync"
}

sdist() {   # of the checkout only the environment, so that nothing is installed once more
  mkdir "$folder/sdist"
  tar -xf "$folder"/dist/*.tar.gz -C "$folder/sdist" --strip-components 1
  cd "$folder/sdist"
  env -u PYTHONPATH HURACAN_VENV="$checkout/.venv-dev" PYTHONPATH="$PWD" bash scripts/test.sh -q \
    tests/tree tests/manifest tests/house -m "not wide and not slow and not long and not peers and not tools"
}

export -f try names readme emulator wheel_on with_pipx with_uv sdist
export folder wheel tools checkout
todo=()
ways() { for way in "${@:2}"; do todo+=("$way $1"); done; }
ways "$1" readme emulator with_pipx with_uv sdist
for python in "${@:2}"; do ways "$python" wheel_on; done
# Each in a shell of its own, in which the first command that fails is the last.
printf '%s\0' "${todo[@]}" | xargs -0 -P "$(getconf _NPROCESSORS_ONLN)" -I WAY bash -c '
  began=$SECONDS
  said="$(bash -euo pipefail -c "WAY" 2>&1)" || { printf "\n=== FAILED: %s\n%s\n" "WAY" "$said"; exit 255; }
  printf "\n=== %s (%d s)\n%s\n" "WAY" $((SECONDS - began)) "$(tail -2 <<<"$said")"'
