"""How long many machines need to bring many files into one Dropbox, and what limits them first.

    python scripts/simulate.py                      the table: 1 to 100 workers, up to 10^7 files and 10 TB
    python scripts/simulate.py --workers 100 --files 1e7 --size 1e6 --latency-ms 80 --rate 50 ...
    python scripts/simulate.py --check              the small end: the same job, simulated and really pushed

The clock is virtual. What is sent is real: the client's own batch uploader, or its own staging, cuts the files into
calls, against a service that notes them; and every worker's own pacing decides when a call goes, how many are under way
and how long a refused one waits.
What the service does follows the emulator's rules: a latency, so many calls a second for a login (more is a 429), one
commit at a time in the namespace (a second one is a 429), and a link for each worker and one for all. Workers die and
begin their round again. The figures of the service (`--rate`, `--commit-ms`) are assumptions: Dropbox publishes none.

Three ways are compared: every worker pushes its own files; workers stage them, and one machine commits for all at the
end; the same, and every worker was lent a share of the login.
"""

import argparse
import heapq
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from huracan_sync.auth.connect import connect
from huracan_sync.emulator.running import Emulator
from huracan_sync.errors import RateLimited
from huracan_sync.operations.commit import commit
from huracan_sync.operations.push import push
from huracan_sync.operations.stage import TOGETHER, stage
from huracan_sync.remote import upload_session
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import Verdict
from huracan_sync.remote.grant import Grant
from huracan_sync.remote.rate_limit import _pause_before_retry
from huracan_sync.remote.shared_rate import SharedPacing
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.transfer import staging
from huracan_sync.transfer.upload_batches import ROUND_BYTES, BatchUploader
from huracan_sync.transfer.upload_item import Options, UploadItem
from huracan_sync.transfer.worker_pool import DiskTurns
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.plan import Copy

COMMIT = upload_session.FINISH
LISTING = "files/list_folder"
WINDOW_S = 1.0
REFUSED_S = 1.0
"""Seconds that a 429 asks to wait."""
REFUSED = Verdict(RateLimited("too many requests"), retry=True, attempts=None, after_s=REFUSED_S, throttled=True)
BEGIN_S = 1000.0
"""When a job begins: the pacing takes a clock that has just begun for one of an earlier refusal."""
START_APART_S = 0.01
COLLAPSED = 0.95
"""A simulation of which so many calls were refused is given up: nothing gets through."""


@dataclass(frozen=True)
class World:
    """The job, the machines, and the service."""

    workers: int = 1
    files: int = 1000
    size: int = 2048
    """Bytes of each file."""
    latency_s: float = 0.08
    rate: float | None = None
    """Calls a second that a login may make."""
    commit_s: float = 0.0
    """Seconds that a commit holds the namespace."""
    worker_mbit: float = 0.0
    """Of each worker's link; 0 is no limit."""
    total_mbit: float = 0.0
    """Of the link that all share; 0 is no limit."""
    deaths_per_hour: float = 0.0
    """Of each worker."""
    restart_s: float = 10.0
    staged: bool = False
    """Workers stage, one machine commits."""
    shares: bool = False
    """Every worker was lent its share of the login."""
    seed: int = 1


# -- what a worker sends for one round: by the client's own batch uploader, or its own staging -------------------


class _Item(UploadItem):
    """A file that need not be read."""

    def read_whole(self, context: Any, last: Any = None) -> bytes:
        del context, last
        return bytes(self.size)


AT_ONCE = 8
"""Calls that share a worker's link: as many as a client makes at once before it knows more (its pacing)."""


class _Service:
    """Notes the calls of the batch uploader, and answers them at once; its clock runs as the link would."""

    def __init__(self, latency_s: float, bytes_per_s: float) -> None:
        self.calls: list[tuple[str, int]] = []
        self.now = 0.0
        self._latency_s, self._bytes_per_s = latency_s, bytes_per_s

    def rpc(self, route: str, arg: dict[str, Any], kind: type) -> Any:
        self._note(route, 0)
        return kind(session_ids=[f"pid_upload_session:{number:050d}" for number in range(arg["num_sessions"])])

    def send(self, route: str, arg: Any, body: object, kind: type, *, size: int) -> Any:
        del body
        self._note(route, size)
        return kind(entries=[upload_session._Success() for _ in arg.entries])  # noqa: SLF001  the answer's own type

    def _note(self, route: str, size: int) -> None:
        self.calls.append((route, size))
        self.now += self._latency_s + (size * AT_ONCE / self._bytes_per_s if self._bytes_per_s else 0.0)


class _Pool:
    """Does work at once; what follows it comes when the caller asks."""

    def __init__(self) -> None:
        self.done: deque[Callable[[], None]] = deque()
        self.disk = DiskTurns()

    def has_room(self, cost: int = 0) -> bool:
        del cost
        return True

    def start(self, work: Callable[[], Any], then: Callable[[Any], None], failed: object, *, cost: int = 0) -> None:
        del failed, cost
        result = work()
        self.done.append(lambda: then(result))


def calls_of_a_round(files: int, size: int, latency_s: float, bytes_per_s: float) -> list[tuple[str, int]]:
    """Route and content bytes of every call by which the client sends so many files, without their commit."""
    service, pool, closed = _Service(latency_s, bytes_per_s), _Pool(), []
    context = SimpleNamespace(
        remote=service,
        pool=pool,
        pair=1,
        options=Options(),
        monitor=SimpleNamespace(moved=lambda _: None, note=lambda _: None),
        journal=SimpleNamespace(sent=lambda _: {}, note_sent=lambda *_: None),
    )
    uploader = BatchUploader(
        context,  # type: ignore[arg-type]  it asks for these few things only
        closed=closed.extend,
        sent=lambda *_: None,
        failed=lambda *_: None,
        now=lambda: service.now,
        clock=lambda: service.now,
    )
    for number in range(files):
        uploader.add(_Item(Copy(Entry(RelPath(f"f{number}"), size, b""))))
    while uploader.feed() or pool.done:
        if pool.done:
            pool.done.popleft()()
    assert len(closed) == files, "the uploader left something out"  # noqa: S101
    return service.calls


class _Inline:
    """Threads that do everything at once."""

    map = staticmethod(map)


def calls_of_staging(files: int, size: int, share: float = 1.0) -> list[tuple[str, int]]:
    """As `calls_of_a_round`, of a worker that stages them with its share of the login."""
    service, contents = _Service(0.0, 0.0), [bytes(size)] * files
    body = staging.parts_for(share, TOGETHER).size
    staged = staging.stage_contents(service, _Inline(), contents, body=body)  # type: ignore[arg-type]
    assert len(staged) == files, "staging left something out"  # noqa: S101
    return service.calls


# -- the simulation ----------------------------------------------------------------------------------------------


class _Link:
    """Carries bytes one after the other."""

    def __init__(self, mbit: float) -> None:
        self.bytes_per_s = mbit * 125_000
        self.free_at, self.busy_s = 0.0, 0.0

    def carry(self, now: float, size: int) -> float:
        """When the last byte has crossed."""
        if not self.bytes_per_s:
            return now
        took = size / self.bytes_per_s
        self.free_at = max(self.free_at, now) + took
        self.busy_s += took
        return self.free_at


@dataclass
class Outcome:
    """What a simulated job took."""

    seconds: float = 0.0
    calls: int = 0
    refused: int = 0
    deaths: int = 0
    collapsed: bool = False
    """It was given up: nearly every call was refused."""
    busy: dict[str, float] = field(default_factory=dict)
    """How much of the time each limit was used, 0 to 1."""

    @property
    def limit(self) -> str:
        """What limits first."""
        if self.collapsed:
            return "refusals: it does not end"
        name, most = max(self.busy.items(), key=lambda each: each[1], default=("latency", 0.0))
        return name if most >= 0.5 else "latency"


class Simulation:
    """Many workers and one service on a virtual clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = BEGIN_S
        self.outcome = Outcome()
        self.total = _Link(world.total_mbit)
        self.chance = random.Random(world.seed)  # noqa: S311  it has to be repeatable
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._calls_lately: deque[float] = deque()
        self._locked_until, self._locked_s = 0.0, 0.0
        together = TOGETHER + 1 if world.staged else ROUND_BYTES
        per_round = min(upload_session.FILES_IN_A_COMMIT, max(1, -(-together // max(1, world.size))))
        self.rounds = deque(self._rounds(per_round))
        self.left = world.files
        bytes_per_s = world.worker_mbit * 125_000
        pushed = partial(calls_of_a_round, latency_s=world.latency_s, bytes_per_s=bytes_per_s)
        staged = partial(calls_of_staging, share=1 / world.workers if world.shares else 1.0)
        self.scripts = {n: (staged if world.staged else pushed)(n, world.size) for n in set(self.rounds)}
        self.committer = _Worker(self, mortal=False) if world.staged else None
        self.workers = [_Worker(self) for _ in range(world.workers)]

    def _rounds(self, most: int) -> Iterator[int]:
        """How many files each round has, each round of one worker."""
        share, more = divmod(self.world.files, self.world.workers)
        for number in range(self.world.workers):
            left = share + (number < more)
            while left > 0:
                yield min(most, left)
                left -= most

    def run(self) -> Outcome:
        """Run to the end."""
        world = self.world
        for number, worker in enumerate(self.workers):
            self.at(BEGIN_S + number * START_APART_S, worker.begin)  # machines do not start in one instant
        result = self.outcome
        while self._events and not result.collapsed:
            result.collapsed = result.calls > 200_000 and result.refused > COLLAPSED * result.calls
            self.now, _, act = heapq.heappop(self._events)
            act()
        spent = max(result.seconds, 1e-9)
        links = [worker.link.busy_s for worker in self.workers]
        result.busy = {
            "commit lock": self._locked_s / spent,
            "worker links": max(links, default=0.0) / spent,
            "shared link": self.total.busy_s / spent,
            "rate of calls": min(1.0, result.calls / (world.rate * spent)) if world.rate else 0.0,  # refused ones count
        }
        return result

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (max(when, self.now), next(self._numbers), act))

    def accepts(self, route: str, done_at: float) -> tuple[bool, float]:
        """Whether the service takes a call now; and when its work is done."""
        world = self.world
        if world.rate is not None:
            while self._calls_lately and self._calls_lately[0] <= self.now - WINDOW_S:
                self._calls_lately.popleft()
            self._calls_lately.append(self.now)
            if len(self._calls_lately) > world.rate * WINDOW_S:
                return False, self.now
        if route != COMMIT or not world.commit_s:
            return True, done_at
        if self._locked_until > self.now:
            return False, self.now
        self._locked_until = self.now + world.commit_s
        self._locked_s += world.commit_s
        return True, max(done_at, self._locked_until)


class _Worker:
    """One machine with the client's own pacing."""

    def __init__(self, simulation: Simulation, *, mortal: bool = True) -> None:
        self.simulation = simulation
        world = simulation.world
        more: dict[str, Any] = {"clock": self._clock, "sleep": self._sleep, "chance": simulation.chance.random}
        has_share = mortal and world.shares and world.workers > 1
        self.pacing = SharedPacing(1 / world.workers, **more) if has_share else SteadyPacing(**more)
        self.link = _Link(world.worker_mbit)
        self.life = 0  # what belongs to an earlier life comes to nothing
        self.files = 0
        self._waiting: deque[tuple[str, int, Callable[[], None]]] = deque()
        self._running, self._commits = 0, 0
        self._ahead = 0.0
        if world.deaths_per_hour and mortal:
            self._plan_death()

    def _clock(self) -> float:
        return self.simulation.now + self._ahead

    def _sleep(self, seconds: float) -> None:
        self._ahead += seconds

    def begin(self) -> None:
        """What pushes lists the folder first; what stages does not."""
        if self.simulation.world.staged:
            self.begin_round()
        else:
            self.call(LISTING, 0, self.begin_round)

    # -- a round ------------------------------------------------------------------------------------------------

    def begin_round(self) -> None:
        """Take the next round, if there is one."""
        simulation = self.simulation
        if not simulation.rounds:
            return
        self.files = simulation.rounds.popleft()
        (start, _), *appends = simulation.scripts[self.files]
        left = len(appends)

        def appended() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self._commit()

        def started() -> None:
            for route, size in appends:
                self.call(route, size, appended)

        self.call(start, 0, started)

    def _commit(self) -> None:
        simulation = self.simulation
        if simulation.committer is None:
            self.call(COMMIT, 0, self.begin_round)
            return
        simulation.left -= self.files
        if simulation.left == 0:
            simulation.committer.commit_all(simulation.world.files)
        self.begin_round()

    def commit_all(self, files: int) -> None:
        """On the machine that commits: everything, a thousand files a call, one call after the other."""
        more = files - upload_session.FILES_IN_A_COMMIT
        self.call(COMMIT, 0, lambda: self.commit_all(more) if more > 0 else None)

    # -- calls --------------------------------------------------------------------------------------------------

    def call(self, route: str, size: int, then: Callable[[], None]) -> None:
        """Make a call, as soon as the pacing lets it go, and again until it succeeds."""
        self._waiting.append((route, size, then))
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._running < self.pacing.limit:
            route, size, then = self._waiting[0]
            if route == COMMIT and self._commits:  # one at a time, as the client's own lock has it
                if len(self._waiting) == 1:
                    return
                self._waiting.rotate(-1)
                if all(each[0] == COMMIT for each in self._waiting):
                    return
                continue
            self._waiting.popleft()
            self._running += 1
            self._commits += route == COMMIT
            self._attempt(route, size, then, 1)

    def _attempt(self, route: str, size: int, then: Callable[[], None], attempt: int) -> None:
        """Have the pacing say when the call may go, by what it knows now."""
        if isinstance(self.pacing, SharedPacing):
            self.pacing._wait_turn()  # noqa: SLF001  its own rule, on this clock
            self.pacing._wait_out()  # noqa: SLF001
        else:
            self.pacing._wait_for_turn()  # noqa: SLF001
        go_at, self._ahead = self._clock(), 0.0
        self.simulation.at(go_at, self._living(self.life, lambda: self._go(route, size, then, attempt)))

    def _go(self, route: str, size: int, then: Callable[[], None], attempt: int) -> None:
        pacing, simulation = self.pacing, self.simulation
        if pacing._not_before <= simulation.now:  # noqa: SLF001
            self._send(route, size, then, attempt)
            return
        # It was told to pause meanwhile. A machine that keeps a steady rate lines up again.
        after = self._go if isinstance(pacing, SharedPacing) else self._attempt
        simulation.at(pacing._not_before, self._living(self.life, lambda: after(route, size, then, attempt)))  # noqa: SLF001

    def _send(self, route: str, size: int, then: Callable[[], None], attempt: int) -> None:
        simulation, life = self.simulation, self.life
        half = simulation.world.latency_s / 2
        here = self.link.carry(simulation.now, size)
        arrived = max(here, simulation.total.carry(simulation.now, size)) + half

        def served() -> None:
            simulation.outcome.calls += 1
            taken, done_at = simulation.accepts(route, simulation.now)
            simulation.outcome.refused += not taken
            act = partial(self._succeeded, route, then) if taken else partial(self._refused, route, size, then, attempt)
            simulation.at(done_at + half, self._living(life, act))

        simulation.at(arrived, served)

    def _living(self, life: int, act: Callable[[], None]) -> Callable[[], None]:
        return lambda: act() if life == self.life else None

    def _succeeded(self, route: str, then: Callable[[], None]) -> None:
        if route != LISTING:  # the answer is that there is no such folder yet
            self.pacing.succeeded()
        self.simulation.outcome.seconds = self.simulation.now - BEGIN_S
        self._running -= 1
        self._commits -= route == COMMIT
        then()
        self._pump()

    def _refused(self, route: str, size: int, then: Callable[[], None], attempt: int) -> None:
        simulation = self.simulation
        # The client's own rule. A call that is out of patience is made again all the same: its run would be.
        pause = _pause_before_retry(REFUSED, attempt, 0.0, self.pacing, repeatable=True) or REFUSED_S
        self.pacing.throttled(pause, calls=True)
        again = self._living(self.life, lambda: self._attempt(route, size, then, attempt + 1))
        simulation.at(simulation.now + pause, again)

    # -- death --------------------------------------------------------------------------------------------------

    def _plan_death(self) -> None:
        simulation = self.simulation
        in_s = simulation.chance.expovariate(simulation.world.deaths_per_hour / 3600)
        simulation.at(simulation.now + in_s, self._die)

    def _die(self) -> None:
        simulation = self.simulation
        if not simulation.rounds and not self._running and not self._waiting:
            return  # it has nothing to do any more
        simulation.outcome.deaths += 1
        self.life += 1
        busy = bool(self._running or self._waiting)
        self._waiting.clear()
        self._running, self._commits = 0, 0
        if busy:
            simulation.rounds.append(self.files)
        simulation.at(simulation.now + simulation.world.restart_s, self.begin_round)
        self._plan_death()


# -- the table ---------------------------------------------------------------------------------------------------

SERVICE = World(latency_s=0.08, rate=50.0, commit_s=0.05, worker_mbit=1000.0, total_mbit=100_000.0, deaths_per_hour=0.1)
TABLE = [
    replace(SERVICE, workers=1, files=100_000, size=2048),
    replace(SERVICE, workers=10, files=100_000, size=2048),
    replace(SERVICE, workers=100, files=100_000, size=2048),
    replace(SERVICE, workers=1, files=100_000, size=1_000_000),
    replace(SERVICE, workers=10, files=1_000_000, size=1_000_000),
    replace(SERVICE, workers=100, files=10_000_000, size=1_000_000),
]


WAYS = {
    "each worker": (False, False),
    "one machine": (True, False),
    "one machine, with shares": (True, True),
}


def table(worlds: Sequence[World]) -> Iterator[str]:
    """Markdown, row by row."""
    yield "| workers | files | TB | who commits | hours | calls | refused | deaths | what limits first |"
    yield "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |"
    for world in worlds:
        for way, (staged, shares) in WAYS.items():
            outcome = Simulation(replace(world, staged=staged, shares=shares)).run()
            share = outcome.refused / max(1, outcome.calls)
            used = outcome.busy.get(outcome.limit, 0.0)
            yield (
                f"| {world.workers} | {world.files:,} | {world.files * world.size / 1e12:.3g} | "
                f"{way} | {outcome.seconds / 3600:.3g} | {outcome.calls:,} | "
                f"{share:.1%} | {outcome.deaths:,} | {outcome.limit}{f' ({used:.0%} used)' if used else ''} |"
            )


# -- the small end, really ---------------------------------------------------------------------------------------

CHECKS = [
    World(workers=1, files=1000, size=2048, latency_s=0.5),
    World(workers=1, files=300, size=200_000, latency_s=0.3, worker_mbit=40.0, total_mbit=40.0),
    World(workers=4, files=1000, size=2048, latency_s=0.2, rate=8.0),
    World(workers=4, files=1000, size=2048, latency_s=0.2, rate=8.0, staged=True, shares=True),
]


class Real(NamedTuple):
    """What a job took."""

    seconds: float
    """From the first call to the last."""
    calls: int
    """Of the API."""


def really(world: World) -> Real:
    """The same job with the real client against the emulator."""
    with Emulator.start() as dropbox, tempfile.TemporaryDirectory(prefix="simulate-") as name:
        machines = [_machine(dropbox, Path(name) / f"{number}", world, number) for number in range(world.workers)]
        runs, end = _stagers(machines, world) if world.staged else (list(map(_pusher, machines)), lambda: None)
        dropbox.config(
            latency_ms=world.latency_s * 1000,
            bandwidth_mbit=world.total_mbit,
            write_lock_ms=world.commit_s * 1000,
            rate_limit_requests=None if world.rate is None else int(world.rate),
        )
        threads = [threading.Thread(target=run) for run in runs]
        dropbox.control("log/reset", {})
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end()
        seconds, calls = time.monotonic() - began, dropbox.log()["requests"]
        return Real(seconds, sum(calls.values()))


class _Machine(NamedTuple):
    """One that is logged in, and has its files."""

    remote: Remote
    place: Path
    source: Path


def _machine(dropbox: Emulator, place: Path, world: World, number: int) -> _Machine:
    source = place / "files"
    source.mkdir(parents=True)
    share = world.files // world.workers
    for each in range(share):
        (source / f"f{each}").write_bytes(random.Random(each * 1000 + number).randbytes(world.size))  # noqa: S311
    token = place / "token"
    token.touch(mode=0o600)
    token.write_text(dropbox.token()["refresh_token"], encoding="ascii")
    token.chmod(0o400)
    env = {**dropbox.env(place / "home"), "HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.app_key}
    remote = connect("engine", env=env, home=place / "home")
    remote.tokens.token()
    return _Machine(remote, place, source)


def _pusher(machine: _Machine) -> Callable[[], object]:
    """What pushes its files."""
    return lambda: push(machine.source, f"/{machine.place.name}", remote=machine.remote, home=machine.place / "home")


def _stagers(machines: Sequence[_Machine], world: World) -> tuple[list[Callable[[], object]], Callable[[], object]]:
    """What stages the files of each by a grant of the first one; and what commits them all."""
    driver = machines[0]
    grants = [driver.remote.lend(share=1 / world.workers if world.shares else 1.0) for _ in machines]
    receipts: list[bytes] = []

    def stages(grant: Grant, machine: _Machine) -> None:
        files = {path: f"{machine.place.name}/{path.name}" for path in machine.source.iterdir()}
        receipts.append(stage(grant, files))

    runs = [partial(stages, *pair) for pair in zip(grants, machines, strict=True)]
    return list(runs), lambda: commit(driver.remote, receipts, "/staged", home=driver.place / "home")


def check() -> Iterator[str]:
    """Simulated and real seconds of a few small jobs.

    The simulation knows no processor: what the same job takes here without latency and limits is added to it. Not where
    workers have shares: then the pacing is what it takes.
    """
    yield "| workers | files | way | simulated s | of it here | real s | simulated / real | calls | real calls |"
    yield "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for world in CHECKS:
        unlimited = replace(world, latency_s=0.0, rate=None, worker_mbit=0.0, total_mbit=0.0)
        own = 0.0 if world.shares else really(unlimited).seconds
        outcome, real = Simulation(world).run(), really(world)
        simulated = outcome.seconds + own
        way = "staged" if world.staged else "pushed"
        yield (
            f"| {world.workers} | {world.files:,} | {way} | {simulated:.2f} | {own:.2f} | {real.seconds:.2f} "
            f"| {simulated / real.seconds:.2f} | {outcome.calls} | {real.calls} |"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with real runs at the small end")
    parser.add_argument("--workers", type=int, metavar="N", help="one job of so many workers instead of the table")
    parser.add_argument("--files", type=float, default=100_000, metavar="N", help="in all")
    parser.add_argument("--size", type=float, default=2048, metavar="BYTES", help="of each file")
    parser.add_argument("--latency-ms", type=float, default=80.0, metavar="N")
    parser.add_argument("--rate", type=float, default=SERVICE.rate, metavar="N", help="calls a second; 0: no limit")
    parser.add_argument("--commit-ms", type=float, default=50.0, metavar="N", help="that a commit holds the namespace")
    parser.add_argument("--worker-mbit", type=float, default=SERVICE.worker_mbit, metavar="N", help="0: no limit")
    parser.add_argument("--total-mbit", type=float, default=SERVICE.total_mbit, metavar="N", help="0: no limit")
    parser.add_argument("--deaths-per-hour", type=float, default=SERVICE.deaths_per_hour, metavar="N")
    options = parser.parse_args(arguments)
    worlds = TABLE
    if options.workers:
        one = World(
            workers=options.workers,
            files=int(options.files),
            size=int(options.size),
            latency_s=options.latency_ms / 1000,
            rate=options.rate or None,
            commit_s=options.commit_ms / 1000,
            worker_mbit=options.worker_mbit,
            total_mbit=options.total_mbit,
            deaths_per_hour=options.deaths_per_hour,
        )
        worlds = [one]
    for line in check() if options.check else table(worlds):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
