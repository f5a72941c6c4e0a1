"""`python -m huracan_sync.emulator`: the same as `huracan-sync emulator`."""

import argparse
import sys

from huracan_sync.emulator.command import add_arguments, run


def main(arguments: list[str] | None = None) -> int:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m huracan_sync.emulator")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
