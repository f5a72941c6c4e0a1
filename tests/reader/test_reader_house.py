"""Nothing that Hamilton imports can write to Dropbox or reach a private key."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent.parent / "huracan_sync"

# Rooms that move bytes up, delete, or hold private keys and refresh tokens.
FORBIDDEN = {"transfer", "push", "publish", "restore", "engine", "watch", "cli"}
FORBIDDEN_PAGES = {"huracan_sync.signed.keys", "huracan_sync.signed.policy", "huracan_sync.remote.removing"}


def page(name):
    """The file of a module of ours, or None."""
    path = HOUSE.parent.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def reached(*names):
    """Every module of ours that these import, directly or not, inside functions too."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        file = page(name)
        if name in found or file is None:
            continue
        found.add(name)
        waiting.append(name.rpartition(".")[0])
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("door", ["huracan_sync.reader", "huracan_sync.hamilton"])
def test_readers_reach_no_key_and_no_writing(door):
    pages = reached(door)
    assert "huracan_sync.signed.body" in pages
    assert pages.isdisjoint(FORBIDDEN_PAGES)
    assert {name.split(".")[1] for name in pages if "." in name}.isdisjoint(FORBIDDEN)


def test_no_page_a_reader_reaches_can_make_a_signature():
    for name in reached("huracan_sync.reader"):
        assert "Ed25519PrivateKey" not in page(name).read_text(encoding="utf-8")


def test_importing_hamilton_loads_no_key_and_no_writing():
    script = "import sys; import huracan_sync.hamilton; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HOUSE.parent)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint(FORBIDDEN_PAGES | {"dropbox", "requests", "pickle5", "joblib"})
