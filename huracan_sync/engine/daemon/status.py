"""The status of continuous sync: what `status` shows, the page draws, and monitors read. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from huracan_sync.tree.units import size_in_words, span_in_words

SILENT_S = 120.0
"""A running process writes at least this often; one that has not is taken for dead or hanging."""


class State(msgspec.Struct):
    """The status of one kind of data. Times are seconds since 1970, None for never."""

    name: str
    interval_s: float
    since: float = 0.0
    """When it was begun."""
    last_success: float | None = None
    next_run: float | None = None
    files: int = 0
    """Files known to be in step."""
    sent: int = 0
    """Files sent since the start."""
    bytes_sent: int = 0
    queue: int = 0
    """Files that changed and are not known to be in step."""
    changed_since: float | None = None
    """When the oldest of them changed."""
    passes: int = 0
    failures: int = 0
    last_error: str = ""
    last_hint: str = ""
    """What to do about it."""
    running: bool = False
    refused: int = 0
    """Files that only a person can mend; that is not ill."""
    refusals: list[str] = []
    """The first few of them, and why."""
    left_out: int = 0
    """Files that this kind of data does not take, links and special files."""
    left_out_names: list[str] = []
    """The first few of them, and why."""

    def lag_s(self, now: float) -> float:
        """For how long something has waited to be in Dropbox; 0 when nothing does."""
        return 0.0 if self.changed_since is None else max(0.0, now - self.changed_since)

    def is_healthy(self, now: float) -> bool:
        """Whether it succeeded lately: within three of its intervals, or a minute for short ones."""
        good = max(self.since, self.last_success or 0.0)  # the last success may be that of an earlier process
        return now - good < max(3 * self.interval_s, 60.0)


class Status(msgspec.Struct):
    """The status of a whole process."""

    pid: int
    started: float
    written: float
    service: str
    """`dropbox`, or which emulator."""
    app_folder: str
    kinds: list[State]
    pending: int = 0
    """What waits in the outbox."""
    requests: int = 0
    """Calls of the API since the start."""
    token_requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    page: str = ""
    """The address of the page, if one is served."""
    not_watching: str = ""
    """Why the disk cannot be watched; empty while it can."""
    endings: list[str] = []
    """What that is signed ends within a month, or has ended."""
    trust_ends: float | None = None
    """When the first trust file of this machine ends, seconds since 1970; None where it knows none."""
    is_gone: bool = False
    """Whether its process was not there any more when this was read."""

    def is_running(self, now: float) -> bool:
        """Whether the process that wrote this still runs, as far as one can tell from here."""
        return not self.is_gone and now - self.written < SILENT_S

    def healthy(self, now: float) -> bool:
        """Whether every kind succeeded lately."""
        return all(kind.is_healthy(now) for kind in self.kinds)

    def as_dict(self, now: float) -> dict[str, Any]:
        """For `--json`: the fields, and what follows from them now."""
        kinds = [
            {**msgspec.to_builtins(kind), "lag_s": round(kind.lag_s(now), 1), "healthy": kind.is_healthy(now)}
            for kind in self.kinds
        ]
        derived = {"running": self.is_running(now), "healthy": self.healthy(now), "kinds": kinds}
        return {**msgspec.to_builtins(self), **derived}

    def notices(self) -> list[str]:
        """What a person should know although nothing is ill: what ends soon, is not watched, refused or left out."""
        notices = list(self.endings)
        if self.not_watching:
            notices.append(f"not watching the disk ({self.not_watching}); it is scanned more often instead")
        for kind in self.kinds:
            if kind.refused:
                notices.append(
                    f"{kind.name}: {kind.refused} refused until somebody mends it: {_few(kind.refusals, kind.refused)}"
                )
            if kind.left_out:
                notices.append(f"{kind.name}: {kind.left_out} left out: {_few(kind.left_out_names, kind.left_out)}")
        return notices

    def rows(self, now: float) -> list[list[str]]:
        """The table: a heading, then a row for each kind."""
        heading = ["kind", "last success", "files", "bytes sent", "lag", "queue", "next run", "last error"]
        running = self.is_running(now)
        return [heading, *(_row(kind, now, running=running) for kind in self.kinds)]


def _few(names: list[str], count: int) -> str:
    return "; ".join(names[:3]) + ("; ..." if count > min(3, len(names)) else "")


def _row(kind: State, now: float, *, running: bool) -> list[str]:
    following = "-"
    if running and (kind.running or kind.next_run is not None):
        following = "now" if kind.running else f"in {span_in_words((kind.next_run or now) - now)}"
    return [
        kind.name,
        "never" if kind.last_success is None else f"{span_in_words(now - kind.last_success)} ago",
        str(kind.files),
        size_in_words(kind.bytes_sent),
        span_in_words(kind.lag_s(now)) if kind.lag_s(now) else "-",
        str(kind.queue),
        following,
        kind.last_error[:80] or (f"{kind.refused} refused" if kind.refused else ""),
    ]
