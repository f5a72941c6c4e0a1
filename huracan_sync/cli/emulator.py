"""`emulator`: run a local Dropbox. The command itself is the emulator's own, which imports nothing of ours."""

from __future__ import annotations

import argparse

from huracan_sync.cli.invocation import Invocation
from huracan_sync.emulator import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    command.add_arguments(parser)


def run(options: argparse.Namespace, _: Invocation) -> int:
    """`emulator`."""
    return command.run(options)
