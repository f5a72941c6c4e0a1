"""Each role walks its whole way once, with what its pages tell it to type: nobody stumbles.

The laptop, a container that is read-only and has no keyring, the engine's author, Hamilton's author, somebody who wants
the emulator alone, a contributor.
"""

import filecmp
import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import command_line
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from terminal import CLICKS_ALLOW, Bare

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Machine:
    """A machine of one role: its environment, its folder, and what its commands answer."""

    def __init__(self, dropbox, folder, *, scopes=None, app_key=None):
        self.folder = folder
        folder.mkdir()
        self.token = folder / "refresh-token"
        asked = {} if scopes is None else {"scopes": scopes}
        self.token.touch(mode=0o600)
        self.token.write_text(dropbox.token(app_key=app_key or dropbox.app_key, **asked)["refresh_token"])
        self.token.chmod(0o400)
        plain = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.env = plain | dropbox.env(folder / "state") | {"HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self.env |= {"HURACAN_REFRESH_TOKEN_FILE": str(self.token), "HURACAN_APP_KEY": app_key or dropbox.app_key}

    def says(self, words, *, code=0):
        """What a command prints on stdout; it must end with this code."""
        done = command_line.run(shlex.split(words), env=self.env, cwd=self.folder)
        assert done[0] == code, f"{words}\n{done[1]}\n{done[2]}"
        return done[1]

    def answers(self, words, *, code=0):
        return json.loads(self.says(f"{words} --json", code=code))


def champion_set(folder):
    models = folder / "champions" / "models" / "champions" / "latest"
    configs = folder / "champions" / "hamilton" / "configs"
    models.mkdir(parents=True)
    configs.mkdir(parents=True)
    (models / "BTCUSDT.onnx").write_bytes(b"\x08\x07\x12\x07pytorch\x3a\x00")
    (configs / "BTCUSDT.json").write_text('{"symbol": "BTCUSDT", "risk_limits": {"max_leverage": 2}}')
    roster = {"symbols": [{"symbol": "BTCUSDT", "model_path": "models/champions/latest/BTCUSDT.onnx"}]}
    (folder / "champions" / "hamilton" / "roster.json").write_text(json.dumps(roster))


def test_the_laptop(dropbox, tmp_path):
    """From nothing to a signed, restored, verified folder, and out again."""
    laptop = Bare(dropbox, tmp_path)
    laptop.with_vault_key(tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("buy low")

    def says(words, *, code=0):
        ended, out, err = laptop.run(*shlex.split(words))
        assert ended == code, f"{words}\n{out}\n{err}"
        return out + err

    assert "hint: run `huracan-sync authorize`" in says(f"push {notes} /Demo/notes", code=77)
    assert "nothing has run on this machine yet" in says("status")
    allow = {"answers": [("[y/N]", "y")], "BROWSER": CLICKS_ALLOW}
    assert laptop.at_terminal("authorize", "--app-key", dropbox.app_key, **allow)[0] == 0
    assert " 0 bad" in says("doctor")
    assert "on Hamilton's machine, run:" in says("keys init --root /Demo")
    assert "1 to copy" in says(f"push {notes} /Demo/notes -n")
    assert "1 uploaded" in says(f"push {notes} /Demo/notes")
    again = says(f"push {notes} /Demo/notes")
    assert ("1 already there" in again, "in 1 request," in again) == (True, True)
    assert "1 file " in says("status")
    assert says("ls /Demo/notes").startswith("a.txt")
    assert "1 downloaded" in says(f"restore /Demo/notes {tmp_path / 'back'}")
    (notes / "a.txt").write_text("sell high")
    assert "Files differ: a.txt" in says(f"diff {notes} /Demo/notes", code=1)
    assert says("pssh", code=2).count("did you mean push?") == 1
    assert "REMOTE" in says("help push")
    assert "revoked at Dropbox and forgotten here" in says("logout")
    assert laptop.live_grants() == 0


READ_ONLY = """
home="$(dirname "$0")"
mount --make-rprivate / && mount --bind / / && mount -o remount,ro,bind / &&
  mount --bind "$home" "$home" && mount -o remount,ro,bind "$home" && mount -t tmpfs tmpfs "$0" &&
  cd "$home" && exec "$@"  # into the mount that is read-only, not the one below it
"""


def can_make_a_root_read_only():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    tried = ["unshare", "-m", "sh", "-c", "mount --make-rprivate / && mount --bind / / && mount -o remount,ro,bind /"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_make_a_root_read_only(), reason="needs root and mount namespaces (unshare -m)")
def test_the_container(dropbox, tmp_path):
    """No keyring, a read-only root: what cannot be done is said with what to do; with one writable folder all goes."""
    here = Machine(dropbox, tmp_path / "container")
    (here.folder / "data").mkdir()
    (here.folder / "data" / "a.bin").write_bytes(b"a")
    (here.folder / "volume").mkdir()

    def script(*lines, **env):
        run = f"{sys.executable} -m huracan_sync"
        body = "\n".join(f"echo '== {line}'; {run} {line} 2>&1; echo \"-> $?\"" for line in lines)
        words = ["unshare", "-m", "sh", "-c", READ_ONLY, str(here.folder / "volume"), "sh", "-c", body]
        done = subprocess.run(
            words, env=here.env | env, cwd=here.folder, capture_output=True, text=True, timeout=120, check=False
        )
        parts = done.stdout.split("== ")[1:]
        assert len(parts) == len(lines), done
        return [(int(part.rpartition("-> ")[2]), part) for part in parts]

    push = "push data /Runpodhuracan/data"
    unwritable = str(here.folder / "state")
    ways = ("doctor", push, f"status --log-file {here.folder}/log", "ls /")
    key = here.folder / "vault-key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o400)
    (begun,) = script("authorize --app-key x --no-browser", HURACAN_VAULT_KEY_FILE=str(key))
    assert (begun[0], "code_challenge" in begun[1], "HURACAN_SYNC_HOME" in begun[1]) == (1, False, True)
    doctor, pushed, logged, listed = script(*ways)
    assert (doctor[0], "cannot be written" in doctor[1], "HURACAN_SYNC_HOME" in doctor[1]) == (1, True, True)
    assert "none is needed: the login is delivered" in " ".join(doctor[1].split())
    assert (pushed[0], f"the journal {unwritable}" in pushed[1], "Errno" in pushed[1]) == (1, True, False)
    assert "set HURACAN_SYNC_HOME to one you may write" in pushed[1]
    assert (logged[0], "Traceback" in logged[1], "Read-only file system" in logged[1]) == (1, False, True)
    assert listed == (0, "ls /\n-> 0\n")

    volume = here.folder / "volume"
    env = {"HURACAN_SYNC_HOME": str(volume / "state"), "HURACAN_SIGNING_KEY_FILE": str(volume / "key")}
    back = volume / "back"
    ways = [
        "doctor", "keys init", push, f"{push} -q", "restore /Runpodhuracan/data back",
        f"restore /Runpodhuracan/data {back}", f"verify {back} --channel data", "status", "run --once -q",
    ]  # fmt: skip
    said = dict(zip(ways, script(*ways, **env), strict=True))
    assert {way: code for way, (code, _) in said.items() if code} == {
        "restore /Runpodhuracan/data back": 1, "run --once -q": 1,
    }, said  # fmt: skip
    assert "data/candles cannot be made: Read-only file system" in said["run --once -q"][1]
    assert "the disk is mounted read-only" in said["restore /Runpodhuracan/data back"][1]
    assert said[f"{push} -q"][1] == f"{push} -q\n-> 0\n"
    assert "1 file is as it was signed" in said[f"verify {back} --channel data"][1]


ENGINE = """
from huracan_sync import DROPBOX_AVAILABLE, DropboxSync

assert DROPBOX_AVAILABLE
sync = DropboxSync(app_folder="Runpodhuracan")
assert sync.restore_data_cache() == 1
assert sync.write_text("reports/today.txt", "all is well")
assert not sync.upload_file("no-such-file.json", "reports/no-such-file.json")
assert sync.last_error.hint
sync.start_continuous_sync()
assert sync.stop()
"""


def test_the_engine_s_author(dropbox, tmp_path):
    """One import is changed; the candles are back at start-up; failures are False with a reason; status knows."""
    before = Machine(dropbox, tmp_path / "before")
    candles = before.folder / "candles"
    candles.mkdir()
    name = "BTC-USDT_1d_20250101_20250102.parquet"
    pq.write_table(pa.table({"close": [1.0, 2.0]}), candles / name)
    before.says("push candles /Runpodhuracan/data/candles")
    engine = Machine(dropbox, tmp_path / "engine")
    done = subprocess.run(
        [sys.executable, "-c", ENGINE], env=engine.env, cwd=engine.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
    assert len(list((engine.folder / "data" / "candles").rglob(name))) == 1
    assert engine.answers("cat /Runpodhuracan/reports/today.txt")["size"] == len("all is well")
    once = engine.answers("run --once")
    assert (once["failed"], once["kinds"]["data_cache"]["failed"]) == ({}, 0)
    assert engine.answers("status")["ill"] is False


PAGE = (ROOT / "huracan_sync" / "docs" / "hamilton.md").read_text(encoding="utf-8")
(READING,) = [block for block in PAGE.split("```")[1::2] if "hamilton.follow()" in block]
HAMILTON = f"""
from huracan_sync import Hamilton, HuracanError

{READING}    assert snapshot.status == hamilton.status == "fresh", snapshot.status
    assert hamilton.symbols() == ["BTCUSDT"] and model.data and config.symbol == "BTCUSDT", model
    assert hamilton.champion("BTCUSDT").data.startswith(b"\\x08")
    assert hamilton.config("BTCUSDT").risk_limits.max_leverage == 2
    break
try:
    hamilton.champion("ETHUSDT")
except HuracanError as error:
    assert error.hint or str(error)
else:
    raise AssertionError("no such symbol")
"""


def test_hamilton_s_author(dropbox, tmp_path):
    """A login that cannot write, one pin by hand, and from then on verified bytes; nothing asks for a writing login."""
    engine = Machine(dropbox, tmp_path / "engine")
    engine.env["HURACAN_SIGNING_KEY_FILE"] = str(engine.folder / "signing-key")
    champion_set(engine.folder)
    pin = engine.answers("keys init")["pin"]
    assert "published as sequence 1" in engine.says("publish champions")

    reads = ["files.content.read", "files.metadata.read"]
    him = Machine(dropbox, tmp_path / "hamilton", scopes=reads, app_key=dropbox.read_only_app_key)
    him.env["HURACAN_PROFILE"] = "hamilton"
    refused = him.says("follow --channel champions --once --json", code=78)
    assert "keys trust" in json.loads(refused)["hint"]
    him.says(f"keys trust {pin}")
    assert json.loads(him.says("follow --channel champions --once --json"))["sequence"] == 1
    assert "are as they were signed" in him.says("verify /Runpodhuracan --channel champions")
    done = subprocess.run(
        [sys.executable, "-c", HAMILTON], env=him.env, cwd=him.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
    (him.folder / "mine").mkdir()
    (him.folder / "mine" / "a").write_text("a")
    ended, out, err = command_line.run(["push", "mine", "/Runpodhuracan/mine"], env=him.env, cwd=him.folder)
    assert (ended, out) == (77, "")
    assert "write from the engine's machine" in err
    assert "run `huracan-sync authorize`" not in err


def test_the_emulator_s_user(tmp_path):
    """One command, one line of JSON, and any client: no login, no state, nothing left behind."""
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env |= {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    words = [sys.executable, "-m", "huracan_sync", "emulator", "--port", "0"]
    with subprocess.Popen(words, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            ready = json.loads(server.stdout.readline())
            assert ready.keys() >= {"url", "app_key", "read_only_app_key", "control"}

            def post(address, body, **headers):
                data = json.dumps(body).encode()
                headers = {"Content-Type": "application/json", **headers}
                with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=30) as answer:  # noqa: S310 - loopback
                    return json.load(answer)

            token = post(f"{ready['control']}/token", {})["access_token"]
            listing = post(f"{ready['url']}/2/files/list_folder", {"path": ""}, Authorization=f"Bearer {token}")
            assert listing["entries"] == []
            post(f"{ready['control']}/faults", {"route": "files/list_folder", "fault": "rate_limited", "nth": 1})
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(f"{ready['url']}/2/files/list_folder", {"path": ""}, Authorization=f"Bearer {token}")
            with refused.value as answer:
                assert answer.code == 429
            with urllib.request.urlopen(ready["url"], timeout=30) as page:  # noqa: S310 - loopback
                assert b"<html" in page.read(500)
        finally:
            server.terminate()
        assert server.wait(30) in {0, -15, 130, 143}
    assert list(tmp_path.iterdir()) == []


def test_the_contributor():
    """The three lines of contributing.md that a contributor types first."""
    stamp, requirements = Path(sys.prefix) / ".installed", ROOT / "requirements" / "dev.txt"
    if not (stamp.exists() and filecmp.cmp(stamp, requirements, shallow=False)):
        pytest.skip("needs the environment of scripts/test.sh: it would be made anew below this test")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    words = ["bash", "scripts/test.sh", "tests/tree", "-k", "plan", "-q"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for script in ("scripts/bench.py", "scripts/live.py", "scripts/simulate.py"):
        words = [sys.executable, script, "--help"]
        helped = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (helped.returncode, "usage" in helped.stdout) == (0, True), script
    assert (ROOT / "huracan_sync/docs/contributing.md").read_text().count("bash scripts/test.sh") >= 3
