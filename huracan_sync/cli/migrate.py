"""`migrate`: bring what earlier writers left to its one place."""

from __future__ import annotations

import argparse

from huracan_sync.auth.connect import connect
from huracan_sync.cli import settings_options
from huracan_sync.cli.columns import ascii_path
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.operations import migrate
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.transfer.progress import wait_in_words
from huracan_sync.tree.units import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")
    settings_options.add_arguments(parser)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`migrate`."""
    settings = settings_options.settings_of(options, invocation)
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
    document = {"plan": lines, "dry_run": bool(options.dry_run), **report.as_dict()}
    words = [*lines, _counted(made)] if options.dry_run or made.is_empty else [*lines, _done(report)]
    invocation.output.document(document, [*words, *invocation.output.failures(report.failed)])
    return FAILURES if report.failed else DONE


def _counted(made: migrate.Migration) -> str:
    if made.is_empty:
        return f"everything lies in its place{f'; {len(made.kept)} are left to you' if made.kept else ''}"
    copies = sum(step.keeps for step in made.moves)
    return (
        f"would move {len(made.moves) - copies}, copy {copies}, delete {len(made.duplicates)} that are copies; "
        f"{len(made.kept)} are left to you; nothing was done"
    )


def _done(report: migrate.MigrationReport) -> str:
    return (
        f"{report.moved} moved, {report.copied} copied, {report.deleted} copies deleted, {report.kept} left to you, "
        f"{len(report.failed)} failed; {counted(report.requests, 'request')}"
    )
