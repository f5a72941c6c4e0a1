"""The door for the browser's answer, over real sockets. (Threats 32 and 33.)"""

import contextlib
import http.client
import os
import socket
import threading
import time

import pytest
from expecting import raises

from huracan_sync.auth import loopback
from huracan_sync.auth.loopback import LoopbackListener
from huracan_sync.auth.pkce import Code, Denied, begin, judge
from huracan_sync.errors import NotAuthorized

HAS_V6 = socket.has_ipv6
with contextlib.suppress(OSError):
    HAS_V6 = False
    with socket.create_server(("::1", 0), family=socket.AF_INET6):
        HAS_V6 = True
needs_v6 = pytest.mark.skipif(not HAS_V6, reason="this machine has no ::1")


def free_port():
    """A port that nobody holds on either family just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Login:
    """A door and somebody waiting at it in a thread."""

    def __init__(self, timeout=60.0):
        self.door = LoopbackListener.open([free_port()])
        self.request = begin("http://x", "app", frozenset(), self.door.uri, now=time.monotonic(), entropy=os.urandom)
        self.state = self.request.state.reveal()
        self.timeout = timeout
        self.result = None

    def __enter__(self):
        def judged(method, target, host):
            return judge(self.request, method, target, host, now=time.monotonic())

        def wait():
            with self.door:
                try:
                    self.result = self.door.wait(judged, timeout=self.timeout)
                except NotAuthorized as error:
                    self.result = error

        self.thread = threading.Thread(target=wait)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(120)
        assert not self.thread.is_alive()

    def get(self, target, *, method="GET", host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, target, headers={} if host is None else {"Host": host})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()


def test_the_answer_comes_and_the_person_is_thanked():
    with Login() as login:
        status, headers, page = login.get(f"/?code=abc&state={login.state}")
    assert isinstance(login.result, Code)
    assert login.result.code.reveal() == "abc"
    assert status == 200
    assert "close this page" in page
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "abc" not in page
    assert login.state not in page


def test_no_is_an_answer():
    with Login() as login:
        status, _, page = login.get(f"/?error=access_denied&state={login.state}")
    assert login.result == Denied("access_denied")
    assert status == 200
    assert "Nothing was allowed" in page


def test_threat_33_what_is_no_answer_is_ignored_and_the_answer_still_counts():
    with Login() as login:
        assert login.get("/favicon.ico")[0] == 404
        assert login.get("/?code=abc&state=wrong")[0] == 400
        assert login.get(f"/?code=abc&state={login.state}", host="evil.example")[0] == 421
        assert login.get(f"/?code=abc&state={login.state}", method="POST")[0] == 405
        assert login.get(f"/?code=abc&error=x&state={login.state}")[0] == 400
        assert login.get(f"/?code=right&state={login.state}")[0] == 200
    assert login.result.code.reveal() == "right"
    assert len(login.door.ignored) == 5


def test_threat_33_one_answer_then_the_door_is_closed():
    with Login() as login:
        login.get(f"/?code=first&state={login.state}")
    with pytest.raises(ConnectionRefusedError):
        login.get(f"/?code=second&state={login.state}")
    assert login.result.code.reveal() == "first"


def test_nobody_comes():
    with Login(timeout=0.2) as login, contextlib.suppress(ConnectionError):
        login.get("/?code=abc&state=wrong")
    assert login.result.code == "NO_CONSENT"
    assert login.result.facts["reason"] == "timeout"
    assert "--no-browser" in login.result.hint
    assert "1 request was ignored" in str(login.result)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"x" * 40000,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["silent", "half", "tls", "no version", "nonsense", "endless", "two hosts"],
)
def test_callers_who_talk_nonsense_hold_nobody_up(said, monkeypatch):
    monkeypatch.setattr(loopback, "_CALLER_S", 60.0)
    with Login() as login, contextlib.ExitStack() as stay:
        for _ in range(5):
            caller = stay.enter_context(socket.create_connection(("127.0.0.1", login.door.port)))
            with contextlib.suppress(OSError):
                caller.sendall(said)
        begun = time.monotonic()
        assert login.get(f"/?code=abc&state={login.state}")[0] == 200
        assert time.monotonic() - begun < 30  # of 60
    assert isinstance(login.result, Code)


@pytest.mark.slow  # some seconds have to pass
def test_who_only_holds_connections_open_keeps_no_answer_out():
    """A page of another site, or another user, may open more than the listener takes at once, again and again."""
    with Login(timeout=60.0) as login, contextlib.ExitStack() as stay:
        for _ in range(loopback._MOST_CALLERS + 6):
            caller = stay.enter_context(socket.create_connection(("127.0.0.1", login.door.port)))
            with contextlib.suppress(OSError):
                caller.sendall(b"GET / HTTP/1.1\r\n")
        assert login.get(f"/?code=abc&state={login.state}")[0] == 200
    assert isinstance(login.result, Code)


def test_a_request_in_small_pieces():
    with Login() as login, socket.create_connection(("127.0.0.1", login.door.port)) as caller:
        whole = f"GET /?code=abc&state={login.state} HTTP/1.1\r\nHost: 127.0.0.1:{login.door.port}\r\n\r\n"
        for piece in (whole[:7], whole[7:60], whole[60:]):
            caller.sendall(piece.encode())
            time.sleep(0.02)
        assert caller.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert isinstance(login.result, Code)


def test_the_same_port_serves_the_next_login_at_once():
    """The door never hangs up first, so its port is not left in TIME_WAIT."""
    port = free_port()
    for _ in range(5):
        door = LoopbackListener.open([port])
        request = begin("http://x", "app", frozenset(), door.uri, now=time.monotonic(), entropy=os.urandom)
        got = []

        def browse(url, got=got):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/?code=no&state=wrong")
            connection.getresponse().read()
            connection.request("GET", url)
            got.append(connection.getresponse().read())
            connection.close()

        thread = threading.Thread(target=browse, args=(f"/?code=abc&state={request.state.reveal()}",))
        thread.start()
        with door:
            door.wait(lambda m, t, h, r=request: judge(r, m, t, h, now=time.monotonic()), timeout=5)
        thread.join()
        assert got


# ---- port already taken, on either family, before or after us ------------------------------------------------------


def hold(family, port, **options):
    return socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", port), family=family, **options)


@pytest.mark.parametrize("family", [socket.AF_INET, pytest.param(socket.AF_INET6, marks=needs_v6)])
def test_threat_32_a_port_held_on_one_family_is_not_used(family):
    port = free_port()
    with hold(family, port):
        with raises("PORT_TAKEN") as caught:
            LoopbackListener.open([port])
        assert str(port) in str(caught.value)
        assert "--no-browser" in caught.value.hint
        other = free_port()
        with LoopbackListener.open([port, other]) as door:
            assert (door.port, door.uri) == (other, f"http://127.0.0.1:{other}/")
    with LoopbackListener.open([port]):  # nothing of us stayed on the other family
        pass


@pytest.mark.parametrize("family", [socket.AF_INET, pytest.param(socket.AF_INET6, marks=needs_v6)])
@pytest.mark.parametrize("reuse_port", [False, True])
def test_threat_32_nobody_comes_to_stand_beside_us(family, reuse_port):
    with LoopbackListener.open([free_port()]) as door, pytest.raises(OSError, match="in use"):
        hold(family, door.port, reuse_port=reuse_port)


def test_threat_32_a_port_held_on_all_addresses_is_not_used():
    with socket.create_server(("0.0.0.0", 0)) as server, raises("PORT_TAKEN"):  # noqa: S104
        LoopbackListener.open([server.getsockname()[1]])
