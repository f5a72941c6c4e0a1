"""What the transfer tests share: folders, a fresh account, push and restore, and a stranger who writes too."""

import json
import threading

import urllib3
from noise import noise as content
from quick_time import Time

from huracan_sync.disk.parquet import check_whole
from huracan_sync.operations.push import PushOptions, push
from huracan_sync.operations.restore import RestoreOptions, restore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret
from huracan_sync.transfer import upload_item
from huracan_sync.transfer.progress import Silent

ROOT = "/Engine/data"
MIB = 1024 * 1024
HTTP = urllib3.PoolManager(retries=False)


class Tokens:
    """A source of access tokens that asks the emulator, as a login would."""

    def __init__(self, dropbox, scopes=("files.metadata.read", "files.content.read", "files.content.write")):
        self._dropbox, self._scopes = dropbox, list(scopes)
        self.renewals = 0
        self._lock = threading.Lock()  # guards the emulator's handle too, which is for one thread at a time
        self._token = self._new()

    def _new(self):
        return Secret(self._dropbox.token(self._scopes)["access_token"])

    def token(self):
        return self._token

    def renew(self, rejected):
        with self._lock:
            if rejected is self._token:
                self.renewals += 1
                self._token = self._new()
            return self._token


class Watching(Silent):
    """A monitor that remembers what it was told."""

    def __init__(self):
        self.bytes, self.files, self.failures, self.notes, self.plans = 0, [], {}, [], []

    def planned(self, files, size):
        self.plans.append((files, size))

    def moved(self, size):
        self.bytes += size

    def finished(self, path, size):
        self.files.append(path)

    def failed(self, path, error):
        self.failures[path] = error

    def note(self, sentence):
        self.notes.append(sentence)


class Killed(BaseException):
    pass


class KilledAfter(Watching):
    """Ends the run, as a signal would, once so many bytes have moved."""

    def __init__(self, size):
        super().__init__()
        self.limit = size

    def moved(self, size):
        super().moved(size)
        if self.bytes >= self.limit:
            raise Killed


class World:
    """One engine machine, its folders, and an account."""

    def __init__(self, dropbox, tmp_path):
        self.dropbox = dropbox
        self.src, self.dst, self.home = tmp_path / "src", tmp_path / "dst", tmp_path / "home"
        self.src.mkdir(parents=True)
        self.tokens = Tokens(dropbox)
        self.theirs = "none yet"
        self.waits, self.time = [], Time()
        self.remote = self.connect()

    def connect(self, **pacing):
        """Another process's view of the account: its own connections, no memory of waits."""
        wire = Wire(
            Endpoint.from_environment(self.dropbox.env(self.home)), read_timeout=pacing.pop("read_timeout", 20.0)
        )
        # What is waited is noted; nothing here sleeps.
        pace = Pacing(clock=self.time.clock, sleep=self.time.sleep, observe=self.waits.append, **pacing)
        return Remote(wire, self.tokens, pacing=pace, identity=lambda: self.dropbox.account_id, root="/Engine")

    def write(self, files):
        """Files in the local folder: path -> bytes, or a size to be filled."""
        for path, data in files.items():
            target = self.src / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content(path, data) if isinstance(data, int) else data)

    def push(self, *, monitor=None, remote=None, check=check_whole, transfer=None, **options):
        """Push the local folder to ROOT."""
        transfer = transfer or {}
        transfer = upload_item.Options(check=check, append_only=lambda p: p.endswith(".log"), **transfer)
        options = PushOptions(transfer=transfer, **{"wait_s": 0.0, **options})
        return push(self.src, ROOT, remote=remote or self.remote, home=self.home, options=options, monitor=monitor)

    def restore(self, *, monitor=None, remote=None, to=None, home=None, **options):
        """Restore ROOT into the other folder."""
        return restore(
            ROOT,
            to or self.dst,
            remote=remote or self.remote,
            home=home or self.home,
            options=RestoreOptions(**{"wait_s": 0.0, **options}),
            monitor=monitor,
        )

    # --- somebody else at the same account --------------------------------------------------------------------

    def foreign(self, route, arg, body=None):
        """A call by another client, whose token is good for ever; its JSON."""
        headers = {"Authorization": f"Bearer {self.theirs}"}
        if body is None:
            headers["Content-Type"], body = "application/json", json.dumps(arg).encode()
        else:
            headers["Content-Type"], headers["Dropbox-API-Arg"] = "application/octet-stream", json.dumps(arg)
        answer = HTTP.request("POST", f"{self.dropbox.url}/2/{route}", headers=headers, body=body)
        if answer.status == 401:  # another account by now, or many years later
            self.theirs = self.dropbox.token(expires_in=10**9)["access_token"]
            return self.foreign(route, arg, None if headers["Content-Type"] == "application/json" else body)
        assert answer.status == 200, answer.data
        return answer.json()

    def foreign_write(self, path, data):
        return self.foreign("files/upload", {"path": f"{ROOT}/{path}", "mode": "overwrite"}, data)

    def foreign_delete(self, path):
        return self.foreign("files/delete_v2", {"path": f"{ROOT}/{path}" if path else ROOT})

    def there(self):
        """Everything in Dropbox below ROOT: path -> content hash, in the case it is displayed in."""
        page = self.foreign("files/list_folder", {"path": "", "recursive": True, "limit": 2000})
        entries = page["entries"]
        while page["has_more"]:
            page = self.foreign("files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        files = (e for e in entries if e[".tag"] == "file" and e["path_display"].startswith(f"{ROOT}/"))
        return {e["path_display"].removeprefix(f"{ROOT}/"): e["content_hash"] for e in files}

    def log(self):
        """Requests by route since the log was last cleared."""
        return self.dropbox.log()["requests"]

    def clear_log(self):
        self.dropbox.control("log/reset", {})


def local_tree(root):
    """Everything in a folder: path -> bytes; half-written parts are shown too."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
