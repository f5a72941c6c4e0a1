"""Hamilton as he is used: processes of his own, a login that only reads, sets published by the engine's command."""

import json
import signal

import pytest
from machines import publishing, trading, write
from sampled import slow

MODELS = {"BTCUSDT": b"tree of btc", "ETHUSDT": b"tree of eth"}
ROSTER = b'{"date": "20251120", "symbols": [{"symbol": "BTC/USDT", "trade_ok": true, "shape": "unknown"}]}\n'
CONFIG = b'{"model_id": "btc-42", "risk_limits": {"max_leverage": 2.0}, "key of tomorrow": [1, 2]}\n'
SET = {
    "hamilton/roster.json": ROSTER,
    "hamilton/configs/BTCUSDT.json": CONFIG,
    "hamilton/active/BTCUSDT.txt": b"btc-42\n",
    **{f"models/champions/latest/{symbol}.bin": data for symbol, data in MODELS.items()},
}

READS = """
import json
from huracan_sync import Hamilton, HuracanError
hamilton = Hamilton.open("hamilton")
try:
    snapshot = hamilton.latest("champions")
except HuracanError as error:
    print(json.dumps({"error": error.code or type(error).__name__, "hint": error.hint}))
    raise SystemExit
roster = hamilton.roster()
with snapshot.open("hamilton/roster.json") as file:
    assert file.read() == roster.raw == snapshot.read("hamilton/roster.json")
print(json.dumps({
    "sequence": snapshot.sequence,
    "status": hamilton.status.value,
    "symbols": hamilton.symbols(),
    "models": {symbol: hamilton.champion(symbol).data.hex() for symbol in hamilton.symbols()},
    "copy": snapshot.path("models/champions/latest/BTCUSDT.bin").read_bytes().hex(),
    "part": snapshot.read_range("models/champions/latest/BTCUSDT.bin", 1, 2).hex(),
    "files": [entry.path for entry in snapshot.iter("models/champions/latest")],
    "roster": roster.raw.decode(),
    "tradable": [line.symbol for line in roster.tradable()],
    "config": hamilton.config("BTC-USDT").json(),
    "leverage": hamilton.config("BTCUSDT").risk_limits.max_leverage,
    "active": hamilton.active("BTCUSDT"),
    "problem": type(snapshot.problem).__name__,
}))
"""


@pytest.fixture
def publisher(dropbox, tmp_path):
    return publishing(dropbox, tmp_path / "engine")


@pytest.fixture
def hamilton(dropbox, tmp_path, publisher):
    return trading(dropbox, tmp_path / "hamilton", publisher)


def unreachable(dropbox):
    dropbox.faults({"route": "*", "rate": 1.0, "seed": 1, "fault": "reset"})


def test_what_was_published_is_what_he_reads(publisher, hamilton, tmp_path):
    publisher.run("publish", write(tmp_path / "src", SET))
    read = hamilton.python(READS)
    assert read == {
        "sequence": 1,
        "status": "fresh",
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "models": {symbol: data.hex() for symbol, data in MODELS.items()},
        "copy": MODELS["BTCUSDT"].hex(),
        "part": MODELS["BTCUSDT"][1:3].hex(),
        "files": ["models/champions/latest/BTCUSDT.bin", "models/champions/latest/ETHUSDT.bin"],
        "roster": ROSTER.decode(),
        "tradable": ["BTC/USDT"],
        "config": json.loads(CONFIG),
        "leverage": 2.0,
        "active": "btc-42",
        "problem": "NoneType",
    }


@pytest.mark.slow
def test_with_no_network_the_last_known_good_is_read_whole(publisher, hamilton, dropbox, tmp_path):
    src = write(tmp_path / "src", SET)
    publisher.run("publish", src)
    publisher.run("publish", write(src, {"hamilton/active/BTCUSDT.txt": b"btc-43\n"}))
    before = hamilton.python(READS)
    unreachable(dropbox)
    offline = hamilton.python(READS)
    assert offline.pop("problem") != before.pop("problem") == "NoneType"
    assert offline == before
    assert (offline["sequence"], offline["active"], offline["status"]) == (2, "btc-43", "fresh")


@pytest.mark.slow
def test_a_damaged_copy_gives_way_to_the_one_before_only_unasked_for_risk(publisher, hamilton, dropbox, tmp_path):
    src = write(tmp_path / "src", SET)
    publisher.run("publish", src)
    hamilton.python(READS)
    publisher.run("publish", write(src, {"hamilton/active/BTCUSDT.txt": b"btc-43\n"}))
    hamilton.python(READS)
    bodies = sorted(hamilton.home.glob("trust/*/kept/champions/bodies/*"), key=lambda file: file.stat().st_mtime_ns)
    assert len(bodies) == 2
    bodies[-1].chmod(0o600)
    bodies[-1].write_bytes(b"rot")
    unreachable(dropbox)
    assert hamilton.python(READS)["error"] in {"Unreachable", "ServiceFault"}
    stale = hamilton.python(READS.replace('open("hamilton")', 'open("hamilton", allow_stale=True)'))
    assert (stale["sequence"], stale["status"], stale["active"]) == (1, "stale", "btc-42")


@pytest.mark.parametrize("deed", ["gone", slow("damaged")])
def test_lost_state_stops_everything_until_a_person_says_where_to_go_on(deed, publisher, hamilton, tmp_path):
    src = write(tmp_path / "src", SET)
    publisher.run("publish", src)
    hamilton.python(READS)
    (state,) = hamilton.home.glob("trust/*/seen.db")
    publisher.run("publish", write(src, {"hamilton/active/BTCUSDT.txt": b"btc-43\n"}))
    assert hamilton.python(READS)["sequence"] == 2
    if deed == "gone":
        state.unlink()
    else:
        whole = bytearray(state.read_bytes())
        whole[-100] ^= 1
        state.write_bytes(whole)
    refused = hamilton.python(READS)
    assert refused["error"] == "StateMissing"
    assert "keys trust --at-least" in refused["hint"]
    assert hamilton.run("follow", "--once", code=78)["error"] == "StateMissing"
    assert hamilton.run("verify", "/Runpodhuracan", "--channel", "champions", code=78)["error"] == "StateMissing"
    hamilton.run("keys", "trust", "--at-least", 3)
    assert hamilton.python(READS)["error"] == "ROLLBACK", "a person knew of sequence 3, and 2 is there"
    publisher.run("publish", "--heartbeat")
    assert hamilton.python(READS)["sequence"] == 3


@pytest.mark.slow
def test_half_of_a_set_is_invisible(publisher, hamilton, dropbox, tmp_path):
    """The publisher is killed before its commit; he reads the set before, and the next run finishes."""
    src = write(tmp_path / "src", SET)
    publisher.run("publish", src)
    before = hamilton.python(READS)
    write(src, {f"models/champions/latest/{symbol}.bin": b"better " + data for symbol, data in MODELS.items()})
    dropbox.faults({"route": "files/upload", "rate": 1.0, "seed": 1, "fault": "server_error"})
    dropbox.control("log/reset", {})
    publishing = publisher.start("publish", src, "--json")
    while not dropbox.log()["requests"].get("files/upload"):
        assert publishing.poll() is None
    publishing.send_signal(signal.SIGKILL)
    publishing.communicate()
    dropbox.control("faults", method="DELETE")
    assert hamilton.python(READS) == before
    publisher.run("publish", src)
    assert hamilton.python(READS)["models"]["BTCUSDT"] == (b"better " + MODELS["BTCUSDT"]).hex()
