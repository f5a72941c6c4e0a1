"""When a task is done again: intervals, changes on the disk, failures, and the end."""

import itertools
import os
import shutil
import threading
import time

import pytest
from structlog.testing import capture_logs

from huracan_sync.engine.daemon import scheduler, watcher
from huracan_sync.engine.daemon.scheduler import Clock, Loops, Outcome, Task
from huracan_sync.errors import Unreachable


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """The same watcher, with less patience."""
    if "slow" not in request.fixturenames:
        monkeypatch.setattr(scheduler, "GAP_S", 0.1)
        for name, value in {"DEBOUNCE_MS": 60, "STEP_MS": 20, "LOOK_S": 0.1, "YOUNG_S": 0.5}.items():
            monkeypatch.setattr(watcher, name, value)


@pytest.fixture
def slow():
    """As it is when nobody is in a hurry."""


class Doing:
    """A task that remembers when it was done, and why."""

    def __init__(self, name="x", interval=3600.0, outcomes=(), **more):
        self.done, self.failures, self.outcomes = [], [], list(outcomes)
        self.happened = threading.Condition()
        self.task = Task(name, interval, self, failed=self.failures.append, **more)

    def __call__(self, *, because_of_the_disk):
        with self.happened:
            self.done.append((time.monotonic(), because_of_the_disk))
            self.happened.notify_all()
            outcome = self.outcomes.pop(0) if self.outcomes else Outcome(files=1)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait(self, count, within=120.0):
        with self.happened:
            assert self.happened.wait_for(lambda: len(self.done) >= count, within), f"{len(self.done)} of {count}"


class Rests:
    """Told whenever a loop has settled what it did and begins to wait."""

    def __init__(self):
        self.happened, self.waits = threading.Condition(), []

    def wait(self, news, seconds):
        with self.happened:
            self.waits.append((threading.current_thread().name, seconds))
            self.happened.notify_all()
        return news.wait(seconds)

    def until(self, true, within=120.0):
        with self.happened:
            assert self.happened.wait_for(true, within), "it never was"


@pytest.fixture
def rests():
    return Rests()


@pytest.fixture
def started(rests):
    running = []

    def start(*doings, **options):
        loops = Loops([doing.task for doing in doings], **{"clock": Clock(wait=rests.wait), **options})
        running.append(loops)
        loops.start()
        return loops

    yield start
    assert all(loops.stop(5) for loops in running)


class Looks:
    """Each look of the watcher at the disk; the first tells that it watches."""

    def __init__(self, monkeypatch):
        import watchfiles

        self.happened, self.count, self.folders = threading.Condition(), 0, []
        self._real = watchfiles.watch
        monkeypatch.setattr("watchfiles.watch", self._watch)

    def _watch(self, *folders, **options):
        for changes in self._real(*folders, **options):
            yield changes
            with self.happened:  # it has told of these
                self.count, self.folders = self.count + 1, list(folders)
                self.happened.notify_all()

    def wait(self, more=1, within=120.0):
        """So many looks that begin after this moment."""
        with self.happened:
            enough = self.count + more + 1
            assert self.happened.wait_for(lambda: self.count >= enough, within), "it looks no more"


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


def test_each_task_has_its_own_interval_and_thread(started):
    often, seldom = Doing("often", 0.05), Doing("seldom", 3600)
    loops = started(often, seldom, prefix="Sync-")
    often.wait(5)
    assert len(seldom.done) == 1
    assert [loop.thread.name for loop in loops.loops] == ["Sync-often", "Sync-seldom"]
    assert all(loop.thread.daemon for loop in loops.loops)


def test_intervals_are_varied_by_a_tenth(started, rests):
    fast = Doing("x", 100)
    loops = started(fast, clock=Clock(chance=lambda: 0.0, wait=rests.wait))
    rests.until(lambda: rests.waits)
    (state,) = loops.states()
    assert state.passes == 1
    assert 89 < rests.waits[0][1] <= 90


@pytest.mark.parametrize("interval", [0, -1])
def test_no_interval_no_task(interval):
    loops = Loops([Doing("x", interval).task])
    assert loops.start() == []
    assert loops.stop()


@pytest.mark.slow
def test_a_failing_task_stops_no_other_and_is_tried_again(started, rests, monkeypatch):
    monkeypatch.setattr(scheduler, "FIRST_RETRY_S", 0.2)
    bad = Doing("bad", 3600, [Unreachable("no network"), ValueError("a bug"), Unreachable("no network")])
    good = Doing("good", 0.1)
    loops = started(bad, good)
    good.wait(3)
    rests.until(lambda: loops.states()[0].passes == 4)
    assert {round(seconds / 0.2) for name, seconds in rests.waits if name == "bad"} >= {1, 2, 4}  # patience grows
    state = loops.states()[0]
    assert [type(error).__name__ for error in bad.failures] == ["Unreachable", "HuracanError", "Unreachable"]
    assert (state.failures, state.passes, state.last_error, state.queue) == (3, 4, "", 0)


def test_what_failed_waits_and_is_late(started, rests, monkeypatch):
    monkeypatch.setattr(scheduler, "FIRST_RETRY_S", 60)
    bad = Doing("bad", 3600, [Unreachable("no network")])
    loops = started(bad)
    rests.until(lambda: rests.waits)
    (state,) = loops.states()
    assert "no network" in state.last_error
    assert state.last_success is None
    assert state.lag_s(time.time() + 10) > 10
    assert not state.is_healthy(time.time() + 3 * 3600 + 1)
    assert state.is_healthy(time.time())


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data"
    made.mkdir()
    return made


def watching(folder, **more):
    return Doing("x", 3600, folders=(folder,), wants=lambda path: path.endswith(".json"), **more)


def test_a_change_is_acted_on_within_seconds(started, folder, slow, rests, looks):
    doing = watching(folder)
    loops = started(doing)
    doing.wait(1)
    looks.wait()
    (folder / "deep").mkdir()
    began = time.monotonic()
    (folder / "deep/new.json").write_text("{}")
    doing.wait(2)
    assert doing.done[1][0] - began < 60  # of 3600
    assert doing.done[1][1] is True
    rests.until(lambda: loops.states()[0].queue == 0)


@pytest.mark.slow
@pytest.mark.parametrize("open_", [Outcome(waiting=1), Outcome(failed=1, error="damaged")])
def test_a_change_that_cannot_be_acted_on_is_looked_at_less_and_less_often(
    started, folder, monkeypatch, open_, rests, looks
):
    monkeypatch.setattr(scheduler, "WAITING_S", 0.2)
    monkeypatch.setattr(scheduler, "FIRST_RETRY_S", 0.2)
    doing = watching(folder, outcomes=[Outcome(files=1), *[open_] * 20])
    loops = started(doing, debounce_s=0.05)
    doing.wait(1)
    looks.wait()
    (folder / "half.json").write_text("{")
    doing.wait(6)  # the first, the change, then 0.2, 0.4, 0.8, 1.6 seconds later
    pauses = [later[0] - earlier[0] for earlier, later in itertools.pairwise(doing.done[1:])]
    assert all(pause > 0.2 * 2**n for n, pause in enumerate(pauses)), pauses
    assert loops.states()[0].queue == 1
    assert loops.states()[0].lag_s(time.time()) >= 3
    doing.outcomes.clear()
    count = len(doing.done)
    (folder / "half.json").write_text("{}")
    doing.wait(count + 1)  # the writer's end is noticed at once
    rests.until(lambda: loops.states()[0].queue == 0)
    state = loops.states()[0]
    assert (state.lag_s(time.time()), state.last_error) == (0.0, "")


def test_what_is_refused_is_said_and_not_late(started, rests):
    doing = Doing(outcomes=[Outcome(files=3, refused=1, error="holds a secret", refusals=("holds a secret",))])
    loops = started(doing)
    rests.until(lambda: rests.waits)
    (state,) = loops.states()
    assert (state.refusals, state.last_error, state.queue, state.failures) == (["holds a secret"], "", 0, 0)
    assert state.lag_s(time.time() + 100) == 0
    assert state.last_success is not None
    assert state.next_run - time.time() > 3000


def test_what_does_not_matter_wakes_nobody(started, folder, rests, looks):
    doing = watching(folder)
    loops = started(doing, debounce_s=0.1)
    doing.wait(1)
    looks.wait()
    (folder / "notes.txt").write_text("x")
    (folder / ".huracan-0123.part").write_text("x")
    (folder / "gone.json").write_text("x")
    (folder / "gone.json").unlink()
    looks.wait(2)
    rests.until(lambda: loops.states()[0].queue == 0)
    assert len(doing.done) <= 2  # the last one may be noticed before it goes


@pytest.mark.slow
def test_many_changes_are_one_pass(started, folder, rests, looks):
    doing = watching(folder)
    loops = started(doing, debounce_s=0.5)
    doing.wait(1)
    looks.wait()
    for n in range(50):
        (folder / f"{n}.json").write_text("{}")
    doing.wait(2)
    looks.wait(2)
    rests.until(lambda: loops.states()[0].queue == 0)
    assert len(doing.done) == 2


def test_a_file_that_never_lies_still_is_not_forgotten(started, folder, monkeypatch):
    monkeypatch.setattr(scheduler, "LATEST_S", 0.4)
    doing = watching(folder)
    started(doing, debounce_s=0.3)
    doing.wait(1)
    until = time.monotonic() + 60
    while time.monotonic() < until and len(doing.done) < 2:
        with (folder / "log.json").open("a") as file:
            file.write("x")
        time.sleep(0.05)
    assert len(doing.done) == 2


@pytest.mark.slow
def test_half_written_files_are_looked_at_again(started, folder, monkeypatch, rests, looks):
    monkeypatch.setattr(scheduler, "WAITING_S", 0.1)
    doing = watching(folder, outcomes=[Outcome(), Outcome(waiting=1), Outcome(waiting=1)])
    loops = started(doing, debounce_s=0.1)
    doing.wait(1)
    looks.wait()
    (folder / "half.json").write_text("{")
    doing.wait(4)
    rests.until(lambda: loops.states()[0].changed_since is None)


def test_a_folder_that_comes_later_is_watched_with_what_it_holds(started, tmp_path, looks):
    folder = tmp_path / "later"
    doing = watching(folder)
    started(doing, debounce_s=0.1)
    doing.wait(1)
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "a.json").write_text("{}")
    ready.rename(folder)
    doing.wait(2)
    looks.wait()
    (folder / "b.json").write_text("{}")
    doing.wait(3)
    looks.wait()
    shutil.rmtree(folder)
    folder.mkdir()
    looks.wait()
    (folder / "c.json").write_text("{}")
    doing.wait(4)


def test_what_changes_in_one_folder_while_another_begins_to_be_watched_is_not_missed(started, folder, monkeypatch):
    import watchfiles

    real, others = watchfiles.watch, folder.parent / "later"

    def blind_for_a_moment(*folders, **options):
        if others in folders:
            (folder / "a.json").write_text("{}")
        return real(*folders, **options)

    monkeypatch.setattr("watchfiles.watch", blind_for_a_moment)
    doing, other = watching(folder), watching(others)
    started(doing, other, debounce_s=0.1)
    doing.wait(1)
    others.mkdir()
    other.wait(2)
    doing.wait(2)


def test_a_folder_that_appears_before_the_watcher_has_begun_is_not_missed(started, folder, monkeypatch):
    others = folder.parent / "later"
    other, run = watching(others), watcher.Watcher._run

    def late(self):
        other.wait(1)
        others.mkdir()
        run(self)

    monkeypatch.setattr(watcher.Watcher, "_run", late)
    started(other, debounce_s=0.1)
    other.wait(2, within=20)


class Panic(BaseException):
    """As the Rust part of the watching library panics."""


@pytest.mark.parametrize("error", [OSError(28, "watch limit reached"), RuntimeError("instance limit"), Panic("limit")])
def test_a_disk_that_cannot_be_watched_is_said_and_survived(started, folder, monkeypatch, error):
    def blind(*_, **__):
        raise error

    monkeypatch.setattr("watchfiles.watch", blind)
    doing = watching(folder)
    with capture_logs() as events:
        loops = started(doing, quick_s=0.05)
        doing.wait(3)  # it looks by itself now
    assert [event["event"] for event in events] == ["disk_cannot_be_watched"]
    assert "limit" in loops.not_watching


@pytest.mark.slow
@pytest.mark.parametrize("watches", [True, False])
def test_who_cannot_see_looks_more_often(started, folder, monkeypatch, watches):
    def broken(*_, **__):
        raise OSError("inotify watch limit reached")

    monkeypatch.setattr("watchfiles.watch", broken)
    seeing, other = watching(folder), Doing("other", 3600)
    started(seeing, other, watches=watches, quick_s=0.2)
    seeing.wait(4)
    assert len(other.done) == 1  # it has no folders to look at


@pytest.mark.slow
def test_who_sees_again_takes_his_time(started, folder, monkeypatch, rests):
    import watchfiles

    real, calls = watchfiles.watch, []

    def first_broken(*folders, **options):
        calls.append(folders)
        if len(calls) == 1:
            raise OSError("inotify watch limit reached")
        return real(*folders, **options)

    monkeypatch.setattr("watchfiles.watch", first_broken)
    monkeypatch.setattr(watcher, "LOOK_S", 0.05)
    doing = watching(folder)
    loops = started(doing, quick_s=0.2)
    doing.wait(2)
    rests.until(lambda: not loops.not_watching and rests.waits[-1][1] > 3000)


def test_stop_waits_for_what_is_under_way(folder):
    entered, leave = threading.Event(), threading.Event()

    def pass_(*, because_of_the_disk):
        entered.set()
        leave.wait(5)
        return Outcome()

    loops = Loops([Task("slow", 3600, pass_, folders=(folder,))])
    (thread,) = loops.start()
    assert entered.wait(5)
    assert not loops.stop(0.1)
    assert thread.is_alive()
    leave.set()
    assert loops.stop(5)
    assert not thread.is_alive()
    assert loops.states()[0].passes == 1


def test_nothing_is_left_running(started, folder):
    before = threading.active_count()
    loops = Loops([watching(folder).task])
    loops.start()
    assert loops.stop(5)
    assert threading.active_count() == before
    assert os.listdir(folder) == []  # noqa: PTH208 - the folder is as it was
