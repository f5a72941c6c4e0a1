"""The only room that opens a connection to Dropbox: where its hosts are, one pool, and a meter of what went over it.

Laws: nothing here reads the environment except `Endpoint.from_environment`. No proxy, no netrc, no CA bundle is taken
from `*_PROXY`, `~/.netrc`, `SSL_CERT_FILE` or `DROPBOX_*`: each of these could send a token to another place. No
redirect is followed. No retry happens here: an exchange is made once, and either answers or raises.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Self, cast
from urllib.parse import urlsplit
from weakref import WeakSet

import certifi
import msgspec
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    SSLError,
)

from huracan_sync.errors import ConfigError, TlsRefused, Unreachable
from huracan_sync.remote.throttle import Shape, Throttle
from huracan_sync.secret import Secret, bare

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes handed over at a time: what one read of a socket can give."""


_UNSENT = [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, CHUNK)] if hasattr(socket, "TCP_NOTSENT_LOWAT") else []
"""Where a system can, it takes no more from us than the link is about to: what is written has as good as left."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where Dropbox is: base URLs without a slash at the end."""

    api: str = "https://api.dropboxapi.com"
    content: str = "https://content.dropboxapi.com"
    notify: str = "https://notify.dropboxapi.com"
    web: str = "https://www.dropbox.com"
    ca_file: str | None = None
    namespace: str = "dropbox"
    """Credentials are kept by this name, so that none made for Dropbox ever reaches an emulator."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Dropbox itself, or the emulator that `HURACAN_SYNC_API` names.

        Raises:
            ConfigError: the URL is not http or https on a loopback host.
        """
        base = env.get("HURACAN_SYNC_API", "").rstrip("/")
        if not base:
            return cls()
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not _is_loopback(parts.hostname) or parts.path or parts.username:
            raise ConfigError(
                f"HURACAN_SYNC_API={base!r} is not the URL of an emulator on this machine",
                hint="it looks like http://127.0.0.1:8080; unset it to use Dropbox itself",
            )
        ca_file = env.get("HURACAN_SYNC_CA") or None
        return cls(base, base, base, base, ca_file, f"emulator:{parts.netloc}")

    @property
    def is_dropbox(self) -> bool:
        """Whether this is the real service."""
        return self.namespace == "dropbox"


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Count(msgspec.Struct, frozen=True):
    """What went over the wire."""

    requests: int = 0
    """Calls of the API (`/2/...`); token refreshes are counted apart, as for any client."""
    token_requests: int = 0
    bytes_sent: int = 0
    """Bytes of content in the bodies of upload calls, every attempt counted."""
    bytes_received: int = 0
    """Bytes of content in the bodies of download answers."""

    def __sub__(self, earlier: Count) -> Count:
        """What was added since `earlier`."""
        return Count(
            *(a - b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(earlier), strict=True))
        )


class Meter:
    """Adds up what goes over the wire; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _count
        self._count = Count()

    def add(self, *, requests: int = 0, token_requests: int = 0, sent: int = 0, received: int = 0) -> None:
        """Add to the totals."""
        with self._lock:
            now = self._count
            self._count = Count(
                now.requests + requests,
                now.token_requests + token_requests,
                now.bytes_sent + sent,
                now.bytes_received + received,
            )

    def read(self) -> Count:
        """The totals so far; subtract two readings for what lies between."""
        return self._count


class Answer:
    """One HTTP answer, its body read to the end."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Stream:
    """One HTTP answer whose body is still coming. Close it, or read it to the end."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, meter: Meter, shape: Shape) -> None:
        self._response = response
        self._url = url
        self._meter = meter
        self._shape = shape
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._is_content = self.status < 300 and "Dropbox-API-Result" in response.headers

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The body in pieces of at most `size` bytes.

        Raises:
            Unreachable: the body ended early or stalled.
        """
        while piece := self._read(size):
            yield piece

    def piece(self, size: int) -> bytes:
        """The next bytes of the body, at most `size` and at least one.

        Raises:
            Unreachable: the body ended early or stalled.
        """
        piece = self._read(size)
        if not piece:
            host = urlsplit(self._url).netloc
            raise Unreachable(f"{host} ended its answer before its time", host=host, sent=True)
        return piece

    def _read(self, size: int) -> bytes:
        # Undecoded bytes come straight from the socket; decoding goes through a buffer that holds them twice.
        encoded = "Content-Encoding" in self.headers
        try:
            piece = self._response.read(self._shape.most(size), decode_content=encoded)
        except (HTTPError, OSError) as error:
            self._shape.check()
            raise _unreachable(error, self._url) from error
        self._shape.wait(len(piece))
        if self._is_content:
            self._meter.add(received=len(piece))
        return piece

    def read(self) -> bytes:
        """The rest of the body at once."""
        return b"".join(self.chunks())

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else drop it."""
        if self._response.closed:
            self._response.release_conn()
        else:
            self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Body = bytes | memoryview | Iterable[bytes | memoryview]


class Wire:
    """A pool of connections to one endpoint. Thread-safe; a forked child opens its own connections."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections: int = 32,
        connect_timeout: float = 15.0,
        read_timeout: float = 90.0,
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self.meter = Meter()
        self.throttle = throttle
        self._shape = Shape(throttle)
        self._open: WeakSet[HTTPConnection] = WeakSet()
        self._connections = connections
        self._timeout = (connect_timeout, read_timeout)
        self._clock = clock
        self._lock = threading.Lock()  # guards _pool, _owner and _open
        self._pool: urllib3.PoolManager | None = None
        self._owner = 0

    def exchange(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        token: Secret | None = None,
        body: Body = b"",
        method: str = "POST",
        read_timeout: float | None = None,
    ) -> Answer:
        """Send one request and read the whole answer.

        Args:
            url: absolute.
            headers: as sent; `Content-Length` must be among them when `body` comes in pieces.
            token: an access token, which becomes a header of its own.
            body: the bytes, or pieces of them.
            method: the HTTP method.
            read_timeout: seconds without a byte after which the other side counts as gone.

        Raises:
            Unreachable: no whole answer; the fact `sent` says whether the request may have arrived.
            TlsRefused: the other side could not prove that it is Dropbox.
        """
        with self.open(
            url, headers=headers, token=token, body=body, method=method, read_timeout=read_timeout
        ) as stream:
            return Answer(stream.status, stream.headers, stream.read())

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        token: Secret | None = None,
        body: Body = b"",
        method: str = "POST",
        read_timeout: float | None = None,
    ) -> Stream:
        """Like `exchange`, but the body of the answer is left on the wire."""
        failure: BaseException
        self._shape.check()
        size = len(body) if isinstance(body, bytes | memoryview) else int(headers.get("Content-Length", 0))
        is_token = url.endswith("/oauth2/token")
        is_content = headers.get("Content-Type") == "application/octet-stream"
        self.meter.add(requests=not is_token, token_requests=is_token, sent=size if is_content else 0)
        try:
            response = self._the_pool().request(
                method,
                url,
                body=_sendable(body, self._shape),
                headers={**headers, **_bearer(token), "Content-Length": str(size)},
                timeout=urllib3.Timeout(connect=self._timeout[0], read=read_timeout or self._timeout[1]),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            failure = _unreachable(error, url)
        except BaseException as error:  # noqa: BLE001 - Ctrl-C too: its frames hold the headers all the same
            failure = error
        else:
            log.debug("%s: %d", urlsplit(url).path, response.status)
            return Stream(response, url, self.meter, self._shape)
        self._shape.check()  # a connection that was cut short did not break
        raise bare(failure)

    @contextmanager
    def cut_short(self) -> Iterator[None]:
        """Within the block nothing moves: exchanges under way break off, none begins."""
        self._shape.is_cut.set()
        with self._lock:
            sockets = [connection.sock for connection in self._open if connection.sock]
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which another thread is using
        try:
            yield
        finally:
            self._shape.is_cut.clear()

    def _opened(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._open.add(connection)
        self._shape.check()

    def close(self) -> None:
        """Drop all idle connections; the next exchange opens new ones."""
        with self._lock:
            if self._pool is not None:
                self._pool.clear()
                self._pool = None

    def _the_pool(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None or self._owner != os.getpid():  # a connection must not be shared with a parent
                self._pool = urllib3.PoolManager(
                    num_pools=4,
                    maxsize=self._connections,
                    block=False,
                    ssl_context=self._tls() if self.endpoint.api.startswith("https") else None,
                    retries=False,
                    socket_options=[*HTTPConnection.default_socket_options, *_UNSENT],
                )
                self._pool.pool_classes_by_scheme = _pools(self._opened)
                self._owner = os.getpid()
            return self._pool

    def _tls(self) -> ssl.SSLContext:
        # Not ssl.create_default_context(): that one takes bundles and key-log files from the environment.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.endpoint.ca_file or certifi.where())
        except OSError as error:
            raise ConfigError(
                f"the CA file {self.endpoint.ca_file} cannot be read: {error.strerror or error}",
                hint="HURACAN_SYNC_CA names the ca.pem that `huracan-sync emulator --tls DIR` writes",
            ) from error
        return context


def _bearer(token: Secret | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}


def _sendable(body: Body, shape: Shape) -> bytes | Iterable[bytes]:
    """`body`, shaped where there is a throttle, as urllib3's types know it; what it sends is any buffer."""
    if shape.throttle:
        body = shape.pieces([body] if isinstance(body, bytes | memoryview) else body)
    return cast("bytes | Iterable[bytes]", body)


def _pools(opened: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, telling of each connection that is made."""

    def told(connection: HTTPConnection) -> HTTPConnection:
        # Told by the connection, not by its class: whoever records exchanges puts a class of theirs in its place.
        connect = connection.connect

        def connect_and_tell() -> None:
            connect()
            opened(connection)

        # Past its `__setattr__`: a recorder hands on what is set to the connection that it stands for.
        vars(connection)["connect"] = connect_and_tell
        return connection

    class PlainPool(HTTPConnectionPool):
        def _new_conn(self) -> HTTPConnection:
            return told(cast("HTTPConnection", super()._new_conn()))

    class TlsPool(HTTPSConnectionPool):
        def _new_conn(self) -> HTTPConnection:  # type: ignore[override]
            return told(cast("HTTPConnection", super()._new_conn()))

    return {"http": PlainPool, "https": TlsPool}


def _unreachable(error: Exception, url: str) -> Unreachable | TlsRefused:
    """A failed exchange in our words. `sent` is False only when the request surely never arrived."""
    host = urlsplit(url).netloc
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SSLError | ssl.SSLCertVerificationError):
            return TlsRefused(f"{host} could not prove that it is Dropbox: {cause}", host=host)
        if isinstance(cause, NewConnectionError | ConnectTimeoutError | ConnectionRefusedError):
            return Unreachable(f"{host} cannot be reached: {_brief(cause)}", host=host, sent=False)
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"the connection to {host} broke: {_brief(error)}", host=host, sent=True)


def _brief(error: BaseException) -> str:
    """The last cause in a few words, without the object it happened to, and without urllib3's repetition of it."""
    said = error.args[0] if len(error.args) > 1 and isinstance(error.args[0], str) else str(error)
    return re.sub(r"^(?:<[^>]*>|\w+\([^)]*\)): ", "", said) or type(error).__name__
