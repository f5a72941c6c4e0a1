"""The only module that sends requests to Dropbox: where its hosts are, one pool of connections, and a meter.

Laws: nothing here reads the environment except `Endpoint.from_environment`. No proxy, no netrc, no CA bundle is taken
from `*_PROXY`, `~/.netrc`, `SSL_CERT_FILE` or `DROPBOX_*`: each of these could send a token to another place. No
redirect is followed. No retry happens here: an exchange is made once, and either answers or raises.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, urlsplit
from weakref import WeakSet

import msgspec

from huracan_sync.errors import ServiceFault, Unreachable, UsageError
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.throttle import Shape, Throttle
from huracan_sync.secret import Secret, bare

if TYPE_CHECKING:
    from huracan_sync.remote.pools import Connection, Pool, Response

log = logging.getLogger(__name__)

MOST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that is no download; a page of a listing has about one million."""
AGENT = "huracan-sync"
CHUNK = 256 * 1024
"""Bytes handed over at a time: what one read of a socket can give."""


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
            UsageError: the URL is not http or https on a loopback host.
        """
        base = env.get("HURACAN_SYNC_API", "").rstrip("/")
        if not base:
            return cls()
        parts = _parts_of(base)
        if parts is None or parts.scheme not in {"http", "https"} or not _is_loopback(parts.hostname):
            raise UsageError(
                f"HURACAN_SYNC_API={base!r} is not the URL of an emulator on this machine",
                hint="it looks like http://127.0.0.1:8080; unset it to use Dropbox itself",
            )
        ca_file = env.get("HURACAN_SYNC_CA") or None
        return cls(base, base, base, base, ca_file, f"emulator:{parts.netloc}")

    @property
    def is_dropbox(self) -> bool:
        """Whether this is the real service."""
        return self.namespace == "dropbox"


def _parts_of(url: str) -> SplitResult | None:
    """The parts of a URL that names a host and no more, None when it names anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        address = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:  # an open bracket, a port that is none
        return None
    is_bare = url.lower() == f"{parts.scheme}://{address}" and parts.port != 0
    return parts if is_bare else None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # noqa: PLC0415 - start-up time, and only an emulator needs it

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
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._lock = threading.Lock()

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

    def __init__(self, response: Response, url: str, meter: Meter, shape: Shape) -> None:
        self._response = response
        self._url = url
        self._meter = meter
        self._shape = shape
        self.status = response.status
        self.headers = response.headers
        self._is_content = self.status < 300 and "Dropbox-API-Result" in response.headers

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The body in pieces of at most `size` bytes.

        Raises:
            Unreachable: the body ended early or stalled.
        """
        while piece := self._read(size):
            yield piece

    def fill(self, view: memoryview) -> None:
        """Read the next bytes of the body into `view`, until it is full.

        Raises:
            Unreachable: the body ended early or stalled.
        """
        at = 0
        while at < len(view):
            with self._in_our_words():
                count = self._response.readinto(view[at : at + self._shape.most(len(view) - at)])
            if not count:
                host = urlsplit(self._url).netloc
                raise Unreachable(f"{host} ended its answer before its time", host=host, sent=True)
            self._count(count)
            at += count

    def _read(self, size: int) -> bytes:
        with self._in_our_words():
            piece = self._response.read(self._shape.most(size))
        self._count(len(piece))
        return piece

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        from huracan_sync.remote import pools  # noqa: PLC0415 - imported when the connection was made

        try:
            yield
        except pools.FAILURES as error:
            self._shape.check()
            raise pools.unreachable(error, self._url) from error

    def _count(self, size: int) -> None:
        self._shape.wait(size)
        if self._is_content:
            self._meter.add(received=size)

    def read(self, *, most: int) -> bytes:
        """The rest of the body at once.

        Raises:
            ServiceFault: it is longer than `most` bytes: a few of them, packed, would fill the memory.
            Unreachable: the body ended early or stalled.
        """
        pieces, size = [], 0
        for piece in self.chunks():
            size += len(piece)
            if size > most:
                host = urlsplit(self._url).netloc
                raise ServiceFault(f"{host} answered with more than {most} bytes", host=host)
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else drop it."""
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
        self._open: WeakSet[Connection] = WeakSet()
        self._connections = connections
        self._timeout = (connect_timeout, read_timeout)
        self._clock = clock
        self._lock = threading.Lock()  # guards _pool and _open
        self._pool: Pool | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`: a connection must not be shared with a parent."""
        self._lock, self._pool, self._open = threading.Lock(), None, WeakSet()
        self._shape.is_cut = threading.Event()

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
            return Answer(stream.status, stream.headers, stream.read(most=MOST_ANSWER))

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
        from huracan_sync.remote import pools  # noqa: PLC0415 - 20 ms, which a client that makes no call does not need

        failure: BaseException
        self._shape.check()
        size = len(body) if isinstance(body, bytes | memoryview) else int(headers.get("Content-Length", 0))
        is_token = url.endswith("/oauth2/token")
        is_content = headers.get("Content-Type") == "application/octet-stream"
        self.meter.add(requests=not is_token, token_requests=is_token, sent=size if is_content else 0)
        try:
            response = self._the_pool().send(
                method,
                url,
                headers={"User-Agent": AGENT, **headers, **_bearer(token), "Content-Length": str(size)},
                body=_sendable(body, self._shape),
                timeouts=(self._timeout[0], read_timeout or self._timeout[1]),
            )
        except pools.FAILURES as error:
            failure = pools.unreachable(error, url)
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
        import socket  # noqa: PLC0415 - start-up time

        with self._lock:
            sockets = [connection.sock for connection in self._open if connection.sock]
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which another thread is using
        try:
            yield
        finally:
            self._shape.is_cut.clear()

    def _opened(self, connection: Connection) -> None:
        with self._lock:
            self._open.add(connection)
        self._shape.check()

    def close(self) -> None:
        """Drop all idle connections; the next exchange opens new ones."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _the_pool(self) -> Pool:
        from huracan_sync.remote import pools  # noqa: PLC0415 - as above

        with self._lock:
            if self._pool is None:
                self._pool = pools.Pool(
                    kept=self._connections,
                    is_tls=self.endpoint.api.startswith("https"),
                    ca_file=self.endpoint.ca_file,
                    opened=self._opened,
                )
            return self._pool


def _bearer(token: Secret | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}


def _sendable(body: Body, shape: Shape) -> Body:
    """`body`, in pieces as the throttle allows where there is one."""
    return shape.pieces([body] if isinstance(body, bytes | memoryview) else body) if shape.throttle else body
