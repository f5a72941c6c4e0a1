"""The counters in Prometheus' text format. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from huracan_sync.engine.daemon.status import Status


def as_metrics(status: Status, now: float) -> str:
    """What `/metrics` answers."""
    lines: list[str] = []

    def add(name: str, kind: str, what: str, values: Iterable[tuple[str, float]]) -> None:
        lines.extend((f"# HELP huracan_sync_{name} {what}", f"# TYPE huracan_sync_{name} {kind}"))
        lines.extend(f"huracan_sync_{name}{labels} {value:.15g}" for labels, value in values)

    add("requests_total", "counter", "Calls of the Dropbox API.", [("", status.requests)])
    add("token_refreshes_total", "counter", "Calls of the token route.", [("", status.token_requests)])
    add("sent_bytes_total", "counter", "Bytes of content sent.", [("", status.bytes_sent)])
    add("received_bytes_total", "counter", "Bytes of content received.", [("", status.bytes_received)])
    add("outbox_writes", "gauge", "What waits in the outbox.", [("", status.pending)])
    add("watching", "gauge", "0 when the disk cannot be watched.", [("", not status.not_watching)])
    add("start_time_seconds", "gauge", "When the process started.", [("", status.started)])
    ends = [] if status.trust_ends is None else [("", status.trust_ends)]
    add("trust_expiry_time_seconds", "gauge", "When the first trust file ends; alert 30 days before.", ends)
    by_kind: Sequence[tuple[str, str, str, Callable[[Any], float | None]]] = (
        ("last_success_time_seconds", "gauge", "When a pass last succeeded.", lambda k: k.last_success),
        ("next_run_time_seconds", "gauge", "When the next pass is due.", lambda k: k.next_run),
        ("lag_seconds", "gauge", "For how long something has waited.", lambda k: k.lag_s(now)),
        ("queue_files", "gauge", "Files that changed and are not in step.", lambda k: k.queue),
        ("in_step_files", "gauge", "Files known to be in step.", lambda k: k.files),
        ("sent_files_total", "counter", "Files sent.", lambda k: k.sent),
        ("passes_total", "counter", "Passes made.", lambda k: k.passes),
        ("failures_total", "counter", "Files and passes that failed.", lambda k: k.failures),
        ("refused_files", "gauge", "Files that only a person can mend.", lambda k: k.refused),
        ("left_out_files", "gauge", "Files, links and special files that are not synced.", lambda k: k.left_out),
        ("healthy", "gauge", "1 when it succeeded lately.", lambda k: k.is_healthy(now)),
    )
    for name, kind, what, read in by_kind:
        values = [(f'{{kind="{state.name}"}}', read(state)) for state in status.kinds]
        add(name, kind, what, [(labels, float(value)) for labels, value in values if value is not None])
    return "\n".join(lines) + "\n"
