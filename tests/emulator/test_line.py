"""The way there and back: latency, bandwidth, limits, locks, compression, TLS."""

import gzip
import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import urllib3
from emulator_client import HTTP, Client, client

from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.serving.tls import HOSTS

pytestmark = pytest.mark.every_case  # a few milliseconds each

MIB = 1024 * 1024


def timed(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.slow
def test_latency_is_added_once_and_to_all_alike(dropbox):
    me = client(dropbox)
    dropbox.config(latency_ms=400)
    assert timed(lambda: me.rpc("check/user", {})) >= 0.4
    with ThreadPoolExecutor(8) as pool:  # one after the other they would take 3.2 s
        assert timed(lambda: list(pool.map(lambda _: me.rpc("check/user", {}), range(8)))) < 2.4
    assert timed(lambda: dropbox.control("clock")) < 0.4


def test_bandwidth_is_shared_by_all_connections(dropbox):
    me = client(dropbox)
    dropbox.config(bandwidth_mbit=80)  # 10 MB/s
    with ThreadPoolExecutor(2) as pool:
        up = timed(lambda: list(pool.map(lambda n: me.upload(f"/{n}", bytes(1_500_000)), range(2))))
    assert up > 0.27
    assert timed(lambda: me.download("/0")) > 0.13


@pytest.mark.parametrize("place", ["header", "url"])
def test_headers_beyond_the_limit_are_the_edges_affair(dropbox, place):
    me = client(dropbox)
    dropbox.config(header_limit=8192)
    arg = json.dumps({"path": "/" + "x" * 9000})
    headers = {"Authorization": f"Bearer {me.token}", "Content-Type": "application/octet-stream"}
    url = f"{me.url}/2/files/upload"
    if place == "header":
        headers["Dropbox-API-Arg"] = arg
    else:
        url += "?arg=" + arg.replace(" ", "")
    response = HTTP.request("POST", url, headers=headers, body=b"x" * 100_000)
    assert (response.status, response.data) == (431, b"")
    dropbox.config(header_limit=65536)
    assert HTTP.request("POST", url, headers=headers, body=b"x").status in {200, 409}


@pytest.mark.parametrize(("encoding", "status"), [("utf-8", 200), ("latin-1", 400)])
def test_a_header_that_is_not_ascii(dropbox, encoding, status):
    me = client(dropbox)
    argument = json.dumps({"path": "/ü"}, ensure_ascii=False).encode(encoding)
    headers = {"Authorization": f"Bearer {me.token}", "Content-Type": "application/octet-stream"}
    response = HTTP.request(
        "POST", f"{me.url}/2/files/upload", headers={**headers, "Dropbox-API-Arg": argument}, body=b"x"
    )
    assert response.status == status
    assert [entry["name"] for entry in me.ls()[0]] == (["ü"] if status == 200 else [])


def test_thousand_entries_fit_into_a_large_header(dropbox):
    dropbox.config(header_limit=400_000)
    me = client(dropbox)
    ids = me.rpc("files/upload_session/start_batch", {"num_sessions": 1000})[1]["session_ids"]
    entries = [{"cursor": {"session_id": each, "offset": 0}, "length": 1, "close": True} for each in ids]
    status, answer = me.content("files/upload_session/append_batch", {"entries": entries}, b"x" * 1000)
    assert (status, answer["entries"]) == (200, [{".tag": "success"}] * 1000)
    commits = [
        {"cursor": {"session_id": each, "offset": 1}, "commit": {"path": f"/f/{n}"}} for n, each in enumerate(ids)
    ]
    status, answer = me.rpc("files/upload_session/finish_batch_v2", {"entries": commits})
    assert [entry["name"] for entry in answer["entries"]] == [str(number) for number in range(1000)]
    assert len(me.ls("/f", limit=2000)[0]) == 1000


def test_a_lock_makes_writers_wait_or_go(dropbox):
    me = client(dropbox)

    def all_at_once(count):
        with ThreadPoolExecutor(count) as pool:
            return [status for status, _ in pool.map(lambda n: me.upload(f"/{n}", str(n).encode()), range(count))]

    dropbox.config(write_lock_ms=60, write_lock_mode="wait")
    began = time.monotonic()
    assert all_at_once(4) == [200] * 4
    assert time.monotonic() - began >= 0.24
    dropbox.config(write_lock_mode="refuse")
    assert set(all_at_once(4)) == {200}  # the same content: nothing is written, nothing is locked
    dropbox.reset()
    dropbox.config(write_lock_ms=200)
    me.token = dropbox.token()["access_token"]
    assert sorted(all_at_once(5)) == [200, 429, 429, 429, 429]


def test_twin_listings_can_be_refused(dropbox):
    me = client(dropbox)
    dropbox.config(refuse_twin_listings=True, latency_ms=100)
    with ThreadPoolExecutor(3) as pool:
        same = list(pool.map(lambda _: me.rpc("files/list_folder", {"path": ""})[0], range(3)))
        other = list(
            pool.map(lambda flag: me.rpc("files/list_folder", {"path": "", "recursive": flag})[0], [True, False])
        )
    assert sorted(same) == [200, 429, 429]
    assert other == [200, 200]
    assert me.rpc("files/list_folder", {"path": ""})[0] == 200


def test_json_is_compressed_for_those_who_can(dropbox):
    me = client(dropbox)
    for number in range(20):
        me.upload(f"/{number}", b"x")
    plain = me.raw_rpc("files/list_folder", {"path": ""})
    assert "Content-Encoding" not in plain.headers
    headers = {"Accept-Encoding": "gzip", "Authorization": f"Bearer {me.token}", "Content-Type": "application/json"}
    url = f"{me.url}/2/files/list_folder"
    packed = HTTP.request("POST", url, headers=headers, body=b'{"path": ""}', decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Type"] == "application/json"
    assert len(json.loads(gzip.decompress(packed.data))["entries"]) == 20
    dropbox.config(gzip=False)
    packed = HTTP.request("POST", url, headers=headers, body=b'{"path": ""}', decode_content=False)
    assert "Content-Encoding" not in packed.headers


def talk(url, request, context=None):
    """What a bare socket hears."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as plain:
        wire = context.wrap_socket(plain, server_hostname=parts.hostname) if context else plain
        wire.sendall(request)
        heard = b""
        while b"\r\n\r\n" not in heard.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""):
            heard += wire.recv(65536) or b"\r\n\r\n"
        return heard


def test_expect_continue_is_honoured_even_before_a_401(dropbox):
    request = (
        b"POST /2/files/upload HTTP/1.1\r\nHost: dropbox.com\r\nAuthorization: Bearer zzz\r\nExpect: 100-continue\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"
    )
    parts = urlsplit(dropbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(request)
        assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"x")
        assert wire.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /2/files/list_folder HTTP/1.1", 405),
        (b"POST /2/files/nothing HTTP/1.1", 404),
        (b"POST /3/files/upload HTTP/1.1", 404),
        (b"GET /oauth2/token HTTP/1.1", 404),
        (b"GET /cd/0/get/nothing/file HTTP/1.1", 404),
        (b"POST /apitul/1/nothing HTTP/1.1", 409),
        (b"OPTIONS * HTTP/1.1", 404),
        (b"BREW /2/files/upload HTTP/1.1", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_whatever_comes_gets_an_answer(dropbox, request_line, status):
    heard = talk(dropbox.url, request_line + b"\r\nHost: dropbox.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert int(heard.split()[1]) == status
    assert client(dropbox).rpc("check/user", {})[0] == 200


def test_a_body_that_breaks_off_changes_nothing(dropbox):
    me = client(dropbox)
    head = (
        f"POST /2/files/upload HTTP/1.1\r\nHost: dropbox.com\r\nAuthorization: Bearer {me.token}\r\n"
        'Content-Type: application/octet-stream\r\nDropbox-API-Arg: {"path": "/a"}\r\nContent-Length: 5000000\r\n\r\n'
    )
    parts = urlsplit(dropbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(head.encode() + bytes(4_000_000))
    end = time.monotonic() + 120
    while not dropbox.log()["total"] and time.monotonic() < end:
        time.sleep(0.02)
    assert dropbox.log()["recent"][0]["status"] == 0
    assert me.ls()[0] == []


@pytest.mark.slow
def test_tls_with_an_authority_of_its_own(tmp_path):
    with Emulator.start("--tls", str(tmp_path)) as emulator, ExitStack() as stack:
        assert emulator.ca == str(tmp_path / "ca.pem")
        assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
        assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "server.key", "server.pem"]
        pool = stack.enter_context(urllib3.PoolManager(ca_certs=emulator.ca, retries=False))
        me = Client(emulator.url, emulator.token()["access_token"], pool)
        me.upload("/a", b"x" * 3_000_000)
        assert me.download("/a").data == b"x" * 3_000_000
        assert me.rpc("files/get_temporary_link", {"path": "/a"})[1]["link"].startswith("https://")
        with pytest.raises(urllib3.exceptions.SSLError):
            urllib3.request("GET", emulator.url, retries=False)
        parts = urlsplit(emulator.url)
        context = ssl.create_default_context(cafile=emulator.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for host in HOSTS:
            with (
                socket.create_connection((parts.hostname, parts.port)) as plain,
                context.wrap_socket(plain, server_hostname=host) as wire,
            ):
                assert wire.version() == "TLSv1.3"
        emulator.faults({"route": "check/user", "fault": "reset", "when": "after"})
        with pytest.raises(urllib3.exceptions.HTTPError):
            me.rpc("check/user", {})
        assert emulator.env(tmp_path)["HURACAN_SYNC_CA"] == emulator.ca
        first = (tmp_path / "ca.pem").read_bytes()
    with Emulator.start("--tls", str(tmp_path)) as emulator:
        assert (tmp_path / "ca.pem").read_bytes() == first


def test_what_a_client_does_not_wait_for_is_neither_sent_nor_in_the_way_of_others(dropbox):
    """One goes away while 64 MiB, 13 s of the line, are on their way to it; the next has the line to itself."""
    me = client(dropbox)
    me.upload("/large", bytes(64 * MIB))
    me.upload("/small", b"1" * MIB)
    dropbox.config(bandwidth_mbit=40)
    dropbox.control("log/reset", {})
    url = urlsplit(me.url)
    with socket.create_connection((url.hostname, url.port)) as wire:
        head = f"POST /2/files/download HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {me.token}\r\n"
        wire.sendall(f'{head}Dropbox-API-Arg: {{"path": "/large"}}\r\nContent-Length: 0\r\n\r\n'.encode())
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200")
    while not dropbox.log()["requests"]:
        time.sleep(0.01)
    log = dropbox.log()
    assert log["downloaded_bytes"] < 8 * MIB
    assert log["refusals"] == {"files/download": {"cut": 1}}
    assert timed(lambda: me.download("/small")) < 8
