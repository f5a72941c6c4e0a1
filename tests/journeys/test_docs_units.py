"""What the pages show beside commands of ours: the systemd unit, the cron line, clients of the emulator."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from huracan_sync import cli
from huracan_sync.emulator.running import Emulator

DOCS = Path(__file__).parents[2] / "huracan_sync" / "docs"


def blocks(page, kind=""):
    text = (DOCS / page).read_text(encoding="utf-8")
    return [
        block for found, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if found == kind
    ]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_one(tmp_path):
    (unit,) = blocks("running.md", "ini")
    file = tmp_path / "huracan-sync.service"
    file.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(file)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "huracan-sync.service" in line] == []


@pytest.mark.slow
def test_the_cron_line_is_one_and_says_nothing_when_all_is_well(plain_machine, tmp_path):
    line = next(block for block in blocks("running.md") if "huracan-sync run" in block).strip()
    *when, command = line.split(None, 5)
    assert [re.fullmatch(r"\d+|\*", field) is not None for field in when] == [True] * 5
    assert "%" not in command  # cron would end the command there
    (tmp_path / "engine" / "logs").mkdir(parents=True)
    door = tmp_path / "huracan-sync"
    door.write_text(f'#!/bin/sh\nexec {sys.executable} -m huracan_sync "$@"\n')
    door.chmod(0o755)
    env = os.environ | {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(DOCS.parents[1])}
    done = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "logs_synced" in (tmp_path / "engine" / "logs" / "huracan-sync.log").read_text()


def test_the_supervisor_s_section_names_what_there_is():
    (section,) = blocks("runpod.md", "ini")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(section)
    command = shlex.split(parser["program:huracan-sync"]["command"])
    assert cli.parser_of("run").parse_args(command[1:]).verb == "run"
    for name in re.findall(r"HURACAN\w+", parser["program:huracan-sync"]["environment"]):
        assert any(name in file.read_text(encoding="utf-8") for file in DOCS.parent.rglob("*.py")), name


EVERY_OTHER = {
    "README.md": "tests/emulator", "emulator-clients.md": __name__, "first-ten-minutes.md": __name__,
    "running.md": __name__, "runpod.md": __name__, "engine.md": "tests/house/test_docs_engine.py",
    "hamilton.md": "tests/journeys/test_roles.py", "publishing.md": "a drawing of a folder",
    "FORMAT.md": "tests/contract/vectors",
}  # fmt: skip
"""Pages with blocks that are neither commands nor Python, and what holds them."""


def test_every_block_of_every_page_is_held_by_something():
    root = DOCS.parents[1]
    found = {
        page.name
        for page in [*root.glob("*.md"), *(root / "huracan_sync").rglob("*.md")]
        for kind in re.findall(r"^ *```(\w*)\n.*?^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        if kind not in {"console", "python"}
    }
    assert found == EVERY_OTHER.keys()


def test_the_emulator_of_the_first_ten_minutes(tmp_path):
    """Its port is said on the page, so that the next command can name it."""
    start, export = blocks("first-ten-minutes.md")[:2]
    command, shown = start.strip().splitlines()
    assert shlex.split(command.removeprefix("$ "))[:3] == ["huracan-sync", "emulator", "--port"]
    port = command.split()[-1]
    assert (f"127.0.0.1:{port}" in shown, f"127.0.0.1:{port}" in export) == (True, True)
    assert "HURACAN_SYNC_API" in export
    assert json.loads(shown.replace(", ...", "")).keys() >= {"url", "app_key"}


@pytest.fixture(scope="module")
def tls_emulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    with Emulator.start("--port", "0", "--tls", str(folder)) as emulator:
        yield emulator, folder / "ca.pem"


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listing(dropbox):
    return dropbox.log()["requests"]["files/list_folder"]


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl(dropbox):
    script = next(block for block in blocks("emulator-clients.md") if "curl" in block)
    script = re.sub(r"^\$ ", "", script, flags=re.MULTILINE).replace("http://127.0.0.1:8321", dropbox.url)
    assert '"entries"' in run(["bash", "-ec", script.replace("python3", sys.executable)])
    assert listing(dropbox) == 1


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_node(dropbox, tmp_path):
    script = next(block for block in blocks("emulator-clients.md") if "await fetch" in block)
    file = tmp_path / "client.mjs"
    file.write_text(script.replace("http://127.0.0.1:8321", dropbox.url))
    assert "entries" in run(["node", str(file)])
    assert listing(dropbox) == 1


@pytest.mark.slow
def test_the_official_sdk(tls_emulator):
    emulator, ca = tls_emulator
    (export,) = [block for block in blocks("emulator-clients.md") if "DROPBOX_API_HOST" in block]
    host = emulator.url.removeprefix("https://")
    env = dict(pair.split("=") for pair in export.replace("127.0.0.1:8321", host).split()[2:])
    code = (
        "import dropbox, sys\n"
        "dbx = dropbox.Dropbox(sys.argv[1], ca_certs=sys.argv[2])\n"
        "print(dbx.files_list_folder('').entries)"
    )
    token = emulator.token()["access_token"]
    plain = {name: value for name, value in os.environ.items() if not name.endswith("CA_BUNDLE")}
    assert run([sys.executable, "-c", code, token, str(ca)], env=plain | env) == "[]\n"
