"""Calls that overlap: each ends in one of the states that one after the other would give."""

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from emulator_client import client


def at_once(count, call):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_a_session_is_finished_once(dropbox):
    me = client(dropbox)
    dropbox.config(write_lock_ms=50, write_lock_mode="wait")
    _, session = me.content("files/upload_session/start", {}, b"abc")
    cursor = {"session_id": session["session_id"], "offset": 3}

    def finish(number):
        arg = {"cursor": cursor, "commit": {"path": f"/{number}"}}
        return me.content("files/upload_session/finish", arg, b"")[0]

    assert sorted(at_once(4, finish)) == [200, 409, 409, 409]
    assert len(me.ls()[0]) == 1


def test_one_of_many_appends_at_the_same_offset_counts(dropbox):
    me = client(dropbox)
    _, session = me.content("files/upload_session/start", {}, b"")
    parts = [os.urandom(1_500_000) for _ in range(4)]

    def append(number):
        arg = {"cursor": {"session_id": session["session_id"], "offset": 0}}
        return me.content("files/upload_session/append_v2", arg, parts[number])

    answers = at_once(4, append)
    (winner,) = [number for number, (status, _) in enumerate(answers) if status == 200]
    assert [body["error"]["correct_offset"] for status, body in answers if status == 409] == [1_500_000] * 3
    arg = {"cursor": {"session_id": session["session_id"], "offset": 1_500_000}, "commit": {"path": "/a"}}
    assert me.content("files/upload_session/finish", arg, b"")[0] == 200
    assert me.download("/a").data == parts[winner]


def test_one_of_many_updates_of_a_rev_wins(dropbox):
    me = client(dropbox)
    _, first = me.upload("/head", b"first")
    dropbox.config(latency_ms=20)
    mode = {".tag": "update", "update": first["rev"]}
    answers = at_once(6, lambda n: me.upload("/head", b"%d" % n, mode=mode, strict_conflict=True)[0])
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]


def test_a_call_that_outlives_a_reset_changes_nothing(dropbox):
    me = client(dropbox)
    data = os.urandom(3_000_000)
    head = (
        f"POST /2/files/upload HTTP/1.1\r\nHost: dropbox.com\r\nAuthorization: Bearer {me.token}\r\n"
        f"Content-Type: application/octet-stream\r\nDropbox-API-Arg: {json.dumps({'path': '/a'})}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    parts = urlsplit(dropbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(head.encode() + data[:2_000_000])
        time.sleep(0.05)
        dropbox.reset()
        wire.sendall(data[2_000_000:])
        time.sleep(0.1)
    me = client(dropbox)
    assert me.ls()[0] == []
    assert dropbox.log()["requests"] == {"files/list_folder": 1}
    # The same content anew must not lead to bytes that went with the old account.
    assert me.upload("/a", data)[0] == 200
    assert me.download("/a").data == data
