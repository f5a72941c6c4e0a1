"""The page as a person sees it. Pure: a status, samples and a moment in; HTML that needs nothing else out."""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Sequence

import msgspec

from huracan_sync.engine.daemon.dashboard.samples import SAMPLE_S, Sample
from huracan_sync.engine.daemon.status import Status
from huracan_sync.secret import redact
from huracan_sync.tree.units import size_in_words, span_in_words

REFRESH_S = 5
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 170, 70, 10, 10, 24
_COLUMNS = 90
"""Bars of a chart: 40 seconds each when the hour is full."""
_SPANS_S = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_KIBI = 1024

Point = tuple[float, float]


class _Chart(msgspec.Struct, frozen=True):
    """What one chart shows."""

    title: str
    points: Sequence[Point]
    """Moments (seconds since 1970) and values."""
    unit: Callable[[float], str]
    most: Callable[[float], float]
    """The end of the scale for the largest value."""
    kind: str
    """`bars` (an amount in each span), `line` or `steps`."""


def as_html(status: Status, samples: Sequence[Sample], now: float) -> str:
    """The page."""
    mood, verdict, why = _verdict(status, now)
    facts = (
        ("up", span_in_words(now - status.started)),
        ("requests", f"{status.requests:,}"),
        ("sent", size_in_words(status.bytes_sent)),
        ("received", size_in_words(status.bytes_received)),
        ("token refreshes", f"{status.token_requests:,}"),
        ("in the outbox", f"{status.pending:,}"),
    )
    return _PAGE.format(
        refresh=REFRESH_S,
        icon=_COLOURS[mood],
        folder=_text(status.app_folder),
        service=_text(status.service),
        verdict=verdict,
        mood=mood,
        why="".join(f"<li>{_text(sentence)}</li>" for sentence in why),
        facts="".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts),
        table=_table(status, now),
        charts="".join(_drawn(chart) for chart in _charts(samples)),
        pid=status.pid,
    )


def _verdict(status: Status, now: float) -> tuple[str, str, list[str]]:
    """A mood, the verdict, and why it is not better."""
    why = []
    for kind in status.kinds:
        if kind.last_error:
            remedy = f" ({kind.last_hint})" if kind.last_hint else ""
            why.append(f"{kind.name}: {kind.last_error}{remedy}")
        elif not kind.is_healthy(now):
            late = (
                "has not succeeded yet"
                if kind.last_success is None
                else f"succeeded {span_in_words(now - kind.last_success)} ago"
            )
            why.append(f"{kind.name} is late: it {late}, and runs every {span_in_words(kind.interval_s)}")
    if why:
        return "ill", "not everything is in step", why + status.notices()
    if status.pending:
        why.append(f"{status.pending:,} in the outbox: the next pass delivers")
    if waiting := sum(kind.queue for kind in status.kinds):
        why.append(f"{waiting:,} changed files are on their way")
    if first := [kind.name for kind in status.kinds if kind.last_success is None]:
        why.append(f"the first pass is under way: {', '.join(first)}")
    return ("busy", "catching up", why) if why else ("well", "all is in step", status.notices())


# --- the table --------------------------------------------------------------------------------------------------

_NUMBERS = {"files", "bytes sent", "queue"}


def _table(status: Status, now: float) -> str:
    heading, *rows = status.rows(now)
    drawn = []
    for kind, row in zip(status.kinds, rows, strict=True):
        ill = not kind.is_healthy(now) or kind.last_error
        mood = "ill" if ill else "busy" if kind.queue or kind.last_success is None else "well"
        cells = [_cell("td", name, value) for name, value in zip(heading[1:], row[1:], strict=True)]
        name = f'<th scope="row"><i class="{mood}"></i>{_text(row[0])}</th>'
        drawn.append(f'<tr class="{mood}" title="every {span_in_words(kind.interval_s)}">{name}{"".join(cells)}</tr>')
    head = "".join(_cell("th", name, name) for name in heading)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(drawn)}</tbody></table>"


def _cell(tag: str, column: str, value: str) -> str:
    number = ' class="n"' if column in _NUMBERS else ""
    name = f' data-name="{column}"' if tag == "td" else ""
    return f"<{tag}{number}{name}>{_text(value)}</{tag}>"


def _text(value: str) -> str:
    """As text of the page. What is not printable is spelled: it could turn around what stands beside it."""
    return html.escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in redact(value)))


# --- charts -----------------------------------------------------------------------------------------------------


def _charts(samples: Sequence[Sample]) -> tuple[_Chart, ...]:
    per_second = _rates(samples, lambda s: s.bytes_sent)
    per_minute = _rates(samples, lambda s: s.requests, per=60.0)
    lags = [(sample.at, sample.lag_s) for sample in samples]
    refreshes = [(sample.at, float(sample.token_requests)) for sample in samples]
    return (
        _Chart("bytes sent, a second", per_second, size_in_words, _round_bytes, "bars"),
        _Chart("requests, a minute", per_minute, _count, _round_count, "bars"),
        _Chart("lag", lags, span_in_words, _round_span, "line"),
        _Chart("token refreshes", refreshes, _count, _round_count, "steps"),
    )


def _rates(samples: Sequence[Sample], read: Callable[[Sample], int], *, per: float = 1.0) -> list[Point]:
    """What a counter grew by, per so many seconds, in each of at most so many equal spans of time."""
    if len(samples) < 2:
        return []
    first, last = samples[0].at, samples[-1].at
    width = max((last - first) / _COLUMNS, SAMPLE_S)
    grown: dict[int, float] = dict.fromkeys(range(max(1, round((last - first) / width))), 0.0)
    for before, after in itertools.pairwise(samples):
        column = min(int((after.at - first - 1e-6) / width), max(grown))
        grown[column] += max(0, read(after) - read(before))
    return [(first + width * (column + 1), value / width * per) for column, value in grown.items()]


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _round_count(most: float) -> float:
    """The next of 4, 10, 20, 40, 100, ..., so that half of it is a number too."""
    step = 1.0
    while True:
        for times in (4, 10, 20):
            if most <= times * step:
                return times * step
        step *= 10


def _round_bytes(most: float) -> float:
    end = float(_KIBI)
    while end < most:
        end *= 2
    return end


def _round_span(most: float) -> float:
    return next((float(span) for span in _SPANS_S if most <= span), most)


def _drawn(chart: _Chart) -> str:
    """One chart, as a picture that needs nothing else."""
    points = chart.points
    peak = max((value for _, value in points), default=0.0)
    end = chart.most(peak)
    latest = chart.unit(points[-1][1]) if points else "-"
    began, ended = (points[0][0], points[-1][0]) if points else (0.0, 0.0)
    span = max(ended - began, SAMPLE_S)
    if chart.kind == "bars" and len(points) > 1:
        began -= points[1][0] - points[0][0]  # a bar ends at its moment
        span = ended - began
    floor, width = _HEIGHT - _BOTTOM, _WIDTH - _LEFT - _RIGHT

    def place(point: Point) -> Point:
        return _LEFT + width * (1 - (ended - point[0]) / span), floor - (floor - _TOP) * min(point[1] / end, 1.0)

    placed = [place(point) for point in points]
    picture = _bars(placed, points, chart) if chart.kind == "bars" else _area(placed, steps=chart.kind == "steps")
    grid = "".join(
        f'<path d="M{_LEFT} {y:.0f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.0f}">{_text(chart.unit(value))}</text>'
        for y, value in ((_TOP, end), ((floor + _TOP) / 2, end / 2), (floor, 0.0))
    )
    ticks = "".join(
        f'<text class="{anchor}" x="{_LEFT + width * part:.0f}" y="{_HEIGHT - 6}">'
        f"{'now' if part == 1 else f'{span_in_words(span * (1 - part))} ago'}</text>"
        for part, anchor in ((0.0, "first"), (0.5, "middle"), (1.0, "last"))
    )
    told = f"{chart.title}: {latest} now, peak {chart.unit(peak)}"
    return (
        f"<figure><figcaption><span>{chart.title}</span><span><b>{_text(latest)}</b> "
        f"peak {_text(chart.unit(peak))}</span></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_text(told)}">'
        f'<g class="grid">{grid}</g>{picture}<g class="ticks">{ticks}</g></svg></figure>'
    )


def _bars(placed: Sequence[Point], points: Sequence[Point], chart: _Chart) -> str:
    floor = _HEIGHT - _BOTTOM
    wide = max(1.0, min(40.0, (_WIDTH - _LEFT - _RIGHT) / max(len(placed), 1) - 1.2))
    return "".join(
        f'<rect x="{x - wide:.1f}" y="{min(y, floor - 1.5):.1f}" width="{wide:.1f}" height="{max(floor - y, 1.5):.1f}">'
        f"<title>{_text(chart.unit(value))}</title></rect>"
        for (x, y), (_, value) in zip(placed, points, strict=True)
        if value > 0
    )


def _area(placed: Sequence[Point], *, steps: bool) -> str:
    if not placed:
        return ""
    floor = _HEIGHT - _BOTTOM
    line = f"M{placed[0][0]:.1f} {placed[0][1]:.1f}"
    for x, y in placed[1:]:
        line += f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}"
    return f'<path class="area" d="{line}V{floor}H{placed[0][0]:.1f}Z"/><path class="line" d="{line}"/>'


_COLOURS = {"well": "%2316a34a", "busy": "%232563eb", "ill": "%23dc2626"}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{refresh}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{verdict} - huracan-sync</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>
<circle cx='4' cy='4' r='3' fill='{icon}'/></svg>">
<style>
:root {{ color-scheme: light dark; --page: #f4f5f7; --card: #fff; --edge: #e2e5ea; --ink: #14181f; --soft: #5c6675;
 --line: #2563eb; --well: #15803d; --busy: #1d4ed8; --ill: #b91c1c; --tint: 12%; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #0e1116; --card: #161b22; --edge: #2a313c; --ink: #e8ebf0;
 --soft: #98a3b3; --line: #6ea0ff; --well: #4ade80; --busy: #8ab4ff; --ill: #ff8080; --tint: 18%; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }}
main {{ max-width: 1240px; margin: 0 auto; padding: 1.6rem 1.2rem 2.5rem; display: grid; gap: 1rem; }}
header {{ display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; }}
h1 {{ font-size: 1.3rem; letter-spacing: -.01em; margin: 0; }}
.pill {{ padding: .15rem .7rem .2rem; border-radius: 1rem; font-weight: 600; color: var(--mood);
 background: color-mix(in srgb, var(--mood) var(--tint), transparent); }}
.well {{ --mood: var(--well); }} .busy {{ --mood: var(--busy); }} .ill {{ --mood: var(--ill); }}
.soft {{ color: var(--soft); }}
ul {{ margin: 0; padding: .6rem 1rem .6rem 2rem; border-radius: .6rem; color: var(--mood);
 background: color-mix(in srgb, var(--mood) var(--tint), transparent); overflow-wrap: anywhere; }}
ul:empty {{ display: none; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; margin: 0; }}
dl div, .card, figure {{ background: var(--card); border: 1px solid var(--edge); border-radius: .7rem; }}
dl div {{ padding: .6rem .9rem .7rem; }} dt {{ color: var(--soft); font-size: .8rem; }}
dd {{ margin: 0; font-size: 1.3rem; font-weight: 600; letter-spacing: -.01em; }}
dd, td, figcaption {{ font-variant-numeric: tabular-nums; }}
.card {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .5rem .9rem; border-top: 1px solid var(--edge); white-space: nowrap;
 font-weight: 400; vertical-align: top; }}
thead th {{ border: 0; color: var(--soft); font-size: .8rem; }} tbody th {{ font-weight: 600; }}
.n {{ text-align: right; }} td:last-child {{ white-space: normal; min-width: 14rem; overflow-wrap: anywhere; }}
tr.ill td:last-child {{ color: var(--ill); }}
i {{ display: inline-block; width: .55rem; height: .55rem; margin-right: .6rem; border-radius: 50%;
 background: var(--mood); }}
section {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }}
figure {{ margin: 0; padding: .8rem 1rem .6rem; }}
figcaption {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; margin-bottom: .4rem; }}
figcaption span:last-child {{ color: var(--soft); font-size: .85rem; }}
b {{ color: var(--ink); font-size: .95rem; margin-right: .4rem; }}
svg {{ width: 100%; height: auto; display: block; }} rect {{ fill: var(--line); }}
rect:hover {{ fill: var(--ink); }} .grid path {{ stroke: var(--edge); }}
svg text {{ fill: var(--soft); font-size: 11px; text-anchor: end; }}
text.first {{ text-anchor: start; }} text.middle {{ text-anchor: middle; }}
.line {{ fill: none; stroke: var(--line); stroke-width: 1.8; stroke-linejoin: round; }}
.area {{ fill: color-mix(in srgb, var(--line) var(--tint), transparent); }}
footer {{ color: var(--soft); font-size: .8rem; }}
@media (max-width: 640px) {{ thead {{ display: none; }}
 tbody tr {{ display: grid; grid-template-columns: 1.2fr 1fr; gap: 0 .6rem; padding: .6rem .9rem; }}
 tbody tr + tr {{ border-top: 1px solid var(--edge); }}
 tbody th, td, td.n {{ border: 0; padding: .1rem 0; text-align: left; white-space: normal; }}
 td {{ font-size: .9rem; }} svg {{ overflow: visible; }} svg text {{ font-size: 15px; }}
 tbody th, td:last-child {{ grid-column: 1 / -1; }} td:empty {{ display: none; }}
 td:not(:empty)::before {{ content: attr(data-name) " "; color: var(--soft); }} }}
</style></head><body><main>
<header><h1>huracan-sync</h1><span class="pill {mood}">{verdict}</span>
<span class="soft">{folder} in {service}</span></header>
<ul class="{mood}">{why}</ul>
<dl>{facts}</dl>
<div class="card">{table}</div>
<section>{charts}</section>
<footer>process {pid}; the page looks again every {refresh} seconds, and is for this machine only</footer>
</main></body></html>
"""
