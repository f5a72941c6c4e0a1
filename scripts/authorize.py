"""Log in once, from a checkout: the same as `huracan-sync authorize`, with the same options and the same help."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from huracan_sync.cli import main

    code = main(["authorize", *sys.argv[1:]])
except ModuleNotFoundError as error:
    # Plain `python3 scripts/authorize.py`: an environment that the other scripts made will do.
    for python in sorted(ROOT.glob(".venv-*/bin/python")):
        if Path(sys.prefix) != python.parent.parent:
            os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606 - our own interpreter
    print(f"error: {error.name} is not installed for {sys.executable}", file=sys.stderr)
    print(f"  hint: run `{sys.executable} -m pip install {ROOT}` first", file=sys.stderr)
    code = 78
sys.exit(code)
