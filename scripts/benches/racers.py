"""The racers: each brings a folder up to `/Runpodhuracan/data/bench` and down again, as a program run by itself.

All know only Dropbox's own addresses, so they run inside scripts/real_clients.py. A racer is a machine of its own that
is logged in already; `other()` is a second one, for what is restored.
"""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benches.measured import Ran, run
from benches.ours import ROOT
from benches.ours import Ours as Machine

from huracan_sync.emulator.running import Emulator

REMOTE = "/Runpodhuracan/data/bench"
PROGRAMS = Path(__file__).parent / "programs"
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"
_numbers = itertools.count()


class Fails(Exception):
    """A racer cannot do it; the text says why."""


def _bare() -> dict[str, str]:
    foreign = ("RCLONE_", "HURACAN", "DROPBOX", "PYTHON", "VIRTUAL_ENV", "XDG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


class Racer:
    """What every racer has. `share`: does only one file in so many, because its time grows with their number alone."""

    name = ""
    syncs = True
    """Whether it finds out itself what has changed; without it, there is nothing to measure a second time."""
    share = 1

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        self.dropbox = dropbox
        self.folder = folder / f"{type(self).__name__}-{next(_numbers)}"
        self.folder.mkdir(parents=True)

    def up(self, src: Path) -> Ran:
        """Bring what is in `src` to Dropbox.

        Raises:
            Fails: it cannot.
        """
        return _checked(self._up(src))

    def down(self, dst: Path) -> Ran:
        """Bring what is in Dropbox into `dst`.

        Raises:
            Fails: it cannot.
        """
        return _checked(self._down(dst))

    def other(self) -> "Racer":
        """A second machine, on which nothing is."""
        return self._other()

    def _up(self, src: Path) -> Ran:
        raise NotImplementedError

    def _down(self, dst: Path) -> Ran:
        raise NotImplementedError

    def _other(self) -> "Racer":
        return type(self)(self.dropbox, self.folder)


def _checked(ran: Ran) -> Ran:
    if ran.code:
        said = (ran.err or ran.out).strip().splitlines() or ["no reason given"]
        raise Fails(said[-1][:200])
    return ran


class Ours(Racer):
    """This project."""

    name = "huracan-sync"

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        self.machine = Machine(dropbox, self.folder / "machine")
        self.machine("token")  # nobody's clock runs while an access token is fetched

    def _up(self, src: Path) -> Ran:
        return self.machine("push", src, REMOTE)

    def _down(self, dst: Path) -> Ran:
        return self.machine("restore", REMOTE, dst)


class OursSigning(Ours):
    """This project, publishing a signed list of what it pushes, which no other does."""

    name = "the same, signing"

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        self.machine.make_keys()

    def _other(self) -> Racer:
        return Ours(self.dropbox, self.folder)


class Rclone(Racer):
    """rclone as it comes."""

    name = "rclone"
    program = str(ROOT / ".venv-peers/bin/rclone")
    options: tuple[str, ...] = ()

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        key, secret = dropbox.ready["confidential_app_key"], dropbox.ready["confidential_app_secret"]
        tokens = dropbox.token(app_key=key)
        token = (
            f'{{"access_token":"{tokens["access_token"]}","token_type":"bearer",'
            f'"refresh_token":"{tokens["refresh_token"]}","expiry":"2099-01-01T00:00:00Z"}}'
        )
        lines = ["[dbx]", "type = dropbox", f"client_id = {key}", f"client_secret = {secret}", f"token = {token}"]
        (self.folder / "rclone.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.env = {**_bare(), "RCLONE_CONFIG": str(self.folder / "rclone.conf")}

    def _up(self, src: Path) -> Ran:
        return run([self.program, "copy", str(src), f"dbx:{REMOTE}", *self.options], self.env)

    def _down(self, dst: Path) -> Ran:
        return run([self.program, "copy", f"dbx:{REMOTE}", str(dst), *self.options], self.env)


class RcloneTuned(Rclone):
    """rclone with the best options we have found for it."""

    name = "rclone, tuned"
    options = (
        *("--transfers", "48", "--checkers", "48", "--dropbox-pacer-min-sleep", "0", "--multi-thread-streams", "8"),
        *("--dropbox-batch-mode", "sync", "--dropbox-batch-size", "48", "--dropbox-batch-timeout", "100ms"),
    )


class _Program(Racer):
    """A program over the official SDK, in the environment of the peers."""

    program = ""
    python = PEERS_PYTHON
    syncs = False

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        tokens = dropbox.token()
        self.env = {
            **_bare(),
            "PEER_REFRESH_TOKEN": tokens["refresh_token"],
            "PEER_ACCESS_TOKEN": tokens["access_token"],
            "PEER_APP_KEY": tokens["app_key"],
        }

    def _run(self, way: str, folder: Path) -> Ran:
        command = [str(self.python), str(PROGRAMS / self.program), way, str(folder), REMOTE]
        return run(command, self.env)

    def _up(self, src: Path) -> Ran:
        return self._run("up", src)

    def _down(self, dst: Path) -> Ran:
        return self._run("down", dst)


class Bare(_Program):
    """A bare client: the fewest requests that the API allows, without any safety. It is the limit, not a tool."""

    name = "bare client"
    program = "bare.py"
    python = Path(sys.executable)
    syncs = True

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        self.env["PEER_STATE"] = str(self.folder / "state.json")


class Sdk(_Program):
    """The official SDK's file_transfer, sixteen at once."""

    name = "official SDK x16"
    program = "sdk_transfer.py"


class Fsspec(_Program):
    """dropboxdrivefs: one file after the other."""

    name = "dropboxdrivefs"
    program = "fsspec_copy.py"
    share = 10


class OldEngine(_Program):
    """The engine's old class: one file after the other, changed or not."""

    name = "the engine before"
    program = "old_engine.py"
    syncs = True
    share = 10


class Maestral(Racer):
    """Maestral. Its folder is the whole Dropbox; what is to go up is put there while it does not run."""

    name = "Maestral"
    python = ROOT / ".venv-maestral/bin/python"
    quiet_s = 3.0
    app_key = "2jmbq42w7vof78h"

    def __init__(self, dropbox: Emulator, folder: Path) -> None:
        super().__init__(dropbox, folder)
        dropbox.control("apps", {"app_key": self.app_key, "name": "Maestral"})
        names = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
        homes = {name: str(self.folder / name.lower()) for name in names}
        for place in homes.values():
            Path(place).mkdir(mode=0o700)
        self.env = {**_bare(), **homes}
        self.root = self.folder / "Dropbox"
        self._link()

    def _command(self, way: str) -> list[str]:
        return [str(self.python), str(PROGRAMS / "maestral_once.py"), way, str(self.root)]

    def _link(self) -> None:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self._command("link"), env=self.env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        ) as linking:
            assert linking.stdout  # noqa: S101  it was asked for
            link = next(line for line in linking.stdout if line.startswith("https://"))
            asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
            fields = ("code_challenge", "code_challenge_method", "scope", "token_access_type", "redirect_uri", "state")
            given = {name: asked[name] for name in fields if name in asked}
            code = self.dropbox.control("code", {"app_key": self.app_key, **given})["code"]
            linking.communicate(code + "\n", timeout=60)
        if linking.returncode:
            raise Fails(f"linking ended with {linking.returncode}")

    def _sync(self) -> Ran:
        ran = _checked(run(self._command("sync"), self.env))
        return Ran(ran.code, ran.seconds - self.quiet_s, ran.cpu_s, ran.peak_mib)

    def _up(self, src: Path) -> Ran:
        inner = self.root / REMOTE[1:]
        for place in src.rglob("*"):
            target = inner / place.relative_to(src)
            if place.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif not target.exists() or target.read_bytes() != place.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place, target)
        return self._sync()

    def _down(self, dst: Path) -> Ran:
        ran = self._sync()
        shutil.move(self.root / REMOTE[1:], dst)
        return ran


_NEEDS: dict[type[Racer], tuple[Path, ...]] = {
    Ours: (),
    OursSigning: (),
    Bare: (),
    Rclone: (Path(Rclone.program),),
    RcloneTuned: (Path(Rclone.program),),
    Sdk: (PEERS_PYTHON,),
    Maestral: (Maestral.python,),
    Fsspec: (PEERS_PYTHON,),
    OldEngine: (PEERS_PYTHON,),
}
ALL = tuple(_NEEDS)


def present() -> list[type[Racer]]:
    """Those whose programs are here, ours first."""
    return [racer for racer, needed in _NEEDS.items() if all(place.exists() for place in needed)]


def versions() -> dict[str, str]:
    """What raced, in which version."""
    ask = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    commands = {
        "rclone": [Rclone.program, "version"],
        "official SDK": [str(PEERS_PYTHON), "-c", ask, "dropbox"],
        "dropboxdrivefs": [str(PEERS_PYTHON), "-c", ask, "dropboxdrivefs"],
        "Maestral": [str(Maestral.python), "-c", ask, "maestral"],
    }
    found = {}
    for name, command in commands.items():
        if Path(command[0]).exists():
            said = subprocess.run(command, env=_bare(), capture_output=True, text=True, check=False).stdout.split("\n")
            found[name] = said[0].removeprefix("rclone v")
    return found
