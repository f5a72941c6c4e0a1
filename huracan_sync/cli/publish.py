"""`publish`: a set of files that counts all at once or not at all."""

from __future__ import annotations

import argparse
import time

from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.output import moment
from huracan_sync.cli.transfer_options import (
    add_parquet_metadata,
    add_vouch,
    add_wait,
    dry_run,
    remote_of,
)
from huracan_sync.errors import UsageError
from huracan_sync.operations.publish import Publish, renew, roll_back
from huracan_sync.operations.push import PushOptions
from huracan_sync.signing import expiry
from huracan_sync.tree.paths import remote_root
from huracan_sync.tree.symbols import CHAMPIONS
from huracan_sync.tree.units import counted, size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.epilog = (
        "LOCAL is laid out as readers look for it: models/champions/latest/BTCUSDT.bin, hamilton/roster.json, "
        "hamilton/configs/BTCUSDT.json, hamilton/active/BTCUSDT.txt. Readers see the version before until all of it is "
        "there. Pickle and joblib files are refused."
    )
    parser.add_argument("local", metavar="LOCAL", nargs="?", help="the folder to publish")
    parser.add_argument(
        "remote", metavar="REMOTE", nargs="?", help="where it goes (default: the profile's root folder)"
    )
    parser.add_argument("--channel", metavar="C", default=CHAMPIONS, help=f"the channel ({CHAMPIONS})")
    parser.add_argument("--overwrite", action="store_true", help="where both differ, let what is on the disk win")
    parser.add_argument("--force", action="store_true", help="go on although a guard objects (a vanished folder)")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--rollback", type=int, metavar="SEQ", help="make an earlier sequence current again; sends no file"
    )
    instead.add_argument(
        "--heartbeat", action="store_true", help="keep the current manifest fresh for longer; sends no file"
    )
    parser.add_argument(
        "--root", metavar="REMOTE", help="with --rollback, --heartbeat: another root than the profile's"
    )
    add_vouch(parser)
    add_parquet_metadata(parser)
    add_wait(parser)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`publish LOCAL [REMOTE]`, `publish --rollback SEQ`, `publish --heartbeat`."""
    renews = options.heartbeat or options.rollback is not None
    if renews and (options.local is not None or options.dry_run):
        raise UsageError("--rollback and --heartbeat go without LOCAL and --dry-run", hint="they send no file")
    if not renews and (options.local is None or options.root is not None):
        hint = "`huracan-sync publish LOCAL [REMOTE]`; --root is for --rollback and --heartbeat, which need no folder"
        raise UsageError("name LOCAL, the folder to publish", hint=hint)
    return _head_only(options, invocation) if renews else _set(options, invocation)


def _set(options: argparse.Namespace, invocation: Invocation) -> int:
    began = time.monotonic()
    chosen = PushOptions(
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        vouch=tuple(options.vouch),
        parquet_metadata=options.parquet_metadata,
    )
    with invocation.output.progress("publish") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        folder = context.remote.root if options.remote is None else options.remote
        with context.pair(options.local, folder) as pair:
            operation = Publish(context, pair, chosen, channel=options.channel)
            if options.dry_run:
                from huracan_sync.transfer import estimate  # noqa: PLC0415 - start-up time

                return dry_run(invocation, operation.plan(), estimate.uploads)
            report = operation.run()
    files = counted(report.files, "file")
    how = "published" if report.made else "already published"
    what = f"{how} as sequence {report.sequence} of {report.channel}: {files}, {report.uploaded} uploaded"
    seconds = time.monotonic() - began
    words = [
        f"{what}; {size_in_words(report.bytes_sent)} sent in {counted(report.requests, 'request')}, {seconds:.1f} s"
    ]
    words += invocation.output.failures(report.failed)
    invocation.output.document(report.as_dict(), words)
    if report.sequence:
        for ending in expiry.endings(context.home, time.time()):
            invocation.output.warn(f"warning: {ending.sentence}")
    return FAILURES if report.failed else DONE


def _head_only(options: argparse.Namespace, invocation: Invocation) -> int:
    with invocation.output.progress("publish") as monitor:
        remote = remote_of(options, invocation, monitor)
        context = context_of(options, invocation, remote, monitor)
        root = remote.root if options.root is None else remote_root(options.root)
        before = remote.wire.meter.read()
        if options.heartbeat:
            made = renew(context, root, options.channel)
        else:
            made = roll_back(context, root, options.channel, options.rollback)
        requests = (remote.wire.meter.read() - before).requests
    said = made.head
    document = {
        "channel": said.channel,
        "sequence": said.seq,
        "files": said.entry_count,
        "made": made.made,
        "expires": moment(said.expires_ms),
        "requests": requests,
    }
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(said.expires_ms / 1000))
    what = "renewed" if options.heartbeat else f"as sequence {options.rollback} was"
    words = [f"sequence {said.seq} of {said.channel}: {counted(said.entry_count, 'file')}, {what}; fresh until {until}"]
    invocation.output.document(document, words)
    return DONE
