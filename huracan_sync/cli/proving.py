"""`verify`."""

from __future__ import annotations

import argparse
import time

from huracan_sync.cli.credentials import credentials
from huracan_sync.cli.output import ascii_path, table
from huracan_sync.cli.running import DONE, REFUSED, Context
from huracan_sync.connect import connect, home_of
from huracan_sync.keys.here import KeyPlace
from huracan_sync.verify import Verdict, verify

MOST_SHOWN = 50


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    del verb
    parser.add_argument("target", metavar="REMOTE", help="the remote folder that was pushed or published")
    parser.add_argument("--channel", metavar="C", help="the signed channel (default: the folder's name)")
    parser.set_defaults(run=run_verify)


def run_verify(options: argparse.Namespace, context: Context) -> int:
    """`verify REMOTE`."""
    remote, home = connect(env=context.env, credentials=credentials(options, context)), home_of(context.env)
    keys = KeyPlace(context.env, home, remote.wire.endpoint.namespace)
    verdict = verify(options.target, remote=remote, home=home, channel=options.channel, keys=keys)
    context.output.document(verdict.as_dict(), _words(verdict))
    return DONE if verdict.ok else REFUSED


def _words(verdict: Verdict) -> list[str]:
    signed = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(verdict.signed_ms / 1000))
    by = f" by {ascii_path(verdict.publisher)}" if verdict.publisher else ""
    source = f"sequence {verdict.sequence} of {verdict.channel}, signed {signed}{by}, {verdict.status}"
    if verdict.ok:
        return [f"{verdict.files} files are as they were signed: {source}; {verdict.requests} requests"]
    rows = [[each.what, ascii_path(each.path)] for each in verdict.differences[:MOST_SHOWN]]
    more = len(verdict.differences) - len(rows)
    return [
        f"{verdict.folder} is NOT what was signed: {source}",
        *(f"  {line}" for line in table(rows)),
        *([f"  ... and {more} more (--json lists all)"] if more > 0 else []),
        "  hint: `huracan-sync restore --channel` brings back what was signed; ask who has the account's tokens",
    ]
