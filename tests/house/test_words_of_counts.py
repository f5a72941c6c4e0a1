"""What people read counts right: `1 file`, `2 files`. A count beside a plural goes through `counted`."""

import re
from pathlib import Path

import huracan_sync

PACKAGE = Path(huracan_sync.__file__).parent
PLURAL = re.compile(r"\{(?P<count>[^{}]*)\} (files|folders|rows|requests|entries|bytes|candles|times)\b")
ALWAYS_SEVERAL = re.compile(r"[A-Z_]{4,}|most|limit|self\._files")
"""Constants and limits, and a share ("3 of 7 files")."""
WINGS = ("cli", "disk", "engine", "fs", "operations", "remote", "transfer", "tree")


def test_a_count_beside_a_plural_may_be_one():
    found = [
        f"{file.relative_to(PACKAGE)}: {match[0]}"
        for wing in WINGS
        for file in (PACKAGE / wing).rglob("*.py")
        for match in PLURAL.finditer(file.read_text(encoding="utf-8"))
        if not ALWAYS_SEVERAL.search(match["count"])
    ]
    assert [each for each in found if "{done}/{count}" not in each and "__repr__" not in each] == []
