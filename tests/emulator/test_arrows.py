"""The emulator's sub-packages import downwards only, and no two of its files import each other."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import huracan_sync.emulator

ROOT = Path(huracan_sync.emulator.__file__).parent
ORDER = ["spec", "state", "calls", "routes", "serving"]  # each may import itself and those before it


def imports(source, known):
    """The emulator's modules that a source imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known
            names |= inside or {node.module}
    return names & known


def sources(root):
    """Module name to source. A package's `__init__` bears the package's name."""
    named = {}
    for path in root.rglob("*.py"):
        parts = ("huracan_sync", "emulator", *path.relative_to(root).with_suffix("").parts)
        named[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return named


def violations(named):
    """Imports that run upwards, and circles between files."""
    graph = {name: imports(source, set(named)) for name, source in named.items()}
    packages = {name: [*name.split("."), ""][2] for name in named}
    rank = {name: ORDER.index(package) for name, package in packages.items() if package in ORDER}
    upward = [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if name in rank and rank.get(other, len(ORDER)) > rank[name]
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [*upward, "circle: " + " -> ".join(error.args[1])]
    return upward


def test_sub_packages_import_downwards_and_without_circles():
    assert violations(sources(ROOT)) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("spec.idents", "from huracan_sync.emulator.state import clock"),
        ("state.clock", "from huracan_sync.emulator.calls.call import Call"),
        ("routes.users", "from huracan_sync.emulator.routes import table"),
        ("calls.call", "import huracan_sync.emulator.running"),
    ],
)
def test_an_import_the_other_way_is_seen(module, line):
    named = sources(ROOT)
    named[f"huracan_sync.emulator.{module}"] += f"\n{line}\n"
    assert violations(named)
