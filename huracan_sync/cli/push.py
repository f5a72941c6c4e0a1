"""`push`: bring a remote folder to what a local folder holds."""

from __future__ import annotations

import argparse
import time

from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.transfer_options import add_direction, add_wait, dry_run, remote_of
from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import UsageError
from huracan_sync.operations.push import Push, PushOptions
from huracan_sync.remote.upload_session import HeaderBudget
from huracan_sync.transfer.upload_item import Options as TransferOptions
from huracan_sync.tree.units import size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("local", metavar="LOCAL")
    parser.add_argument("remote", metavar="REMOTE")
    add_direction(parser, "on the disk")
    add_wait(parser)
    parser.add_argument(
        "--header-budget",
        type=int,
        default=HeaderBudget.FIRST,
        metavar="BYTES",
        help="longest argument header of a batch (default: %(default)s; Dropbox does not publish its limit)",
    )
    parser.add_argument(
        "--channel", metavar="C", help="the channel whose manifest lists it (default: REMOTE's last component)"
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`push LOCAL REMOTE`."""
    if not 512 <= options.header_budget <= HeaderBudget.MOST:
        raise UsageError(f"--header-budget {options.header_budget} is not from 512 to {HeaderBudget.MOST}")
    chosen = PushOptions(
        delete=options.delete,
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        transfer=TransferOptions(check=check_whole, append_only=_is_log, header_limit=options.header_budget),
    )
    began = time.monotonic()
    with invocation.output.progress("push") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        with context.pair(options.local, options.remote) as pair:
            operation = Push(context, pair, chosen, channel=options.channel)
            if options.dry_run:
                return dry_run(invocation, operation.plan())
            report = operation.run()
    what = f"{report.uploaded} uploaded, {report.skipped} already there, {report.deleted} deleted"
    size, seconds = size_in_words(report.bytes_sent), time.monotonic() - began
    words = [f"{what}, {len(report.failed)} failed; {size} sent in {report.requests} requests, {seconds:.1f} s"]
    if report.sequence:
        words.append(f"it is what sequence {report.sequence} of the manifest says")
    invocation.output.document(report.as_dict(), [*words, *invocation.output.failures(report.failed)])
    return FAILURES if report.failed else DONE


def _is_log(path: str) -> bool:
    return path.endswith(".log")
