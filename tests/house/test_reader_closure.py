"""Nothing that Hamilton imports can write to Dropbox or reach a private key."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from huracan_sync.errors import UsageError
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.read_client import READS, ReadOnly

HOUSE = Path(__file__).parent.parent.parent / "huracan_sync"

# Rooms that move bytes up, delete, or find private keys. What a login needs (refresh tokens) a reader does reach: he
# has a login of his own, which cannot write, and the store it lies in gives a secret only to who knows its name.
FORBIDDEN = {"transfer", "signing", "operations", "engine", "cli"}
FORBIDDEN_PAGES = {
    "huracan_sync.auth.connect",
    "huracan_sync.manifest.signer",
    "huracan_sync.manifest.default_policy",
} | {f"huracan_sync.remote.{name}" for name in ("client", "files", "async_jobs", "delete", "sdk")}
ROUTE = re.compile(r"(?:\A|/2/)((?:files|users|sharing|check|auth|file_requests|file_properties)/[a-z_/0-9]+)\Z")


@functools.cache
def parsed(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def page(name):
    """The file of a module of ours, or None."""
    path = HOUSE.parent.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def local_manifests(tree):
    """All nodes of a page, but for what only the type checker sees."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


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
        for node in local_manifests(parsed(file)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("door", ["huracan_sync.reader", "huracan_sync.hamilton"])
def test_readers_reach_no_key_and_no_writing(door):
    pages = reached(door)
    assert "huracan_sync.manifest.body" in pages
    assert pages.isdisjoint(FORBIDDEN_PAGES)
    assert {name.split(".")[1] for name in pages if "." in name}.isdisjoint(FORBIDDEN)


@pytest.mark.parametrize("door", ["huracan_sync.reader", "huracan_sync.hamilton"])
def test_no_page_a_reader_reaches_names_a_route_that_writes(door):
    """The routes of the API are named where they are called, so whoever names none that writes calls none."""
    named = set()
    for name in reached(door):
        for node in ast.walk(parsed(page(name))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= {match[1] for match in ROUTE.finditer(node.value)}
    assert named <= READS


def test_the_half_that_reads_refuses_every_other_route():
    reading = ReadOnly(Wire(Endpoint()), NoTokens())
    for route in ("files/upload", "files/delete_v2", "files/copy_v2", "files/restore", "files/create_folder_v2"):
        for call in (
            lambda route=route: reading.rpc(route, {}, dict),
            lambda route=route: reading.fetch(route, {}, dict, limit=1),
            lambda route=route: reading.stream(route, {}),
        ):
            with pytest.raises(UsageError):
                call()
    assert not hasattr(reading, "send")


class NoTokens:
    def token(self):
        raise AssertionError("the call was refused before it was made")


def test_no_page_a_reader_reaches_can_make_a_signature():
    for name in reached("huracan_sync.reader"):
        assert "Ed25519PrivateKey" not in page(name).read_text(encoding="utf-8")


def test_importing_hamilton_loads_no_key_and_no_writing():
    script = "import sys; import huracan_sync.hamilton; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HOUSE.parent)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint(FORBIDDEN_PAGES | {"dropbox", "requests", "pickle5", "joblib"})
