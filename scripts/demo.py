"""The whole way once, on a local Dropbox: run it with `bash scripts/demo.sh`.

Everything is done through the commands that a person would type, with state folders of its own; at the end the logins
are withdrawn, the emulator is stopped, and the folder it all happened in is gone.
"""

import argparse
import contextlib
import filecmp
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import demo_data
import urllib3
from rich.console import Console
from rich.table import Table

from huracan_sync.tree.units import size_in_words

ROOT = Path(__file__).resolve().parent.parent
REMOTE = "/Runpodhuracan"
LATENCY_MS = 40
PUSH_S = 10.0
"""About so long the first push would take: the link is shaped for it, so that the kill finds it in the middle."""
REFUSED = 65

out = Console(highlight=False)


class Failed(Exception):
    """The demo did not go as it must."""


def check(so: bool, what: str):  # noqa: FBT001 - reads as `check(that, "what it proves")`
    """Go on only if it is so."""
    if not so:
        raise Failed(what)
    out.print(f"    [green]✓[/] {what}")


class Row(NamedTuple):
    """A line of the table at the end."""

    what: str
    files: int | str
    size: int | str
    requests: int | str
    seconds: float


class Emulator:
    """The local Dropbox, as a process of its own."""

    def __init__(self, folder: Path):
        words = [sys.executable, "-m", "huracan_sync", "emulator", "--port", "0", "--data", str(folder)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.ready = json.loads(self.process.stdout.readline())
        self.url = self.ready["url"]
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    def control(self, path: str, **given):
        """Call one of the emulator's control endpoints."""
        url = f"{self.ready['control']}/{path}"
        answer = self._http.request("POST", url, json=given) if given else self._http.request("GET", url)
        return answer.json()

    def shape(self, mbit: float = 0):
        """So much latency and bandwidth from now on; 0: as much as there is."""
        self.control("config", latency_ms=LATENCY_MS, bandwidth_mbit=mbit)

    def steal(self, path: str) -> bytes:
        """What somebody with a stolen token of the engine can do: change one bit of a file. Returns the result."""
        token = self.control("token", app_key=self.ready["app_key"])["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Dropbox-API-Arg": json.dumps({"path": path})}
        data = bytearray(self._http.request("POST", f"{self.url}/2/files/download", headers=headers).data)
        data[len(data) // 2] ^= 1
        headers |= {
            "Dropbox-API-Arg": json.dumps({"path": path, "mode": "overwrite"}),
            "Content-Type": "application/octet-stream",
        }
        self._http.request("POST", f"{self.url}/2/files/upload", headers=headers, body=bytes(data))
        return bytes(data)

    def lift(self):
        """No misfortune any more."""
        self._http.request("DELETE", f"{self.ready['control']}/faults")

    def stop(self):
        """End it."""
        self.process.terminate()
        self.process.wait(30)


class Machine:
    """A machine of its own: a state folder, a vault key, perhaps a signing key."""

    def __init__(self, folder: Path, emulator: Emulator, *, signs: bool):
        folder.mkdir(parents=True)
        key = folder / "vault.key"
        key.write_bytes(secrets.token_bytes(32))
        key.chmod(0o400)
        click = shlex.join([sys.executable, str(ROOT / "scripts" / "click_allow.py")])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HURACAN", "DROPBOX"))}
        self.env = inherited | {
            "HURACAN_SYNC_HOME": str(folder / "state"),
            "HURACAN_SYNC_API": emulator.url,
            "HURACAN_VAULT_KEY_FILE": str(key),
            "BROWSER": f"{click} %s",
            "PYTHONPATH": str(ROOT),
        }
        if signs:
            self.env["HURACAN_SIGNING_KEY_FILE"] = str(folder / "signing.key")

    def start(self, *words: object, **options):
        """Begin a command of ours; its progress and its errors are shown."""
        shown = shlex.join(["huracan-sync", *map(str, words)])
        out.print(f"  [bold cyan]$[/] {shown}", soft_wrap=True)
        command = [sys.executable, "-m", "huracan_sync", *map(str, words)]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True, **options)

    def run(self, *words: object, code: int = 0):
        """Run a command of ours to its end; its document."""
        process = self.start(*words, "--json", stderr=None if code == 0 else subprocess.PIPE)
        answer, complaint = process.communicate()
        if process.returncode != code:
            raise Failed(f"exit code {process.returncode} instead of {code}\n{answer}{complaint or ''}")
        if code:
            first = (complaint or "").strip().splitlines()[:1]
            out.print(f"    exit code {code}{': ' + first[0] if first else ''}", style="dim", soft_wrap=True)
        return json.loads(answer) if answer.strip() else {}

    def python(self, code: str):
        """Run a few lines of Python on this machine; what they print, a JSON document."""
        for line in code.strip().splitlines():
            out.print(f"  [bold magenta]>>>[/] {line}", soft_wrap=True)
        done = subprocess.run([sys.executable, "-c", code], env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(done.stderr)
        return json.loads(done.stdout)


class Demo:
    """The way, step by step."""

    def __init__(self, work: Path, data: Path):
        self.work, self.data = work, data
        files = [path for path in data.rglob("*") if path.is_file()]
        self.count, self.size = len(files), sum(path.stat().st_size for path in files)
        self.rows: list[Row] = []
        self.emulator = Emulator(work / "dropbox")
        self.engine = Machine(work / "engine", self.emulator, signs=True)

    def title(self, text: str):
        """Say what comes."""
        out.print(f"\n[bold]{len(self.rows) + 1}. {text}[/]")
        self._began = time.monotonic()

    def row(self, what: str, files="", size="", requests=""):
        """Note what a step came to."""
        self.rows.append(Row(what, files, size, requests, time.monotonic() - self._began))

    def log_in(self):
        """Both logins, through the consent page, and the keys."""
        self.title("log in once: the engine, and Hamilton, who cannot write")
        account, ready = self.emulator.ready["account_id"], self.emulator.ready
        words = ("authorize", "--expect-account", account)
        made = self.engine.run(*words, "--app-key", ready["app_key"])
        check(made["kept_in"] != "", f"the engine's refresh token is kept in the {made['kept_in']}")
        self.pin = self.engine.run("keys", "init")["pin"]
        self.hamilton = self._hamilton("hamilton")
        self.machines = [self.engine, self.hamilton]
        self.row("log in twice, make and pin the key")

    def _hamilton(self, name: str) -> Machine:
        """A machine that reads: a login that cannot write, and the key it trusts."""
        machine, ready = Machine(self.work / name, self.emulator, signs=False), self.emulator.ready
        words = ("authorize", "--read-only", "--app-key", ready["read_only_app_key"])
        made = machine.run(*words, "--expect-account", ready["account_id"])
        check(not [scope for scope in made["scopes"] if "write" in scope], "Hamilton's login has no scope that writes")
        machine.run("keys", "trust", self.pin, "--profile", "hamilton")
        return machine

    def push_and_kill(self):
        """The first push, ended by SIGKILL half-way."""
        self.title(f"push {self.count} files, {size_in_words(self.size)}, and kill it half-way")
        self.emulator.shape(min(1000.0, max(0.05, self.size * 8 / PUSH_S / 1e6)))
        before = self.emulator.control("log")["uploaded_bytes"]
        process = self.engine.start("push", self.data, f"{REMOTE}/data", "--header-budget", 1024)
        while process.poll() is None and self._uploaded(before) < self.size / 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        out.print()
        check(process.returncode == -signal.SIGKILL, f"killed with {size_in_words(self._uploaded(before))} in Dropbox")
        self.row("push, killed", "", self._uploaded(before))
        self.killed_at = self._uploaded(before)

    def _uploaded(self, before: int) -> int:
        return self.emulator.control("log")["uploaded_bytes"] - before

    def resume(self):
        """The same command again; and once more."""
        self.title("the same command again: it carries on")
        report = self.engine.run("push", self.data, f"{REMOTE}/data", "--header-budget", 1024)
        sent = report["bytes_sent"]
        what = f"{size_in_words(sent)} of {size_in_words(self.size)} sent"
        check(not report["failed"] and sent < self.size, f"{what}: it carried on")
        self.row("push, resumed", self.count, sent, report["requests"])
        self.emulator.shape()
        self.title("and once more: nothing has changed")
        report = self.engine.run("push", self.data, f"{REMOTE}/data")
        check(report["bytes_sent"] == 0 and report["requests"] <= 2, f"{report['requests']} request, no file bytes")
        self.row("push, unchanged", self.count, 0, report["requests"])

    def restore(self):
        """Into an empty folder, and compare."""
        self.title("restore into an empty folder, and compare every byte")
        back = self.work / "back"
        report = self.engine.run("restore", f"{REMOTE}/data", back)
        check(report["downloaded"] == self.count and same(self.data, back), f"{self.count} files, every byte equal")
        self.row("restore", report["downloaded"], report["bytes_received"], report["requests"])
        self.title("prove the remote folder by its signed manifest, without downloading it")
        report = self.engine.run("verify", f"{REMOTE}/data")
        check(report["ok"], f"{report['files']} files as they were signed, in sequence {report['sequence']}")
        self.row("verify", report["files"], 0, report["requests"])

    def publish(self):
        """A champion set, read by Hamilton."""
        self.title("publish a champion set; Hamilton reads it, verified")
        champions = self.work / "champions"
        symbols = demo_data.make_champions(self.data, champions)
        report = self.engine.run("publish", champions)
        read = self.hamilton.python(READ)
        models = champions / "models" / "champions" / "latest"
        expected = {symbol: (models / f"{symbol}.bin").read_bytes().hex() for symbol in symbols}
        sequence = f"sequence {read['sequence']}, {read['status']}"
        check(read["models"] == expected, f"Hamilton holds {', '.join(symbols)} of {sequence}")
        self.row("publish, read verified", len(list(champions.rglob("*.*"))), report["bytes_sent"], report["requests"])
        self.symbol, self.expected = symbols[0], expected

    def rob(self):
        """A thief with the engine's token changes one bit of a model."""
        self.title("somebody with a stolen token flips one bit of a model in Dropbox")
        path = f"models/champions/latest/{self.symbol}.bin"
        flipped = self.emulator.steal(f"{REMOTE}/{path}").hex()
        report = self.engine.run("verify", REMOTE, "--channel", "champions", code=REFUSED)
        found = [(each["what"], each["path"]) for each in report["differences"]]
        check(found == [("changed", path)], f"verify refuses: {path} is not what was signed")
        read = self.hamilton.python(READ)["models"][self.symbol]
        check(read == self.expected[self.symbol] != flipped, "Hamilton still gets what was signed, by its revision")
        self.row("model changed by a thief: refused", requests=report["requests"])

    def lie(self):
        """A Hamilton who has nothing on his disk yet, and a line that flips a bit of every file."""
        self.title("a new Hamilton fetches the set, and one bit of every file is flipped on the way")
        fresh = self._hamilton("another-hamilton")
        # The first calls look for news of the trust file, fetch the head and the list of files; then come the files.
        self.emulator.control("faults", route="files/download", nth=list(range(4, 40)), fault="corrupt")
        refused = fresh.python(REFUSE)
        self.emulator.lift()
        check(refused["error"] == "ContentMismatch", f"Hamilton refuses: {refused['error']}: {refused['why']}")
        self.machines.append(fresh)
        self.row("model changed on the way: refused")

    def leave(self):
        """Withdraw the logins."""
        self.title("log out: the tokens are withdrawn and forgotten")
        for machine in self.machines:
            machine.run("logout", "--profile", "engine" if machine is self.engine else "hamilton")
        self.row("log out")

    def table(self):
        """What happened."""
        table = Table(title="what happened")
        for name in ("", "files", "bytes", "requests", "seconds"):
            table.add_column(name, justify="left" if not name else "right")
        for row in self.rows:
            size = f"{row.size:,}" if isinstance(row.size, int) else row.size
            table.add_row(row.what, str(row.files), size, str(row.requests), f"{row.seconds:.1f}")
        out.print()
        out.print(table)


READ = """\
import json
from huracan_sync import Hamilton
hamilton = Hamilton.open("hamilton")
snapshot = hamilton.latest("champions")
models = {symbol: hamilton.champion(symbol).data.hex() for symbol in hamilton.symbols()}
print(json.dumps({"sequence": snapshot.sequence, "status": snapshot.status.name, "models": models}))
"""
REFUSE = """\
import json
from huracan_sync import Hamilton, HuracanError
try:
    Hamilton.open("hamilton").latest("champions")
    print(json.dumps({"error": "", "why": "nothing was refused"}))
except HuracanError as error:
    print(json.dumps({"error": type(error).__name__, "why": str(error)}))
"""


def same(first: Path, second: Path) -> bool:
    """Whether two folders hold the same files, byte for byte."""
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    if names != {path.relative_to(second) for path in second.rglob("*") if path.is_file()}:
        return False
    return all(filecmp.cmp(first / name, second / name, shallow=False) for name in names)


def main() -> int:
    """Walk the way; the exit code."""
    parser = argparse.ArgumentParser(description="The whole way once, on a local Dropbox.")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder to push (default: real price series)")
    parser.add_argument("--series", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data and not options.data.is_dir():
        parser.error(f"there is no folder {options.data}")
    began = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="huracan-demo-"))
    demo = None
    try:
        data = options.data or work / "data"
        if not options.data:
            demo_data.make_candles(options.series, data)
        demo = Demo(work, data)
        for step in ["log_in", "push_and_kill", "resume", "restore", "publish", "rob", "lie", "leave"]:
            getattr(demo, step)()
        demo.table()
        out.print(f"[bold green]all of it held[/], in {time.monotonic() - began:.0f} s")
    except Failed as error:
        out.print(f"[bold red]it did not hold:[/] {error}", soft_wrap=True)
        return 1
    finally:
        if demo:
            demo.emulator.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
