"""`outbox`: the writes that could not be delivered yet: list, retry, drop."""

from __future__ import annotations

import argparse
import logging
from datetime import UTC, datetime
from typing import Any

from huracan_sync.auth.connect import home_of
from huracan_sync.cli.columns import ascii_path, table, width
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.engine.outbox import Outbox, QueuedWrite
from huracan_sync.errors import UsageError
from huracan_sync.tree.units import size_in_words

_WHAT = {
    "list": "what waits, oldest first",
    "retry": "try to deliver it now",
    "drop": "forget writes: they are never delivered",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("what", metavar="WHAT", nargs="?", choices=list(_WHAT), default="list", help=", ".join(_WHAT))
    parser.add_argument("id", metavar="ID", nargs="*", help="with drop: which, as `list` prints them")
    parser.add_argument("--all", action="store_true", help="with drop: all of them")
    parser.epilog = "; ".join(f"{name}: {what}" for name, what in _WHAT.items())


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`outbox [list|retry|drop]`."""
    outbox = Outbox(home_of(invocation.env))
    if options.what != "drop" and (options.id or options.all):
        raise UsageError(f"`outbox {options.what}` takes no ID and no --all")
    if options.what == "retry":
        return _retry(options, invocation, outbox)
    return _drop(options, invocation, outbox) if options.what == "drop" else _list(invocation, outbox)


def _list(invocation: Invocation, outbox: Outbox) -> int:
    waiting = outbox.queued_writes()
    words = ["nothing waits in the outbox"]
    if waiting:
        rows = [["id", "since (UTC)", "size", "tries", "to"], *map(_row, waiting)]
        words = [*table(rows, columns=width(), give=[4]), *_errors(waiting)]
    invocation.output.document({"waiting": [_as_dict(each) for each in waiting]}, words)
    return DONE


def _retry(options: argparse.Namespace, invocation: Invocation, outbox: Outbox) -> int:
    from huracan_sync.cli.log_lines import show_events  # noqa: PLC0415
    from huracan_sync.cli.run import engine_of  # noqa: PLC0415 - the engine, only for who delivers
    from huracan_sync.cli.settings_options import settings_in  # noqa: PLC0415
    from huracan_sync.engine.deliver import deliver  # noqa: PLC0415

    if outbox.is_empty():
        return _list(invocation, outbox)
    show_events(verbosity=options.verbose, least=logging.WARNING)
    given = {} if options.profile is None else {"profile": options.profile}
    settings = settings_in(options.config, invocation.env, given)
    delivered = deliver(engine_of(settings, options, invocation))
    waiting = outbox.queued_writes()
    words = [f"{delivered} delivered, {len(waiting)} still waiting"]
    words += _errors(waiting)
    document = {"delivered": delivered, "waiting": [_as_dict(each) for each in waiting]}
    invocation.output.document(document, words)
    return FAILURES if waiting else DONE


def _drop(options: argparse.Namespace, invocation: Invocation, outbox: Outbox) -> int:
    waiting = {each.id: each for each in outbox.queued_writes()}
    if bool(options.id) == options.all:
        raise UsageError("say which to drop: their IDs, or --all", hint="`huracan-sync outbox list` shows them")
    if unknown := [each for each in options.id if each not in waiting]:
        raise UsageError(f"nothing with the ID {unknown[0]} waits", hint="`huracan-sync outbox list` shows what does")
    chosen = list(waiting.values()) if options.all else [waiting[each] for each in options.id]
    for each in chosen:
        outbox.drop(each)
    words = [f"dropped: {ascii_path(each.remote)}" for each in chosen] or ["nothing waits in the outbox"]
    invocation.output.document({"dropped": [_as_dict(each) for each in chosen]}, words)
    return DONE


def _row(each: QueuedWrite) -> list[str]:
    size = "folder" if each.is_folder else "-" if each.kept is None else size_in_words(each.kept)
    moment = f"{datetime.fromtimestamp(each.queued, UTC):%Y-%m-%d %H:%M:%S}"
    return [each.id, moment, size, str(each.attempts), ascii_path(each.remote)]


def _errors(waiting: list[QueuedWrite]) -> list[str]:
    """What the last try of each came to."""
    return [
        ascii_path(f"  {each.id}: {why}")
        for each in waiting
        if (why := each.error.get("message") or each.error.get("error"))
    ]


def _as_dict(each: QueuedWrite) -> dict[str, Any]:
    return {
        "id": each.id,
        "since": f"{datetime.fromtimestamp(each.queued, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "remote": each.remote,
        "local": each.local,
        "account": each.account,
        "attempts": each.attempts,
        "error": each.error,
    }
