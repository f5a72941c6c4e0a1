# shellcheck shell=bash
# Sourced by the other scripts: makes the private environment .venv (hash-pinned) and puts it on PATH.
#   use_environment dev      requirements/dev.txt (also: emulator)
# A stamp of the requirements makes a second call free. HURACAN_VENV chooses another place.

use_environment() {
  local root requirements venv stamp python
  root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
  requirements="$root/requirements/$1.txt"
  venv="${HURACAN_VENV:-$root/.venv-$1}"
  stamp="$venv/.installed"
  python="${PYTHON:-python3}"
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2
    return 1
  fi
  if ! cmp -s "$requirements" "$stamp"; then
    # Not the Python of this very environment, which goes now: it may be the active one.
    python="$("$python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')"
    echo "making the environment $venv (once) ..." >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    # --no-deps: the file names every package there is to install, each with its hashes.
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r "$requirements"
    # The checkout itself, by path: no build step, so no build tool to fetch.
    "$venv/bin/python" - "$root" <<'PY'
import pathlib, stat, sys, sysconfig
root = pathlib.Path(sys.argv[1])
(pathlib.Path(sysconfig.get_path("purelib")) / "huracan_sync_checkout.pth").write_text(f"{root}\n", encoding="utf-8")
command = pathlib.Path(sys.prefix) / "bin" / "huracan-sync"
command.write_text(f"#!{sys.executable}\nimport sys\nfrom huracan_sync.cli import main\nsys.exit(main())\n", encoding="utf-8")
command.chmod(command.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
PY
    cp "$requirements" "$stamp"
  fi
  export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
  # Tests start hundreds of processes: without compiled copies each of them compiles every module again.
  unset PYTHONDONTWRITEBYTECODE
}
