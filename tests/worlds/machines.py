"""Machines that sign and machines that only read, on one account of a local Dropbox."""

import json
import os
import subprocess
import sys

import command_line
import warm
from quick_time import Time

from huracan_sync.manifest import trust
from huracan_sync.operations.push import Push, PushOptions
from huracan_sync.operations.restore import Restore, RestoreOptions
from huracan_sync.reader import Reader
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.source import RemoteSource
from huracan_sync.secret import Secret
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.trust_files import TrustFiles

READ = ["files.metadata.read", "files.content.read"]
WRITE = [*READ, "files.content.write"]
ROOT = "/Engine"


class Tokens:
    def __init__(self, dropbox, scopes):
        self._token = Secret(dropbox.token(scopes, expires_in=1e8)["access_token"])

    def token(self):
        return self._token

    def renew(self, rejected):
        raise AssertionError("no token ends in these tests")


class Clock:
    """Seconds since 1970; stands still until it is moved."""

    def __init__(self, now=1_763_600_000.0):
        self.now = now

    def __call__(self):
        return self.now

    def hours(self, count):
        self.now += count * 3600


class Machine:
    """One machine: a state folder, a login, and perhaps a key file."""

    def __init__(self, dropbox, folder, *, key="", scopes=WRITE, clock=None, root=ROOT, env=None):
        self.dropbox = dropbox
        self.home = folder / "home"
        self.clock = clock or Clock()
        self.key = folder / key if key else None
        env = (env or {}) | ({"HURACAN_SIGNING_KEY_FILE": str(self.key)} if key else {})
        self.keys = KeyPlace(env, self.home, "emulator")
        time = Time()
        wire = Wire(Endpoint.from_environment(dropbox.env(self.home)))
        self.remote = Remote(
            wire,
            Tokens(dropbox, scopes),
            identity=lambda: dropbox.account_id,
            root=root,
            pacing=Pacing(clock=time.clock, sleep=time.sleep),
        )

    def take_key_of(self, other):
        """Sign with the same key as another machine."""
        self.key.parent.mkdir(exist_ok=True)
        self.key.write_bytes(other.key.read_bytes())
        self.key.chmod(0o400)

    def context(self, monitor=None):
        return Context.of(self.remote, home=self.home, keys=self.keys, monitor=monitor, clock=self.clock)

    def roots(self, root=None):
        return TrustFiles(self.context(), root)

    def push_folder(self, local, to, *, channel=None, monitor=None, **options):
        with (context := self.context(monitor)).pair(local, to) as pair:
            return Push(context, pair, PushOptions(**{"wait_s": 0.0, **options}), channel=channel).run()

    def restore(self, folder, local, *, channel=None, **options):
        with (context := self.context()).pair(local, folder) as pair:
            return Restore(context, pair, RestoreOptions(**{"wait_s": 0.0, **options}), channel=channel).run()

    def pin(self, root=None):
        """What a person carries from here to a reader."""
        return str(trust.pin_of(self.roots(root).store.load().trust))

    def reader(self, root=None):
        source = RemoteSource(self.remote, root)
        return Reader(source, self.home, place=source.place, keep_set=0, clock=self.clock)


class Commands:
    """The command line as processes, of the engine or of Hamilton."""

    def __init__(self, dropbox, folder, *, scopes=WRITE, key="", app_key=None, profile="engine"):
        self.profile = profile
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "token"
        token.write_text(dropbox.token(scopes, app_key=app_key)["refresh_token"])
        token.chmod(0o400)
        self.home = folder / "home"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HURACAN")},
            **dropbox.env(self.home),
            "HURACAN_REFRESH_TOKEN_FILE": str(token),
            "HURACAN_APP_KEY": app_key or dropbox.app_key,
        }
        self.key = folder / key
        if key:
            self.env["HURACAN_SIGNING_KEY_FILE"] = str(self.key)

    def run(self, *arguments, code=0, **env):
        """What a command printed with --json."""
        out, _ = self.say(*arguments, "--json", code=code, **env)
        return json.loads(out)

    def say(self, *arguments, code=0, **env):
        """What a command printed for people: stdout, stderr."""
        words = [*arguments, "--profile", self.profile]
        ended, out, err = command_line.run(words, env=self.env | env)
        assert ended == code, f"{arguments}: exit {ended}\n{out}\n{err}"
        return out, err

    def start(self, *arguments, **env):
        command = [sys.executable, "-m", "huracan_sync", *map(str, arguments), "--profile", self.profile]
        return warm.Popen(
            command,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, program):
        """What a program prints, run where nobody can be asked for anything."""
        command = [sys.executable, "-c", program]
        done = warm.run(
            command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)


def publishing(dropbox, folder):
    """The commands of an engine that signs."""
    commands = Commands(dropbox, folder, key="sign.key")
    commands.run("keys", "init")
    return commands


def trading(dropbox, folder, engine):
    """The commands of Hamilton, who may only read, and trusts the engine."""
    commands = Commands(dropbox, folder, scopes=READ, app_key=dropbox.read_only_app_key, profile="hamilton")
    commands.run("keys", "trust", engine.run("keys", "show")["pin"])
    return commands


def write(folder, files):
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
