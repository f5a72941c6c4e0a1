"""Receipts and drivers as they go wrong: killed between any two steps, two at once, clocks off, names that are one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from staging_world import FOLDER, commits, driver_of, shard, staged, there
from transfer_world import content

from huracan_sync import commit, errors
from huracan_sync.operations import receipts as form
from huracan_sync.operations.kept_receipts import KeptReceipts
from huracan_sync.signing.executor import Executor
from huracan_sync.signing.push_signer import PushSigner
from huracan_sync.signing.transaction_steps import Intend, Swap
from huracan_sync.transfer import staging
from huracan_sync.transfer.journal import Journal
from huracan_sync.tree.content_hash import content_hash

FILES = shard("a", small=5, large=0) | {"a/large.bin": content("large", 9 * 1024 * 1024), "a/empty": b""}


class Killed(BaseException):
    pass


@pytest.fixture
def driver(dropbox, tmp_path):
    return driver_of(dropbox, tmp_path)


def hashes(files):
    return {path: content_hash(data) for path, data in files.items()}


STEPS = [
    (KeptReceipts, "keep"),
    (KeptReceipts, "wanted"),
    (KeptReceipts, "committed"),
    (staging, "commit"),
    (Journal, "learn"),
    (KeptReceipts, "note_committed"),
    (PushSigner, "sign"),
    (KeptReceipts, "end"),
]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_driver_killed_between_two_steps_goes_on(driver, monkeypatch, owner, name, is_done):
    receipts = [staged(driver.remote.lend(), FILES)]
    step = getattr(owner, name)

    def dying(*args, **options):
        if is_done:
            step(*args, **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            commits(driver, receipts)
    kept = name != "keep" or is_done
    ended = name == "end" and is_done
    report = commits(driver, [] if kept and not ended else receipts)
    assert (report.uploaded + report.skipped, report.failed) == (len(FILES), [])
    assert report.sequence == 1
    assert there(driver) == hashes(FILES)
    again = commits(driver, receipts)
    assert (again.uploaded, again.skipped, again.sequence) == (0, len(FILES), 1)
    assert len(driver.reader().latest("runs")) == len(FILES)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", [Intend, Swap])
def test_a_driver_killed_while_it_signs_signs_one_head(driver, monkeypatch, kind, is_done):
    receipts = [staged(driver.remote.lend(), FILES)]
    do = Executor._do

    def dying(self, step):
        if not isinstance(step, kind):
            return do(self, step)
        if is_done:
            do(self, step)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Executor, "_do", dying)
        with pytest.raises(Killed):
            commits(driver, receipts)
    report = commits(driver, [])
    assert (report.uploaded, report.skipped, report.failed) == (0, len(FILES), [])
    # What lies in the log and was not noted here is taken for a head that somebody removed: the next one follows it.
    assert report.sequence == (2 if (kind, is_done) == (Swap, False) else 1)
    snapshot = driver.reader().latest("runs")
    assert (snapshot.sequence, len(snapshot)) == (report.sequence, len(FILES))


def test_one_driver_twice_at_once_commits_each_file_once(driver):
    receipts = [staged(driver.remote.lend(), FILES)]
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: commits(driver, receipts), range(2))
    assert sorted([(one.uploaded, one.skipped), (two.uploaded, two.skipped)]) == [(0, len(FILES)), (len(FILES), 0)]
    assert (one.failed, two.failed, {one.sequence, two.sequence}) == ([], [], {1})


def test_two_machines_that_commit_the_same_receipts_come_to_one_tree(dropbox, driver, tmp_path):
    receipts, gate = [staged(driver.remote.lend(), FILES)], threading.Barrier(2)

    def run(home):
        gate.wait()
        return commit(driver.remote, receipts, FOLDER, home=home, keys=driver.keys, unsealed=True)

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(run, [driver.home, tmp_path / "other"]))
    assert [report.failed for report in reports] == [[], []]
    assert there(driver) == hashes(FILES)
    snapshot = driver.reader().latest("runs")
    assert {path: snapshot.read(f"runs/{path}") for path in FILES} == FILES


def test_a_grant_that_expires_while_it_stages_loses_nothing_that_was_committed(dropbox, driver):
    grant = driver.remote.lend()
    first = staged(grant, {"b/0.bin": b"before"})
    dropbox.faults({"fault": "expired_access_token", "route": "files/upload_session/append_batch"})
    with pytest.raises(errors.NotAuthorized) as caught:
        staged(grant, FILES)
    assert caught.value.code == "GRANT_EXPIRED"
    assert grant.token.reveal() not in repr(caught.value.as_dict())
    dropbox.faults()
    report = commits(driver, [first, staged(driver.remote.lend(), FILES)])
    assert (report.uploaded, report.failed) == (len(FILES) + 1, [])


@pytest.mark.parametrize("clock", [lambda: 0.0, lambda: -1e9, lambda: 4e10], ids=["1970", "before", "far ahead"])
def test_a_worker_whose_clock_is_off_stages_as_well(driver, clock):
    receipts = staged(driver.remote.lend(), FILES, clock=clock)
    report = commits(driver, [receipts])
    assert (report.uploaded, report.failed, report.sequence) == (len(FILES), [], 1)
    assert there(driver) == hashes(FILES)


def test_names_that_are_one_to_dropbox_are_one_file(driver):
    grant = driver.remote.lend()
    one = staged(grant, {"a/Model.bin": b"first", "É/x": b"first"}, clock=lambda: 1000.0)
    two = staged(grant, {"A/model.BIN": b"second", "é/X": b"second"}, clock=lambda: 2000.0)
    for order in ([one, two], [two, one]):
        report = commits(driver, order)
        assert report.failed == []
    assert sorted(there(driver).values()) == [content_hash(b"second")] * 2


def test_a_file_where_another_needs_a_folder_fails_and_nothing_is_signed(driver):
    grant = driver.remote.lend()
    report = commits(driver, [staged(grant, {"a": b"1"}), staged(grant, {"a/b": b"2"})])
    assert len(report.failed) == 1
    assert (report.uploaded, report.sequence) == (1, 0)


@pytest.mark.parametrize("size", [-1, 2**41, 2**63, 150 * 1024 * 1024])
def test_a_receipt_of_a_size_that_its_blocks_do_not_make_is_none(driver, size):
    from msgspec.structs import replace

    receipts = form.decode(staged(driver.remote.lend(), {"x": b"1"}))
    forged = [replace(receipts.files[0], size=size)]
    with pytest.raises(errors.UsageError):
        commits(driver, [form.encode(receipts.service, receipts.account, forged, driver.remote.seal())])


def test_receipts_cut_short_at_any_byte_are_none(driver):
    whole = staged(driver.remote.lend(), {"x": b"1"})
    for length in range(len(whole)):
        with pytest.raises(errors.UsageError):
            commits(driver, [whole[:length]])
    assert commits(driver, [whole]).uploaded == 1


@pytest.mark.parametrize("share", [0, 0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused_before_anything_is_asked(dropbox, driver, share):
    before = dropbox.log()["requests"]
    with pytest.raises(errors.UsageError, match="share"):
        driver.remote.lend(share=share)
    assert dropbox.log()["requests"] == before


@pytest.mark.slow
def test_ten_thousand_receipts(driver):
    """As many tasks, each of which has staged one file."""
    whole = form.decode(staged(driver.remote.lend(), {f"{n % 100}/{n}": str(n).encode() for n in range(10_000)}))
    key = driver.remote.seal()
    each = [form.encode(whole.service, whole.account, [file], key) for file in whole.files]
    report = commits(driver, [*each, *each[::7]])
    assert (report.uploaded, report.failed, report.sequence) == (10_000, [], 1)
    assert commits(driver, each).skipped == 10_000


@pytest.mark.slow
def test_a_file_of_150_mib_is_proved_by_its_blocks(driver):
    data = content("large", 151 * 1024 * 1024)
    report = commits(driver, [staged(driver.remote.lend(), {"large.bin": data})])
    assert (report.uploaded, report.sequence) == (1, 1)
    snapshot = driver.reader().latest("runs")
    assert snapshot.read_range("runs/large.bin", len(data) - 10, 10) == data[-10:]
