"""This project's command line on a machine of its own: a home, a delivered refresh token, an emulator."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benches.measured import Ran, run

from huracan_sync.emulator.running import Emulator

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "huracan_sync"]


class Ours:
    """A machine that is logged in. Fresh: no journal, no access token, no key."""

    def __init__(self, dropbox: Emulator, folder: Path, *, patience_s: float = 900.0) -> None:
        self._patience_s = patience_s
        folder.mkdir(parents=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(dropbox.token()["refresh_token"], encoding="ascii")
        token.chmod(0o400)
        foreign = ("HURACAN", "DROPBOX", "PYTHON")
        self.home = folder / "home"
        self._key = folder / "key"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.env |= dropbox.env(self.home)
        self.env |= {
            "HURACAN_REFRESH_TOKEN_FILE": str(token),
            "HURACAN_APP_KEY": dropbox.app_key,
            "PYTHONPATH": str(ROOT),
        }

    def __call__(self, *words: object) -> Ran:
        """Run a verb.

        Raises:
            RuntimeError: it did not end well.
        """
        ran = run([*COMMAND, *map(str, words), "--json"], self.env, patience_s=self._patience_s)
        if ran.code:
            raise RuntimeError(f"{words[0]} ended with {ran.code}: {ran.err[-2000:]}{ran.out[-2000:]}")
        return ran

    def make_keys(self) -> str:
        """From now on, what this machine pushes is signed. Returns the pin of its root, for those who verify."""
        self.env["HURACAN_SIGNING_KEY_FILE"] = str(self._key)
        return str(report(self("keys", "init"))["pin"])

    def start(self, *words: object) -> "subprocess.Popen[bytes]":
        """Start a verb, for somebody who kills it."""
        null = subprocess.DEVNULL
        return subprocess.Popen([*COMMAND, *map(str, words), "--json"], env=self.env, stdout=null, stderr=null)

    @property
    def state_bytes(self) -> int:
        """What the journal takes on the disk."""
        return sum(place.stat().st_size for place in self.home.glob("journal.db*"))


def report(ran: Ran) -> dict[str, object]:
    """What a verb said with --json."""
    said: dict[str, object] = json.loads(ran.out)
    return said
