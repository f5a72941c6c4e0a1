"""`help`: explain a verb, or print the man page."""

from __future__ import annotations

import argparse

from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import DONE, Invocation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("topic", metavar="VERB", nargs="*", help="the verb to explain (default: all of them, briefly)")
    parser.add_argument("--man", action="store_true", help="print the man page: `huracan-sync help --man | man -l -`")


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`help [VERB]`."""
    from huracan_sync import cli  # noqa: PLC0415 - the package imports this module

    if options.man:
        from huracan_sync.cli.man_page import man_page  # noqa: PLC0415

        invocation.output.document({"man": (page := man_page(cli.parser_of()))}, map(Whole, page.splitlines()))
        return DONE
    topic: list[str] = options.topic
    parser = cli.parser_of(topic[0] if topic else "")
    if topic:
        parser.parse_args([*topic, "--help"])  # prints, and ends the process
    invocation.output.document({"help": parser.format_help()}, map(Whole, parser.format_help().splitlines()))
    return DONE
