"""Hamilton's words: found under every spelling, typed, from one generation, byte for byte underneath."""

import itertools
import json
import pickle
import threading

import pytest
from expecting import raises
from reader_world import HOUR, PIN, World, change

from huracan_sync.errors import NoCredentials, NotFound, UsageError
from huracan_sync.hamilton import Hamilton
from huracan_sync.manifest import trust
from huracan_sync.manifest.checks import Freshness

ROSTER = {
    "date": "20251120",
    "generated_at": "2025-11-20T02:00:00Z",
    "total_symbols": 2,
    "trade_ok_count": 1,
    "symbols": [
        {
            "symbol": "BTC/USDT",
            "model_path": "models/BTCUSDT/model.bin",
            "rank": 1,
            "spread_bps": 1,
            "fee_bps": 2.5,
            "trade_ok": True,
            "metrics": {"sharpe": 1.25, "hit_rate": 0.5, "sample_size": 400, "a_key_of_tomorrow": [1]},
            "a_key_of_tomorrow": None,
        },
        {"symbol": "ETH-USDT", "rank": 2, "metrics": {"sharpe": None}},
        {"symbol": "?"},
    ],
    "a_key_of_tomorrow": {"x": 1},
}
CONFIG = {
    "model_id": "btc-42",
    "symbol": "BTCUSDT",
    "gate_score": 0.9,
    "performance": {"sharpe": 1.5, "win_rate": 0.55},
    "risk_limits": {"max_position_pct": 5, "max_leverage": 3.0},
    "feedback_enabled": True,
    "a_key_of_tomorrow": 7,
}
RAW_ROSTER = json.dumps(ROSTER, indent=3).encode()
RAW_CONFIG = json.dumps(CONFIG, indent=1).encode()
SET = {
    "hamilton/roster.json": RAW_ROSTER,
    "hamilton/configs/BTCUSDT.json": RAW_CONFIG,
    "hamilton/configs/ETH-USDT.json": b"{}",
    "hamilton/active/BTCUSDT.txt": b" btc-42\r\n",
    "hamilton/active/ETHUSDT.txt": b"\n",
    "hamilton/champion.json": b'{"whatever": "it is"}',
    "models/champions/latest/BTCUSDT.bin": b"btc",
    "models/champions/latest/BTC-USDT.bin": b"an older spelling",
    "models/champions/latest/BTCUSDT_PERP.bin": b"another instrument",
    "models/champions/latest/ETH-USDT.bin": b"eth",
    "models/champions/latest/SOLUSDT.onnx": b"sol as onnx",
    "models/champions/latest/XRPUSDT.bin": b"xrp",
    "models/champions/latest/XRPUSDT.ubj": b"{L#xrp",
    "models/champions/latest/README.md": b"no model",
    "models/champions/latest/a b.bin": b"no symbol",
    "models/champions/latest/deeper/ADAUSDT.bin": b"elsewhere",
    "models/champions/archive/2025-11-19/DOGEUSDT.bin": b"of yesterday",
}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, pinned=False)
    made.hamilton = Hamilton.open("hamilton", source=made.peer, home=made.home, clock=made.clock)
    made.hamilton.pin(PIN)
    return made


@pytest.fixture
def hamilton(world):
    world.publish(SET)
    return world.hamilton


def test_the_champions(hamilton):
    assert hamilton.symbols() == ["BTCUSDT", "BTCUSDT_PERP", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
    for spelling in ("BTCUSDT", "BTC-USDT", "btc/usdt", "BTC_USDT"):
        assert hamilton.champion(spelling).data == b"btc"
    eth = hamilton.champion("ETHUSDT")
    assert (eth.symbol, eth.path, eth.data) == ("ETHUSDT", "models/champions/latest/ETH-USDT.bin", b"eth")
    assert hamilton.champion("BTC/USDT:USDT").data == b"another instrument"
    assert (hamilton.champion("SOLUSDT").kind, hamilton.champion("XRPUSDT").data) == (3, b"xrp")
    assert hamilton.snapshot.path(eth.path).read_bytes() == eth.data
    with raises(NotFound) as caught:
        hamilton.champion("DOGEUSDT")
    assert "BTCUSDT" in caught.value.hint
    with raises(UsageError):
        hamilton.champion("../etc")


def test_the_roster(hamilton):
    roster = hamilton.roster()
    assert roster.raw == RAW_ROSTER
    assert (roster.date, roster.total_symbols, roster.trade_ok_count) == ("20251120", 2, 1)
    btc = roster.get("BTCUSDT")
    assert (btc.rank, btc.spread_bps, btc.metrics.sharpe, btc.metrics.sample_size) == (1, 1.0, 1.25, 400)
    assert roster.get("eth_usdt").metrics.sharpe is None
    assert roster.get("SOLUSDT") is None
    assert [line.symbol for line in roster.tradable()] == ["BTC/USDT"]


def test_the_configs(hamilton):
    config = hamilton.config("BTC-USDT")
    assert config.raw == RAW_CONFIG
    assert config.json() == CONFIG
    assert (config.model_id, config.performance.win_rate, config.risk_limits.max_position_pct) == ("btc-42", 0.55, 5.0)
    assert hamilton.config("ETHUSDT").risk_limits.max_leverage is None
    with raises(NotFound):
        hamilton.config("SOLUSDT")


def test_the_active_models(hamilton):
    assert hamilton.active("BTC-USDT") == "btc-42"
    assert hamilton.active("ETHUSDT") is None, "an empty file names nothing"
    assert hamilton.active("SOLUSDT") is None


def test_the_champion_pointer_is_bytes(hamilton):
    """Five schemas of it are in use; none is preferred here."""
    assert hamilton.snapshot.read("hamilton/champion.json") == b'{"whatever": "it is"}'


def test_all_words_are_of_one_generation(world, hamilton):
    assert hamilton.roster().date == "20251120"
    world.publish(SET | {"hamilton/roster.json": b'{"date": "20251121"}', "models/champions/latest/BTCUSDT.bin": b"2"})
    assert hamilton.roster().date == "20251120"
    assert hamilton.champion("BTCUSDT").data == b"btc"
    assert hamilton.latest().sequence == 2
    assert hamilton.roster().date == "20251121"
    assert hamilton.champion("BTCUSDT").data == b"2"


def test_another_channel_changes_nothing_of_it(world, hamilton):
    hamilton.latest()
    type(world.engine)(world.peer, world.clock, "logs").publish({"a.json": b"{}"})
    assert hamilton.latest("logs").channel == "logs"
    assert hamilton.snapshot.channel == "champions"


def test_following_moves_all_words_along(world, hamilton):
    dates = []
    world.peer.on_wait = lambda: world.publish(SET | {"hamilton/roster.json": b'{"date": "later"}'})
    for snapshot in hamilton.follow(stop=lambda: len(dates) == 2):
        dates.append(hamilton.roster().date)
        assert snapshot is hamilton.snapshot
    assert dates == ["20251120", "later"]
    type(world.engine)(world.peer, world.clock, "logs").publish({"a.json": b"{}"})
    assert next(hamilton.follow("logs")).channel == "logs"
    assert hamilton.snapshot.channel == "champions"


BROKEN = {
    "not JSON": b"{",
    "a list": b"[]",
    "a text where a number must be": b'{"symbols": [{"symbol": "A", "rank": "first"}]}',
    "no symbol": b'{"symbols": [{}]}',
    "not text": b'{"date": "\xff"}',
    "nesting without end": b'{"symbols": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_roster_that_is_none(world, name):
    world.publish({"hamilton/roster.json": BROKEN[name]})
    with raises("CONTRACT"):
        world.hamilton.roster()
    assert world.hamilton.snapshot.read("hamilton/roster.json") == BROKEN[name]


@pytest.mark.parametrize("data", [b"\xff", b"x" * 5_000])
def test_an_active_model_that_is_no_name(world, data):
    world.publish({"hamilton/active/BTCUSDT.txt": data})
    with raises("CONTRACT"):
        world.hamilton.active("BTCUSDT")


def test_a_set_without_any_of_it(world):
    world.publish({"a.json": b"{}"})
    assert world.hamilton.symbols() == []
    with raises(NotFound):
        world.hamilton.roster()
    with raises(NotFound) as caught:
        world.hamilton.champion("BTCUSDT")
    assert "no champions" in caught.value.hint


def test_past_its_time_nothing_is_given_unasked(world, hamilton):
    hamilton.latest()
    patient = Hamilton.open(source=world.peer, home=world.home, clock=world.clock, allow_stale=True)
    world.clock.now_ms += 3 * HOUR
    assert hamilton.status is Freshness.STALE
    for ask in (hamilton.roster, hamilton.latest, lambda: hamilton.champion("BTCUSDT")):
        with raises("STALE"):
            ask()
    assert patient.champion("BTCUSDT").data == b"btc"
    assert patient.status is Freshness.STALE


def test_nobody_is_logged_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path))
    with pytest.raises(NoCredentials):
        Hamilton.open("hamilton")


def test_one_manifest_for_several_answers(world):
    world.publish(SET)
    first = world.hamilton.at(world.hamilton.latest())
    world.publish(SET | {"models/champions/latest/BTCUSDT.bin": b"newer", "hamilton/active/BTCUSDT.txt": b"newer"})
    assert first.champion("BTCUSDT").data == b"btc"
    newer = world.hamilton.latest()
    assert (newer.sequence, first.snapshot.sequence) == (2, 1)
    assert (first.champion("BTCUSDT").data, first.active("BTCUSDT")) != (b"newer", "newer")
    now = world.hamilton.at()
    assert (now.champion("BTCUSDT").data, now.active("BTCUSDT")) == (b"newer", "newer")


@pytest.mark.parametrize("door", ["latest", "follow"])
def test_a_thread_that_was_overtaken_does_not_bring_an_older_manifest_back(world, door):
    """It verified one, slept while another thread took the next, and goes on: answers stay with the newer one."""
    world.publish(SET)
    hamilton = world.hamilton
    taken = {"latest": hamilton.latest, "follow": lambda: next(hamilton.follow())}[door]
    look = getattr(hamilton.reader, door)

    def overtaken(*args, **options):
        result = look(*args, **options)
        slow = next(result) if door == "follow" else result
        setattr(hamilton.reader, door, look)
        world.publish(SET | {"models/champions/latest/BTCUSDT.bin": b"newer"})
        other = threading.Thread(target=hamilton.latest)
        other.start()
        other.join()
        return iter([slow]) if door == "follow" else slow

    setattr(hamilton.reader, door, overtaken)
    assert taken().sequence == 1
    assert hamilton.snapshot.sequence == 2
    assert hamilton.champion("BTCUSDT").data == b"newer"


def test_who_compares_two_manifests_lets_nobody_take_a_third_in_between(world):
    hamilton, taken = world.hamilton, []
    for number in range(3):
        world.publish(SET | {"models/champions/latest/BTCUSDT.bin": b"%d" % number})
        taken.append(hamilton.reader.latest("champions"))
    third = threading.Thread(target=hamilton._taken, args=(taken[2],))

    class Interrupting:
        """The first manifest; who looks at its head last is overtaken by the third, if nothing holds that back."""

        looks = iter(("root id", "place"))

        @property
        def head(self):
            if next(self.looks) == "place":
                third.start()
                third.join(0.2)
            return taken[0].head

    hamilton._current = Interrupting()
    hamilton._taken(taken[1])
    third.join()
    assert hamilton.snapshot is taken[2]


@pytest.mark.parametrize("value", [b"1e999", b'"\xff"', b"1" * 5000])
def test_a_key_of_tomorrow_that_cannot_be_read_spoils_nothing_else(world, value):
    world.publish(SET | {"hamilton/configs/BTCUSDT.json": b'{"model_id": "btc-43", "x": ' + value + b"}"})
    config = world.hamilton.config("BTCUSDT")
    assert config.model_id == "btc-43"
    with raises("CONTRACT"):
        config.json()


def test_no_reader_beside_a_publisher_sees_two_moments(world):
    assert read_beside_a_publisher(world, threads=2, reads=500) == []


@pytest.mark.long
def test_none_of_a_hundred_thousand_reads_on_threads_is_torn(world):
    assert read_beside_a_publisher(world, threads=8, reads=100_000) == []


def read_beside_a_publisher(world, *, threads, reads):
    """Each answer of one manifest tells the same number, whatever is published between them; those that do not."""

    def numbered(number):
        text = str(number).encode()
        return {
            "models/champions/latest/BTCUSDT.bin": text,
            "hamilton/active/BTCUSDT.txt": text,
            "hamilton/roster.json": b'{"date": "%s"}' % text,
        }

    world.publish(numbered(0))
    world.hamilton.latest()
    torn, numbers, left = [], set(), iter(range(reads))

    def read():
        # The iterator of a range gives each number to one thread. They go on until something was published beside them.
        while next(left, None) is not None or len(numbers) < 2:
            answers = world.hamilton.at()
            seen = {answers.champion("BTCUSDT").data.decode(), answers.active("BTCUSDT"), answers.roster().date}
            numbers.update(seen)
            if len(seen) != 1:
                torn.append(seen)

    running = [threading.Thread(target=read) for _ in range(threads)]
    for thread in running:
        thread.start()
    for number in itertools.count(1):
        if not any(thread.is_alive() for thread in running):
            break
        world.publish(numbered(number))
        world.hamilton.latest()
    for thread in running:
        thread.join()
    assert len(numbers) > 1  # they did read beside a publisher
    return torn


def test_a_pickle_is_no_champion_whatever_the_channel_allows(world):
    rules = world.engine.trust
    channels = tuple(change(each, kinds=(*each.kinds, 30)) for each in rules.channels)
    world.engine.say_whom_to_trust(change(rules, version=2, prev=trust.link(rules), channels=channels))
    world.publish({"models/champions/latest/BTCUSDT.pkl": b"\x80\x04N."})
    assert world.hamilton.latest().items()  # the channel allows it
    with raises("KIND", match="is a pickle: opening it runs whatever is in it"):
        world.hamilton.champion("BTCUSDT")


def test_what_is_sent_to_another_process(world, dropbox, tmp_path, monkeypatch):
    snapshot = (world.publish(SET), world.hamilton.latest())[1]
    for what in (snapshot, world.hamilton):
        with raises(UsageError) as caught:
            pickle.dumps(what)
        assert "Hamilton.open" in caught.value.hint
    for name, value in dropbox.env(tmp_path).items():
        monkeypatch.setenv(name, value)
    token = dropbox.token(["files.metadata.read", "files.content.read"])["refresh_token"]
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("HURACAN_APP_KEY", dropbox.read_only_app_key)
    opened = Hamilton.open("hamilton", home=tmp_path, allow_stale=True)
    there = pickle.loads(pickle.dumps(opened))  # noqa: S301 - our own bytes
    (tmp_path / "token").unlink()
    assert (type(there), there._opened.args, there._opened.keywords) == (
        Hamilton,
        opened._opened.args,
        opened._opened.keywords,
    )
    assert token.encode() not in pickle.dumps(opened)
