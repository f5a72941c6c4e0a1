"""The race for people: tables in Markdown, and a chart in SVG. Pure but for `write`."""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from benches.laps import Lap

OURS = "huracan-sync"
SIGNING = "the same, signing"
LIMIT = "bare client"
WORKS = {
    "first push": "1,000 files of 2 KiB, first push",
    "nothing changed": "the same again, nothing changed",
    "10 changed": "the same again, 10 changed",
    "restore": "1,000 files of 2 KiB, restore",
    "256 MiB up": "one file of 256 MiB, up",
    "256 MiB down": "one file of 256 MiB, down",
    "candles up": "real candles, up",
    "candles down": "real candles, down",
}
MB = 1_000_000
README_TABLE = ("<!-- race: scripts/bench.py peers --write huracan_sync/docs -->", "<!-- race ends -->")
"""Between what the README has its table of the race."""


def machine() -> str:
    """What the race was run on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = (line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name"))
        model = next(named, f": {model}").partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[2]
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, load {load:.1f}"


def seconds(value: float) -> str:
    """As many digits as say something."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 3 else f"{value:.2f}"


def _lap(laps: Sequence[Lap], latency: float, work: str, racer: str) -> Lap | None:
    return next((lap for lap in laps if (lap.latency_ms, lap.work, lap.racer) == (latency, work, racer)), None)


# -- tables ------------------------------------------------------------------------------------------------------


def markdown(laps: Sequence[Lap]) -> str:
    """A summary and the details, for every latency."""
    parts = []
    for latency in sorted({lap.latency_ms for lap in laps}, reverse=True):
        here = [lap for lap in laps if lap.latency_ms == latency]
        parts += [f"## {latency:g} ms of latency", "", *_summary(here, latency), "", *_details(here, latency), ""]
    return "\n".join(parts)


def _summary(laps: Sequence[Lap], latency: float) -> list[str]:
    works = [work for work in WORKS if any(lap.work == work for lap in laps)]
    racers = list(dict.fromkeys(lap.racer for lap in laps))
    lines = ["| seconds (requests) | " + " | ".join(racers) + " |", "| --- |" + " ---: |" * len(racers)]
    for work in works:
        found = [_lap(laps, latency, work, racer) for racer in racers]
        tools = [lap for lap in found if lap and not lap.fails and lap.racer != LIMIT]
        first = min((lap.seconds for lap in tools), default=0.0)
        cells = [_cell(lap, first) for lap in found]
        lines.append(f"| {WORKS[work]} | " + " | ".join(cells) + " |")
    return lines


def _faster(laps: Sequence[Lap], latency: float, work: str) -> Lap | None:
    """The fastest other tool, where it is faster than this project by as much as is shown."""
    ours = _lap(laps, latency, work, OURS)
    others = [each for each in laps if (each.latency_ms, each.work) == (latency, work) and not each.fails]
    tools = [each for each in others if each.racer not in {OURS, SIGNING, LIMIT}]
    first = min(tools, key=lambda lap: lap.seconds, default=None)
    if ours is None or first is None:
        return None
    is_lost = bool(ours.fails) or (first.seconds < ours.seconds and seconds(first.seconds) != seconds(ours.seconds))
    return first if is_lost else None


def lost(laps: Sequence[Lap]) -> str:
    """Which rows another tool wins."""
    rows = []
    for latency in sorted({lap.latency_ms for lap in laps}, reverse=True):
        for work, name in WORKS.items():
            ours, first = _lap(laps, latency, work, OURS), _faster(laps, latency, work)
            if ours and first:
                mine = "we fail" if ours.fails else f"we {seconds(ours.seconds)} s"
                rows.append(f"- {latency:g} ms, {name}: {first.racer} {seconds(first.seconds)} s, {mine}")
    return "Rows that another tool wins:\n\n" + "\n".join(rows) if rows else "No other tool wins a row."


def short(laps: Sequence[Lap], latency: float) -> str:
    """The table for the README: this project, the best of the others, and the limit."""
    found = {lap.racer for lap in laps}
    racers = [each for each in (OURS, "rclone, tuned", "official SDK x16", LIMIT) if each in found]
    names = [f"{each} (the limit, no tool)" if each == LIMIT else each for each in racers]
    lines = [
        f"| seconds (requests) at {latency:g} ms | {' | '.join(names)} |",
        "| --- |" + " ---: |" * len(racers),
    ]
    for work, name in WORKS.items():
        cells = [_lap(laps, latency, work, racer) for racer in racers]
        if not any(cells):
            continue
        winner = _faster(laps, latency, work)
        best = winner or cells[0]
        words = [_cell(each, best.seconds if best else 0.0) for each in cells]
        if winner:
            words[0] += f", lost to {winner.racer}"
        lines.append(f"| {name} | {' | '.join(words)} |")
    return "\n".join(lines)


def _cell(lap: Lap | None, first: float) -> str:
    if lap is None:
        return "-"
    if lap.fails:
        return "fails"
    about = "~" if lap.share > 1 else ""
    said = f"{about}{seconds(lap.seconds)} ({about}{lap.requests:,.0f})"
    return f"**{said}**" if seconds(lap.seconds) == seconds(first) and lap.racer != LIMIT else said


def _details(laps: Sequence[Lap], latency: float) -> list[str]:
    lines = [
        "| work | who | seconds | x ours | requests | MB sent | MB received | CPU s | peak MiB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for work, name in WORKS.items():
        ours = _lap(laps, latency, work, OURS)
        for lap in (lap for lap in laps if lap.work == work):
            if lap.fails:
                lines.append(f"| {name} | {lap.racer} | fails: {lap.fails.replace('|', ' ')} | | | | | | |")
                continue
            about = "~" if lap.share > 1 else ""
            ratio = f"{about}{lap.seconds / ours.seconds:.1f}" if ours and not ours.fails else ""
            figures = (f"{lap.sent / MB:,.1f}", f"{lap.received / MB:,.1f}", f"{lap.cpu_s:.2f}", f"{lap.peak_mib:.0f}")
            lines.append(
                f"| {name} | {lap.racer} | {about}{seconds(lap.seconds)} | {ratio} | {about}{lap.requests:,.0f} | "
                + " | ".join(figures)
                + " |"
            )
    return lines


def page(laps: Sequence[Lap], versions: Mapping[str, str], *, day: str, where: str) -> str:
    """The whole document."""
    raced = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"""# The race

Side by side on the emulator, over TLS and with Dropbox's own host names, every program unchanged; seconds from the
start of a program to its end. Measured {day} on {where}; {raced}. Client and server shared the cores. Medians of
several runs; a program that took longer than 12 s ran once. Every program ran once, both ways, before anything was
measured. Results were compared byte for byte; the fastest tool is bold. "The same, signing" is `huracan-sync` with a
key: it publishes a signed list of what it pushed, for which the others have nothing. The "bare client" is no tool but
the limit: the fewest requests the API allows, with no retry, no resume, no conflict noticed, nothing flushed to the
disk.

`~`: sequential programs were measured with 100 of the 1,000 files, and the figures multiplied by ten. "The engine
before" is its old class, restated: a `get_metadata` and a whole-file upload for every file, changed or not. "Tuned" is
rclone with the best options we found ({{tuned}}). The SDK and dropboxdrivefs have no sync: nothing to measure a second
time. To race: `bash scripts/test_peers.sh` installs the others (and tests them), `python scripts/bench.py peers` races.

`huracan-sync` flushes restored files to the disk (fsync) before it reports them; the others do not. On a line of 800
Mbit/s (measured 2026-11-21) a file of 256 MiB takes 1.3 times the line's own time up and 1.2 times down; killed
half-way, it sends 5 to 16 MiB again.

Signing adds two requests to a push: a copy of the head goes to the log, then the head; both carry the list of files
while that has at most 64 KiB (some 1,300 files), and a larger one is stored before them. A third is sent while files
are still going up, unless this machine asked in the last ten minutes and signs nothing but its own: is there a newer
trust file? The list names the revision of every file, so it follows their commit; the head follows the log, so that
nothing that is current names a file that is not there. The head that this machine signed last is not read: the next one
replaces exactly its revision, and fails if another lies there (where others publish too, it is read first). Ten changed
files are a listing, `start_batch`, `append_batch`, `finish_batch_v2` and these two; the first push of a machine lists
the log in place of the trust file, but soon after `keys init`. A first push of 1,000 is 22: Dropbox's session
ids make an entry of an append 138 bytes long, so 59 of them fill the 8 KiB of header that every server takes, and 17
appends are needed; with `--header-budget 60000` it is 8 requests in all. Renamed files are copied inside Dropbox and
their old names deleted by revision: 5 requests up to 1,000 of them, beside those of signing.

{lost(laps)}

![Seconds each program took](bench.svg)

{markdown(laps)}"""


# -- the chart ---------------------------------------------------------------------------------------------------

_WIDTH, _PANEL, _MARGIN, _ROW = 992, 472, 16, 21
_LEFT, _BAR, _REQUESTS, _TIMES = 146, 168, 414, 460  # in a panel: where bars begin, how wide one may be, two columns
_TOP, _HEAD, _TAIL = 66, 52, 22
_INK, _QUIET, _LINE, _OURS, _OTHERS = "#1f2430", "#6b7280", "#dde1e8", "#0f7b5f", "#aab4c4"
_LEAST, _DECADES = 0.1, (0.1, 1.0, 10.0, 100.0)


def chart(laps: Sequence[Lap], *, latency: float, day: str) -> str:
    """Bars of seconds, one panel for each work, all on one logarithmic scale."""
    here = [lap for lap in laps if lap.latency_ms == latency]
    works = [work for work in WORKS if any(lap.work == work for lap in here)]
    racers = list(dict.fromkeys(lap.racer for lap in here))
    height = _HEAD + _ROW * len(racers) + _TAIL
    total = _TOP + -(-len(works) // 2) * (height + _MARGIN) + 28
    most = max([lap.seconds for lap in here] + [_DECADES[1]])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{total}" viewBox="0 0 {_WIDTH} {total}"',
        'font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f'<rect width="{_WIDTH}" height="{total}" rx="10" fill="#ffffff"/>',
        _text(_MARGIN + 4, 32, f"How long each program takes, at {latency:g} ms of latency", size=18, weight=600),
        _text(_MARGIN + 4, 53, "seconds from start to end; the scale is logarithmic, and the same everywhere", _QUIET),
    ]
    for number, work in enumerate(works):
        x = _MARGIN + (number % 2) * (_PANEL + _MARGIN)
        y = _TOP + (number // 2) * (height + _MARGIN)
        parts += _panel(x, y, height, WORKS[work], {r: _lap(here, latency, work, r) for r in racers}, most)
    foot = f"measured {day}; ~: from 100 of the 1,000 files, times ten"
    parts += [_text(_MARGIN + 4, total - 16, foot, _QUIET), "</svg>"]
    return "\n".join(parts) + "\n"


def _length(value: float, most: float) -> float:
    return _BAR * math.log10(max(value, _LEAST * 1.05) / _LEAST) / math.log10(most / _LEAST)


def _panel(x: float, y: float, height: float, title: str, laps: Mapping[str, Lap | None], most: float) -> list[str]:
    left, foot = x + _LEFT, y + height - _TAIL
    parts = [
        f'<rect x="{x}" y="{y}" width="{_PANEL}" height="{height}" rx="8" fill="#f6f7f9"/>',
        _text(x + 14, y + 25, title, weight=600, size=14),
        _text(x + _REQUESTS, y + 43, "requests", _QUIET, size=11, anchor="end"),
        _text(x + _TIMES, y + 43, "x ours", _QUIET, size=11, anchor="end"),
    ]
    for decade in (each for each in _DECADES if each <= most):
        at = left + (_length(decade, most) if decade > _LEAST else 0)
        parts.append(f'<path d="M{at:.1f} {y + _HEAD - 4}V{foot}" stroke="{_LINE}"/>')
        parts.append(_text(at, foot + 14, f"{decade:g} s", _QUIET, size=11, anchor="middle"))
    ours = laps.get(OURS)
    for row, (racer, lap) in enumerate(laps.items()):
        base = y + _HEAD + row * _ROW
        weight = 600 if racer == OURS else 400
        parts.append(_text(left - 8, base + 11, racer, weight=weight, anchor="end"))
        if lap is None or lap.fails:
            parts.append(_text(left + 6, base + 11, "fails" if lap else "does not sync", _QUIET, italic=True))
            continue
        about, wide = "~" if lap.share > 1 else "", _length(lap.seconds, most)
        colour = _OURS if racer == OURS else _OTHERS
        parts.append(f'<rect x="{left}" y="{base}" width="{wide:.1f}" height="{_ROW - 7}" rx="2" fill="{colour}"/>')
        parts.append(_text(left + wide + 6, base + 11, f"{about}{seconds(lap.seconds)}", weight=weight))
        parts.append(_text(x + _REQUESTS, base + 11, f"{about}{lap.requests:,.0f}", _QUIET, anchor="end"))
        if ours and not ours.fails and lap is not ours:
            times = lap.seconds / ours.seconds
            parts.append(_text(x + _TIMES, base + 11, f"{times:.0f}" if times >= 10 else f"{times:.1f}", anchor="end"))
    return parts


def _text(
    x: float,
    y: float,
    text: str,
    fill: str = _INK,
    *,
    size: float = 12.5,
    weight: int = 400,
    anchor: str = "start",
    italic: bool = False,
) -> str:
    style = ' font-style="italic"' if italic else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}"{style}>{escape(text)}</text>'
    )


def write(folder: Path, laps: Sequence[Lap], versions: Mapping[str, str], tuned: Sequence[str]) -> None:
    """Put bench.md and bench.svg into a folder; into that of the docs: the table of the README too."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    folder.mkdir(parents=True, exist_ok=True)
    text = page(laps, versions, day=day, where=machine()).replace("{tuned}", f"`{' '.join(tuned)}`")
    (folder / "bench.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    far = max(lap.latency_ms for lap in laps)
    (folder / "bench.svg").write_text(chart(laps, latency=far, day=day), encoding="utf-8")
    readme = folder.resolve().parents[1] / "README.md"
    if folder.resolve().name == "docs" and readme.exists():
        begin, end = README_TABLE
        head, _, rest = readme.read_text(encoding="utf-8").partition(begin)
        tail = rest.partition(end)[2]
        readme.write_text(f"{head}{begin}\n\n{short(laps, far)}\n\n{end}{tail}", encoding="utf-8")
