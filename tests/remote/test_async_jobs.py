"""Batches that Dropbox carries out later: entries it had no turn for are given to it again."""

import msgspec
import pytest

from huracan_sync.errors import Conflict, RateLimited, ServiceFault
from huracan_sync.remote import files
from huracan_sync.remote.async_jobs import run_batch
from huracan_sync.remote.delete import remove
from huracan_sync.remote.errors import judge_failure
from huracan_sync.remote.rate_limit import Pacing

BUSY = {".tag": "too_many_write_operations"}


class Jobs:
    """Dropbox, which answers jobs one after the other."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        self.pacing = Pacing(sleep=lambda _: None)

    def rpc(self, route, arg, result, **_):
        self.asked.append(len(arg["entries"]))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, list):
            answer = {".tag": "complete", "entries": answer}
        return msgspec.convert(answer, result)


def done(name):
    return {".tag": "success", "name": name}


def failed(failure):
    return {".tag": "failure", "failure": failure}


@pytest.mark.parametrize(
    "busy",
    [BUSY, {".tag": "relocation_error", "relocation_error": BUSY}, {".tag": "from_write", "from_write": BUSY}],
)
def test_only_what_had_no_turn_is_asked_again(busy):
    other = failed({".tag": "other"})
    jobs = Jobs([done("a"), failed(busy), other, failed(busy)], [failed(busy), done("d")], [done("b")])
    assert run_batch(jobs, "files/copy_batch_v2", "check", [{}] * 4) == [done("a"), done("b"), other, done("d")]
    assert jobs.asked == [4, 2, 1]


def test_who_never_has_a_turn_is_told_alone():
    jobs = Jobs([done("a"), failed(BUSY)], [failed(BUSY)])
    first, second = run_batch(jobs, "files/delete_batch", "check", [{}] * 2)
    assert first == done("a")
    assert isinstance(judge_failure("files/delete_batch", second["failure"]).error, RateLimited)
    assert len(jobs.asked) == 8


def test_a_whole_job_that_had_no_turn_is_begun_again():
    jobs = Jobs({".tag": "failed", "failed": BUSY}, [done("a")])
    assert run_batch(jobs, "files/delete_batch", "check", [{}]) == [done("a")]
    jobs = Jobs({".tag": "failed", "failed": BUSY})
    with pytest.raises(ServiceFault):
        run_batch(jobs, "files/delete_batch", "check", [{}])
    assert len(jobs.asked) == 8
    with pytest.raises(ServiceFault):
        run_batch(Jobs({".tag": "failed", "failed": {".tag": "other"}}), "files/delete_batch", "check", [{}])


def test_files_that_are_removed_or_copied_beside_another_writer():
    conflict = {".tag": "path_write", "path_write": {".tag": "conflict", "conflict": {".tag": "file"}}}
    jobs = Jobs([done("a"), failed(BUSY), failed(conflict)], [done("b")])
    results = remove(jobs, [("/a", "1"), ("/b", "2"), ("/c", "3")])
    assert [results["/a"], results["/b"]] == [None, None]
    assert isinstance(results["/c"], Conflict)
    times = dict.fromkeys(("client_modified", "server_modified"), "2026-01-01T00:00:00Z")
    moved = {".tag": "success", "success": {".tag": "file", "name": "b", "rev": "1", "size": 1, **times}}
    jobs = Jobs([failed({".tag": "relocation_error", "relocation_error": BUSY})], [moved])
    (result,) = files.relocate(jobs, [("/a", "/b")], keep=False)
    assert isinstance(result, files.FileMetadata)
