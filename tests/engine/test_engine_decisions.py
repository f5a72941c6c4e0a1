"""What the engine's parts decide by themselves: places, names, which candle holds more, who was faster."""

import io
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine_world import candles, write_candle

from huracan_sync.engine import artifacts
from huracan_sync.engine.candles import DAMAGED, Facts, facts_here, refuse_suspect
from huracan_sync.engine.champion_swap import TRIES, ChampionSwap
from huracan_sync.engine.continuous import ContinuousSync
from huracan_sync.engine.deliver import deliver
from huracan_sync.engine.dropbox_sync import DropboxSync
from huracan_sync.engine.folder_sync import Folder, Passed, folder_at
from huracan_sync.engine.sdk_client import RawClient
from huracan_sync.engine.staged_commit import commit_staged
from huracan_sync.engine.uploads import Uploads
from huracan_sync.errors import Conflict, HostilePath, LeftOut, UsageError
from huracan_sync.operations.push import PushReport
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.filters import IGNORE_FILE
from huracan_sync.tree.layout import Layout

LAYOUT = Layout("Runpodhuracan")


# -- candles ---------------------------------------------------------------------------------------------------------


def parquet(table):
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def reader_of(data):
    return lambda at, count: data[at : at + count]


def test_the_candle_with_more_rows_holds_more_and_then_the_later_one():
    assert DAMAGED < Facts(0, 0) < Facts(10, 5) < Facts(10, 6) < Facts(11, 0)


@pytest.mark.parametrize(
    ("facts", "suspect"),
    [
        (Facts(10, 1_700_000_000_000), False),
        (Facts(10, 1_700_000_000), True),  # divided by a thousand twice
        (Facts(10, 0), False),  # nothing is known of its times
        (Facts(0, 1), False),
    ],
)
def test_candles_older_than_any_exchange(facts, suspect):
    assert facts.is_suspect is suspect


def test_a_candle_from_1970_is_left_out_of_a_restore():
    old = parquet(candles(5, start=1_700_000_000, step=60))
    with pytest.raises(LeftOut, match="older than any exchange"):
        refuse_suspect("BTC/x.parquet", reader_of(old), len(old))
    refuse_suspect("BTC/x.csv", reader_of(old), len(old))
    for fine in (parquet(candles(5)), parquet(pa.table({"close": [1.0]})), b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        refuse_suspect("BTC/x.parquet", reader_of(fine), len(fine))


def test_what_a_footer_says_is_read_without_the_columns(tmp_path):
    data = write_candle(tmp_path / "whole.parquet", rows=7)
    (tmp_path / "cut.parquet").write_bytes(data[:-9])
    last = 1_700_000_000_000 + 6 * 60_000
    assert facts_here(tmp_path, "whole.parquet") == Facts(7, last)
    assert facts_here(tmp_path, "cut.parquet") == DAMAGED
    assert facts_here(tmp_path, "nowhere.parquet") is None


# -- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "recursive", "path", "wanted"),
    [
        (("*",), True, "a/b.txt", True),
        (("*.json",), True, "a/b.json", True),
        (("**/*.json",), True, "b.json", True),
        (("*.json", "*.csv"), True, "a/b.txt", False),
        (("*.json",), False, "b.json", True),
        (("*.json",), False, "a/b.json", False),
        (("a/*.json",), False, "a/b.json", True),
    ],
)
def test_patterns_match_as_rglob_does(patterns, recursive, path, wanted):
    assert Folder(Path("/x"), "/y", patterns, recursive).wants(path) is wanted


def test_candles_go_to_their_one_place_whatever_folder_they_are_sent_to(tmp_path):
    folder = folder_at(LAYOUT, tmp_path, f"{LAYOUT.candles}/mine")
    assert (folder.remote, folder.view.name) == (LAYOUT.candles, "candles/mine")
    assert folder.view.there("note.txt") == "mine/note.txt"
    assert folder.view.here("mine/note.txt") == "note.txt"
    assert folder_at(LAYOUT, tmp_path, "/Runpodhuracan/logs").view is None


def test_an_ignore_file_that_cannot_be_read_is_no_empty_one(tmp_path):
    (tmp_path / IGNORE_FILE).write_text("*.tmp\n")
    folder = folder_at(LAYOUT, tmp_path, "/Runpodhuracan/logs")
    assert (folder.wants("a.tmp"), folder.wants("a.log")) == (False, True)
    (tmp_path / IGNORE_FILE).write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        folder_at(LAYOUT, tmp_path, "/Runpodhuracan/logs")


def test_what_is_newer_there_is_not_in_step():
    assert Passed(PushReport(uploaded=2, skipped=5), newer_there=["a", "b"]).in_step == 5
    assert Passed(PushReport(skipped=1), newer_there=["a", "b"]).in_step == 0


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name", "organised", "plain"),
    [
        ("model", "m.pkl", "model/model.bin", "models/model.bin"),
        ("metrics", "m.json", "metrics/training_metrics.json", "metrics/training_metrics.json"),
        ("features", "f.json", "features/features.json", "data/features.json"),
        ("candle_data", "c.parquet", "data/c.parquet", "data/c.parquet"),
        ("additional_a b/c", "x.csv", "results/a_b_c.csv", "results/a_b_c.csv"),
        ("notes", "noextension", "results/notes.bin", "results/notes.bin"),
    ],
)
def test_where_a_result_of_a_coin_lies(label, name, organised, plain):
    places = [artifacts._place_of_result(label, Path(name), organised=each) for each in (True, False)]
    assert places == [organised, plain]


def test_a_label_that_leaves_its_folder_is_refused():
    with pytest.raises(HostilePath):
        artifacts._place_of_result("additional_..\\x", Path("x.csv"), organised=True)


def test_archived_champions_of_one_day_are_told_apart():
    swap = ChampionSwap(None, LAYOUT, "BTC", "2025-11-14")
    first, second = swap.archive_place(), swap.archive_place("abc123")
    assert first != second
    assert "2025-11-14" in first
    assert "abc123" in second


def test_a_champion_that_others_keep_replacing_is_given_up(machine):
    """Each of theirs is archived before it would be replaced."""
    layout, tries = Layout("Runpodhuracan"), []
    swap = ChampionSwap(machine.remote(), layout, "BTC", "2025-11-14")
    machine.stranger.write(swap.place, b"theirs 0")

    def put(rev):
        tries.append(rev)
        machine.stranger.write(swap.place, b"theirs %d" % len(tries))
        raise Conflict("somebody was faster")

    with pytest.raises(Conflict, match="somebody was faster"):
        swap.replace(content_hash(b"ours"), put, archive=True, overwrite=True)
    assert len(set(tries)) == TRIES
    archived = [path for path in machine.stranger.paths() if "archive" in path]
    assert sorted(map(machine.stranger.read, archived)) == [b"theirs 0", b"theirs 1", b"theirs 2"]
    kept = swap.replace(content_hash(b"ours"), lambda **how: how, archive=True, overwrite=False)
    assert kept == {"overwrite": False}


# -- the object ------------------------------------------------------------------------------------------------------


def test_an_object_that_is_disabled_answers_as_if_there_were_nothing():
    sync = DropboxSync(enabled=False)
    assert (sync.pending, sync.stop(), sync.start_continuous_sync(), sync.publish_champions()) == ([], True, [], False)
    kind, arguments = sync.__reduce__()
    assert kind(*arguments).pending == []


def test_a_given_login_is_not_pickled(machine):
    with pytest.raises(TypeError, match="not pickled"):
        machine.sync().__reduce__()


def test_loops_that_never_ran_have_ended():
    loops = ContinuousSync(None, None, None)
    assert (loops.stop(), loops.states()) == (True, [])


def test_one_upload_takes_a_few_queued_writes_along_and_later_ones_win(machine):
    machine.write({"a": b"a", "b": b"b", "c": b"c"})
    sync = machine.sync()
    context = sync._context
    assert deliver(context) == 0
    for name in ("a", "b", "c"):
        queued = context.queued_write(f"/Runpodhuracan/{name}", Conflict("later"), local="", overwrite=True)
        context.outbox.put(msgspec.structs.replace(queued, queued=context.clock() - 100), name.encode())
    machine.stranger.write("/Runpodhuracan/c", b"a later one")
    assert [deliver(context, at_most=1), deliver(context)] == [1, 1]
    there = [machine.stranger.read(f"/Runpodhuracan/{name}") for name in ("a", "b", "c")]
    assert (there, sync.pending) == ([b"a", b"b", b"a later one"], [])


def test_a_folder_is_no_file_and_text_is_unicode(machine):
    machine.write({"folder/x": b"x"})
    sync = machine.sync()
    uploads = Uploads(sync._context)
    assert not uploads.upload_file(machine.work / "folder", "x", overwrite=True, dated=False)
    assert "use sync_directory" in sync.last_error.hint
    assert not uploads.write_text("x", "half \ud800", dated=False, overwrite=True)
    assert "half of a character at 5" in str(sync.last_error)
    assert (sync.pending, machine.stranger.paths()) == ([], [])


def test_the_sdk_reads_the_newest_copy_of_a_candle(machine):
    name = "BTC-USDT_1d_20221112_20251111.parquet"
    proper, older = f"{LAYOUT.candles}/BTCUSDT/{name}", f"{LAYOUT.candles}/BTC/{name}"
    client = RawClient(machine.sync()._context)
    assert client._newest(older) == older, "nothing lies anywhere"
    machine.stranger.write(proper, b"old")
    machine.dropbox.control("clock", {"advance_s": 60})
    machine.stranger.write(older, b"newer")
    assert client._newest(proper) == older
    machine.stranger.write(proper, b"newer")
    assert client._newest(older) == proper
    assert client._newest("/Runpodhuracan/logs/x") == "/Runpodhuracan/logs/x"


def test_staged_receipts_that_are_none_commit_nothing(machine):
    context = machine.sync()._context
    with pytest.raises(UsageError):
        commit_staged(context, [b"no receipt"])
    assert machine.stranger.paths() == []
