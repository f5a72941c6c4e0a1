"""How the last runs went, and which one is under way or was cut off: the part of the journal that `status` asks.

A run is noted when it begins and again when it ends. One that is noted as begun while nobody holds the lock of its pair
was killed, or the machine went down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.disk.lock import hold
from huracan_sync.errors import Busy
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.records import Run, UnderWay

_UNDER_WAY = "under_way"
"""Where a report keeps what is under way."""
_READ = "SELECT place, channel, verb, finished, succeeded, report FROM runs"
_WRITE = """
INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    finished=excluded.finished, succeeded=coalesce(excluded.succeeded, succeeded), report=excluded.report
"""


def lock_of(home: Path, pair: int) -> Path:
    """The lock that a process holds while it works on a pair."""
    return home / "locks" / f"pair-{pair}.lock"


class Runs:
    """The last run of every verb on every channel, at every place."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(self, place: str, channel: str, verb: str, *, local: str, pair: int) -> None:
        """A run begins; until it ends, what is known of the one before it stays.

        It outlives a killed process. A power failure it outlives with the first thing that is noted durably, and
        nothing is changed in Dropbox before that.
        """
        now = self._journal.clock()
        with self._journal.lazily(), self._journal.transaction() as db:
            query = "SELECT report FROM runs WHERE place=? AND channel=? AND verb=?"
            found = db.execute(query, (place, channel, verb))
            report: dict[str, Any] = _decoded(found[0][0]) if found else {"local": local}
            report[_UNDER_WAY] = {"since": now, "pair": pair, "process": os.getpid()}
            db.execute(_WRITE, (place, channel, verb, now, None, msgspec.json.encode(report)))

    def end(self, place: str, run: Run) -> None:
        """How a run went; the time of the last success stays when this was none."""
        with self._journal.transaction() as db:
            row = (place, run.channel, run.verb, run.finished, run.succeeded, msgspec.json.encode(run.report))
            db.execute(_WRITE, row)

    def forget(self) -> int:
        """Forget how the last runs went; how many there were. What runs now stays."""
        known = [(place, run) for place, run in self if not (run.under_way and run.under_way.holder)]
        with self._journal.transaction() as db:
            keys = [(place, run.channel, run.verb) for place, run in known]
            db.executemany("DELETE FROM runs WHERE place=? AND channel=? AND verb=?", keys)
        return len(known)

    def __iter__(self) -> Iterator[tuple[str, Run]]:
        """Each with its place."""
        for place, channel, verb, finished, succeeded, text in list(
            self._journal.rows(f"{_READ} ORDER BY place, channel, verb", ())
        ):
            report = _decoded(text)
            noted = report.pop(_UNDER_WAY, None)
            under_way = self._under_way(**noted) if noted else None
            yield place, Run(channel, verb, finished, succeeded, report, under_way)

    def _under_way(self, since: float, pair: int, process: int) -> UnderWay:
        holder = ""
        try:
            with hold(lock_of(self._journal.home, pair), what="a pair"):
                pass
        except Busy as busy:
            holder = str(busy.facts["holder"])
            if holder.isdecimal() and holder != str(process):
                holder = ""  # another verb works on the pair meanwhile
        (count,) = self._journal.first("SELECT count(*) FROM synced WHERE pair=?", (pair,))
        return UnderWay(since, holder, count)


def _decoded(report: bytes) -> dict[str, Any]:
    return msgspec.json.decode(report, type=dict[str, Any])
