"""`verify`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from huracan_sync.cli.credentials import credentials, key_place
from huracan_sync.cli.output import ascii_path, table
from huracan_sync.cli.running import DONE, REFUSED, Context
from huracan_sync.connect import connect, home_of, root_of
from huracan_sync.paths import below
from huracan_sync.verify import Verdict, verify, verify_local

MOST_SHOWN = 50


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    del verb
    parser.add_argument(
        "target", metavar="LOCAL|REMOTE", help="the folder, here or in Dropbox (there it begins with /)"
    )
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--local", action="store_true", help="the folder on this disk, where both might be meant")
    side.add_argument("--remote", action="store_true", help="the folder in Dropbox, where both might be meant")
    parser.add_argument("--channel", metavar="C", help="the signed channel (default: the folder's name)")
    parser.epilog = (
        "A remote folder is proved from Dropbox's listing, without downloading a file. A local folder is proved with "
        "no network, by what its last push or `restore --channel` left signed on this machine. Exit code 65: something "
        "is not as it was signed."
    )
    parser.set_defaults(run=run_verify)


def run_verify(options: argparse.Namespace, context: Context) -> int:
    """`verify LOCAL` and `verify REMOTE`."""
    home = home_of(context.env)
    if _is_local(options, context):
        with context.output.progress("verify") as monitor:
            verdict = verify_local(options.target, home=home, monitor=monitor)
    else:
        remote = connect(env=context.env, credentials=credentials(options, context))
        keys = key_place(options, context)
        verdict = verify(options.target, remote=remote, home=home, channel=options.channel, keys=keys)
    context.output.document(verdict.as_dict(), _words(verdict))
    return DONE if verdict.ok else REFUSED


def _is_local(options: argparse.Namespace, context: Context) -> bool:
    """A path that begins with `/` is a remote one, unless such a folder is here and no root folder of ours."""
    if options.local or options.remote:
        return bool(options.local)
    target = options.target
    if not target.startswith("/"):
        return True
    return below(root_of(context.env), target) is None and Path(target).is_dir()


def _words(verdict: Verdict) -> list[str]:
    signed = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(verdict.signed_ms / 1000))
    by = f" by {ascii_path(verdict.publisher)}" if verdict.publisher else ""
    source = f"sequence {verdict.sequence} of {verdict.channel}, signed {signed}{by}"
    source += f", {verdict.status}; {verdict.requests} requests" if verdict.requests else ""
    if verdict.ok:
        return [f"{verdict.files} files are as they were signed: {source}"]
    rows = [[each.what, ascii_path(each.path)] for each in verdict.differences[:MOST_SHOWN]]
    more = len(verdict.differences) - len(rows)
    return [
        f"{verdict.folder} is NOT what was signed: {source}",
        *(f"  {line}" for line in table(rows)),
        *([f"  ... and {more} more (--json lists all)"] if more > 0 else []),
        f"  hint: `huracan-sync restore --channel {verdict.channel} --overwrite` brings back what was signed",
    ]
