"""`push`: bring a remote folder to what a local folder holds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from huracan_sync.cli import filter_options
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.transfer_options import (
    add_direction,
    add_parquet_metadata,
    add_vouch,
    add_wait,
    dry_run,
    in_conflict,
    remote_of,
    renamed_word,
)
from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import UsageError
from huracan_sync.operations.push import Push, PushOptions
from huracan_sync.remote.upload_session import HeaderBudget
from huracan_sync.transfer.upload_item import Options as TransferOptions
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import check
from huracan_sync.tree.units import counted, size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("local", metavar="LOCAL", help="a folder, or a single file")
    parser.add_argument("remote", metavar="REMOTE", help="the folder in Dropbox")
    add_direction(parser, "on the disk")
    add_wait(parser)
    filter_options.add_arguments(parser)
    parser.add_argument(
        "--header-budget",
        type=int,
        default=HeaderBudget.FIRST,
        metavar="BYTES",
        help="longest argument header of a batch (default: %(default)s; Dropbox does not publish its limit)",
    )
    add_vouch(parser)
    add_parquet_metadata(parser)
    parser.add_argument(
        "--channel", metavar="C", help="the channel whose manifest lists it (default: REMOTE's last component)"
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`push LOCAL REMOTE`."""
    if not 512 <= options.header_budget <= HeaderBudget.MOST:
        raise UsageError(f"--header-budget {options.header_budget} is not from 512 to {HeaderBudget.MOST}")
    local = Path(options.local)
    folder: Path | FolderView = local
    if local.is_file():
        folder = FolderView(local.absolute().parent, "file", check, check, is_flat=True)
    filters = filter_options.filters_of(options, local.parent if local.is_file() else local)
    only = check(local.name) if local.is_file() else None
    if only and filters and not filters.decide(only):
        raise UsageError(f"{local} is filtered out", hint="leave the filter out, or name another file")
    chosen = PushOptions(
        wanted=filters if only is None else lambda path: path == only,
        delete=options.delete,
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        vouch=tuple(options.vouch),
        parquet_metadata=options.parquet_metadata,
        transfer=TransferOptions(check=check_whole, append_only=_is_log, header_limit=options.header_budget),
    )
    began = time.monotonic()
    with invocation.output.progress("push") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        with context.pair(folder, options.remote) as pair:
            operation = Push(context, pair, chosen, channel=options.channel)
            if options.dry_run:
                from huracan_sync.transfer import estimate  # noqa: PLC0415 - start-up time

                return dry_run(invocation, operation.plan(), estimate.uploads, filters)
            report = operation.run()
    renamed = f"{report.renamed} {renamed_word(old_names_go=chosen.delete)}, " if report.renamed else ""
    what = f"{report.uploaded} uploaded, {renamed}{report.skipped} already there, {report.deleted} deleted"
    size, seconds = size_in_words(report.bytes_sent), time.monotonic() - began
    if filters and filters.left_out:
        what += f", {len(filters.left_out)} filtered out"
    words = [
        f"{what}, {len(report.failed)} failed; {size} sent in {counted(report.requests, 'request')}, {seconds:.1f} s"
    ]
    if report.sequence:
        rest = "; the local content of failed files is not in it" if report.failed else ""
        words.append(f"signed: sequence {report.sequence} of the manifest is current{rest}")
    if conflicts := in_conflict(report.failed):
        words.append(f"{conflicts}: Dropbox keeps what it holds there, and what is here was not sent")
    document = {**report.as_dict(), "filtered": filter_options.left_out(filters)}
    invocation.output.document(document, [*words, *invocation.output.failures(report.failed)])
    if report.sequence:
        from huracan_sync.signing import expiry  # noqa: PLC0415 - start-up time: only where something is signed

        for ending in expiry.endings(context.home, time.time()):
            invocation.output.warn(f"warning: {ending.sentence}")
    return FAILURES if report.failed else DONE


def _is_log(path: str) -> bool:
    return path.endswith(".log")
