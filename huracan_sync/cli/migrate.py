"""`migrate`: bring what earlier writers left to its one place."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from huracan_sync.auth.connect import connect
from huracan_sync.cli import settings_options
from huracan_sync.cli.columns import ascii_path
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.operations import migrate
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.transfer import estimate
from huracan_sync.transfer.progress import wait_in_words
from huracan_sync.tree.units import counted, size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")
    settings_options.add_arguments(parser)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`migrate`."""
    settings = settings_options.settings_of(options, invocation)
    if "profile" in settings.origins:
        options.profile = settings.profile
    with invocation.output.progress("migrate") as monitor:
        pacing = SteadyPacing(observe=lambda wait: monitor.note(wait_in_words(wait)))
        remote = connect(
            env=invocation.env, credentials=credentials(options, invocation), pacing=pacing, root=settings.layout.root
        )
        made = migrate.plan(remote, settings.layout)
        lines = [ascii_path(line) for line in made.lines()]
        if options.dry_run or made.is_empty:
            report = migrate.MigrationReport(kept=len(made.kept))
        else:
            report = migrate.carry_out(remote, made, settings.layout, monitor=monitor)
    totals = _totals(made)
    document = {"plan": _steps(made), "totals": totals, "dry_run": bool(options.dry_run), **report.as_dict()}
    words = [*lines, _counted(made, totals)] if options.dry_run or made.is_empty else [*lines, _done(report)]
    invocation.output.document(document, [*words, *invocation.output.failures(report.failed)])
    return FAILURES if report.failed or made.kept else DONE


def _steps(made: migrate.Migration) -> list[dict[str, object]]:
    """The plan as structure."""
    steps: list[dict[str, object]] = []
    for move in made.moves:
        action, entry = "copy" if move.keeps else "move", move.entry
        steps.append({"action": action, "path": entry.path, "size": entry.size, "place": move.target})
    for copy in made.duplicates:
        entry = copy.entry
        steps.append({"action": "delete", "path": entry.path, "size": entry.size, "place": copy.original})
    for kept in made.kept:
        steps.append({"action": "keep", "path": kept.path, "why": kept.why})  # noqa: PERF401 - as above
    return steps


def _totals(made: migrate.Migration) -> dict[str, int]:
    copies, deletes = sum(step.keeps for step in made.moves), len(made.duplicates)
    moves = len(made.moves) - copies
    requests = sum(map(estimate.batches, (moves, copies, deletes))) + bool(
        deletes
    )  # what is deleted is looked at first
    size = sum(step.entry.size for step in made.moves)
    counts = {"moves": moves, "copies": copies, "deletes": deletes, "kept": len(made.kept)}
    return {**counts, "bytes": size, "requests": requests}


def _counted(made: migrate.Migration, totals: Mapping[str, int]) -> str:
    if made.is_empty:
        return f"everything lies in its place{f'; {len(made.kept)} are left to you' if made.kept else ''}"
    where = f"({size_in_words(totals['bytes'])}, inside Dropbox)"
    return (
        f"would move {totals['moves']:,}, copy {totals['copies']:,} {where}, delete {totals['deletes']:,} that are "
        f"copies; {totals['kept']:,} are left to you; about {counted(totals['requests'], 'request')}; nothing was done"
    )


def _done(report: migrate.MigrationReport) -> str:
    return (
        f"{report.moved} moved, {report.copied} copied, {report.deleted} copies deleted, {report.kept} left to you, "
        f"{len(report.failed)} failed; {counted(report.requests, 'request')}"
    )
