"""What a command imports, as a budget: every module costs each run of it, and start-up is most of an unchanged sync."""

import subprocess
import sys

import pytest
from machines import Commands

# Loaded when something is sent, signed, filtered, misspelled or shown; none of it is needed where nothing has changed.
UNNEEDED = {
    *("urllib3", "requests", "dropbox", "pathspec", "rich", "keyring", "zstandard", "certifi.core"),
    *("json", "difflib", "pickletools", "asyncio", "concurrent.futures", "dataclasses", "subprocess"),
    *("cryptography.hazmat.primitives.asymmetric.ed25519", "huracan_sync.manifest.trust", "huracan_sync.reader"),
    *("huracan_sync.transfer.upload", "huracan_sync.transfer.download", "huracan_sync.engine", "huracan_sync.emulator"),
}
if sys.version_info >= (3, 14):
    UNNEEDED -= {"dataclasses"}  # there argparse and traceback need it themselves
VERIFYING = {
    *("cryptography.hazmat.primitives.asymmetric.ed25519", "zstandard", "huracan_sync.manifest.trust"),
    *("huracan_sync.reader", "concurrent.futures"),
}
RUN = """\
import sys
from huracan_sync.cli import main
try:
    sys.exit(main(sys.argv[1:]))
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
OPEN = """\
import sys, huracan_sync
huracan_sync.Hamilton.open(sys.argv[1])
print(*sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture
def machine(dropbox, tmp_path):
    machine = Commands(dropbox, tmp_path / "machine")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.txt").write_text("a")
    return machine


def modules(machine, program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.every_case
@pytest.mark.parametrize(("verb", "ours", "budget"), [("push", 104, 330), ("restore", 100, 330)])
def test_an_unchanged_sync_imports_only_what_compares(machine, tmp_path, verb, ours, budget):
    words = {"push": (tmp_path / "src", "/r"), "restore": ("/r", tmp_path / "dst")}
    machine.run("push", *words["push"])
    machine.run(verb, *words[verb])
    loaded = modules(machine, RUN, verb, *words[verb])
    assert sorted(loaded & UNNEEDED) == []
    assert len([name for name in loaded if name.startswith("huracan_sync")]) <= ours
    assert len(loaded) <= budget  # with room for what other versions of Python import


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("program", "ours", "budget"), [(RUN, 3, 110), (OPEN, 60, 250)], ids=["--help", "Hamilton.open"]
)
def test_what_reaches_nobody_imports_little(machine, program, ours, budget):
    loaded = modules(machine, program, "--help" if program == RUN else "engine")
    assert sorted(loaded & UNNEEDED - VERIFYING) == []
    assert len([name for name in loaded if name.startswith("huracan_sync")]) <= ours
    assert len(loaded) <= budget  # with room for what other versions of Python import
