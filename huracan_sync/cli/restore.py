"""`restore`: bring a local folder to what a remote folder holds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from huracan_sync.auth.connect import home_of
from huracan_sync.cli.login_options import key_place
from huracan_sync.cli.output import size_in_words
from huracan_sync.cli.runner import DONE, FAILURES, REFUSED, Invocation
from huracan_sync.cli.transfer_options import add_direction, add_wait, dry_run, remote_of
from huracan_sync.errors import Refused
from huracan_sync.operations.restore import RestoreOptions, Restorer, RestoreReport, restore
from huracan_sync.transfer.download_file import Validate
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.pair import Pair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("remote", metavar="REMOTE")
    parser.add_argument("local", metavar="LOCAL")
    add_direction(parser, "in Dropbox")
    add_wait(parser)
    parser.add_argument("--channel", metavar="C", help="restore what the manifest of this channel says, verified")
    parser.add_argument("--at", type=int, metavar="SEQ", help="with --channel: of that sequence, not the newest")
    parser.add_argument(
        "--skip-suspect",
        action="store_true",
        help="leave out candles whose timestamps are older than any exchange (an old loader wrote such)",
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`restore REMOTE LOCAL`."""
    chosen = RestoreOptions(
        delete=options.delete,
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        at=options.at,
        validate=_suspects() if options.skip_suspect else None,
        missing_ok=False,
    )
    began = time.monotonic()
    with invocation.output.progress("restore") as monitor:
        remote, home = remote_of(options, invocation, monitor), home_of(invocation.env)
        keys = key_place(options, invocation)
        if options.dry_run:
            with Journal(home) as journal:
                pair = Pair(options.local, options.remote, remote=remote, journal=journal, monitor=monitor)
                restorer = Restorer(pair, chosen)
                restorer.verify(options.channel, keys)
                seen, made = restorer.look()
                restorer.guard(seen, made)
            problems = [*(problem.error for problem in seen.problems), *seen.refused]
            return dry_run(invocation, list(made.lines()), list(map(str, problems)))
        report = restore(
            options.remote,
            Path(options.local),
            remote=remote,
            home=home,
            options=chosen,
            monitor=monitor,
            channel=options.channel,
            keys=keys,
        )
    invocation.output.document(
        report.as_dict(), [*_words(report, time.monotonic() - began), *invocation.output.failures(report.failed)]
    )
    untrue = options.channel and any(isinstance(failure.error, Refused) for failure in report.failed)
    if untrue:
        return REFUSED
    return FAILURES if report.failed else DONE


def _words(report: RestoreReport, seconds: float) -> list[str]:
    what = f"{report.downloaded} downloaded, {report.skipped} already there, {report.deleted} deleted"
    if report.left_out:
        what += f", {len(report.left_out)} left out (suspect timestamps, {report.left_out[0]} for one)"
    size = f"{size_in_words(report.bytes_received)} received"
    words = [f"{what}, {len(report.failed)} failed; {size} in {report.requests} requests, {seconds:.1f} s"]
    if report.sequence:
        words.append(f"it is what sequence {report.sequence} of the manifest says")
    return words


def _suspects() -> Validate:
    from huracan_sync.engine.candles import refuse_suspect  # noqa: PLC0415 - the engine, only for who asks for it

    return refuse_suspect
