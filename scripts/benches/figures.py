"""A measured number, and how numbers are shown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number. `aim` is what we hold ourselves to, `met` whether it was reached (None: there is no aim)."""

    name: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must not be larger than its aim."""
    return Figure(name, value, unit, f"<= {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must not be smaller than its aim."""
    return Figure(name, value, unit, f">= {limit:g}", value >= limit)


def table(figures: Sequence[Figure]) -> str:
    """The figures for people, one a line."""
    words = {True: "ok", False: "MISSED", None: ""}
    rows = [("", "value", "unit", "aim", "")]
    rows += [(each.name, f"{each.value:,.4g}", each.unit, each.aim, words[each.met]) for each in figures]
    name, value, unit, aim, _ = (max(len(row[column]) for row in rows) for column in range(5))
    lines = (f"{a:{name}}  {b:>{value}} {c:{unit}}  {d:{aim}}  {e}" for a, b, c, d, e in rows)
    return "\n".join(line.rstrip() for line in lines)
