"""What the tests of real clients share: a person who allows, an account to look at, and the clients themselves."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urljoin

import urllib3

from huracan_sync.tree.content_hash import content_hash

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


def http():
    """Connections that believe in the emulator's certificate authority."""
    return urllib3.PoolManager(retries=False, ca_certs=os.environ["SSL_CERT_FILE"], timeout=30)


def allow(url):
    """A person opens a consent page, clicks Allow, and goes where it leads; the code, where one is to be copied."""
    with http() as pool:
        return _allow(pool, url)


def _allow(pool, url):
    while True:
        page = pool.request("GET", url, redirect=False)
        if not 300 <= page.status < 400:
            break
        url = urljoin(url, page.headers["Location"])
    text = page.data.decode()
    assert page.status == 200, text
    form = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', text)}
    form["account_id"] = unescape(re.search(r'<option value="([^"]+)" selected', text)[1])
    action = unescape(re.search(r'<form method="post" action="([^"]+)"', text)[1])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({**form, "decision": "allow"})
    answer = pool.request("POST", urljoin(url, action), body=body, headers=headers, redirect=False)
    if "Location" in answer.headers:
        try:
            return pool.request("GET", urljoin(url, answer.headers["Location"])).status
        except urllib3.exceptions.ProtocolError:
            return 200  # the program has its code, and sometimes ends before it has said so
    return unescape(re.search(r'data-token="([^"]+)"', answer.data.decode())[1])


class Account:
    """What lies in the account, and another client that writes into it."""

    def __init__(self, dropbox):
        self.dropbox = dropbox
        self.token = dropbox.token()["access_token"]

    def call(self, route, arg, body=None):
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is None:
            headers["Content-Type"], body = "application/json", json.dumps(arg).encode()
        else:
            headers["Content-Type"], headers["Dropbox-API-Arg"] = "application/octet-stream", json.dumps(arg)
        with http() as pool:
            answer = pool.request("POST", f"{self.dropbox.url}/2/{route}", headers=headers, body=body)
        assert answer.status == 200, answer.data
        return answer.json()

    def write(self, path, data):
        return self.call("files/upload", {"path": path, "mode": "overwrite"}, data)

    def files(self, below=""):
        """Path -> content hash, below a folder."""
        page = self.call("files/list_folder", {"path": below, "recursive": True, "limit": 2000})
        entries = page["entries"]
        while page["has_more"]:
            page = self.call("files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        files = (entry for entry in entries if entry[".tag"] == "file")
        return {entry["path_display"].removeprefix(f"{below}/"): entry["content_hash"] for entry in files}

    def routes(self):
        """Requests by route, and those that were refused, since the log was last cleared; then it is."""
        log = self.dropbox.log()
        self.dropbox.control("log/reset", {})
        return log["requests"], log["refusals"]


TREE = {
    "BTC/BTC-USDT:USDT_1m.parquet": 3 * MIB + 17,
    "BTC/with space.json": 100,
    "größe/📈 chart.json": 2048,
    "empty": 0,
    "deep/er/and/deeper/x": 1,
    "four": 4 * MIB,
}


def make(folder, files):
    """Write files, path -> bytes or size, with content that looks like nothing else."""
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(random.Random(path).randbytes(data) if isinstance(data, int) else data)


def hashes(folder):
    """Path -> content hash of what lies in a local folder, but for hidden files."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((path.relative_to(folder).as_posix(), path) for path in found)
    return {name: content_hash(path.read_bytes()).hex() for name, path in named if not name.startswith(".")}


# --- programs -----------------------------------------------------------------------------------------------------

PROGRAMS = {
    "rclone (Debian)": [Path("/usr/bin/rclone")],
    "rclone (current)": [ROOT / ".venv-peers/bin/rclone"],
    "maestral": [ROOT / ".venv-maestral/bin/python"],
}


def find(name):
    """The program, or None."""
    return next((path for path in PROGRAMS[name] if path.exists()), None)


class Rclone:
    """rclone with a configuration of its own."""

    def __init__(self, program, folder, dropbox):
        self.program, self.dropbox = str(program), dropbox
        bare = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        self.env = {**bare, "RCLONE_CONFIG": str(folder / "rclone.conf")}

    def __call__(self, *words, code=0):
        command = [self.program, *map(str, words)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout

    def log_in(self):
        """Its own consent flow: it listens on port 53682 and waits for a browser."""
        key, secret = self.dropbox.ready["confidential_app_key"], self.dropbox.ready["confidential_app_secret"]
        command = [self.program, "authorize", "dropbox", key, secret, "--auth-no-open-browser"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=self.env, stdout=pipe, stderr=pipe, text=True) as running:
            link = next(found[0] for line in running.stderr if (found := re.search(r"http://127[^ \n]*/auth\S+", line)))
            assert allow(link) == 200
            out, said = running.communicate(timeout=120)
        assert running.returncode == 0, said
        token = re.search(r"\{.*\}", out)[0]
        # As its manual says for machines without a browser: the token goes where `rclone config` asks for it.
        lines = ["[dbx]", "type = dropbox", f"client_id = {key}", f"client_secret = {secret}", f"token = {token}"]
        Path(self.env["RCLONE_CONFIG"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return json.loads(token)


class Maestral:
    """Maestral's daemon, driven by the class that its command line and its window drive."""

    APP_KEY = "2jmbq42w7vof78h"

    def __init__(self, folder, dropbox):
        dropbox.control("apps", {"app_key": self.APP_KEY, "name": "Maestral"})
        self.folder = folder / "Dropbox"
        home = {name: str(folder / name.lower()) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        home |= {name: str(folder / name.lower()) for name in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
        for path in home.values():
            Path(path).mkdir(mode=0o700)
        driver = Path(__file__).with_name("maestral_driver.py")
        pipe = subprocess.PIPE
        self.running = subprocess.Popen(
            [str(find("maestral")), str(driver), str(self.folder)],
            env={**os.environ, **home},
            stdin=pipe,
            stdout=pipe,
            stderr=sys.stderr,
            text=True,
        )

    def __call__(self, *words):
        """Have it do something; its answer."""
        self.running.stdin.write(json.dumps(words) + "\n")
        self.running.stdin.flush()
        line = self.running.stdout.readline()
        assert line, "Maestral ended"
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.stdin.close()
        try:
            self.running.wait(120)
        except subprocess.TimeoutExpired:
            self.running.kill()
        self.running.wait()
        self.running.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
