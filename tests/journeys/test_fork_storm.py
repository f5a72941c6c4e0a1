"""Children are forked while threads of their parent push and read: each of them pushes, restores and reads as well."""

import threading

import pytest
import reader_world
from forking import forked

from huracan_sync.operations.push import PushOptions, push
from huracan_sync.operations.restore import RestoreOptions, restore
from huracan_sync.transfer.journal import Journal


class Storm:
    """One machine whose threads never rest."""

    def __init__(self, world, folder):
        self.world, self.folder, self.over, self.failures = world, folder, threading.Event(), []
        self.verified = reader_world.World(folder)
        self.verified.publish()
        self.done = {"push": 0, "journal": 0, "latest": 0}
        self.threads = [threading.Thread(target=self.go_on, args=(name,)) for name in self.done]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def go_on(self, name):
        try:
            while not self.over.is_set():
                getattr(self, name)(self.done[name])
                self.done[name] += 1
        except BaseException as error:
            self.failures.append(error)
            raise

    def push(self, number, who="parent"):
        files = {f"{n}.txt": f"{who} {number} {n}" for n in range(3)}
        mine = self.folder / who
        mine.mkdir(exist_ok=True)
        for name, text in files.items():
            (mine / name).write_text(text)
        options = PushOptions(wait_s=0.0)
        report = push(mine, f"/Engine/{who}", remote=self.world.remote, home=self.world.home, options=options)
        assert (report.failed, report.uploaded) == ([], 3)
        return files

    def journal(self, number):
        with Journal(self.folder / "home") as journal:
            journal.note_unsigned([b"%d" % number])
            assert journal.unsigned_contents()

    def latest(self, _):
        assert self.verified.new_reader().latest("champions").read(next(iter(reader_world.FILES)))

    def child(self, number):
        """What a child does."""
        files = self.push(number, f"child-{number}")
        back = self.folder / f"back-{number}"
        options = RestoreOptions(wait_s=0.0)
        restore(f"/Engine/child-{number}", back, remote=self.world.remote, home=self.world.home, options=options)
        self.journal(number)
        self.latest(number)
        return {file.name: file.read_text() for file in back.iterdir()} == files


@pytest.mark.slow
@pytest.mark.parametrize("forks", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_children_that_are_forked_in_the_middle_of_everything(world, tmp_path, forks):
    with Storm(world, tmp_path / "storm") as storm:
        for number in range(forks):
            assert forked(lambda number=number: storm.child(number), limit_s=120), f"child {number}"
    assert storm.failures == []
    assert min(storm.done.values()) > 0, storm.done
