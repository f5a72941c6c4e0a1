"""What the emulator remembers: cursors, the clock, the log of requests, content on disk."""

import hashlib
from dataclasses import replace

import pytest

from huracan_sync.emulator.state import traffic
from huracan_sync.emulator.state.clock import FURTHEST_S, Clock, stamp
from huracan_sync.emulator.state.content import BLOCK, Blocks, content_hash
from huracan_sync.emulator.state.cursors import CHANGES, Cursor, Scope, seal, unseal
from huracan_sync.emulator.state.traffic import Request, Traffic

KEY = bytes(32)
CURSOR = Cursor(Scope("dbid:1", "", "/a/größe", recursive=True), 1, 2, CHANGES, 3, 500)


def test_a_cursor_is_what_it_was():
    text = seal(CURSOR, KEY)
    assert unseal(text, KEY) == CURSOR
    assert text.startswith("AA")
    assert len(text) >= 195
    assert seal(CURSOR, KEY) != text, "every answer brings another"


# what somebody hands in as a cursor
FOREIGN = {
    "nothing": "",
    "no base64": "AA!",
    "no ASCII": "AAü",
    "too short": "AAEB",
    "of another emulator": seal(CURSOR, bytes([1]) * 32),
    "cut off": seal(CURSOR, KEY)[:-4],
    "with a letter more": seal(CURSOR, KEY) + "AAAA",
    "with another beginning": "AB" + seal(CURSOR, KEY)[2:],
    "with one letter changed": seal(CURSOR, KEY)[:60] + "x" + seal(CURSOR, KEY)[61:],
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_what_the_emulator_did_not_issue(text):
    assert unseal(text, KEY) is None


@pytest.mark.parametrize("seconds", [60.0, -60.0, FURTHEST_S, -FURTHEST_S])
def test_the_clock_is_moved(seconds):
    clock = Clock()
    before = clock.now()
    clock.advance(seconds)
    assert clock.now() - before == pytest.approx(seconds, abs=5)
    clock.advance(-seconds)
    assert clock.offset_s == 0


@pytest.mark.parametrize("seconds", [FURTHEST_S * 1.1, -FURTHEST_S * 1.1, float("inf"), float("nan")])
def test_the_clock_is_not_moved_out_of_the_world(seconds):
    clock = Clock()
    with pytest.raises(ValueError, match="seconds off"):
        clock.advance(seconds)
    assert clock.offset_s == 0


def test_times_are_whole_seconds_and_never_before_1970():
    assert (stamp(1431445838.9), stamp(-5)) == ("2015-05-12T15:50:38Z", "1970-01-01T00:00:00Z")


REQUEST = Request(0, "then", "files/upload", 200, 1.0, 10, 20, 0, "id", None, None, None, None)


def log(*requests, style="rpc"):
    made = Traffic()
    for number, changes in enumerate(requests, 1):
        made.add(replace(REQUEST, number=number, **changes), style=style)
    return made


# what was answered -> how it is counted among the refusals
REFUSALS = [
    ({}, {}),
    ({"status": 409, "error": "path/conflict/file/.."}, {"409 path/conflict/file": 1}),
    ({"status": 401, "error": "expired_access_token/"}, {"401 expired_access_token": 1}),
    ({"status": 400, "error": "Error in call"}, {"400": 1}),
    ({"status": 503}, {"503": 1}),
    ({"status": 0}, {"cut": 1}),
    ({"status": 302}, {}),
]


@pytest.mark.parametrize(("changes", "counted"), REFUSALS)
def test_refusals_are_counted_by_what_they_say(changes, counted):
    assert log(changes).report()["refusals"].get("files/upload", {}) == counted


# style, status -> bytes of content that were uploaded, downloaded
STYLES = [
    ("rpc", 200, 0, 0),
    ("upload", 200, 10, 0),
    ("upload", 409, 10, 0),
    ("download", 206, 0, 20),
    ("download", 409, 0, 0),
]


@pytest.mark.parametrize(("style", "status", "up", "down"), STYLES)
def test_bytes_of_content(style, status, up, down):
    report = log({"status": status}, style=style).report()
    assert (report["uploaded_bytes"], report["downloaded_bytes"]) == (up, down)
    assert (report["bytes_in"], report["bytes_out"], report["total"]) == (10, 20, 1)


def test_pages_of_the_log(monkeypatch):
    made = log(*[{}] * 10)
    assert [request.number for request in made.before(11, 3)] == [10, 9, 8]
    assert [request.number for request in made.before(8, 3)] == [7, 6, 5]
    assert [request.number for request in made.before(3, 5)] == [2, 1]
    assert made.before(1, 5) == []
    assert [request.number for request in made.before(99, 2)] == [10, 9]
    monkeypatch.setattr(traffic, "KEPT", 4)
    short = log(*[{}] * 10)
    assert [request.number for request in short.before(9, 5)] == [8, 7], "what was forgotten is not shown"
    assert [entry["number"] for entry in short.report(2)["recent"]] == [9, 10]
    assert short.report(0)["recent"] == []


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("piece", [BLOCK, 1_000_003])
def test_the_content_hash_in_whatever_pieces(size, piece):
    data = bytes(size)
    blocks = Blocks()
    for at in range(0, size, piece):
        blocks.update(data[at : at + piece])
    digests = [hashlib.sha256(data[at : at + BLOCK]).digest() for at in range(0, size, BLOCK)]
    assert blocks.digests() == b"".join(digests)
    assert content_hash(blocks.digests()) == hashlib.sha256(b"".join(digests)).hexdigest()
