"""The loopback listener that the browser brings the answer to (RFC 8252), on both address families or on none.

Laws: no SO_REUSEADDR or SO_REUSEPORT, so that no other process can listen on the same port. A port that another process
holds on either family is not used: the browser might reach that one. After one answer it closes. Connections are read
without blocking and dropped after ten seconds: browsers open some that they never use. Of too many at once the oldest
is dropped, never the newest: who only holds connections open keeps no answer out.
"""

from __future__ import annotations

import contextlib
import errno
import html
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from huracan_sync.auth.pkce import Code, Denied, Ignored, redirect_uri
from huracan_sync.errors import ConfigError, NotAuthorized

_MOST_BYTES = 16 * 1024
_MOST_CALLERS = 64
_CALLER_S = 10.0
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.EINVAL}

_Ready = selectors.BaseSelector
Judge = Callable[[str, str, str | None], Code | Denied | Ignored]

_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n"
    "Connection: close\r\n"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:34em;margin:18vh auto;padding:0 1em;color:#1e2329}}
h1{{font-size:1.5em;font-weight:600}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 421: "Misdirected Request"}


class LoopbackListener:
    """One loopback port, listening on 127.0.0.1 and, where the machine has it, on ::1."""

    def __init__(self, listeners: list[socket.socket], port: int, clock: Callable[[], float]) -> None:
        self._listeners = listeners
        self._clock = clock
        self.port = port
        self.uri = redirect_uri(port)
        self.ignored: list[str] = []
        """Why requests were ignored, for the person who waits in vain."""

    @classmethod
    def open(cls, ports: Iterable[int], *, clock: Callable[[], float] = time.monotonic) -> Self:
        """The first of `ports` that nobody holds on either family.

        Raises:
            ConfigError: `PORT_TAKEN`, all of them are held.
        """
        tried: list[str] = []
        for port in ports:
            try:
                return cls(_listen(port), port, clock)
            except OSError as error:
                tried.append(f"{port} ({error.strerror})")
        raise ConfigError(
            f"no port for the browser's answer: {', '.join(tried)}", code="PORT_TAKEN", ports=", ".join(tried)
        )

    def wait(self, judge: Judge, *, timeout: float) -> Code | Denied:
        """Serve callers until one of them brings the answer.

        Raises:
            NotAuthorized: `NO_CONSENT`, none came within `timeout` seconds.
        """
        until = self._clock() + timeout
        callers: dict[socket.socket, _Caller] = {}
        with selectors.DefaultSelector() as ready:
            try:
                return self._serve(judge, ready, callers, until, timeout)
            finally:
                for connection in callers:
                    connection.close()

    def _serve(
        self, judge: Judge, ready: _Ready, callers: dict[socket.socket, _Caller], until: float, timeout: float
    ) -> Code | Denied:
        for listener in self._listeners:
            ready.register(listener, selectors.EVENT_READ)
        while (left := until - self._clock()) > 0:
            # A connection that has sent something is answered before a new one can take its place.
            said = {key.fileobj for key, _ in ready.select(min(left, 1.0))}
            for caller in [caller for connection, caller in callers.items() if connection in said]:
                verdict = caller.read(judge)
                if isinstance(verdict, Ignored):
                    self.ignored.append(verdict.reason)
                elif verdict is not None:
                    return verdict
            for listener in self._listeners:
                if listener in said:
                    self._accept(listener, ready, callers)
            for caller in [c for c in callers.values() if c.gone or self._clock() > c.until]:
                self._drop(caller, ready, callers)
        raise self._nobody(timeout)

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _accept(self, listener: socket.socket, ready: _Ready, callers: dict[socket.socket, _Caller]) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # gone before it was accepted
            return
        if len(callers) >= _MOST_CALLERS:
            self._drop(next(iter(callers.values())), ready, callers)
        connection.setblocking(False)
        # Closing drops the connection at once. A polite close would keep the port in TIME_WAIT, and without
        # SO_REUSEADDR the next login could not have it; so the browser is left to hang up first.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        callers[connection] = _Caller(connection, self._clock() + _CALLER_S)
        ready.register(connection, selectors.EVENT_READ)

    @staticmethod
    def _drop(caller: _Caller, ready: _Ready, callers: dict[socket.socket, _Caller]) -> None:
        ready.unregister(caller.connection)
        del callers[caller.connection]
        caller.connection.close()

    def _nobody(self, timeout: float) -> NotAuthorized:
        count = "1 request was" if len(self.ignored) == 1 else f"{len(self.ignored)} requests were"
        ignored = f"; {count} ignored, the last because {self.ignored[-1]}" if self.ignored else ""
        return NotAuthorized(
            f"no answer came from the browser within {timeout:.0f} s{ignored}",
            code="NO_CONSENT",
            hint="run the command again; if Dropbox's page showed an error instead of Allow, register "
            f"{self.uri} and tick the scopes of the app on https://www.dropbox.com/developers/apps; without a browser "
            "on this machine, add --no-browser",
            reason="timeout",
        )


class _Caller:
    """One connection and what it has sent so far."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection = connection
        self.until = until
        self.gone = False
        self._received = b""
        self._answered = False

    def read(self, judge: Judge) -> Code | Denied | Ignored | None:
        """Read on, and answer when a whole request has arrived; None when there is nothing new."""
        try:
            more = self.connection.recv(_MOST_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            more = b""
        self.gone = not more
        if self._answered or self.gone:
            return None
        self._received += more
        if b"\r\n\r\n" in self._received:
            return self._say(_parse_and_judge(self._received, judge))
        return self._say(Ignored(400, "it was too long")) if len(self._received) > _MOST_BYTES else None

    def _say(self, verdict: Code | Denied | Ignored) -> Code | Denied | Ignored:
        status, title, text = _words(verdict)
        page = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{_HEADERS}Content-Length: {len(page)}\r\n\r\n"
        self._answered = True
        with contextlib.suppress(OSError):
            self.connection.send(head.encode() + page)  # 1 KiB: fits the buffer of a fresh connection
            if not isinstance(verdict, Ignored):
                self.connection.settimeout(2.0)
                self.connection.recv(1)  # until the browser, told `Connection: close`, has read it and hangs up
        return verdict


def _parse_and_judge(request: bytes, judge: Judge) -> Code | Denied | Ignored:
    """Read a request head strictly and have it judged."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return Ignored(400, "it was no HTTP")
    hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
    return judge(words[0], words[1], hosts[0] if len(hosts) == 1 else None)


def _words(verdict: Code | Denied | Ignored) -> tuple[int, str, str]:
    match verdict:
        case Code():
            return 200, "Huracan has its answer", "You can close this page and go back to the terminal."
        case Denied():
            return 200, "Nothing was allowed", "Huracan has no access. You can close this page."
        case Ignored(status=status, reason=reason):
            return status, "This is not an answer Huracan waits for", f"It was ignored: {reason}."


def _listen(port: int) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        listeners = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                listener = undo.enter_context(contextlib.closing(socket.socket(family, socket.SOCK_STREAM)))
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((host, port))
                listener.listen(16)
                listener.setblocking(False)
            except OSError as error:
                if family == socket.AF_INET6 and error.errno in _NO_SUCH_FAMILY:
                    continue  # a machine without ::1: nobody can listen there
                raise
            listeners.append(listener)
        undo.pop_all()
        return listeners
