"""Workers and their driver are killed at random moments, and receipts arrive in every order; all is compared.

A model says what must lie there: of each path what was staged last, of all that a commit which came to its end was
given. It knows nothing of sessions, batches or journals.
"""

import itertools
import random

import pytest
from staging_world import FOLDER, commits, dies, driver_of, staged, there
from transfer_world import content

from huracan_sync import errors
from huracan_sync.operations import receipts as form
from huracan_sync.tree.content_hash import content_hash

MIB = 1024 * 1024


@pytest.fixture
def driver(dropbox, tmp_path):
    return driver_of(dropbox, tmp_path)


class Storm:
    """Rounds of workers that stage and a driver that commits, in forked children of which many are killed."""

    def __init__(self, driver, seed):
        self.driver, self.kills, self.random = driver, 0, random.Random(seed)
        self.folder = driver.home.parent / "receipts"
        self.folder.mkdir()
        self.model = {}
        self.names = itertools.count()

    def run(self, kills):
        while self.kills < kills:
            grant = self.driver.remote.lend(share=0.5)
            receipts = [self.worker(grant, f"w{n}") for n in range(self.random.randrange(1, 4))]
            self.random.shuffle(receipts)
            self.commit(receipts + receipts[: self.random.randrange(2)])
            assert there(self.driver) == self.model
        snapshot = self.driver.reader().latest("runs")
        listed = {entry.path.removeprefix("runs/"): entry.content_hash for entry in snapshot}
        assert listed == self.model

    def worker(self, grant, name):
        """Its receipts: it is killed, and tried again, until it comes to its end."""
        files = {f"{name}/{n}": content((name, next(self.names)), self.random.randrange(60_000)) for n in range(5)}
        if self.random.random() < 0.1:
            files[f"{name}/large"] = content(next(self.names), 9 * MIB)
        target = self.folder / f"{next(self.names)}"

        def work():
            made = target.with_suffix(".part")
            made.write_bytes(staged(grant, files))
            made.replace(target)

        while self.random.random() < 0.6:
            self.kills += dies(work, self.random.uniform(0.0, 0.08))
        dies(work, None)
        self.model |= {path: content_hash(data) for path, data in files.items()}
        return target.read_bytes()

    def commit(self, receipts):
        """The driver is killed, and goes on, with the same receipts in another order."""
        while self.random.random() < 0.7:
            self.kills += dies(lambda: self.commit_all(receipts), self.random.uniform(0.0, 0.25))
            self.random.shuffle(receipts)
        dies(lambda: self.commit_all(receipts), None)

    def commit_all(self, receipts):
        report = commits(self.driver, receipts)
        assert report.failed == []


@pytest.mark.slow
def test_a_few_kills_leave_every_file_once(driver):
    Storm(driver, 1).run(12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_kills_leave_every_file_once(driver, seed):
    Storm(driver, seed).run(100)


class Schedule:
    """One random schedule of workers that stage and a driver that commits some of what there is, in one process."""

    def __init__(self, dropbox, driver, seed):
        self.dropbox, self.driver, self.random = dropbox, driver, random.Random(seed)
        self.moments = itertools.count(1)
        self.waiting = []
        """Receipts that no commit was given yet, and their contents."""
        self.done = []
        self.model = {}

    def run(self, steps):
        for _ in range(steps):
            self.random.choice([self.stage, self.stage, self.stage, self.commit, self.tamper, self.interrupted])()
        self.commit(everything=True)
        assert there(self.driver) == self.model

    def stage(self):
        files = {
            f"{self.random.randrange(12)}": content(self.random.random(), self.random.randrange(3000))
            for _ in range(self.random.randrange(1, 4))
        }
        moment = float(next(self.moments))
        receipts = staged(self.driver.remote.lend(), files, clock=lambda: moment)
        self.waiting.append((receipts, moment, files))

    def commit(self, *, everything=False):
        count = len(self.waiting) if everything else self.random.randrange(len(self.waiting) + 1)
        self.random.shuffle(self.waiting)
        given, self.waiting = self.waiting[:count], self.waiting[count:]
        twice = self.random.choices(self.done, k=2) if self.done and self.random.random() < 0.5 else []
        report = commits(self.driver, [each[0] for each in [*given, *twice, *given[:1]]], overwrite=True)
        assert report.failed == []
        self.done += given
        for path in {path for _, _, files in [*given, *twice] for path in files}:
            last = max((each for each in [*given, *twice] if path in each[2]), key=lambda each: each[1])
            if last in given:  # else it was put there before, and is not put there again
                self.model[path] = content_hash(last[2][path])
        assert there(self.driver) == self.model

    def tamper(self):
        """One byte of a receipt changes on its way: nothing of the whole commit happens."""
        if self.waiting:
            data = bytearray(self.waiting[0][0])
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            with pytest.raises(errors.UsageError):
                commits(self.driver, [each[0] for each in self.waiting[1:]] + [bytes(data)])
            assert there(self.driver) == self.model

    def interrupted(self):
        """The answer to a commit is lost, and the driver ends; the next commit goes on with what it kept."""
        if not self.waiting:
            return
        self.dropbox.faults(
            {
                "fault": "reset",
                "route": "files/upload_session/finish_batch_v2",
                "when": self.random.choice(["before", "after"]),
                "times": 20,
            }
        )
        with pytest.raises(errors.HuracanError):
            commits(self.driver, [each[0] for each in self.waiting], overwrite=True)
        self.dropbox.faults()
        given, self.waiting = self.waiting, []
        report = commits(self.driver, [], overwrite=True)
        assert report.failed == []
        self.done += given
        for _, _, files in sorted(given, key=lambda each: each[1]):
            self.model |= {path: content_hash(data) for path, data in files.items()}
        assert there(self.driver) == self.model


@pytest.mark.parametrize("seed", range(2))
def test_schedules_come_to_what_the_model_says(dropbox, driver, seed):
    Schedule(dropbox, driver, seed).run(8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_schedules_come_to_what_the_model_says(dropbox, driver, seed):
    Schedule(dropbox, driver, seed).run(25)


def test_receipts_show_what_was_tampered_with(driver):
    receipts = staged(driver.remote.lend(), {"a": b"1"})
    assert [file.path for file in form.decode(receipts, driver.remote.seal()).files] == ["a"]
    assert driver.remote.seal().reveal().encode() not in receipts
    assert FOLDER.encode() not in receipts
