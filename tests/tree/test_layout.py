"""Where every artifact lives: both directions, one spelling, nothing placed twice."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from huracan_sync.errors import HostilePath, UsageError
from huracan_sync.tree.layout import Artifact, Layout, candle, candle_here, candle_there, day_of
from huracan_sync.tree.paths import check
from huracan_sync.tree.symbols import symbol_spellings

APP = Layout()
DAY = "2025-11-14"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
PERP = "BTC-USDT:USDT_1m_20250601_20251111.parquet"

PLACED = {
    # as asked: dated, shared
    "logs/engine.log": ("/Runpodhuracan/2025-11-14/logs/engine.log", "/Runpodhuracan/logs/engine.log"),
    "/logs": ("/Runpodhuracan/2025-11-14/logs", "/Runpodhuracan/logs"),
    "/": ("/Runpodhuracan/2025-11-14", "/Runpodhuracan"),
    "": ("/Runpodhuracan/2025-11-14", "/Runpodhuracan"),
    "/Runpodhuracan": ("/Runpodhuracan/2025-11-14", "/Runpodhuracan"),
    "Runpodhuracan/logs/x": ("/Runpodhuracan/2025-11-14/logs/x", "/Runpodhuracan/logs/x"),
    "/RUNPODHURACAN/logs/x": ("/Runpodhuracan/2025-11-14/logs/x", "/Runpodhuracan/logs/x"),
    # a date that was said stays, whatever day it is by now, and is said once
    "2025-11-13/manifest.json": ("/Runpodhuracan/2025-11-13/manifest.json",) * 2,
    "/Runpodhuracan/2025-11-13/logs/x": ("/Runpodhuracan/2025-11-13/logs/x",) * 2,
    "/Runpodhuracan/2025-11-14/2025-11-14/manifest.json": ("/Runpodhuracan/2025-11-14/manifest.json",) * 2,
    "2025-02-31/x": ("/Runpodhuracan/2025-11-14/2025-02-31/x", "/Runpodhuracan/2025-02-31/x"),  # no day
    # a longer name is another folder
    "/RunpodhuracanX/logs": ("/Runpodhuracan/2025-11-14/RunpodhuracanX/logs", "/Runpodhuracan/RunpodhuracanX/logs"),
    "/huracanX/a": ("/Runpodhuracan/2025-11-14/huracanX/a", "/Runpodhuracan/huracanX/a"),
    # contracts are absolute
    "/huracan/champion/latest.json": ("/huracan/champion/latest.json",) * 2,
    "/Huracan/20251114/manifest.json": ("/Huracan/20251114/manifest.json",) * 2,
    "HuracanEngine/models/BTC/1h/v1/model.pkl": ("/HuracanEngine/models/BTC/1h/v1/model.pkl",) * 2,
    # what lasts is never dated
    "models/champions/latest/BTCUSDT.bin": ("/Runpodhuracan/models/champions/latest/BTCUSDT.bin",) * 2,
    "/Runpodhuracan/hamilton/roster.json": ("/Runpodhuracan/hamilton/roster.json",) * 2,
    "data/candles": ("/Runpodhuracan/data/candles",) * 2,
    f"data/candles/BTC/{SPOT}": (f"/Runpodhuracan/data/candles/BTCUSDT/{SPOT}",) * 2,
    f"data/candles/{SPOT}": (f"/Runpodhuracan/data/candles/BTCUSDT/{SPOT}",) * 2,
    f"/Runpodhuracan/2025-11-01/data/candles/BTC-USDT/{SPOT}": (f"/Runpodhuracan/data/candles/BTCUSDT/{SPOT}",) * 2,
    f"Data/Candles/BTC/{PERP}": (f"/Runpodhuracan/data/candles/BTCUSDT/{PERP}",) * 2,
    "data/candles/notes/größe.txt": ("/Runpodhuracan/data/candles/notes/größe.txt",) * 2,
    "models/SOL/USDT/2025-11-14/model.pth": (
        "/Runpodhuracan/2025-11-14/models/SOL/USDT/2025-11-14/model.pth",
        "/Runpodhuracan/models/SOL/USDT/2025-11-14/model.pth",
    ),
}


@pytest.mark.parametrize(("path", "places"), PLACED.items(), ids=ascii)
def test_every_path_has_its_place(path, places):
    assert (APP.place(path, DAY), APP.place(path)) == places


NAMES = st.sampled_from(
    ["Runpodhuracan", "runpodhuracan", "RunpodhuracanX", "huracan", "HuracanEngine", "2025-11-13", "2025-11-14", SPOT,
     "logs", "models", "champions", "training", "data", "candles", "hamilton", "coins", "a", "größe", "BTC", "x", PERP]
)  # fmt: skip
APPS = st.sampled_from(["Runpodhuracan", "", "/a/b/", "huracan", "2025-11-13", "logs"])


@pytest.mark.wide
@given(st.lists(NAMES, max_size=6).map("/".join), APPS, st.booleans(), st.sampled_from([None, DAY, "2025-11-15"]))
@example("2025-11-14/2025-11-13", "Runpodhuracan", True, None)
def test_placing_twice_is_placing_once(path, app, kind_first, day):
    layout = Layout(app, kind_first=kind_first)
    once = layout.place(path, day)
    assert layout.place(once, day) == once
    assert layout.place(once, "2031-01-01") == once or not day  # nor does it move on another day
    assert once == "/" or check(once[1:])
    literal = layout.literal(once) if once != "/" else once
    assert layout.literal(literal) == literal if literal != "/" else True


@given(st.lists(NAMES, max_size=6).map("/".join).filter(lambda path: not APP.is_contract(path)))
def test_no_place_begins_with_two_days(path):
    rest = APP.place(path, DAY).removeprefix("/Runpodhuracan").split("/")[1:3]
    assert len([part for part in rest if part[:4] == "2025" and part[4:5] == "-"]) < 2


@pytest.mark.parametrize("path", ["..", "a/../b", "a//b", "a\x00b", "a\\b", "logs/ x", "a/./b", "x\u202ey", "~/x"])
@pytest.mark.parametrize("method", [APP.place, APP.literal])
def test_hostile_paths_are_refused(path, method):
    with pytest.raises(HostilePath):
        method(path)


def test_a_literal_path_is_taken_as_it_is_but_for_candles():
    assert APP.literal("models/x.pkl") == "/models/x.pkl"
    assert APP.literal("/Runpodhuracan/2025-11-14/logs/x") == "/Runpodhuracan/2025-11-14/logs/x"
    assert APP.literal(f"/Runpodhuracan/data/candles/BTC/{SPOT}") == f"/Runpodhuracan/data/candles/BTCUSDT/{SPOT}"
    assert APP.literal(f"/Elsewhere/data/candles/BTC/{SPOT}") == f"/Elsewhere/data/candles/BTC/{SPOT}"
    assert APP.literal(f"/RunpodhuracanX/data/candles/{SPOT}") == f"/RunpodhuracanX/data/candles/{SPOT}"


@pytest.mark.parametrize(
    ("name", "here", "there"),
    [
        (SPOT, "BTC", "BTCUSDT"),
        (PERP, "BTC", "BTCUSDT"),
        ("1000SATS-USDT_1d_20231212_20251111.parquet", "1000SATS", "1000SATSUSDT"),
        ("0G-USDC_1m_20250101_20250601.parquet", "0G", "0GUSDC"),
        ("ETH-USDT.parquet", "ETH", "ETHUSDT"),
        ("eth-usdt_1h_20250101_20250601.parquet", "eth", "ETHUSDT"),
    ],
)
def test_a_candle_has_one_folder_on_each_side(name, here, there):
    for place in (name, f"{here}/{name}", f"{there}/{name}", f"any/where/{name}"):
        assert candle_there(place) == f"{there}/{name}"
        assert candle_here(place) == f"{here}/{name}"


@pytest.mark.parametrize(
    "path", ["BTC/notes.txt", "all-trades_complete.parquet", "BTC_1d.parquet", "BTC-USDT_1d.csv", "-USDT_1d.parquet"]
)
def test_what_is_no_candle_keeps_its_path(path):
    assert candle(path) is None
    assert candle_there(path) == path
    assert candle_here(path) == path


@pytest.mark.slow
@pytest.mark.wide
@given(
    base=st.from_regex(r"[A-Z0-9]{1,10}", fullmatch=True),
    settle=st.sampled_from(["", ":USDT"]),
    frame=st.sampled_from(["1m", "4h", "1d"]),
)
def test_candles_go_there_and_back(base, settle, frame):
    name = f"{base}-USDT{settle}_{frame}_20250101_20250601.parquet"
    here = f"{base}/{name}"
    assert candle_here(candle_there(here)) == here
    assert candle_there(candle_here(candle_there(here))) == candle_there(here)
    found = candle(name)
    assert found.there not in found.older_places
    assert all(candle_there(place) == found.there for place in found.older_places)


def test_a_perpetual_shares_the_folder_and_not_the_key():
    scope, perp = candle(SPOT), candle(PERP)
    assert scope.there.split("/")[0] == perp.there.split("/")[0]
    assert scope.there != perp.there
    assert (scope.symbol, perp.symbol) == ("BTCUSDT", "BTCUSDT_PERP")
    assert perp.older_places == (
        f"BTC/{PERP}",
        f"BTC-USDT/{PERP}",
        f"BTCUSDT:USDT/{PERP}",
        f"BTC-USDT:USDT/{PERP}",
        PERP,
    )


ARTIFACTS = {
    "/Runpodhuracan/2025-11-14/logs/deep/engine.log": Artifact("logs", "deep/engine.log", DAY),
    "/Runpodhuracan/2025-11-14/learning/a.json": Artifact("learning", "a.json", DAY),
    f"/Runpodhuracan/data/candles/BTCUSDT/{PERP}": Artifact("candles", f"BTCUSDT/{PERP}"),
    "/Runpodhuracan/models/training/2025-11-14/BTCUSDT/model/model.bin": Artifact(
        "training", "model/model.bin", DAY, "BTCUSDT"
    ),
    "/Runpodhuracan/coins/BTCUSDT/2025-11-14/metrics/costs.json": Artifact(
        "coin", "metrics/costs.json", DAY, "BTCUSDT"
    ),
    "/Runpodhuracan/models/champions/latest/BTCUSDT_PERP.bin": Artifact("champion", symbol="BTCUSDT_PERP"),
    "/Runpodhuracan/models/champions/archive/2025-11-14/ETHUSDT.bin": Artifact("champion-archive", "", DAY, "ETHUSDT"),
    "/Runpodhuracan/models/champions/archive/2025-11-14/ETHUSDT.0123456789ab.bin": Artifact(
        "champion-archive", "0123456789ab", DAY, "ETHUSDT"
    ),
    "/Runpodhuracan/hamilton/roster.json": Artifact("roster"),
    "/Runpodhuracan/hamilton/champion.json": Artifact("pointer"),
    "/Runpodhuracan/hamilton/configs/ETHUSDT.json": Artifact("hamilton-config", symbol="ETHUSDT"),
    "/Runpodhuracan/hamilton/active/ETHUSDT.txt": Artifact("active", symbol="ETHUSDT"),
    "/huracan/champion/latest.json": Artifact("contract", "huracan/champion/latest.json"),
    "/Runpodhuracan/heartbeats/engine.json": Artifact("other", "heartbeats/engine.json"),
    "/Runpodhuracan/2025-11-14/features/BTCUSDT/feature_recipe.json": Artifact(
        "other", "features/BTCUSDT/feature_recipe.json", DAY
    ),
}


@pytest.mark.parametrize(("path", "artifact"), ARTIFACTS.items())
def test_paths_and_artifacts_are_two_spellings_of_one_thing(path, artifact):
    assert APP.artifact(path) == artifact
    assert APP.path(artifact) == path
    if artifact.kind != "contract":
        assert APP.place(path, "2031-01-01") == path or not artifact.day


def test_readers_accept_both_orders_of_day_and_kind():
    other = Layout(kind_first=True)
    assert other.place("logs/x.log", DAY) == "/Runpodhuracan/logs/2025-11-14/x.log"
    for path in ("/Runpodhuracan/logs/2025-11-14/x.log", "/Runpodhuracan/2025-11-14/logs/x.log"):
        assert APP.artifact(path) == other.artifact(path) == Artifact("logs", "x.log", DAY)


@pytest.mark.parametrize("path", ["/elsewhere/x", "/Runpodhuracan", "/", "/RunpodhuracanX/a", "/a/../b"])
def test_what_is_not_ours_is_no_artifact(path):
    assert APP.artifact(path) is None


def test_earlier_spellings_are_read_as_what_they_are():
    assert APP.artifact(f"/Runpodhuracan/2025-11-01/data/candles/BTC/{SPOT}") == Artifact("candles", f"BTCUSDT/{SPOT}")
    assert APP.artifact("/Runpodhuracan/models/champions/latest/ETH-USDT.bin") == Artifact("champion", symbol="ETHUSDT")
    assert APP.artifact("/Runpodhuracan/models/champions/latest/what is this.bin").kind == "other"


@pytest.mark.parametrize(
    ("artifact", "why"),
    [
        (Artifact("champion"), "symbol"),
        (Artifact("champion", symbol="../x"), "symbol"),
        (Artifact("logs", "x.log"), "no day"),
        (Artifact("training", "x", "14.11.2025", "BTCUSDT"), "no day"),
        (Artifact("nonsense", "x", DAY, "BTCUSDT"), "kind"),
    ],
)
def test_what_lacks_something_has_no_path(artifact, why):
    with pytest.raises(UsageError, match=why):
        APP.path(artifact)


def test_symbols_are_read_under_every_spelling_they_were_written_under():
    assert symbol_spellings("ETH-USDT") == symbol_spellings("eth/usdt") == ("ETHUSDT", "ETH-USDT")
    assert symbol_spellings("ETHUSDT") == ("ETHUSDT", "ETH-USDT")
    assert symbol_spellings("BTC/USDT:USDT") == ("BTCUSDT_PERP", "BTC-USDT:USDT")


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (date(2025, 11, 14), DAY),
        ("2025-11-14", DAY),
        ("20251114", DAY),
        (datetime(2025, 11, 14, 23, 59, tzinfo=UTC), DAY),
        (datetime(2025, 11, 15, 1, 0, tzinfo=timezone(timedelta(hours=2))), DAY),
        (datetime(2025, 11, 14), DAY),  # noqa: DTZ001 - a moment without a zone is taken as UTC
    ],
)
def test_a_day_is_utc(moment, day):
    assert day_of(moment) == day


@pytest.mark.parametrize("text", ["", "14.11.2025", "2025-02-31", "20250231", "2025-1-1", "today", "2025-11-14T00:00"])
def test_other_forms_are_no_day(text):
    with pytest.raises(UsageError, match="is no day"):
        day_of(text)
