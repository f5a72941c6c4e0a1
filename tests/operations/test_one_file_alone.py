"""What the service refuses about one path is that file's failure, and the others go on; contention only costs time."""

import pytest
from transfer_world import ROOT, local_tree

from huracan_sync.errors import PathRefused
from huracan_sync.remote import files

MANY = {f"d/{n}.csv": f"{n}".encode() for n in range(12)}


@pytest.fixture
def pushed(world):
    world.write(MANY)
    world.push()
    return world


@pytest.mark.parametrize("size", [1, 9 << 20, 20 << 20], ids=["in a zip", "in ranges", "in more ranges"])
def test_a_file_that_may_not_be_downloaded_fails_alone(world, size):
    world.write({**MANY, "d/secret.bin": size})
    world.push()
    world.dropbox.faults({"fault": "restricted_content", "path": f"{ROOT.lower()}/d/secret.bin"})
    report = world.restore()
    assert [failure.path for failure in report.failed] == ["d/secret.bin"]
    assert isinstance(report.failed[0].error, PathRefused)
    assert set(local_tree(world.dst)) == set(MANY)


@pytest.mark.parametrize("tags", [["path", "restricted_content"], ["path", "no_write_permission"]])
def test_a_file_that_may_not_be_written_fails_alone(world, tags):
    world.write(MANY)
    world.dropbox.faults({"fault": "error", "path": f"{ROOT.lower()}/d/3.csv", "tags": tags})
    report = world.push()
    assert ([failure.path for failure in report.failed], report.uploaded) == (["d/3.csv"], len(MANY) - 1)


@pytest.mark.parametrize("gone", [["d/3.csv"], ["d/3.csv", "d/4.csv", "d/5.csv", "d/6.csv"]], ids=["one", "some"])
@pytest.mark.parametrize("tags", [["path_write", "no_write_permission"], ["path_write", "team_folder"]])
def test_a_file_that_may_not_be_deleted_fails_alone(pushed, gone, tags):
    for path in gone:
        (pushed.src / path).unlink()
    pushed.dropbox.faults({"fault": "error", "route": "files/delete*", "path": f"{ROOT.lower()}/d/3.csv", "tags": tags})
    report = pushed.push(delete=True)
    assert ([failure.path for failure in report.failed], report.deleted) == (["d/3.csv"], len(gone) - 1)


@pytest.mark.parametrize("gone", [["d/3.csv"], ["d/3.csv", "d/4.csv", "d/5.csv", "d/6.csv"]], ids=["one", "some"])
def test_contention_of_deletions_is_waited_out(pushed, gone):
    for path in gone:
        (pushed.src / path).unlink()
    busy = {"fault": "error", "route": "files/delete*", "path": f"{ROOT.lower()}/d/3.csv", "times": 2}
    pushed.dropbox.faults({**busy, "tags": ["too_many_write_operations"]})
    report = pushed.push(delete=True)
    assert (report.failed, report.deleted) == ([], len(gone))
    assert len(pushed.waits) >= 2


@pytest.mark.parametrize("keep", [True, False])
def test_contention_of_relocations_is_waited_out(pushed, keep):
    pairs = [(f"{ROOT}/{path}", f"{ROOT}/to/{path}") for path in MANY]
    busy = {"fault": "error", "route": "files/*_batch_v2", "path": f"{ROOT.lower()}/d/3.csv", "times": 2}
    pushed.dropbox.faults({**busy, "tags": ["too_many_write_operations"]})
    answers = files.relocate(pushed.remote, pairs, keep=keep, sleep=lambda _: None)
    assert [answer.path_display for answer in answers] == [target for _, target in pairs]
