"""Of several copies of a candle the newest wins, wherever it lies; names of every kind have one place."""

import dropbox
import pytest
from engine_world import write_candle

from huracan_sync import push, restore
from huracan_sync.operations import migrate
from huracan_sync.reader import Reader
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.context import Context
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.layout import Layout

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
JOINED = "ETHUSDT_1d_20250615_20251112.parquet"
PROPER = f"{APP}/data/candles/BTCUSDT/{SPOT}"
PLACES = [f"{APP}/data/candles/{place}{SPOT}" for place in ("", "BTC/", "BTC-USDT/", "BTCUSDT/")]


@pytest.fixture
def contents(machine):
    """Candles of different content, the earliest first."""
    return [write_candle(machine.work / "x.parquet", rows=50 - n, seed=n) for n in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("newest", PLACES)
def test_the_newest_copy_is_read_whatever_place_is_asked_for(machine, contents, newest):
    order = [place for place in PLACES if place != newest] + [newest]
    for place, content in zip(order, contents, strict=True):
        machine.stranger.write(place, content)
        machine.dropbox.advance(60)
    sync = machine.sync()
    for place in PLACES:
        assert sync._dbx.files_download(place)[1].content == contents[-1]
        assert sync._dbx.files_get_metadata(place).size == len(contents[-1])
        sync._dbx.files_download_to_file(str(machine.work / "fetched"), place)
        assert (machine.work / "fetched").read_bytes() == contents[-1]
    assert sync.restore_data_cache() == 1
    assert (machine.work / "data/candles/BTC" / SPOT).read_bytes() == contents[-1]
    assert sync.restore_data_cache() == 0


def test_copies_that_are_alike_count_as_the_one_in_its_place(machine, contents):
    machine.stranger.write(PROPER, contents[0])
    machine.dropbox.advance(60)
    machine.stranger.write(PLACES[0], contents[0])
    assert machine.sync()._dbx.files_get_metadata(PLACES[0]).path_display == PROPER


def test_a_newer_flat_copy_replaces_what_was_restored_and_becomes_the_one_in_its_place(machine, contents):
    machine.stranger.write(PROPER, contents[0])
    sync, here = machine.sync(), machine.work / "data/candles/BTC" / SPOT
    assert sync.restore_data_cache() == 1
    machine.dropbox.advance(60)
    machine.stranger.write(PLACES[0], contents[1])  # as the engine's download callback still does
    assert sync.restore_data_cache() == 1
    assert here.read_bytes() == contents[1]
    assert sync.upload_data_cache() == 1
    assert machine.stranger.read(PROPER) == contents[1]
    assert machine.stranger.read(PLACES[0]) == contents[1]  # a copy is never deleted


def test_work_of_our_own_stays(machine, contents):
    machine.stranger.write(PROPER, contents[0])
    machine.stranger.write(PLACES[0], contents[1])
    here = machine.work / "data/candles/BTC" / SPOT
    mine = write_candle(here, rows=99)
    assert machine.sync().restore_data_cache() == 0
    assert here.read_bytes() == mine


def test_a_candle_that_is_nowhere_is_missing_as_the_sdk_says_it(machine):
    with pytest.raises(dropbox.exceptions.ApiError):
        machine.sync()._dbx.files_download(PLACES[0])


def test_a_joined_name_goes_to_its_folder_by_every_route(machine):
    data = write_candle(machine.work / "data/candles" / JOINED)
    there = f"{APP}/data/candles/ETHUSDT/{JOINED}"
    path = machine.work / "data/candles" / JOINED
    routes = [
        lambda sync: sync.upload_data_cache(),
        lambda sync: sync.upload_candle_data("ETH/USDT", path),
        lambda sync: sync.upload_file(path, f"data/candles/{JOINED}"),
        lambda sync: sync.upload_file(path, f"{APP}/data/candles/{JOINED}", use_dated_folder=False),
        lambda sync: sync.sync_directory("data/candles", f"{APP}/data/candles", "*.parquet", use_dated_folder=False),
        lambda sync: sync._dbx.files_upload(data, f"{APP}/data/candles/{JOINED}"),
        lambda sync: sync._dbx.files_upload(data, f"{APP}/data/candles/ETH/{JOINED}", dropbox.files.WriteMode.add),
    ]
    for route in routes:
        assert route(machine.sync())
        assert machine.stranger.paths() == [there]
        machine.stranger.delete(there)
    machine.stranger.write(there, data)
    path.unlink()
    assert machine.sync().restore_data_cache() == 1
    assert (machine.work / "data/candles/ETHUSDT" / JOINED).read_bytes() == data


def test_a_label_becomes_a_file_name(machine):
    machine.write({"r.json": "{}"})
    results = machine.sync().export_coin_results(
        "BTC/USDT", "2025-11-14", additional_files={"walk forward/a b": "r.json"}
    )
    assert results == {"additional_walk forward/a b": True}
    (path,) = machine.stranger.paths()
    assert path.endswith("/results/walk_forward_a_b.json")


def test_one_label_that_cannot_be_is_that_result_s_failure(machine):
    machine.write({"r.json": "{}", "s.json": "[]"})
    given = {"a b": "r.json", "..": "r.json", "a/b": "s.json", "none": "nowhere.json", "c": "s.json"}
    sync = machine.sync()
    results = sync.export_coin_results("BTC/USDT", "2025-11-14", additional_files=given)
    assert results == {f"additional_{label}": label in {"a b", "c"} for label in given}
    folder = f"{APP}/models/training/2025-11-14/BTCUSDT/results"
    assert machine.stranger.paths() == [f"{folder}/a_b.json", f"{folder}/c.json"]
    assert machine.stranger.read(f"{folder}/a_b.json") == b"{}", "of two labels of one name none replaces the other"
    assert sync.export_coin_results("", "2025-11-14", additional_files=given) == {}


def test_through_the_sdk_a_revision_is_replaced_where_it_lies(machine, contents):
    there = machine.stranger.write(PLACES[0], contents[0])
    mode = dropbox.files.WriteMode.update(there["rev"])
    machine.sync()._dbx.files_upload(contents[1], PLACES[0], mode=mode)
    assert machine.stranger.paths() == [PLACES[0]]
    assert machine.stranger.read(PLACES[0]) == contents[1]


def test_push_and_the_engine_agree_on_one_layout(machine, tmp_path):
    for name in (f"BTC/{SPOT}", JOINED):
        write_candle(machine.work / "data/candles" / name)
    (machine.work / "data/candles/ETHUSDT").mkdir()
    (machine.work / "data/candles" / JOINED).rename(machine.work / "data/candles/ETHUSDT" / JOINED)
    remote = machine.remote()
    report = push("data/candles", f"{APP}/data/candles", remote=remote)
    assert report.uploaded == 2
    there = machine.stranger.paths()
    assert there == sorted([PROPER, f"{APP}/data/candles/ETHUSDT/{JOINED}"])
    machine.clear_log()
    assert machine.sync().upload_data_cache() == 2
    assert not [route for route in machine.requests() if "upload" in route]
    assert machine.stranger.paths() == there
    assert migrate.plan(remote, Layout()).is_empty
    restore(f"{APP}/data/candles", tmp_path / "back", remote=machine.remote())
    back = {p.relative_to(tmp_path / "back").as_posix(): p.read_bytes() for p in (tmp_path / "back").rglob("*.parquet")}
    assert back == machine.tree("data/candles")


@pytest.mark.parametrize("place", [*PLACES[1:], PLACES[0], PROPER])
def test_a_thiefs_newer_copy_is_not_taken_for_a_candle_that_is_signed(machine, contents, monkeypatch, tmp_path, place):
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "sign.key"))
    TrustFiles(Context.of(machine.remote(), home=machine.home), APP).begin()
    here = machine.work / "data/candles/BTC" / SPOT
    machine.write({here.relative_to(machine.work): contents[0]})
    sync = machine.sync()
    assert sync.upload_data_cache() == 1
    machine.dropbox.advance(60)
    machine.stranger.write(place, contents[1])
    here.unlink()
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path / "new pod"))
    assert machine.sync().restore_data_cache() == 1
    assert here.read_bytes() == contents[0]


def test_a_candle_that_the_loader_fetched_through_the_sdk_is_not_signed_for_that(
    machine, contents, monkeypatch, tmp_path
):
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "sign.key"))
    pin = TrustFiles(Context.of(machine.remote(), home=machine.home), APP).begin().pin
    machine.stranger.write(PROPER, contents[0])
    machine.stranger.write(f"{APP}/data/candles/ETH/{JOINED}", contents[1])
    sync = machine.sync()
    spot, joined = (machine.work / "data/candles" / name for name in (f"BTC/{SPOT}", f"ETH/{JOINED}"))
    for path in (spot, joined):
        path.parent.mkdir(parents=True)
    spot.write_bytes(sync._dbx.files_download(PROPER)[1].content)
    sync._dbx.files_download_to_file(str(joined), f"{APP}/data/candles/ETH/{JOINED}")
    machine.stranger.delete(PROPER)
    machine.stranger.delete(f"{APP}/data/candles/ETH/{JOINED}")
    machine.write({"data/candles/SOL/SOL-USDT_1d_20221112_20251111.parquet": contents[2]})
    assert sync.upload_data_cache() == 3
    source = RemoteSource(machine.remote(), APP)
    reader = Reader(source, tmp_path / "hamilton", place=source.place, keep_set=0)
    reader.pin(str(pin))
    assert [entry.path for entry in reader.latest("candles")] == [
        "data/candles/SOLUSDT/SOL-USDT_1d_20221112_20251111.parquet"
    ]


@pytest.mark.parametrize("status", [400, 401])
def test_a_page_that_stands_in_the_way_of_the_sdk_is_tried_once_more(machine, contents, status):
    machine.stranger.write(PROPER, contents[0])
    raw = machine.sync()._dbx
    for call in (
        lambda: raw.files_get_metadata(PROPER),
        lambda: raw.files_download(PROPER),
        lambda: raw.files_upload(b"1", f"{APP}/a", mode=dropbox.files.WriteMode.overwrite),
    ):
        machine.dropbox.faults({"route": "files/*", "fault": "server_error", "status": status, "times": 1})
        assert call()
        machine.dropbox.faults()
