"""`push` and `restore`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from huracan_sync.auth.connect import connect, home_of
from huracan_sync.cli.login_options import credentials, key_place
from huracan_sync.cli.output import Watching, size_in_words
from huracan_sync.cli.runner import DONE, FAILURES, REFUSED, Context
from huracan_sync.disk.parquet import check_whole
from huracan_sync.errors import Refused, UsageError
from huracan_sync.operations.push import Pusher, PushOptions, PushReport, push
from huracan_sync.operations.restore import RestoreOptions, Restorer, RestoreReport, restore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.upload_session import HeaderBudget
from huracan_sync.transfer.bandwidth import TokenBucket
from huracan_sync.transfer.download_file import Validate
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.pair import Pair, Report
from huracan_sync.transfer.progress import wait_in_words
from huracan_sync.transfer.upload_item import Options as TransferOptions


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    first, second = ("LOCAL", "REMOTE") if verb == "push" else ("REMOTE", "LOCAL")
    leads = "on the disk" if verb == "push" else "in Dropbox"
    parser.add_argument(first.lower(), metavar=first)
    parser.add_argument(second.lower(), metavar=second)
    parser.add_argument("--delete", action="store_true", help=f"also delete what was synced and is gone {leads}")
    parser.add_argument("--overwrite", action="store_true", help=f"where both differ, let what is {leads} win")
    parser.add_argument(
        "--force", action="store_true", help="go on although a guard objects (emptied or vanished folder)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    add_wait(parser)
    if verb == "push":
        parser.add_argument(
            "--channel", metavar="C", help="the channel that the signed list is of (default: REMOTE's last component)"
        )
        parser.add_argument(
            "--header-budget",
            metavar="BYTES",
            help="longest argument header of a batch: bytes, or `learn` to try longer ones (default: 8192)",
        )
        parser.set_defaults(run=run_push)
    else:
        parser.add_argument(
            "--channel", metavar="C", help="restore what the signed list of this channel says, verified"
        )
        parser.add_argument("--at", type=int, metavar="SEQ", help="with --channel: of that sequence, not the newest")
        parser.add_argument(
            "--skip-suspect",
            action="store_true",
            help="leave out candles whose timestamps are older than any exchange (an old loader wrote such)",
        )
        parser.set_defaults(run=run_restore)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Arguments about time: of all verbs that move files."""
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="S", help="seconds to wait for another process (60)"
    )
    parser.add_argument("--bandwidth-limit", metavar="RATE", help="bytes a second, like 500k or 10M (default: none)")


def run_push(options: argparse.Namespace, context: Context) -> int:
    """`push LOCAL REMOTE`."""
    limit, learn = _header_budget(options.header_budget)
    chosen = PushOptions(
        delete=options.delete,
        overwrite=options.overwrite,
        force=options.force,
        wait_s=options.wait,
        transfer=TransferOptions(check=check_whole, append_only=_is_log, header_limit=limit, learn_headers=learn),
    )
    began = time.monotonic()
    with context.output.progress("push") as monitor:
        remote, home = remote_of(options, context, monitor), home_of(context.env)
        if options.dry_run:
            with Journal(home) as journal:
                pair = Pair(options.local, options.remote, remote=remote, journal=journal, monitor=monitor)
                pusher = Pusher(pair, chosen)
                seen, made = pusher.look()
                pusher.guard(seen, made)
            return dry_run(context, list(made.lines()), [str(p.error) for p in seen.problems])
        report = push(
            options.local,
            options.remote,
            remote=remote,
            home=home,
            options=chosen,
            monitor=monitor,
            channel=options.channel,
            keys=key_place(options, context),
        )
    return _answer(context, report, time.monotonic() - began)


def run_restore(options: argparse.Namespace, context: Context) -> int:
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
    with context.output.progress("restore") as monitor:
        remote, home = remote_of(options, context, monitor), home_of(context.env)
        keys = key_place(options, context)
        if options.dry_run:
            with Journal(home) as journal:
                pair = Pair(options.local, options.remote, remote=remote, journal=journal, monitor=monitor)
                restorer = Restorer(pair, chosen)
                restorer.verify(options.channel, keys)
                seen, made = restorer.look()
                restorer.guard(seen, made)
            problems = [*(problem.error for problem in seen.problems), *seen.refused]
            return dry_run(context, list(made.lines()), list(map(str, problems)))
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
    code = _answer(context, report, time.monotonic() - began)
    untrue = options.channel and any(isinstance(failure.error, Refused) for failure in report.failed)
    return REFUSED if untrue else code


def _suspects() -> Validate:
    from huracan_sync.engine.candles import refuse_suspect  # noqa: PLC0415 - the engine, only for who asks for it

    return refuse_suspect


def _is_log(path: str) -> bool:
    return path.endswith(".log")


def remote_of(options: argparse.Namespace, context: Context, monitor: Watching) -> Remote:
    """The login that was asked for, with its limit of bandwidth; its waits are shown."""
    throttle = TokenBucket(_rate(options.bandwidth_limit)) if options.bandwidth_limit else None
    pacing = Pacing(observe=lambda wait: monitor.note(wait_in_words(wait)))
    return connect(env=context.env, credentials=credentials(options, context), pacing=pacing, throttle=throttle)


def _header_budget(text: str | None) -> tuple[int, bool]:
    if text is None:
        return HeaderBudget.FIRST, False
    if text == "learn":
        return HeaderBudget.FIRST, True
    if not text.isdigit() or not 512 <= int(text) <= HeaderBudget.MOST:
        raise UsageError(f"--header-budget {text!r} is neither `learn` nor a number from 512 to {HeaderBudget.MOST}")
    return int(text), False


def _rate(text: str) -> float:
    units = {"k": 1024, "m": 1024**2, "g": 1024**3}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        rate = float(number) * unit
    except ValueError:
        rate = 0.0
    if not 1024 <= rate < float("inf"):
        raise UsageError(f"--bandwidth-limit {text!r} is no rate", hint="bytes a second, at least 1k: 500k, 10M, 1.5M")
    return rate


def dry_run(context: Context, lines: list[str], problems: list[str]) -> int:
    """Print a plan."""
    words = [*lines, *(f"problem   {problem}" for problem in problems)] or ["nothing to do"]
    context.output.document({"plan": lines, "problems": problems}, words)
    return DONE


def _answer(context: Context, report: Report, seconds: float) -> int:
    if isinstance(report, PushReport):
        what = f"{report.uploaded} uploaded, {report.skipped} already there, {report.deleted} deleted"
        size = f"{size_in_words(report.bytes_sent)} sent"
    else:
        assert isinstance(report, RestoreReport)  # noqa: S101 - there are two verbs here
        what = f"{report.downloaded} downloaded, {report.skipped} already there, {report.deleted} deleted"
        size = f"{size_in_words(report.bytes_received)} received"
        if report.left_out:
            what += f", {len(report.left_out)} left out (suspect timestamps, {report.left_out[0]} for one)"
    words = [f"{what}, {len(report.failed)} failed; {size} in {report.requests} requests, {seconds:.1f} s"]
    if report.sequence:
        words.append(f"it is what sequence {report.sequence} of the signed list says")
    words += context.output.failures(report.failed)
    context.output.document(report.as_dict(), words)
    return FAILURES if report.failed else DONE
