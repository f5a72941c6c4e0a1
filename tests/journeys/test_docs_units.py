"""What the pages show beside commands of ours: the systemd unit, the cron line, clients of the emulator."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_node(dropbox, tmp_path):
    script = next(block for block in blocks("emulator-clients.md") if "await fetch" in block)
    file = tmp_path / "client.mjs"
    file.write_text(script.replace("http://127.0.0.1:8321", dropbox.url))
    assert "entries" in run(["node", str(file)])
    assert listing(dropbox) == 1


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
