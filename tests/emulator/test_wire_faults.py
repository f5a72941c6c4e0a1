"""What can happen to the bytes on their way: cut, shortened, changed, late."""

import contextlib
import json
import time

import pytest
import urllib3
from emulator_client import Client, client
from sampled import slow

from huracan_sync.emulator.state.faults import ANSWERS, WIRES


def names(me):
    return [entry["name"] for entry in me.ls()[0]]


def cut(call):
    with pytest.raises(urllib3.exceptions.HTTPError) as caught:
        call()
    return caught.value


@pytest.mark.every_case
@pytest.mark.parametrize("fault", ["reset", "close"])
@pytest.mark.parametrize(("when", "kept"), [("before", []), ("after", ["a"])])
def test_cut_before_and_after_the_commit(dropbox, fault, when, kept):
    dropbox.faults({"route": "files/upload", "fault": fault, "when": when, "nth": 1})
    me = client(dropbox)
    error = cut(lambda: me.upload("/a", b"x" * 100_000))
    assert ("reset" in str(error).lower()) == (fault == "reset")
    assert names(me) == kept
    assert me.upload("/a", b"x" * 100_000)[0] == 200
    assert dropbox.log()["refusals"]["files/upload"] == {"cut": 1}


def test_cut_in_the_middle_of_the_request(dropbox):
    dropbox.faults({"route": "files/upload", "fault": "reset", "offset": 1_000_000, "nth": 1})
    me = client(dropbox)
    cut(lambda: me.upload("/a", b"x" * 20_000_000))
    assert names(me) == []
    assert 1_000_000 <= dropbox.log()["recent"][0]["bytes_in"] < 10_000_000


def test_truncated_answers(dropbox):
    me = client(dropbox)
    me.upload("/a", b"0123456789" * 100_000)
    dropbox.faults({"route": "files/download", "fault": "truncate", "offset": 300_000, "nth": 1})
    dropbox.faults({"route": "files/download", "fault": "truncate", "fraction": 0.5, "nth": 2})
    dropbox.faults({"route": "files/list_folder", "fault": "truncate", "offset": 10})
    for length in (300_000, 500_000):
        response = me.http.request(
            "POST",
            f"{me.url}/2/files/download",
            headers={"Authorization": f"Bearer {me.token}", "Dropbox-API-Arg": '{"path": "/a"}'},
            preload_content=False,
        )
        assert response.headers["Content-Length"] == "1000000"
        read = bytearray()
        with pytest.raises(urllib3.exceptions.ProtocolError):
            read.extend(iter_into(response, read))
        assert len(read) == length
    cut(lambda: me.rpc("files/list_folder", {"path": ""}))
    assert me.download("/a").data == b"0123456789" * 100_000


def iter_into(response, read):
    for chunk in response.stream(1000):
        read += chunk
    return b""


def test_corrupted_answers(dropbox):
    me = client(dropbox)
    data = bytes(1000)
    me.upload("/a", data)
    dropbox.faults({"route": "files/download", "fault": "corrupt", "offset": 17, "nth": 1})
    dropbox.faults({"route": "files/download", "fault": "corrupt", "seed": 3, "nth": [2, 3]})
    first, second, third, fourth = (me.download("/a").data for _ in range(4))
    assert first == data[:17] + b"\x01" + data[18:]
    assert second == third
    assert sum(map(bool, second)) == 1
    assert fourth == data


def test_a_wrong_content_length(dropbox):
    me = client(dropbox)
    me.upload("/a", b"0123456789")
    dropbox.faults({"route": "files/*", "fault": "wrong_length", "times": 2})
    cut(lambda: me.download("/a"))
    cut(lambda: me.rpc("files/list_folder", {"path": ""}))
    assert me.download("/a").data == b"0123456789"


@pytest.mark.parametrize(("point", "committed"), [("request", False), ("answer", True)])
def test_stalls(dropbox, point, committed):
    dropbox.faults({"route": "files/upload", "fault": "stall", "point": point, "seconds": 30, "nth": 1})
    me = client(dropbox)
    with urllib3.PoolManager(retries=False, timeout=0.15) as pool:
        cut(lambda: Client(dropbox.url, me.token, pool).upload("/a", b"x"))
    end = time.monotonic() + 120
    while not dropbox.log()["requests"].get("files/upload") and time.monotonic() < end:
        time.sleep(0.02)
    assert names(me) == (["a"] if committed else [])


def test_a_stall_in_the_middle_of_the_body(dropbox):
    me = client(dropbox)
    me.upload("/a", b"x" * 1000)
    dropbox.faults({"route": "files/download", "fault": "stall", "point": "body", "offset": 100, "seconds": 0.15})
    began = time.monotonic()
    assert len(me.download("/a").data) == 1000
    assert time.monotonic() - began >= 0.15


def test_slow_bytes(dropbox):
    me = client(dropbox)
    me.upload("/a", b"x" * 1000)
    dropbox.faults({"route": "files/download", "fault": "slow", "bytes_per_s": 4000})
    began = time.monotonic()
    assert len(me.download("/a").data) == 1000
    assert time.monotonic() - began > 0.2


FAULTS = sorted(set(ANSWERS) | set(WIRES))
ROUTES = ["oauth2/token", "files/list_folder", "files/upload", "files/download"]


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("route", "fault"),
    # Each fault on one route by default, and each route with faults of all kinds.
    [
        (route, fault) if place % len(ROUTES) == ROUTES.index(route) else slow((route, fault))
        for place, fault in enumerate(FAULTS)
        for route in ROUTES
    ],
)
def test_every_fault_on_every_style_leaves_a_working_server(dropbox, fault, route):
    me = client(dropbox)
    me.upload("/a", b"x")
    tags = {"tags": ["other"]} if fault in {"error", "token_error", "access_denied"} else {}
    dropbox.faults({"route": route, "fault": fault, "seconds": 0.01, "bytes_per_s": 100_000, **tags})
    calls = {
        "oauth2/token": lambda: urllib3.request("POST", f"{me.url}/oauth2/token", body=b"x", retries=False),
        "files/list_folder": lambda: me.rpc("files/list_folder", {"path": ""}),
        "files/upload": lambda: me.upload("/b", b"x"),
        "files/download": lambda: me.download("/a"),
    }
    with contextlib.suppress(urllib3.exceptions.HTTPError, json.JSONDecodeError):
        calls[route]()
    dropbox.faults()
    assert client(dropbox).rpc("check/user", {"query": "still here"})[1] == {"result": "still here"}
    assert not any(request["error"] == "bug" for request in dropbox.log()["recent"])
    assert dropbox.log()["faults"] == {fault: 1}
