"""What `import huracan_sync` offers, and what it does not load."""

import subprocess
import sys
import types

import pytest

import huracan_sync


def test_at_most_15_public_names():
    assert len(huracan_sync.__all__) <= 15
    assert sorted(huracan_sync.__all__) == sorted(huracan_sync._WINGS)


@pytest.mark.parametrize("name", huracan_sync.__all__)
def test_every_name_opens(name):
    assert getattr(huracan_sync, name) is not None
    assert name in dir(huracan_sync)


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="no attribute 'pull'"):
        _ = huracan_sync.pull


def test_the_package_is_sent_to_other_processes_by_its_name():
    """A function that closes over it travels (cloudpickle, Ray): such tools look modules up by their exact type."""
    assert type(huracan_sync) is types.ModuleType
    assert sys.modules[huracan_sync.__name__] is huracan_sync


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "before", ["import huracan_sync.operations.push", "from huracan_sync.operations.push import PushOptions", "pass"]
)
def test_push_is_the_function_whatever_was_imported_before(before):
    code = "\nfrom huracan_sync import push, restore, connect\nprint(*(f.__name__ for f in (push, restore, connect)))"
    assert run(before + code) == ["push", "restore", "connect"]


def test_importing_the_package_loads_no_room():
    code = "import huracan_sync, sys\nprint(*(m for m in sys.modules if m.startswith('huracan_sync.')))"
    assert run(code) == []


def test_hamilton_loads_nothing_that_writes():
    loaded_now = "print(*(m for m in sys.modules if m.startswith('huracan_sync')))"
    code = f"from huracan_sync import Hamilton\nimport sys\n{loaded_now}"
    loaded = set(run(code))
    assert "huracan_sync.hamilton" in loaded
    assert not loaded & {
        f"huracan_sync.{room}" for room in ("push", "publish", "restore", "engine", "keys", "transfer")
    }


def test_importing_reaches_nobody_and_writes_nothing():
    code = (
        "import sys\n"
        "bad = []\n"
        "sys.addaudithook(lambda event, args: bad.append(event) if event in "
        "('socket.connect', 'socket.getaddrinfo', 'os.mkdir', 'sqlite3.connect') else None)\n"
        "from huracan_sync import DropboxSync, Hamilton, connect, push, restore\n"
        "connect('engine')\n"
        "print(*bad)"
    )
    assert run(code) == []
