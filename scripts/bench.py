"""Measure this project's figures, here and now.

    python scripts/bench.py WHAT [options] [--json]

WHAT is one of the files in benches/ that have ABOUT (one line), add_arguments(parser) and run(options), which returns
figures. They are printed as a table, or with --json as one document on stdout.
"""

import argparse
import compileall
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benches.figures import Figure, table

BENCHES = ("emulator", "engine", "fs", "push", "peers", "scale", "signed")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exit code 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = parser.add_subparsers(dest="what", required=True)
    modules = {name: importlib.import_module(f"benches.{name}") for name in BENCHES}
    for name, module in modules.items():
        choice = choices.add_parser(name, help=module.ABOUT, description=module.ABOUT)
        choice.add_argument("--json", action="store_true", help="one JSON document instead of a table")
        module.add_arguments(choice)
    options = parser.parse_args(arguments)
    # As an installed package is, even where PYTHONDONTWRITEBYTECODE is set: no start-up is measured that users lack.
    compileall.compile_dir(Path(__file__).parents[1] / "huracan_sync", quiet=2)
    figures: list[Figure] = modules[options.what].run(options)
    if options.json:
        document = {"bench": options.what, **machine(), "figures": [asdict(each) for each in figures]}
        print(json.dumps(document, indent=1))
    else:
        print(table(figures))
    return 1 if any(each.met is False for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
