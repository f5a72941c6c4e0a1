"""`diff`: what differs between a local folder and a remote one, by content hash. Downloads nothing."""

from __future__ import annotations

import argparse

import msgspec

from huracan_sync.cli import filter_options
from huracan_sync.cli.columns import Whole, ascii_path
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.transfer_options import remote_of
from huracan_sync.operations.browse import Difference, compare
from huracan_sync.transfer.pair import Options
from huracan_sync.tree.units import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("local", metavar="LOCAL", help="a folder here")
    parser.add_argument("remote", metavar="REMOTE", help="a folder in Dropbox")
    filter_options.add_arguments(parser)
    parser.set_defaults(bandwidth_limit=None)
    parser.epilog = "Exit code 1: something differs, or could not be read."


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`diff LOCAL REMOTE`."""
    filters = filter_options.filters_of(options, options.local)
    with invocation.output.progress("diff") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        with context.pair(options.local, options.remote) as pair:
            found = compare(pair, Options(wanted=filters))
    document = {
        "differences": [msgspec.to_builtins(each) for each in found.differences],
        "same": found.same,
        "filtered": filter_options.left_out(filters),
        "problems": found.problems,
    }
    words: list[str] = [Whole(_in_words(each, options)) for each in found.differences]
    words += [f"problem: {ascii_path(problem)}" for problem in found.problems]
    same = f"{counted(found.same, 'file')} {'is' if found.same == 1 else 'are'} the same"
    differ = len(found.differences)
    words.append(f"{same}, {differ} {'differs' if differ == 1 else 'differ'}")
    invocation.output.document(document, words)
    return FAILURES if found.differences or found.problems else DONE


def _in_words(each: Difference, options: argparse.Namespace) -> str:
    path = ascii_path(each.path)
    if each.what == "differs":
        return f"Files differ: {path}"
    return f"Only in {options.local if each.what == 'only_local' else options.remote}: {path}"
