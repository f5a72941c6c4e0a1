"""`restore`: bring a local folder to what a remote folder holds."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from huracan_sync.cli import filter_options
from huracan_sync.cli.invocation import DONE, FAILURES, REFUSED, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.transfer_options import add_direction, add_wait, dry_run, in_conflict, remote_of
from huracan_sync.errors import Refused
from huracan_sync.operations.restore import Restore, RestoreOptions, RestoreReport
from huracan_sync.tree.units import counted, size_in_words

if TYPE_CHECKING:
    from huracan_sync.transfer.download_file import Validate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("remote", metavar="REMOTE", help="a folder in Dropbox")
    parser.add_argument("local", metavar="LOCAL", help="the folder here; it is made where there is none")
    add_direction(parser, "in Dropbox")
    add_wait(parser)
    filter_options.add_arguments(parser)
    parser.add_argument("--channel", metavar="C", help="restore what the manifest of this channel says, verified")
    parser.add_argument(
        "--unsigned",
        action="store_true",
        help="take what lies in Dropbox as it is, also where this machine could verify it against what was signed",
    )
    parser.add_argument(
        "--active-names",
        action="store_true",
        help="restore unsigned files too that programs act on by themselves (.git, .ssh, .bashrc and the like)",
    )
    parser.add_argument("--at", type=int, metavar="SEQ", help="with --channel: of that sequence, not the newest")
    parser.add_argument(
        "--skip-suspect",
        action="store_true",
        help="leave out candles whose timestamps are older than any exchange (an old loader wrote such)",
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`restore REMOTE LOCAL`."""
    filters = filter_options.filters_of(options, options.local)
    chosen = RestoreOptions(
        wanted=filters,
        delete=options.delete,
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        at=options.at,
        unsigned=options.unsigned,
        active_names=options.active_names,
        validate=_suspects() if options.skip_suspect else None,
        missing_ok=False,
    )
    began = time.monotonic()
    with invocation.output.progress("restore") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        with context.pair(options.local, options.remote) as pair:
            operation = Restore(context, pair, chosen, channel=options.channel)
            if options.dry_run:
                from huracan_sync.transfer import estimate  # noqa: PLC0415 - start-up time

                return dry_run(invocation, operation.plan(), estimate.downloads, filters)
            report = operation.run()
    filtered = filter_options.left_out(filters)
    words = [*_words(report, time.monotonic() - began, filtered), *invocation.output.failures(report.failed)]
    invocation.output.document({**report.as_dict(), "filtered": filtered}, words)
    untrue = any(isinstance(failure.error, Refused) for failure in report.failed)
    if untrue:
        return REFUSED
    # With --channel, all that it lists comes or the rest is told; without one, work not pushed yet is no failure.
    return FAILURES if report.failed or (options.channel and report.kept) else DONE


def _words(report: RestoreReport, seconds: float, filtered: int) -> list[str]:
    what = f"{report.downloaded} downloaded, {report.skipped} already there, {report.deleted} deleted"
    if report.left_out:
        what += f", {len(report.left_out)} left out (suspect timestamps, {report.left_out[0]} for one)"
    if filtered:
        what += f", {filtered} filtered out"
    size = f"{size_in_words(report.bytes_received)} received"
    words = [f"{what}, {len(report.failed)} failed; {size} in {counted(report.requests, 'request')}, {seconds:.1f} s"]
    if report.sequence:
        rest = "; what failed is not as it says" if report.failed else ""
        words.append(f"verified: sequence {report.sequence} of the manifest{rest}")
    if report.kept:
        says = f"as sequence {report.sequence} says" if report.sequence else "as in Dropbox"
        named = ", ".join(map(ascii, report.kept_files[:3])) + (", ..." if report.kept > 3 else "")
        words.append(f"{counted(report.kept, 'file')} changed here since the last sync and not {says}: {named}")
        words.append("  hint: push what is to stay, or run again with --overwrite to have what Dropbox holds")
    if conflicts := in_conflict(report.failed):
        words.append(f"{conflicts}: what is here stays, and what Dropbox holds there was not taken")
    return words


def _suspects() -> Validate:
    from huracan_sync.engine.candles import refuse_suspect  # noqa: PLC0415 - the engine, only for who asks for it

    return refuse_suspect
