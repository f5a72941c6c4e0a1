"""The emulator answers as the real Dropbox does, as far as that is known."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sampled import sampled
from scenario_player import SCENARIOS, Player

SHARED = Path(os.environ.get("HURACAN_SHARED") or Path(__file__).parents[4] / "shared")
REDIRECT_URI = "http://localhost:53682/"
FILES = sorted(SCENARIOS.glob("*.json"))


def values(emulator):
    """What the scenarios need, from the emulator's control endpoints."""
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"app_key": emulator.app_key, "redirect_uri": REDIRECT_URI, "code_challenge": challenge}
    secret = f"{emulator.ready['confidential_app_key']}:{emulator.ready['confidential_app_secret']}"
    return {
        "api": emulator.url,
        "web": emulator.url,
        "app_key": emulator.app_key,
        "refresh_token": emulator.token()["refresh_token"],
        "expired_token": emulator.token(expires_in=0)["access_token"],
        "revocable_token": emulator.token()["access_token"],
        "read_only_token": emulator.token(["files.metadata.read", "files.content.read"])["access_token"],
        "reader_app_token": emulator.token(app_key=emulator.read_only_app_key)["access_token"],
        "code": emulator.control("code", asked)["code"],
        "second_code": emulator.control("code", asked)["code"],
        "code_verifier": verifier,
        "redirect_uri": REDIRECT_URI,
        "app_basic": base64.b64encode(secret.encode()).decode(),
    }


@pytest.mark.every_case
@pytest.mark.parametrize("path", sampled(FILES, 3, lambda path: path.stem), ids=lambda path: path.stem)
def test_scenario(dropbox, path):
    scenario = json.loads(path.read_text(encoding="utf-8"))
    needed = values(dropbox) if "needs" in scenario else {}
    player = Player(dropbox.url, dropbox.token()["access_token"], needed, dropbox.control)
    assert scenario["name"] == path.stem
    assert player.play(scenario) == []


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the shared conformance scenarios are not beside this checkout")
@pytest.mark.parametrize(("folder", "fewest"), [("conformance/given", 118), ("cases/conformance", 16)])
def test_the_shared_replay_passes(dropbox, folder, fewest):
    command = [sys.executable, str(SHARED / "conformance" / "replay.py"), str(SHARED / folder), "--slow", "--json"]
    for host in ("api", "content", "notify"):
        command += [f"--{host}", dropbox.url]
    command += ["--token", dropbox.token()["access_token"]]
    for name, value in values(dropbox).items():
        command += ["--var", f"{name}={value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    assert [each for each in report["scenarios"] if each["verdict"] != "PASS"] == []
    assert report["counts"]["PASS"] >= fewest
