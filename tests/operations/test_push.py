"""Push: what moves, what does not, what stops it, and in how many requests."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from root_powers import without_root_powers
from sampled import slow
from transfer_world import MIB, ROOT, Watching, content, local_tree

from huracan_sync.disk.lock import hold
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import Busy, Conflict, HostilePath, MissingScope, UsageError
from huracan_sync.tree.content_hash import content_hash


def hashes(root):
    return {path: content_hash(data).hex() for path, data in local_tree(root).items()}


SMALL = {f"{'abc'[n % 3]}/file {n}.json": 500 + n for n in range(70)}


def test_everything_arrives_exactly(world):
    world.write({**SMALL, "größe/📈.bin": 9 * MIB, "empty": b"", "BTC/BTC-USDT:USDT_1m.bin": 5})
    report = world.push()
    assert world.there() == hashes(world.src)
    assert (report.uploaded, report.skipped, report.failed) == (73, 0, [])
    assert report.bytes_sent == sum(len(data) for data in local_tree(world.src).values())


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("files", "requests"),
    [
        (0, {"files/list_folder": 1}),
        (1, {"files/list_folder": 1, "files/upload": 1}),
        (2, {"files/list_folder": 1, "files/upload": 2}),
        (
            50,
            {
                "files/list_folder": 1,
                "files/upload_session/start_batch": 1,
                "files/upload_session/append_batch": 1,
                "files/upload_session/finish_batch_v2": 1,
            },
        ),
        slow(
            (
                1000,
                {
                    "files/list_folder": 1,
                    "files/upload_session/start_batch": 1,
                    "files/upload_session/append_batch": 17,
                    "files/upload_session/finish_batch_v2": 1,
                },
            )
        ),
    ],
)
def test_request_budget_of_a_first_push(world, files, requests):
    world.write({f"d{n % 7}/f{n}.json": 2048 for n in range(files)})
    world.push()
    assert world.log() == requests


@pytest.mark.slow
def test_request_budget_of_a_larger_header(world):
    world.write({f"d{n % 7}/f{n}.json": 2048 for n in range(1000)})
    report = world.push(transfer={"header_limit": 60_000})
    assert report.requests == 6


@pytest.mark.slow
def test_headers_stay_under_the_budget_and_are_learned_upwards(world):
    world.dropbox.config(header_limit=40_000)
    world.write({f"d{n % 7}/f{n}.json": 200 for n in range(3000)})
    world.push(transfer={"learn_headers": True})
    log = world.dropbox.log()
    assert world.there() == hashes(world.src)
    assert log["requests"]["files/upload_session/append_batch"] < 51  # what 8 KiB would need
    assert log["refusals"].get("431", 0) <= 4  # found out, then kept


def test_unchanged_is_one_request_and_no_byte(world):
    world.write(SMALL)
    world.push()
    for _ in range(3):
        world.clear_log()
        report = world.push()
        assert (report.uploaded, report.skipped, report.bytes_sent, report.requests) == (0, 70, 0, 1)
        assert set(world.log()) <= {"files/list_folder", "files/list_folder/continue"}


def test_a_touched_file_is_read_but_not_sent(world):
    world.write(SMALL)
    world.push()
    for path in world.src.rglob("*.json"):
        os.utime(path, ns=(1, 1))
    assert (world.push().bytes_sent, world.push().requests) == (0, 1)


def test_ten_changed(world):
    world.write(SMALL)
    world.push()
    world.push()
    world.clear_log()
    world.write({path: content("new", 700) for path in list(SMALL)[:10]})
    report = world.push()
    assert (report.uploaded, report.skipped, report.requests) == (10, 60, 4)
    assert world.there() == hashes(world.src)


def test_same_size_other_content_is_sent(world):
    world.write({"x": b"aaaa"})
    world.push()
    world.write({"x": b"bbbb"})
    assert world.push().uploaded == 1
    assert world.there() == hashes(world.src)


def test_a_lost_journal_costs_a_listing_and_no_byte(world):
    world.write(SMALL)
    world.push()
    (world.home / "journal.db").write_bytes(b"garbage, not a database" * 100)
    report = world.push()
    assert (report.uploaded, report.bytes_sent, report.requests) == (0, 0, 1)
    assert [p.name for p in world.home.glob("journal.db.aside-*")]


def test_modification_times_travel(world):
    world.write({"x": b"1"})
    os.utime(world.src / "x", ns=(1_600_000_000_500_000_000,) * 2)
    world.push()
    (entry,) = world.foreign("files/list_folder", {"path": ROOT})["entries"]
    assert entry["client_modified"] == "2020-09-13T12:26:40Z"


# --- somebody else writes too -------------------------------------------------------------------------------------


def test_a_foreign_change_stops_that_file_and_says_so(world):
    world.write({"x": b"1", "y": b"1"})
    world.push()
    theirs = world.foreign_write("x", b"theirs")
    world.write({"x": b"2", "y": b"2"})
    report = world.push()
    (failure,) = report.failed
    assert (failure.path, type(failure.error)) == ("x", Conflict)
    assert failure.error.facts["remote_rev"] == theirs["rev"]
    assert "--overwrite" in failure.error.hint
    assert world.there() == {"x": content_hash(b"theirs").hex(), "y": content_hash(b"2").hex()}


def test_a_foreign_change_under_an_unchanged_file_is_said_too(world):
    world.write({"x": b"1"})
    world.push()
    world.foreign_write("x", b"theirs")
    assert "in Dropbox by somebody else" in str(world.push().failed[0].error)


def test_a_foreign_change_between_look_and_commit_is_not_overwritten(world):
    world.write({"x": b"1"})
    world.push()
    world.write({"x": b"2"})

    def write_theirs(reading: StableRead):
        world.foreign_write("x", b"theirs")

    (failure,) = world.push(check=write_theirs).failed
    assert type(failure.error) is Conflict
    assert world.there() == {"x": content_hash(b"theirs").hex()}


def test_overwrite_lets_ours_win_and_keeps_theirs_as_a_revision(world):
    world.write({"x": b"1"})
    world.push()
    world.foreign_write("x", b"theirs")
    world.write({"x": b"2"})
    assert world.push(overwrite=True).failed == []
    revisions = world.foreign("files/list_revisions", {"path": f"{ROOT}/x"})["entries"]
    assert [r["content_hash"] for r in revisions] == [content_hash(d).hex() for d in (b"2", b"theirs", b"1")]


def test_the_same_content_written_by_somebody_else_is_no_conflict(world):
    world.write({"x": b"1"})
    world.foreign_write("x", b"1")
    report = world.push()
    assert (report.uploaded, report.skipped, report.failed) == (0, 1, [])


def test_what_only_dropbox_has_is_left_alone(world):
    world.foreign_write("theirs", b"1")
    world.write({"mine": b"1"})
    world.push(delete=True)
    assert sorted(world.there()) == ["mine", "theirs"]


def test_what_somebody_else_deleted_comes_back(world):
    world.write({"x": b"1", "y": b"1"})
    world.push()
    world.foreign_delete("x")
    assert world.push().uploaded == 1
    assert sorted(world.there()) == ["x", "y"]


def test_another_case_in_dropbox_is_the_same_file(world):
    world.foreign_write("Größe.JSON", b"1")
    world.write({"GRÖßE.json": b"1"})
    report = world.push()
    assert (report.uploaded, report.failed) == (0, [])
    assert len(world.there()) == 1


# --- deletions ----------------------------------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize("count", [1, 2, 40])
def test_deletions_only_on_demand_and_guarded(world, count):
    world.write({f"f{n}": b"x" for n in range(count + 2)})
    world.push()
    theirs = world.foreign_write("f0", b"theirs")
    for n in range(count + 1):
        (world.src / f"f{n}").unlink()
    assert world.push().deleted == 0
    assert len(world.there()) == count + 2
    report = world.push(delete=True)
    assert report.deleted == count
    assert [f.path for f in report.failed] == ["f0"]  # theirs now
    assert sorted(world.there()) == ["f0", f"f{count + 1}"]
    assert theirs["content_hash"] == world.there()["f0"]
    assert world.push(delete=True).deleted == 0


def test_an_emptied_folder_is_not_mirrored(world):
    world.write(SMALL)
    world.push()
    for path in world.src.rglob("*.json"):
        path.unlink()
    with pytest.raises(Conflict, match="is empty now"):
        world.push(delete=True)
    assert len(world.there()) == 70
    world.write({"of another disk": 1})
    with pytest.raises(Conflict, match="holds none of them now"):
        world.push(delete=True)
    assert world.push(delete=True, force=True).deleted == 70


def test_a_vanished_remote_folder_is_not_filled_again_unasked(world):
    world.write({"x": b"1", "y": b"1"})
    world.push()
    world.foreign_delete("")
    with pytest.raises(Conflict, match="none of them now"):
        world.push()
    assert world.push(force=True).uploaded == 2
    assert world.push().requests == 1


def test_a_missing_folder_is_a_usage_error_and_deletes_nothing(world):
    world.write({"x": b"1"})
    world.push()
    world.src.rename(world.src.with_name("moved"))
    with pytest.raises(UsageError, match="there is no folder"):
        world.push(delete=True, force=True)
    assert list(world.there()) == ["x"]


def test_a_lost_cursor_infers_no_deletion(world):
    world.write(SMALL)
    world.push()
    world.push()
    world.dropbox.config(page_size=10)
    world.dropbox.faults({"route": "files/list_folder/continue", "nth": 1, "fault": "cursor_reset"})
    world.dropbox.faults({"route": "files/list_folder/continue", "nth": list(range(4, 30)), "fault": "server_error"})
    world.write({"new": b"1"})
    with pytest.raises(Exception, match="Dropbox answered 503"):
        world.push(delete=True)
    world.dropbox.faults()
    report = world.push(delete=True)
    assert (report.uploaded, report.deleted, report.skipped) == (1, 0, 70)


# --- files that change, that are half, that cannot be -------------------------------------------------------------


def test_a_file_that_changes_while_it_is_read_is_never_sent_mixed(world):
    size = 10 * MIB
    world.write({"x": bytes(size)})
    changed = []

    def change(reading: StableRead):
        if not changed:
            changed.append(1)
            (world.src / "x").write_bytes(b"\1" * size)

    world.push(check=change)
    assert world.there() == {"x": content_hash(b"\1" * size).hex()}


def test_a_file_that_never_rests_is_left_for_the_next_pass(world):
    world.write({"x": b"1", "y": b"1"})
    count = [0]

    def change(reading: StableRead):
        if reading.path == "x":
            count[0] += 1
            (world.src / "x").write_bytes(bytes(count[0]))

    report = world.push(check=change)
    assert [(f.path, f.error.retryable) for f in report.failed] == [("x", True)]
    assert list(world.there()) == ["y"]
    assert world.push().failed == []


def test_a_growing_log_is_sent_as_a_whole_beginning(world):
    world.write({"run.log": b"line 1\n"})

    def grow(reading: StableRead):
        with (world.src / "run.log").open("ab") as log:
            log.write(b"line 2\n")

    assert world.push(check=grow).failed == []
    assert world.there() == {"run.log": content_hash(b"line 1\n").hex()}
    assert world.push().uploaded == 1
    assert world.there() == hashes(world.src)


def test_a_small_file_that_grows_large_is_sent_in_parts(world):
    world.write({f"f{n}": b"1" for n in range(5)})
    grown = []

    def grow(reading: StableRead):
        if reading.path == "f3" and not grown:
            grown.append(1)
            world.write({"f3": 9 * MIB})

    assert world.push(check=grow).failed == []
    assert world.there() == hashes(world.src)


def test_a_half_written_parquet_waits(world):
    pq.write_table(pa.table({"ts": list(range(1000))}), world.src / "good.parquet")
    whole = (world.src / "good.parquet").read_bytes()
    world.push()
    good = world.there()
    for half in (whole[: len(whole) // 2], whole[:-1], b"PAR1", b"", whole[:-8] + b"\xff\xff\xff\x7fPAR1"):
        world.write({"good.parquet": half})
        (failure,) = world.push().failed
        assert failure.error.code == "HALF_WRITTEN"
        assert world.there() == good
    world.write({"good.parquet": whole})
    assert world.push().failed == []


def test_an_unreadable_file_fails_alone(world):
    world.write({"x": b"1", "y": b"1"})
    (world.src / "x").chmod(0)
    with without_root_powers():
        report = world.push()
    assert [f.path for f in report.failed] == ["x"]
    assert list(world.there()) == ["y"]


def test_hostile_and_twin_names_fail_alone_and_delete_nothing(world):
    world.write({"good": b"1", "Case": b"1"})
    world.push()
    world.write({"case": b"2", "bad\nname": b"1", "e\u0301": b"1"})
    report = world.push(delete=True)
    assert {f.path for f in report.failed} == {"Case", "case", "bad\nname", "e\u0301"}
    assert sorted(world.there()) == ["Case", "good"]


def test_a_hostile_remote_root_is_refused(world):
    from huracan_sync.operations.push import push

    for root in ("/a/../b", "/a\x00", "/a//b"):
        with pytest.raises(HostilePath):
            push(world.src, root, remote=world.remote, home=world.home)


# --- who may, and who else ----------------------------------------------------------------------------------------


def test_a_reader_cannot_push_and_learns_why(world):
    from transfer_world import Tokens

    world.write({"x": b"1"})
    world.tokens = Tokens(world.dropbox, ["files.metadata.read", "files.content.read"])
    with pytest.raises(MissingScope, match=r"files\.content\.write"):
        world.push(remote=world.connect())
    assert world.there() == {}


def test_an_expired_token_is_renewed_once(world):
    world.write(SMALL)
    world.push()
    world.dropbox.advance(5 * 3600)
    world.write({"new": b"1"})
    assert world.push().uploaded == 1
    assert world.tokens.renewals == 1


def test_two_at_once_on_one_pair(world):
    world.write({"x": b"1"})
    world.push()
    (lock,) = (world.home / "locks").iterdir()
    with hold(lock, what="a test"), pytest.raises(Busy, match="works on"):
        world.push()
    assert world.push().requests == 1


# --- what is told -------------------------------------------------------------------------------------------------


def test_progress_adds_up_to_the_report(world):
    world.write({**SMALL, "large": 9 * MIB})
    monitor = Watching()
    report = world.push(monitor=monitor)
    total = sum(len(data) for data in local_tree(world.src).values())
    assert monitor.plans == [(71, total)]
    assert monitor.bytes == report.bytes_sent == total
    assert sorted(monitor.files) == sorted(local_tree(world.src))


def test_a_server_without_batches(world):
    world.write(SMALL)
    world.dropbox.faults({"route": "files/upload_session/append_batch", "fault": "error", "tags": ["other"]})
    monitor = Watching()
    assert world.push(monitor=monitor).failed == []
    assert world.there() == hashes(world.src)
    assert any("does not take batches" in note for note in monitor.notes)


@pytest.mark.parametrize("ends", [0, 5000], ids=["other ends", "the same ends"])
@pytest.mark.parametrize("size", [3 * MIB, 13 * MIB], ids=["in one piece", "in parts"])
def test_a_log_that_is_rotated_while_it_is_sent_is_sent_anew_as_a_whole(world, size, ends):
    """copytruncate: the same file is emptied and written anew, and is as long as before by the time it is committed."""
    old, new = (bytes(ends) + content(name, size) + bytes(ends) for name in ("old", "new"))
    world.write({"a.log": old})
    open_, rotated = world.remote.wire.open, []

    def opened(url, **options):
        answer = open_(url, **options)
        if url.endswith(("/files/upload", "/append_v2")) and not rotated:  # Dropbox has bytes of the old log
            rotated.append(url)
            with (world.src / "a.log").open("r+b") as file:
                file.truncate(0)
                file.write(new + b"and more\n")
        return answer

    world.remote.wire.open = opened
    report = world.push(transfer={"whole_up_to": 4 * MIB, "part_size": 4 * MIB})
    assert rotated
    there = world.there()["a.log"]
    whole = {content_hash(data).hex() for data in (old, new, new + b"and more\n")}
    assert (report.failed, there in whole) == ([], True)
    assert world.push().failed == []
    assert world.there()["a.log"] == content_hash(new + b"and more\n").hex()
