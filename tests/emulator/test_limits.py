"""What holds on to the emulator without using it is cut off; patterns take linear time."""

import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from emulator_client import client

from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.schema import Invalid, Struct, Text


def connected(dropbox):
    parts = urlsplit(dropbox.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ended(connection):
    """Whether the other side closes the connection before the time is over."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_who_writes_headers_slowly_is_cut_off(dropbox):
    dropbox.config(header_timeout_s=0.3)
    with connected(dropbox) as slow, connected(dropbox) as silent:
        slow.sendall(b"POST /2/check/user HTTP/1.1\r\nHost: dropbox.com\r\n")
        over = threading.Event()

        def drip():
            while not over.wait(0.02):
                try:
                    slow.sendall(b"X: y\r\n")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        try:
            assert ended(slow)
            assert ended(silent)
        finally:
            over.set()
            dripping.join()
        assert time.monotonic() - began < 15  # of the 20 seconds that are usual
    assert client(dropbox).rpc("check/user", {})[0] == 200


@pytest.mark.slow
def test_a_slow_body_and_an_idle_connection_are_not_cut_off(dropbox):
    me = client(dropbox)
    dropbox.config(header_timeout_s=0.2)
    head = (
        f"POST /2/files/upload HTTP/1.1\r\nHost: dropbox.com\r\nAuthorization: Bearer {me.token}\r\n"
        'Dropbox-API-Arg: {"path": "/a"}\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n'
    ).encode()
    with connected(dropbox) as connection:
        for _ in range(2):
            connection.sendall(head + b"x")
            time.sleep(0.4)
            connection.sendall(b"y")
            answer = b""
            while not answer.endswith(b'"}'):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.4)


@pytest.mark.slow
def test_connections_beyond_the_limit_are_closed():
    with Emulator.start("--port", "0") as emulator:
        most = 5
        emulator.config(max_connections=most)  # the handle has one of them
        kept = [connected(emulator) for _ in range(most - 1)]
        for connection in kept:
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: dropbox.com\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 404"
        with connected(emulator) as further:
            assert ended(further)
        for connection in kept:
            connection.close()


def kinds():
    """Every kind of text in an argument, each pattern once, by the name of a field that has it."""
    found = {name: kind for name, kind in vars(arguments).items() if isinstance(kind, Text)}
    for name, struct in vars(arguments).items():
        if isinstance(struct, Struct):
            found |= {f"{name}.{field}": kind for field, kind in struct.kinds.items() if isinstance(kind, Text)}
    return {kind.compiled.pattern: (name, kind) for name, kind in found.items() if kind.compiled}.values()


@pytest.mark.parametrize("kind", [kind for _, kind in kinds()], ids=[name for name, _ in kinds()])
def test_patterns_take_linear_time(kind):
    for start in ("", "/", "id:", "rev:", "ns:1", "ns:1/"):
        for unit in ("\r\n", "0", "/\r"):
            text = start + unit * (200_000 // len(unit)) + "\0"
            began = time.process_time()
            with suppress(Invalid):
                kind(text)
            assert time.process_time() - began < 0.5
