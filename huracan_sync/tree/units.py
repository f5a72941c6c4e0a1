"""Sizes and spans of time for a person. Pure."""

from __future__ import annotations


def size_in_words(size: float) -> str:
    """Bytes: `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def span_in_words(seconds: float) -> str:
    """Seconds: `5 s`, `3 min`, `2.1 h`, `4.0 d`."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 file`, `2 files`."""
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"
