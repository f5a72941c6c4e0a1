"""The conversations of the client that are kept in cassettes/: the same for recording and for replaying.

Whatever goes on the wire here is the same every time: contents, times and keys are fixed, the chance is in ids that the
service makes up, and those come back from the cassette. A flow returns what came of it, which is compared too.
"""

import os
import random
import time
from datetime import UTC, datetime

from huracan_sync.auth.connect import connect
from huracan_sync.auth.login_flow import Wanted, log_in
from huracan_sync.auth.session import credentials_of
from huracan_sync.errors import HuracanError
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import Pin
from huracan_sync.operations.push import Push
from huracan_sync.operations.restore import restore
from huracan_sync.reader import Reader
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.source import RemoteSource
from huracan_sync.remote.stat import metadata
from huracan_sync.signing.context import Context
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.transfer.progress import Silent

ROOT = "/huracan-sync-cassettes"
"""Where a flow works, unless its facts name another root."""
MIB = 1024 * 1024
MODIFIED = 1_750_000_000
CHANNEL = "notes"
KEY = bytes(range(32))
"""Signs what is recorded; it is worth nothing."""
PIN = str(Pin(bytes(16), (Signer(KEY).fingerprint,)))
"""The root id is chosen, so that the same is sent every time."""


class Stage:
    """A machine on which a flow runs. What is given to it is in the cassette; so is what it may not know: the hour."""

    def __init__(self, folder, facts, env=None):
        self.folder, self.facts, self.home = folder, facts, folder / "home"
        self.src, self.dst = folder / "src", folder / "dst"
        self.root = facts.get("root", ROOT)
        self.src.mkdir()
        self._slept = 0.0
        self.env = {"HURACAN_SYNC_HOME": str(self.home), "HURACAN_APP_FOLDER": self.root, **(env or {})}
        self.env |= {
            "HURACAN_APP_KEY": facts["app_key"],
            "HURACAN_VAULT_KEY_FILE": self._secret("vault key", noise("vault", 32)),
        }

    def _clock(self):
        return time.monotonic() + self._slept

    def _sleep(self, seconds):
        self._slept += seconds

    def _secret(self, name, data):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(data)
        path.chmod(0o400)
        return str(path)

    def remote(self, which="refresh_token"):
        """A new process with a delivered login. What it is asked to wait it does not; it calls one at a time.

        vcrpy takes its patches away for a moment whenever it opens a connection: another thread's call would slip by.
        """
        if not (self.folder / which).exists():
            self._secret(which, self.facts[which].encode())
        env = {**self.env, "HURACAN_REFRESH_TOKEN_FILE": str(self.folder / which)}
        profile = "engine" if which == "refresh_token" else "hamilton"
        remote = connect(
            profile, env=env, home=self.home, pacing=Pacing(start=1, most=1, clock=self._clock, sleep=self._sleep)
        )
        remote._now = lambda: datetime.fromtimestamp(self.clock(), UTC)  # the answers are dated as they were recorded
        return remote

    def clock(self):
        return self.facts["now"]

    def write(self, files):
        for name, data in files.items():
            path = self.src / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (MODIFIED, MODIFIED))

    def push(self, *, folder="data", monitor=None, remote=None, keys=None):
        remote = remote or self.remote()
        keys = keys or KeyPlace({}, self.home, remote.wire.endpoint.namespace)
        context = Context.of(remote, home=self.home, keys=keys, monitor=monitor, clock=self.clock)
        with context.pair(self.src, f"{self.root}/{folder}") as pair:
            return Push(context, pair, channel=CHANNEL).run()

    # -- what only a recording does -------------------------------------------------------------------------------

    def code(self, url):
        """A person consents; the code."""
        return "CODE"

    def expire(self):
        """The access token comes to its end."""

    def misfortune(self, *rules):
        """The service fails as scripted."""

    def stranger_writes(self, path, data):
        """Somebody else changes a file."""


def noise(name, size):
    return random.Random(name).randbytes(size)


COUNTED = ("uploaded", "downloaded", "skipped", "deleted", "unsigned", "requests", "sequence")
COUNTED += ("bytes_sent", "bytes_received")


def said(report):
    """What of a report a conversation decides; a report may learn to say more without a new recording."""
    return {name: value for name, value in report.as_dict().items() if name in COUNTED} | {
        "failed": [failure.path for failure in report.failed]
    }


class Person:
    def __init__(self, stage):
        self.stage, self.url = stage, ""

    def show(self, url, *, opens):
        self.url = url

    def paste(self):
        return self.stage.code(self.url)

    def confirm(self, identity):
        return True


# -- the flows ---------------------------------------------------------------------------------------------------


def login(stage):
    """A person logs in by pasting a code; the account is looked at."""
    credentials = credentials_of(None, env=stage.env, home=stage.home)
    wire = Wire(Endpoint.from_environment(stage.env))
    made = log_in(credentials, wire, Person(stage), Wanted(browser=False, account_info=True))
    return {"scopes": sorted(made.scopes)}


def refresh(stage):
    """A delivered refresh token brings an access token, and another when the first has ended."""
    remote = stage.remote()
    first = metadata(remote, f"{stage.root}/nothing")
    stage.expire()
    return {"found": [first, metadata(remote, f"{stage.root}/nothing")]}


def push_small(stage):
    """Fifty small files in one append and one commit; nothing; one that changed."""
    stage.write({f"{n % 3}/größe {n}.json": noise(n, 200 + n) for n in range(50)})
    reports = [said(stage.push()), said(stage.push())]
    stage.write({"0/größe 0.json": noise("new", 300)})
    return {"reports": [*reports, said(stage.push())]}


class Cut(BaseException):
    pass


class CutAfter(Silent):
    def __init__(self, size):
        self.left = size

    def moved(self, size):
        self.left -= size
        if self.left <= 0:
            raise Cut


def push_large_resumed(stage):
    """A large file in parts; the first run is cut, the second goes on with the same session."""
    stage.write({"model.bin": noise("model", 11 * MIB)})
    try:
        stage.push(monitor=CutAfter(8 * MIB))
    except Cut:
        return {"report": said(stage.push())}
    raise AssertionError("it was not cut")


def there_and_back(stage):
    """A few files come back one by one, many as a zip."""
    stage.write({f"many/{n}.json": noise(n, 100 + n) for n in range(30)} | {"one": b"1", "two": b""})
    stage.push()
    remote = stage.remote()
    reports = [said(restore(f"{stage.root}/data", stage.dst, remote=remote, home=stage.home))]
    for path in (stage.dst / "one", stage.dst / "many/7.json"):
        path.unlink()
    reports.append(said(restore(f"{stage.root}/data", stage.dst, remote=remote, home=stage.home)))
    same = {p.name: p.read_bytes() for p in stage.dst.rglob("*") if p.is_file()} == {
        p.name: p.read_bytes() for p in stage.src.rglob("*") if p.is_file()
    }
    return {"reports": reports, "same": same}


def errors(stage):
    """What the service says no to: nothing there, a conflict, a login that may not write."""
    came = []
    try:
        restore(f"{stage.root}/nothing", stage.dst, remote=stage.remote(), home=stage.home)
        metadata(stage.remote(), "no slash")
    except HuracanError as error:
        came.append(type(error).__name__)
    stage.write({"x": b"ours"})
    stage.push()
    stage.stranger_writes(f"{stage.root}/data/x", b"theirs")
    stage.write({"x": b"ours again"})
    came.append([type(failure.error).__name__ for failure in stage.push().failed])
    try:
        stage.write({"y": b"not allowed"})
        stage.push(folder="other", remote=stage.remote("read_only_refresh_token"))
    except HuracanError as error:
        came.append(type(error).__name__)
    return {"errors": came}


def misfortune(stage):
    """The service is busy, fails, and loses an answer; the client waits, and sends nothing twice."""
    stage.write({"x": b"1", "y": b"2", "z": b"3"})
    stage.misfortune(
        {"route": "files/list_folder", "fault": "rate_limited", "nth": 1, "retry_after": 3},
        {"route": "files/upload_session/start_batch", "fault": "server_error", "nth": 1, "body": "html"},
        {"route": "files/upload_session/finish_batch_v2", "fault": "too_many_write_operations", "nth": 1},
    )
    return {"report": said(stage.push())}


def follow(stage):
    """A signed set is published; a reader that knows only the pin reads it, waits, and sees the next."""
    remote = stage.remote()
    env = {"HURACAN_SIGNING_KEY_FILE": stage._secret("key", KEY), "HURACAN_ROOT_PIN": PIN}
    keys = KeyPlace(env, stage.home, "any")
    pin = TrustFiles(Context.of(remote, home=stage.home, keys=keys, clock=stage.clock)).begin().pin
    stage.write({"roster.json": b'{"symbols":[]}'})
    stage.push(remote=remote, keys=keys)
    source = RemoteSource(stage.remote("read_only_refresh_token"))
    reader = Reader(source, stage.folder / "hamilton", place=source.place, clock=stage.clock, sleep=lambda _: None)
    reader.pin(str(pin))
    came = []
    for snapshot in reader.follow(CHANNEL, poll_s=30):
        came.append([snapshot.sequence, snapshot.read("data/roster.json").decode()])
        if len(came) == 2:
            return {"read": came}
        stage.write({"roster.json": b'{"symbols":[1]}'})
        stage.push(remote=remote, keys=keys)
    raise AssertionError("it ended")


FLOWS = [login, refresh, push_small, push_large_resumed, there_and_back, errors, misfortune, follow]
ONLY_EMULATED = {"misfortune"}
"""What nobody can make the real service do."""
