"""`verify`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from huracan_sync.auth.connect import connect, home_of, root_of
from huracan_sync.cli import filter_options
from huracan_sync.cli.columns import ascii_path, table, width
from huracan_sync.cli.invocation import DONE, REFUSED, Invocation
from huracan_sync.cli.login_options import context_of, credentials, key_place
from huracan_sync.cli.output import moment
from huracan_sync.errors import UsageError
from huracan_sync.manifest.scope import channel_of
from huracan_sync.operations.audit import MOST, History, Row, audit_copy, audit_remote
from huracan_sync.operations.verify import Verdict, verify, verify_local
from huracan_sync.signing.open_reader import pinned_scopes
from huracan_sync.tree.filters import Filters
from huracan_sync.tree.paths import below
from huracan_sync.tree.symbols import CHAMPIONS
from huracan_sync.tree.units import counted

MOST_SHOWN = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument(
        "target",
        metavar="LOCAL|REMOTE",
        nargs="?",
        help="the folder, here or in Dropbox (there it begins with /); with --history the profile's root by default",
    )
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--local", action="store_true", help="the folder on this disk, where both might be meant")
    side.add_argument("--remote", action="store_true", help="the folder in Dropbox, where both might be meant")
    parser.add_argument("--channel", metavar="C", help="the signed channel (default: the folder's name)")
    filter_options.add_arguments(parser)
    past = parser.add_argument_group("the history of a channel")
    past.add_argument(
        "--history",
        action="store_true",
        help="list every head that took effect, and audit the log: of a remote root folder, or of a local copy of it",
    )
    past.add_argument("--limit", type=int, default=MOST, metavar="N", help=f"the newest N heads; 0: all ({MOST})")
    past.add_argument(
        "--pin",
        metavar="PIN",
        default="",
        help="of a local copy: the pin to believe, as `keys show` prints it (default: those of this machine)",
    )
    parser.epilog = (
        "A remote folder is proved from Dropbox's listing, without downloading a file. A local folder is proved with "
        "no network, by what its last push or restore left signed on this machine. A name that begins with / is a "
        "remote folder, unless such a folder is here and lies outside the profile's root. Exit code 65: something is "
        "not as it was signed (changed, missing, extra), or the log is not as it must be."
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`verify LOCAL` and `verify REMOTE`."""
    home = home_of(invocation.env)
    if options.history:
        return _history(options, invocation)
    if options.target is None:
        raise UsageError(
            "name the folder that is to be proved, here or in Dropbox",
            hint="`huracan-sync verify /FOLDER`, or a local one",
        )
    if _is_local(options, invocation):
        if not Path(options.target).is_dir():
            hint = "check the spelling and where you are; a remote folder begins with /"
            raise UsageError(f"there is no folder {options.target} here", hint=hint)
        with invocation.output.progress("verify") as monitor:
            verdict = verify_local(options.target, home=home, channel=options.channel, monitor=monitor)
    else:
        remote = connect(env=invocation.env, credentials=credentials(options, invocation))
        keys = key_place(options, invocation)
        verdict = verify(options.target, remote=remote, home=home, channel=options.channel, keys=keys)
    filters = filter_options.filters_of(options, options.target if _is_local(options, invocation) else "/nowhere")
    if filters is not None:
        by_options = Filters(filters.rules)
        # An ignore file may have come with the files: it hides what nobody has signed, never what was signed.
        verdict.differences = [
            each for each in verdict.differences if (filters if each.what == "extra" else by_options)(each.path)
        ]
    document = verdict.as_dict()
    document["signed"] = moment(document.pop("signed_ms"))
    invocation.output.document(document, _words(verdict))
    return DONE if verdict.ok else REFUSED


def _history(options: argparse.Namespace, invocation: Invocation) -> int:
    """`verify --history`."""
    home, target = home_of(invocation.env), options.target
    if options.limit < 0:
        raise UsageError(f"--limit {options.limit} is no number of heads")
    if target is not None and _is_local(options, invocation):
        channel = options.channel or CHAMPIONS
        history = audit_copy(Path(target), home, channel, pin=options.pin, most=options.limit)
    else:
        remote = connect(env=invocation.env, credentials=credentials(options, invocation))
        context, folder = context_of(options, invocation, remote), target or remote.root
        channel = options.channel or (channel_of(folder) if pinned_scopes(context, folder)[-1].prefix else CHAMPIONS)
        history = audit_remote(context, folder, channel, most=options.limit)
    document = history.as_dict()
    for row in document["rows"]:
        row["created"], row["expires"] = moment(row.pop("created_ms")), moment(row.pop("expires_ms"))
    invocation.output.document(document, _told(history))
    return DONE if history.ok else REFUSED


def _told(history: History) -> list[str]:
    rows = [["sequence", "signed", "by", "files", "what"]]
    for row in history.rows:
        signed = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row.created_ms / 1000))
        by = ascii_path(f"{row.publisher} ({', '.join(row.signed_by)})")
        rows.append([f"{row.epoch}-{row.sequence}", signed, by, str(row.entries), _what(row)])
    words = [f"{history.channel}, newest first:", *(f"  {line}" for line in table(rows))]
    if history.more:
        words.append(f"  ... {history.more} older heads in the log were not looked at (--limit 0 looks at all)")
    elif history.complete:
        words.append("  this is all of it, down to the first")
    if history.superseded:
        words.append(f"  signed, and never took effect: {', '.join(history.superseded)}")
    return [*words, *(f"WRONG: {ascii_path(fault)}" for fault in history.faults)]


def _what(row: Row) -> str:
    if row.same:
        return "more time for the same"
    if row.changed is None:
        return "a list that is not looked at, or can no longer be had"
    return f"+{row.changed.added} ~{row.changed.changed} -{row.changed.removed}"


def _is_local(options: argparse.Namespace, invocation: Invocation) -> bool:
    """A path that begins with `/` is a remote one, unless such a folder is here and no root folder of ours."""
    if options.local or options.remote:
        return bool(options.local)
    target = options.target
    if not target.startswith("/"):
        return True
    return below(root_of(invocation.env), target) is None and Path(target).is_dir()


def _words(verdict: Verdict) -> list[str]:
    signed = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(verdict.signed_ms / 1000))
    by = f" by {ascii_path(verdict.publisher)}" if verdict.publisher else ""
    source = f"sequence {verdict.sequence} of {verdict.channel}, signed {signed}{by}"
    source += f", {verdict.status}; {counted(verdict.requests, 'request')}" if verdict.requests else ""
    if verdict.ok:
        as_signed = "is as it was signed" if verdict.files == 1 else "are as they were signed"
        return [f"{counted(verdict.files, 'file')} {as_signed}: {source}"]
    rows = [[each.what, ascii_path(each.path)] for each in verdict.differences[:MOST_SHOWN]]
    more = len(verdict.differences) - len(rows)
    return [
        f"{verdict.folder} is NOT what was signed: {source}",
        *(f"  {line}" for line in table(rows, columns=width() - 2, give=[1])),
        *([f"  ... and {more} more (--json lists all)"] if more > 0 else []),
        f"  hint: `huracan-sync restore REMOTE LOCAL --channel {verdict.channel} --overwrite` fetches what was signed",
    ]
