"""A small page for people, `/metrics` for Prometheus, `/healthz` for a supervisor. On loopback only, and only to look.

Laws: it answers GET and nothing else, to requests that name this machine as their host (a page elsewhere on the web
must not read it through a name that points here); it shows no secret, loads nothing from anywhere, runs no script.
"""

from __future__ import annotations

import contextlib
import html
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from huracan_sync.errors import PortTaken
from huracan_sync.secret import redact
from huracan_sync.standing import Standing, size, words

SAMPLE_S = 5.0
"""Seconds between samples."""
SAMPLES = 720
"""How many are kept: an hour of them."""
REFRESH_S = 5
_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 560, 130, 64, 22


class Sample(msgspec.Struct, frozen=True):
    """What the counters read at a moment (seconds since 1970)."""

    at: float
    requests: int
    token_requests: int
    bytes_sent: int
    bytes_received: int
    lag_s: float


class Samples:
    """The last hour."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque(maxlen=SAMPLES)

    def take(self, standing: Standing, now: float) -> None:
        """Note what the counters read now."""
        lag = max((kind.lag_s(now) for kind in standing.kinds), default=0.0)
        self._kept.append(
            Sample(
                now,
                standing.requests,
                standing.token_requests,
                standing.bytes_sent,
                standing.bytes_received,
                lag,
            )
        )

    def all(self) -> list[Sample]:
        """Oldest first."""
        return list(self._kept)


class Page:
    """A server on a thread of its own."""

    def __init__(self, port: int, standing: Callable[[], Standing], samples: Samples, now: Callable[[], float]) -> None:
        """Listen on `port` of 127.0.0.1; 0 takes any.

        Raises:
            PortTaken: another process listens there.
        """

        class Handler(_Handler):
            page = self

        self.standing = standing
        self.samples = samples
        self.now = now
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise PortTaken(
                f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}",
                hint="choose another with --http PORT; 0 takes any",
                port=port,
            ) from error
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="huracan-page")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, str] | None:
        """Status, type and text for a path; None for one that is none."""
        now, standing = self.now(), self.standing()
        if path == "/":
            return 200, "text/html; charset=utf-8", as_html(standing, self.samples.all(), now)
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", as_metrics(standing, now)
        if path == "/healthz":
            ill = [kind.name for kind in standing.kinds if not kind.is_healthy(now)]
            told = {"healthy": not ill, "late": ill, "pending": standing.pending}
            return 503 if ill else 200, "application/json", msgspec.json.encode(told).decode()
        if path == "/status.json":
            return 200, "application/json", redact(msgspec.json.encode(standing.as_dict(now)).decode())
        return None


class _Handler(BaseHTTPRequestHandler):
    page: Page
    server_version = "huracan-sync"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS:
            self._send(421, "text/plain; charset=utf-8", "this page is for the machine it runs on\n")
            return
        answer = self.page.answer(self.path.partition("?")[0])
        self._send(*(answer or (404, "text/plain; charset=utf-8", "/ /metrics /healthz /status.json\n")))

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Who looks is nobody's business."""


# --- for Prometheus ---------------------------------------------------------------------------------------------


def as_metrics(standing: Standing, now: float) -> str:
    """The counters in Prometheus' text format. Pure."""
    lines: list[str] = []

    def add(name: str, kind: str, what: str, values: Iterable[tuple[str, float]]) -> None:
        lines.extend((f"# HELP huracan_sync_{name} {what}", f"# TYPE huracan_sync_{name} {kind}"))
        lines.extend(f"huracan_sync_{name}{labels} {value:.15g}" for labels, value in values)

    add("requests_total", "counter", "Calls of the Dropbox API.", [("", standing.requests)])
    add("token_refreshes_total", "counter", "Calls of the token route.", [("", standing.token_requests)])
    add("sent_bytes_total", "counter", "Bytes of content sent.", [("", standing.bytes_sent)])
    add("received_bytes_total", "counter", "Bytes of content received.", [("", standing.bytes_received)])
    add("outbox_letters", "gauge", "What waits in the outbox.", [("", standing.pending)])
    add("start_time_seconds", "gauge", "When the process started.", [("", standing.started)])
    by_kind: Sequence[tuple[str, str, str, Callable[[Any], float | None]]] = (
        ("last_success_time_seconds", "gauge", "When a pass last succeeded.", lambda k: k.last_success),
        ("next_run_time_seconds", "gauge", "When the next pass is due.", lambda k: k.next_run),
        ("lag_seconds", "gauge", "For how long something has waited.", lambda k: k.lag_s(now)),
        ("queue_files", "gauge", "Files that changed and are not in step.", lambda k: k.queue),
        ("in_step_files", "gauge", "Files known to be in step.", lambda k: k.files),
        ("sent_files_total", "counter", "Files sent.", lambda k: k.sent),
        ("passes_total", "counter", "Passes made.", lambda k: k.passes),
        ("failures_total", "counter", "Files and passes that failed.", lambda k: k.failures),
        ("healthy", "gauge", "1 when it succeeded lately.", lambda k: k.is_healthy(now)),
    )
    for name, kind, what, read in by_kind:
        values = [(f'{{kind="{state.name}"}}', read(state)) for state in standing.kinds]
        add(name, kind, what, [(labels, float(value)) for labels, value in values if value is not None])
    return "\n".join(lines) + "\n"


# --- for people -------------------------------------------------------------------------------------------------


def as_html(standing: Standing, samples: Sequence[Sample], now: float) -> str:
    """The page. Pure."""
    heading, *rows = standing.rows(now)
    ill = {kind.name for kind in standing.kinds if not kind.is_healthy(now) or kind.last_error}
    table = "".join(
        f'<tr class="{"ill" if row[0] in ill else ""}">' + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    verdict = "all is in step" if standing.healthy(now) and not standing.pending else "not everything is in step"
    facts = (
        ("up", words(now - standing.started)),
        ("requests", f"{standing.requests:,}"),
        ("sent", size(standing.bytes_sent)),
        ("received", size(standing.bytes_received)),
        ("token refreshes", f"{standing.token_requests:,}"),
        ("waiting in the outbox", f"{standing.pending:,}"),
    )
    charts = "".join(
        (
            _chart("bytes sent, a second", _rates(samples, lambda s: s.bytes_sent), size),
            _chart("requests, a minute", _rates(samples, lambda s: s.requests, per=60.0), _count),
            _chart("lag", [(sample.at, sample.lag_s) for sample in samples], words),
            _chart("token refreshes", [(sample.at, float(sample.token_requests)) for sample in samples], _count),
        )
    )
    return _PAGE.format(
        refresh=REFRESH_S,
        folder=_text(standing.app_folder),
        service=_text(standing.service),
        verdict=verdict,
        mood="well" if verdict.startswith("all") else "ill",
        facts="".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts),
        heading="".join(f"<th>{_text(cell)}</th>" for cell in heading),
        rows=table,
        charts=charts,
    )


def _text(value: str) -> str:
    return html.escape(redact(value))


def _count(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _rates(samples: Sequence[Sample], read: Callable[[Sample], int], *, per: float = 1.0) -> list[tuple[float, float]]:
    """What a counter grew by, per so many seconds, at each sample but the first."""
    return [
        (after.at, max(0, read(after) - read(before)) / max(after.at - before.at, 1e-3) * per)
        for before, after in itertools.pairwise(samples)
    ]


def _chart(title: str, points: Sequence[tuple[float, float]], unit: Callable[[float], str]) -> str:
    """One quantity over the last hour, as a picture that needs nothing else."""
    most = max((value for _, value in points), default=0.0) or 1.0
    last = points[-1][0] if points else 0.0
    span = max(last - points[0][0], SAMPLE_S) if points else SAMPLE_S
    width, height = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - 12

    def x(at: float) -> float:
        return _LEFT + width * (1 - (last - at) / span)

    line = " ".join(f"{x(at):.1f},{12 + height * (1 - value / most):.1f}" for at, value in points)
    latest = unit(points[-1][1]) if points else "-"
    floor = 12 + height
    area = f"{x(points[0][0]):.1f},{floor} {line} {x(last):.1f},{floor}" if points else ""
    return (
        f'<figure><figcaption>{title}<b>{_text(latest)}</b></figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{title}: {_text(latest)} now, {_text(unit(most))} at most">'
        f'<path class="grid" d="M{_LEFT} 12H{_WIDTH - 8}M{_LEFT} {12 + height / 2}H{_WIDTH - 8}M{_LEFT} {floor}'
        f'H{_WIDTH - 8}"/><polygon points="{area}"/><polyline points="{line}"/>'
        f'<text x="{_LEFT - 8}" y="16" text-anchor="end">{_text(unit(most if points else 0))}</text>'
        f'<text x="{_LEFT - 8}" y="{floor + 4}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{words(span)} ago</text>'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 4}" text-anchor="end">now</text></svg></figure>'
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{refresh}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>huracan-sync</title><style>
:root {{ color-scheme: light dark; --line: #2563eb; --ill: #b91c1c; --well: #15803d; --faint: #8884; --soft: #667085; }}
@media (prefers-color-scheme: dark) {{ :root {{ --line: #7aa2ff; --ill: #f87171; --well: #4ade80; --soft: #98a2b3; }} }}
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }}
header {{ display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline; }}
h1 {{ font-size: 1.35rem; margin: 0; }}
.well {{ color: var(--well); }} .ill {{ color: var(--ill); }} .soft {{ color: var(--soft); }}
dl {{ display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1.2rem 0; }} dd {{ margin: 0; font-size: 1.15rem; }}
dt {{ color: var(--soft); font-size: .8rem; }} dd, td {{ font-variant-numeric: tabular-nums; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--faint); }}
th, td {{ white-space: nowrap; }}
th {{ color: var(--soft); font-weight: 500; font-size: .8rem; }}
td:last-child {{ white-space: normal; min-width: 15rem; }}
section {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 1.2rem 2rem; }}
figure {{ margin: 1.2rem 0 0; }} figcaption {{ display: flex; justify-content: space-between; color: var(--soft); }}
b {{ color: CanvasText; }} svg {{ width: 100%; height: auto; display: block; }}
svg text {{ fill: var(--soft); font-size: 11px; }} .grid {{ stroke: var(--faint); }}
polyline {{ fill: none; stroke: var(--line); stroke-width: 1.6; stroke-linejoin: round; }}
polygon {{ fill: var(--line); opacity: .12; }}
</style></head><body>
<header><h1>huracan-sync</h1><span class="{mood}">{verdict}</span>
<span class="soft">{folder} in {service}</span></header>
<dl>{facts}</dl>
<div class="wide"><table><thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table></div>
<section>{charts}</section>
</body></html>
"""
