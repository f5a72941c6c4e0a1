"""The arrows of the house (README, "The house"): who may import whom, and what a room may not know."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "huracan_sync"

# From the top of the house down. A room imports only rooms above it.
FLOORS = [
    "errors",
    "refusals",
    "secret",
    "content_hash",
    "paths",
    "tree",
    "plan",
    "layout",
    "settings",
    "lock",
    "shape",
    "wire",
    "auth",
    "remote",
    "account",
    "connect",
    "signed",
    "spot",
    "local",
    "journal",
    "outbox",
    "seen",
    "transfer",
    "survey",
    "pair",
    "reader",
    "statement",
    "keys",
    "rooted",
    "sealing",
    "push",
    "restore",
    "migrate",
    "verify",
    "audit",
    "publish",
    "standing",
    "watch",
    "page",
    "engine",
    "hamilton",
    "cli",
    "__main__",
]
PURE = {"errors", "refusals", "secret", "content_hash", "paths", "tree", "plan", "settings", "layout", "signed", "spot"}
IMPURE = {"socket", "os", "time", "threading", "random", "subprocess", "sqlite3", "tempfile", "shutil", "urllib3"}
BANNED = {"manager", "helper", "helpers", "util", "utils", "common", "misc", "base", "core"}


def modules():
    return sorted(HOUSE.rglob("*.py"))


def room(path):
    """The room a file belongs to: its first name below the house."""
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def imports(path):
    """Every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written from the top"
            yield node.module
            if node.module == "huracan_sync":
                yield from (f"huracan_sync.{alias.name}" for alias in node.names)


def inner(path):
    named = {name.split(".")[1] for name in imports(path) if name.startswith("huracan_sync.")}
    return named - {"__version__"}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HOUSE)))
def test_arrows_run_down(path):
    here = room(path)
    if here in {"emulator", "__init__"}:
        return
    assert here in FLOORS, f"{here} has no floor: add it to FLOORS and to the README's map"
    above = set(FLOORS[: FLOORS.index(here)]) | {here}
    if here == "cli":
        above.add("emulator")  # the one door that starts it
    assert inner(path) <= above


@pytest.mark.parametrize("path", [p for p in modules() if room(p) in PURE], ids=lambda p: p.name)
def test_pure_rooms_know_no_world(path):
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def test_the_emulator_imports_nothing_of_ours():
    for path in modules():
        if room(path) == "emulator":
            assert inner(path) <= {"emulator"}, path


def test_no_room_has_a_name_that_says_nothing():
    assert not {p.stem for p in modules()} & BANNED
