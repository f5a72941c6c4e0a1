"""Every command and every Python example in the documents runs, page by page, in the order of the page."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sampled import slow

ROOT = Path(__file__).parents[2]
OWN = {ROOT / "huracan_sync" / "docs" / name for name in ("data-tools.md", "login.md", "pickle.md")}
"""Pages with a test of their own (test_docs_*.py): they need a terminal, machines or libraries of their own."""
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "huracan_sync").rglob("*.md")} - OWN)]
CANDLES = ROOT.parent / "shared" / "data" / "candles"
SETTINGS = re.compile(r"```toml\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"^( *)```(console|python)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)

ELSEWHERE = {
    "bash scripts/demo.sh": ".ci/run",
    "bash scripts/test.sh": ".ci/run",
    "bash scripts/test.sh --fast": ".ci/run",
    "bash scripts/test.sh -m slow -n auto": ".ci/run",
    "bash scripts/test.sh -m long -n auto": ".ci/run",
    "bash scripts/test_peers.sh": ".ci/run",
    "bash scripts/fuzz.sh": "scripts/fuzz.sh",
    "bash scripts/coverage.sh": "scripts/coverage.sh",
    "bash scripts/mutate.sh": "scripts/mutate.sh",
    "bash scripts/test_install.sh": "scripts/test_install.sh",
    "python3 -m venv .venv": "scripts/env.sh",
    ". .venv/bin/activate": "scripts/env.sh",
    "python -m pip install --require-hashes -r requirements/runtime.txt": "scripts/env.sh",
    "python -m pip install --no-deps .": "scripts/env.sh",
    "huracan-sync keys recover --channel candles": "tests/cli/test_keys_recover.py",
    "ssh -L 8377:127.0.0.1:8377 the-container": "tests/engine/daemon/test_dashboard.py",
    "curl -fsS http://127.0.0.1:8377/healthz": "tests/engine/daemon/test_dashboard.py",
}
"""Lines that cannot run inside a test, and the file that does what they do."""

POD = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
"""The public key of another machine."""

ENDLESS = ("huracan-sync run", "huracan-sync emulator", "huracan-sync follow", "huracan-sync status --watch")
"""Commands that go on until they are told to end."""


def steps(page):
    """(kind, text) of each command and each Python example of a page."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = "\n".join(line[len(match[1]) :] for line in match[3].splitlines())
        if match[2] == "python":
            yield "python", text
        else:
            joined = re.sub(r"\\\n\s*", " ", text)
            yield from (("console", line[2:]) for line in joined.splitlines() if line.startswith("$ "))


class Reader:
    """Somebody who does what the page says, on a machine of their own."""

    def __init__(self, dropbox, folder):
        self.dropbox, self.folder = dropbox, folder
        doors = folder / "bin"
        doors.mkdir()
        door = doors / "huracan-sync"
        door.write_text(f'#!/bin/sh\nexec {sys.executable} -m huracan_sync "$@"\n')
        door.chmod(0o755)
        (doors / "python").symlink_to(sys.executable)
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        key = self._secret("vault-key", os.urandom(32))
        self._secret("huracan-refresh-token", dropbox.token()["refresh_token"].encode())
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("HURACAN", "DROPBOX"))}
        self.env = plain | dropbox.env(folder / "state")
        self.env |= {
            "HURACAN_VAULT_KEY_FILE": str(key),
            "BROWSER": f"{sys.executable} {ROOT / 'scripts' / 'click_allow.py'} %s",
            "PATH": f"{doors}:{self.env['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        self.work = folder / "work"
        self._furnish()

    def _secret(self, name, data):
        path = self.secrets / name
        path.write_bytes(data)
        path.chmod(0o400)
        return path

    def _furnish(self):
        """What a reader would have: candles, a champion set, an engine's folder."""
        found = sorted(CANDLES.rglob("*.parquet"))[:3] if CANDLES.is_dir() else []
        place = self.work / "data" / "candles" / "BTC"
        place.mkdir(parents=True)
        for path in found:
            shutil.copy(path, place)
        if not found:
            pq.write_table(pa.table({"close": [1.0, 2.0]}), place / "BTC-USDT_1d_20250101_20250102.parquet")
        models = self.work / "champions" / "models" / "champions" / "latest"
        configs = self.work / "champions" / "hamilton" / "configs"
        models.mkdir(parents=True)
        configs.mkdir(parents=True)
        (models / "BTCUSDT.onnx").write_bytes(b"\x08\x07\x12\x07pytorch\x3a\x00")  # a graph of nothing
        settings = SETTINGS.search((ROOT / "huracan_sync" / "docs" / "engine.md").read_text(encoding="utf-8"))
        (self.work / "huracan-sync.toml").write_text(settings[1], encoding="utf-8")
        (configs / "BTCUSDT.json").write_text('{"symbol": "BTCUSDT", "risk_limits": {"max_leverage": 1}}')

    def do(self, kind, text):
        """Do one step as it is printed, with what only this reader can know put in."""
        for said, meant in self._known(text).items():
            text = text.replace(said, meant)
        if kind == "python":
            self._run([sys.executable, "-c", text], text)
            return
        if text.startswith("huracan-sync authorize"):
            text += f" --expect-account {self.dropbox.account_id}"  # no terminal here to confirm it at
        if text.startswith(ENDLESS) and "--once" not in text:
            self._until_it_runs(text)
            return
        if "--no-browser" in text:
            self._paste(text)
            return
        after = self.folder / "environment"
        self._run(["bash", "-ec", f'{text}\nenv -0 > "{after}"'], text)
        pairs = [item.split("=", 1) for item in after.read_text().split("\0") if "=" in item]
        after.unlink()
        self.env = {name: value for name, value in pairs if name != "DROPBOX_ACCESS_TOKEN"}

    def _run(self, command, text):
        run = warm.run if command[0] == sys.executable else subprocess.run
        done = run(command, cwd=self.work, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    def _until_it_runs(self, text):
        """Start a command that goes on until it is told to end; end it when it has said its first line."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = ["bash", "-ec", f"exec {text}"]
        with subprocess.Popen(command, cwd=self.work, env=self.env, **pipes) as process:
            try:
                said = next((line for line in process.stdout if not line.startswith("20")), "")  # no line of the log
                process.send_signal(signal.SIGTERM)
                rest = process.communicate(timeout=120)[0]
            finally:
                process.kill()
            assert process.returncode == 0, f"{text}\n{said}{rest}"

    def _paste(self, text):
        """Open the page that is printed, allow it, and paste the code."""
        command = {"args": ["bash", "-ec", text], "cwd": self.work, "env": self.env, "text": True}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(**command, **pipes) as process:
            page = next(line.strip() for line in process.stderr if "code_challenge=" in line)
            asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
            wanted = {"app_key": asked["client_id"], "scope": asked["scope"], "code_challenge": asked["code_challenge"]}
            code = self.dropbox.control("code", wanted)["code"]
            out, err = process.communicate(f"{code}\n", timeout=120)
            assert process.returncode == 0, f"{text}\n{out}\n{err}"

    def _known(self, text):
        known = {
            "YOUR_APP_KEY": self.dropbox.app_key,
            "HAMILTONS_APP_KEY": self.dropbox.read_only_app_key,
            "/run/secrets": str(self.secrets),
            "/workspace": str(self.work),
            "path/to/the/engine": str(self.work),
            "ssh-ed25519 AAAA... pod": f"{POD.decode()} pod",
        }
        if "SHA256:FINGERPRINT" in text:
            command = ["huracan-sync", "keys", "show"]
            shown = subprocess.run(command, cwd=self.work, env=self.env, capture_output=True, text=True, check=True)
            known["hz2:ROOT:SHA256:FINGERPRINT"] = re.search(r"hz2:\S+", shown.stdout)[0]
        return known


@pytest.mark.parametrize("page", [PAGES[0], *map(slow, PAGES[1:])], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page, dropbox, tmp_path):
    reader = Reader(dropbox, tmp_path)
    if "$ huracan-sync authorize" not in page.read_text(encoding="utf-8"):
        reader.do("console", "huracan-sync authorize --app-key YOUR_APP_KEY")  # for those who come from another page
    for kind, text in steps(page):
        if text not in ELSEWHERE:
            reader.do(kind, text)


def test_what_is_not_run_here_is_run_somewhere():
    said = {text for page in PAGES for kind, text in steps(page)}
    assert said >= ELSEWHERE.keys()
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
