"""A program run as a user would run it, start-up included, and what it took: seconds, CPU, memory, requests."""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huracan_sync.emulator.running import Emulator

_LOOK_S = 0.02  # how often memory is looked at; the system's own peak is kept, so only the last growth can be missed


@dataclass(frozen=True)
class Ran:
    """What one run took."""

    code: int
    seconds: float
    cpu_s: float
    peak_mib: float
    out: str = ""
    err: str = ""


@dataclass
class Served:
    """What the emulator saw of it. Calls of the API only; asking for tokens is counted apart."""

    requests: int = 0
    token_requests: int = 0
    uploaded: int = 0
    downloaded: int = 0
    routes: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)


def peak_mib(pid: int) -> float:
    """The most memory a process has had so far; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def run(command: Sequence[str], env: Mapping[str, str], *, patience_s: float = 900.0) -> Ran:
    """Run a command to its end.

    Raises:
        TimeoutError: it took longer than `patience_s`; it was killed.
    """
    # Not RUSAGE's memory: that of a child begins with its parent's, and the parent is this program.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        handle = os.pidfd_open(process.pid)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        most = 0.0
        try:
            while not poll.poll(_LOOK_S * 1000):
                most = max(most, peak_mib(process.pid))
                if time.perf_counter() - began > patience_s:
                    process.kill()
                    raise TimeoutError(f"{command[0]} took longer than {patience_s:g} s")
            seconds = time.perf_counter() - began
            _, status, used = os.wait4(process.pid, 0)
        finally:
            os.close(handle)
            process.returncode = 0  # it was waited for here
        out.seek(0)
        err.seek(0)
        said = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return Ran(code, seconds, used.ru_utime + used.ru_stime, most, *said)


@contextlib.contextmanager
def served(dropbox: Emulator) -> Iterator[Served]:
    """Count what the emulator serves during the block."""
    dropbox.control("log/reset", {})
    seen = Served()
    yield seen
    log = dropbox.log(recent=0)
    tokens = {"oauth2/token", "auth/token/revoke"}
    seen.routes = {route: count for route, count in log["requests"].items() if route not in tokens}
    seen.requests = sum(seen.routes.values())
    seen.token_requests = log["requests"].get("oauth2/token", 0)
    seen.uploaded, seen.downloaded = log["uploaded_bytes"], log["downloaded_bytes"]
    seen.refusals = log["refusals"]
