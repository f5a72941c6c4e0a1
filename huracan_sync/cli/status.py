"""`status`: how what runs continuously stands, and how the last run of every verb went. It only looks."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from huracan_sync.auth.connect import home_of
from huracan_sync.cli.columns import ascii_path, table, width, wrapped
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.output import moment
from huracan_sync.engine.daemon import status_file
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.outbox import Outbox
from huracan_sync.errors import UsageError
from huracan_sync.secret import redact
from huracan_sync.signing import expiry
from huracan_sync.transfer.journal import Journal, Run
from huracan_sync.transfer.journal.runs import Runs
from huracan_sync.tree.units import counted, size_in_words, span_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 2.0
_CUT_OFF = "did not come to its end (killed, or the machine went down)"
_AGAIN = "run it again"
_DAY = re.compile(r"(?<=/)\d{4}-\d\d-\d\d(?=/|\Z)")
_MOMENTS = {"since", "last_success", "next_run", "changed_since", "started", "written", "trust_ends"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("--watch", action="store_true", help="look again and again; Ctrl-C ends it")
    parser.add_argument(
        "--every", type=float, default=EVERY_S, metavar="S", help=f"seconds between looks (default: {EVERY_S:g})"
    )
    parser.add_argument("--forget", action="store_true", help="forget how the runs until now went")
    parser.epilog = (
        "Exit code 1: something is ill: a verb's last run failed or was cut off, or a kind has not succeeded lately."
    )
    parser.set_defaults(interrupted="it only looked")


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`status`."""
    home = home_of(invocation.env)
    if options.forget:
        return _forget(home, invocation)
    if not options.watch:
        overview = Overview.at(home, time.time())
        invocation.output.document(overview.as_dict(), overview.words())
        return FAILURES if overview.is_ill() else DONE
    if not 0.1 <= options.every <= 3600:
        raise UsageError(f"--every {options.every:g} is no pause", hint="seconds, from 0.1 to 3600")
    if invocation.output.as_json:
        while True:
            invocation.output.document(Overview.at(home, time.time()).as_dict(), [])
            time.sleep(options.every)
    elif sys.stdout.isatty():
        _watch_live(home, options.every)
    else:
        _watch_lines(home, options.every)
    return DONE


def _forget(home: Path, invocation: Invocation) -> int:
    """Forget the rows. What runs now, and what waits in the outbox, stays."""
    forgotten = 0
    if (home / "journal.db").exists():
        with Journal(home) as journal:
            forgotten = Runs(journal).forget()
    continuous = status_file.read(home)
    if continuous is not None and not continuous.is_running(time.time()):
        (home / status_file.FILE).unlink(missing_ok=True)
        forgotten += 1
    invocation.output.document({"forgotten": forgotten}, [f"{counted(forgotten, 'row')} forgotten"])
    return DONE


class Overview:
    """The state at one moment."""

    def __init__(
        self,
        now: float,
        runs: list[tuple[str, Run]],
        continuous: Status | None,
        pending: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self.now = now
        self.runs = [(place, _healed(run, [other for _, other in runs])) for place, run in runs]
        self.continuous = continuous
        self.pending = pending
        self.warnings = list(warnings)
        """What that is signed ends soon."""

    @classmethod
    def at(cls, home: Path, now: float) -> Overview:
        """Read a state folder; one that is not there stays so."""
        runs: list[tuple[str, Run]] = []
        if (home / "journal.db").exists():
            with Journal(home) as journal:
                runs = list(Runs(journal))
        pending = len(Outbox(home).queued_writes())
        return cls(
            now, runs, status_file.read(home), pending, [ending.sentence for ending in expiry.endings(home, now)]
        )

    def is_ill(self) -> bool:
        """Whether the last run of something failed, or what runs has not succeeded lately."""
        running = self.continuous is not None and self.continuous.is_running(self.now)
        ill = running and self.continuous is not None and not self.continuous.healthy(self.now)
        return ill or any(_was_cut_off(run) or (_why(run) and not _was_ended(run)) for _, run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ill": self.is_ill(),
            "runs": [_run_as_dict(place, run, self.now) for place, run in self.runs],
            "continuous": None if self.continuous is None else continuous_as_dict(self.continuous, self.now),
            "pending": self.pending,
            "warnings": self.warnings,
        }

    def words(self) -> list[str]:
        """For people, in as many columns as the terminal has."""
        words = []
        if self.continuous is not None:
            words = [*wrapped([self.heading()], width()), *kinds_in_words(self.continuous, self.now)]
            words += [*wrapped(map(ascii_path, self.continuous.notices()), width()), ""]
        if self.runs:
            words += _runs_in_words([run for _, run in self.runs], self.now, width())
        if self.pending:
            words.append(f"{self.pending} could not be delivered yet: `huracan-sync outbox` lists them")
        words += [f"warning: {warning}" for warning in self.warnings]
        return words or [
            "nothing has run on this machine yet; try `huracan-sync push LOCAL REMOTE`, or `restore REMOTE LOCAL`"
        ]

    def heading(self) -> str:
        """Whether something runs."""
        found = self.continuous
        if found is None:
            return "nothing has run continuously on this machine yet; `huracan-sync run` does"
        if found.is_running(self.now):
            page = f"; its page: {found.page}" if found.page else ""
            return f"running since {span_in_words(self.now - found.started)} (process {found.pid}){page}"
        silent = span_in_words(self.now - found.written)
        return f"nothing runs continuously; the last that did was heard of {silent} ago"


def continuous_as_dict(found: Status, now: float) -> dict[str, Any]:
    """The status of a process, with its moments as all documents have them."""
    document = found.as_dict(now)
    for part in (document, *document["kinds"]):
        for name in _MOMENTS & part.keys():
            part[name] = None if not part[name] else moment(part[name] * 1000)
    return document


def kinds_in_words(found: Status, now: float) -> list[str]:
    """A row for each kind, and below them what went wrong."""
    rows = [row[:-1] for row in found.rows(now)]
    errors = []
    for kind in found.kinds:
        errors += [ascii_path(f"  {kind.name}: {kind.last_error}")] if kind.last_error else []
        errors += [ascii_path(f"    hint: {kind.last_hint}")] if kind.last_hint else []
    return [*table(_safe(rows)), *wrapped(errors, width())]


def _safe(rows: list[list[str]]) -> list[list[str]]:
    return [[ascii_path(cell) for cell in row] for row in rows]


# --- again and again --------------------------------------------------------------------------------------------


def _watch_live(home: Path, every: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

    with Live(_drawn(Overview.at(home, time.time())), auto_refresh=False, screen=True) as live:
        while True:
            live.update(_drawn(Overview.at(home, time.time())), refresh=True)
            time.sleep(every)


def _drawn(overview: Overview) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    found = overview.continuous
    shown: list[RenderableType] = [Text(overview.heading(), "bold")]
    if found is not None:
        heading, *rows = _safe(found.rows(overview.now))
        drawn = Table(*heading, expand=False)
        for kind, row in zip(found.kinds, rows, strict=True):
            drawn.add_row(*(Text(redact(cell)) for cell in row), style="" if _is_well(kind, overview.now) else "red")
        count = f"{counted(found.requests, 'request')}, {size_in_words(found.bytes_sent)} sent, "
        shown += [drawn, Text(f"{count}{size_in_words(found.bytes_received)} received")]
        shown += [Text(ascii_path(redact(notice)), "yellow") for notice in found.notices()]
    if overview.pending:
        shown.append(Text(f"{overview.pending} wait in the outbox", "yellow"))
    shown.append(Text("Ctrl-C ends", "dim"))
    return Group(*shown)


def _is_well(kind: State, now: float) -> bool:
    return kind.is_healthy(now) and not kind.last_error


def _watch_lines(home: Path, every: float, show: Callable[[str], None] = print) -> None:
    """A line for each kind at first, and whenever something about it changed."""
    told: dict[str, object] = {}
    while True:
        overview = Overview.at(home, time.time())
        moment = datetime.now(UTC).strftime("%H:%M:%S")
        found = overview.continuous
        running = found is not None and found.is_running(overview.now)
        lines: dict[str, tuple[object, str]] = {"": (running, overview.heading())}
        if found is not None:
            for kind in found.kinds:
                known: object = (kind.last_success, kind.files, kind.bytes_sent, kind.queue, kind.last_error)
                lines[kind.name] = (known, _in_a_line(kind, overview.now))
        lines["outbox"] = (overview.pending, f"outbox: {overview.pending} waiting")
        for name, (facts, words) in lines.items():
            if name not in told or told[name] != facts:
                show(f"{moment} {ascii_path(redact(words))}")
                told[name] = facts
        sys.stdout.flush()
        time.sleep(every)


def _in_a_line(kind: State, now: float) -> str:
    success = (
        "never succeeded" if kind.last_success is None else f"succeeded {span_in_words(now - kind.last_success)} ago"
    )
    parts = [
        success,
        f"{counted(kind.files, 'file')} in step",
        f"{size_in_words(kind.bytes_sent)} sent",
        f"lag {span_in_words(kind.lag_s(now))}",
        f"{kind.queue} in the queue",
    ]
    return f"{kind.name}: {', '.join(parts)}" + (f"; {kind.last_error}" if kind.last_error else "")


# --- the last runs ----------------------------------------------------------------------------------------------


def _run_as_dict(place: str, run: Run, now: float) -> dict[str, Any]:
    return {
        "account": place,
        "verb": run.verb,
        "remote": run.channel,
        "finished": _moment(run.finished),
        "last_success": _moment(run.succeeded),
        "lag_s": None if run.succeeded is None else round(now - run.succeeded, 1),
        **run.report,
        **_under_way_as_dict(run),
    }


def _under_way_as_dict(run: Run) -> dict[str, Any]:
    if run.under_way is None:
        return {}
    running = {"under_way_since": _moment(run.under_way.since), "process": run.under_way.holder}
    if not _was_cut_off(run):
        return running
    error = {"error": "CutOff", "message": _CUT_OFF, "hint": f"{_AGAIN}, it carries on"}
    return {**running, "error": {**error, "retryable": True, "facts": {"in_step": run.under_way.in_step}}}


def _runs_in_words(runs: Sequence[Run], now: float, limit: int) -> list[str]:
    """A table that fits the width (paths lose their beginnings), and below it what went wrong."""
    heading = ["what", "last success", "in step", "failed", "local", "remote"]
    rows = [heading, *(_run_as_row(run, now) for run in runs)]
    errors = [
        f"  {run.verb} {run.channel or '/'}: {ascii_path(why)}"
        for run in runs
        for why in (_state(run, now), _why(run), _left(run))
        if why
    ]
    return [*table(rows, columns=limit, give=(4, 5)), *wrapped(errors, limit)]


def _run_as_row(run: Run, now: float) -> list[str]:
    report = run.report
    failed = report.get("failed")
    in_step = sum(_number(report, name) for name in ("uploaded", "renamed", "downloaded", "skipped"))
    if run.under_way is not None:
        in_step = run.under_way.in_step
    return [
        run.verb,
        "never" if run.succeeded is None else f"{span_in_words(now - run.succeeded)} ago",
        counted(in_step, "file"),
        str(len(failed)) if isinstance(failed, list) else "0",
        ascii_path(str(report.get("local", "-"))),
        ascii_path(run.channel or "/"),
    ]


def _state(run: Run, now: float) -> str:
    """What became of a run that has not ended; empty where none is under way."""
    if run.under_way is None:
        return ""
    span = span_in_words(now - run.under_way.since)
    if _was_cut_off(run):
        return f"began {span} ago and {_CUT_OFF}; {_AGAIN}, it carries on"
    return f"running for {span} (process {run.under_way.holder})"


def _was_cut_off(run: Run) -> bool:
    return run.under_way is not None and not run.under_way.holder


def _healed(run: Run, others: Sequence[Run]) -> Run:
    """The run; not as cut off where the engine has brought the same folder home since, to the folder of a later day."""
    if not _was_cut_off(run) or run.under_way is None:
        return run
    since, local = run.under_way.since, run.report.get("local")
    later = any(
        (other.verb, other.report.get("local")) == (run.verb, local)
        and _DAY.sub("", other.channel) == _DAY.sub("", run.channel) != run.channel
        and (other.succeeded or 0.0) > since
        for other in others
    )
    return msgspec.structs.replace(run, under_way=None) if later else run


def _why(run: Run) -> str:
    """What went wrong in the last run; empty where nothing did."""
    error, failed = run.report.get("error"), run.report.get("failed")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("error"))
    if isinstance(failed, list) and failed and isinstance(failed[0], dict):
        return f"{len(failed)} failed; {failed[0].get('message', '')}"
    return ""


def _left(run: Run) -> str:
    """What the last run left out, some of it by name; empty where there is nothing."""
    left_out = run.report.get("left_out")
    if not isinstance(left_out, list) or not left_out:
        return ""
    named = [f"{each.get('path')!r} ({each.get('why')})" if isinstance(each, dict) else repr(each) for each in left_out]
    return f"{len(named)} left out: {', '.join(named[:3])}{', ...' if len(named) > 3 else ''}"


def _was_ended(run: Run) -> bool:
    """Whether somebody asked the run to end: it is shown, and nothing is wrong."""
    error = run.report.get("error")
    return isinstance(error, dict) and error.get("error") in {"Interrupted", "Stopped"}


def _number(report: dict[str, object], name: str) -> int:
    value = report.get(name)
    return value if isinstance(value, int) else 0


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
