"""What the engine's tests share: a working folder, a fresh account, and a stranger who writes too."""

import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import command_line
import pyarrow as pa
import pyarrow.parquet as pq
import urllib3
import warm
from noise import noise
from quick_time import Time

from huracan_sync.auth.connect import connect
from huracan_sync.engine import DropboxSync
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret

SCOPES = ("files.metadata.read", "files.content.read", "files.content.write")
HTTP = urllib3.PoolManager(retries=False)


def model(seed, size):
    """A model in a format that holds data only (safetensors), the same for the same seed."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + noise(seed, size)


def candles(rows, *, start=1_700_000_000_000, step=60_000, seed=0):
    """A candle table as the engine writes it."""
    rng = random.Random(f"{seed}")
    stamps = [start + step * i for i in range(rows)]
    prices = [rng.random() for _ in stamps]
    columns = {"timestamp": pa.array(stamps, pa.int64())}
    columns |= {name: pa.array(prices) for name in ("open", "high", "low", "close", "volume")}
    columns["ts"] = pa.array(stamps, pa.timestamp("ms", "UTC"))
    return pa.table(columns)


def write_candle(path, rows=10, **how):
    """A candle file as the engine writes it; its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(candles(rows, **how), path, compression="zstd")
    return path.read_bytes()


class Stranger:
    """Another client of the account, and what lies there as it sees it."""

    def __init__(self, dropbox):
        self._dropbox = dropbox
        self._token = dropbox.token(list(SCOPES), expires_in=1e8)["access_token"]

    def raw(self, route, arg, body=None):
        """Status and body of a call."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is None:
            headers["Content-Type"], body = "application/json", json.dumps(arg).encode()
        else:
            headers["Content-Type"], headers["Dropbox-API-Arg"] = "application/octet-stream", json.dumps(arg)
        return HTTP.request("POST", f"{self._dropbox.url}/2/{route}", headers=headers, body=body)

    def call(self, route, arg, body=None):
        answer = self.raw(route, arg, body)
        assert answer.status == 200, answer.data
        return answer.json()

    def write(self, path, data):
        return self.call("files/upload", {"path": path, "mode": "overwrite"}, data)

    def delete(self, path):
        return self.call("files/delete_v2", {"path": path})

    def read(self, path):
        """The bytes that lie at a path, None when none do."""
        headers = {"Authorization": f"Bearer {self._token}", "Dropbox-API-Arg": json.dumps({"path": path})}
        answer = HTTP.request("POST", f"{self._dropbox.url}/2/files/download", headers=headers, body=b"")
        return answer.data if answer.status == 200 else None

    def entries(self, tag="file"):
        page = self.call("files/list_folder", {"path": "", "recursive": True, "limit": 2000})
        found = page["entries"]
        while page["has_more"]:
            page = self.call("files/list_folder/continue", {"cursor": page["cursor"]})
            found += page["entries"]
        return [entry for entry in found if entry[".tag"] == tag]

    def paths(self):
        """Every file's path, sorted."""
        return sorted(entry["path_display"] for entry in self.entries())

    def revisions(self, path):
        """How often a file was written."""
        return len(self.call("files/list_revisions", {"path": path, "limit": 100})["entries"])


class World:
    """One engine machine: a working folder, a state folder, an account."""

    def __init__(self, dropbox, tmp_path):
        self.dropbox = dropbox
        self.home, self.work = tmp_path / "home", tmp_path / "work"
        self.work.mkdir()
        self.stranger = Stranger(dropbox)
        self.time = Time()
        self._secret = Secret(self.token(expires_in=1e8))  # one login: what is known of an account is kept by it
        self.moment = datetime(2025, 11, 14, 12, 0, tzinfo=UTC)

    def token(self, scopes=SCOPES, **options):
        return self.dropbox.token(list(scopes), **options)["access_token"]

    def remote(self, **pacing):
        """A login of its own, with connections of its own; nobody waits in it."""
        pace = Pacing(clock=self.time.clock, sleep=self.time.sleep, **pacing)
        return connect(access_token=self._secret, pacing=pace)

    def sync(self, **options):
        """A DropboxSync whose waits take no time."""
        return DropboxSync(**{"remote": self.remote(), "now": self.now, **options})

    def now(self):
        return self.moment

    def write(self, files):
        """Files in the working folder: path -> bytes or text, or a size to be filled."""
        for path, data in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = noise(path, data) if isinstance(data, int) else data
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def tree(self, folder=""):
        """Everything below a folder of the working folder: path -> bytes."""
        root = self.work / folder
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    # --- the command line -------------------------------------------------------------------------------------

    @property
    def env(self):
        """The environment of a machine where a refresh token is delivered as a file."""
        token = self.home.with_name("token")
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(self.dropbox.token(list(SCOPES))["refresh_token"])
            token.chmod(0o400)
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("HURACAN", "DROPBOX"))}
        delivered = {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": self.dropbox.app_key}
        return plain | self.dropbox.env(self.home) | delivered

    def start(self, *words, **env):
        """A command under way, in the working folder."""
        return warm.Popen(
            [sys.executable, "-m", "huracan_sync", *map(str, words)],
            env=self.env | env,
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def command(self, *words, **env):
        """Exit code, stdout and stderr of a command."""
        return command_line.run(words, env=self.env | env, cwd=self.work)

    def clear_log(self):
        self.dropbox.control("log/reset", {})

    def requests(self):
        """Requests by route since the log was last cleared."""
        return self.dropbox.log()["requests"]

    def count(self):
        return sum(self.requests().values())


def trained(sync, symbol):
    """What a worker does with one symbol, in a process of its own: its results, the candles of all, its champion."""
    with tempfile.TemporaryDirectory() as folder:
        model, metrics = Path(folder, "model.bin"), Path(folder, "metrics.json")
        model.write_bytes(noise(symbol, 20_000))
        metrics.write_text(json.dumps({"symbol": symbol}))
        results = sync.export_coin_results(symbol, date(2025, 11, 14), model_path=model, metrics_path=metrics)
        candles_there = sync.upload_data_cache()
        champion = sync.upload_champion_model(symbol, model)
    return results, candles_there, champion, sync.last_error and str(sync.last_error)
