"""The arrows between the wings (README, "The map"): who may import whom, and what a wing may not know."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "huracan_sync"

# From the ground up. A wing imports only itself and wings below it; the emulator stands beside the house.
WINGS = [
    "errors",
    "secret",
    "tree",
    "disk",
    "remote",
    "manifest",
    "auth",
    "reader",
    "transfer",
    "signing",
    "operations",
    "fs",
    "hamilton",
    "engine",
    "cli",
    "__main__",
]
PURE = {"errors", "secret", "tree", "manifest"}
IMPURE = {"socket", "os", "time", "threading", "random", "subprocess", "sqlite3", "tempfile", "shutil", "urllib3"}
BANNED = {"manager", "helper", "helpers", "util", "utils", "common", "misc", "base", "core"}


def modules():
    return sorted(HOUSE.rglob("*.py"))


def wing(path):
    """The wing a file belongs to: its first name below the house."""
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
    here = wing(path)
    if here in {"emulator", "__init__"}:
        return
    assert here in WINGS, f"{here} is no wing: add it to WINGS and to the README's map"
    below = set(WINGS[: WINGS.index(here)]) | {here}
    if here == "cli":
        below.add("emulator")  # the one verb that starts it
    assert inner(path) <= below


@pytest.mark.parametrize("path", [p for p in modules() if wing(p) in PURE], ids=lambda p: p.name)
def test_pure_wings_know_no_world(path):
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def test_the_emulator_imports_nothing_of_ours():
    for path in modules():
        if wing(path) == "emulator":
            assert inner(path) <= {"emulator"}, path


def test_no_module_has_a_name_that_says_nothing():
    assert not {p.stem for p in modules()} & BANNED
