"""Connections by the standard library's `http.client`, answers, and what their failures mean.

Imported when the first connection is needed: making a client needs none of it. A connection carries one request at a
time, and is used again only when its last answer was read to the end.
"""

from __future__ import annotations

import http.client
import importlib.util
import re
import select
import socket
import ssl
import weakref
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from huracan_sync.errors import ConfigError, TlsRefused, Unreachable

FAILURES = (http.client.HTTPException, OSError, zlib.error)
"""What an exchange that did not come about raises."""

UNSENT = 256 * 1024
"""Where a system can, it takes no more from us than the link is about to: what is written has as good as left."""

_LIKELY = r'# Label: "DigiCert[^"\n]*"\n(?:#[^\n]*\n)*(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n)'
Connection = http.client.HTTPConnection
Body = bytes | memoryview | Iterable[bytes | memoryview]


class ConnectFailed(OSError):
    """No connection: the request surely never left."""


class Pool:
    """Connections that are kept open, by host. Thread-safe: each step on the lists is one that Python does whole."""

    def __init__(self, *, kept: int, is_tls: bool, ca_file: str | None, opened: Callable[[Connection], None]) -> None:
        """Open nothing yet. Raises `ConfigError` where the certificates cannot be read.

        Args:
            kept: how many idle connections are kept for each host.
            is_tls: whether the hosts speak TLS.
            ca_file: the certificates to trust, where not those of certifi.
            opened: told of each connection that is made.
        """
        self._kept = kept
        self._opened = opened
        self._likely = _likely_context() if is_tls and ca_file is None else None
        self._tls = self._likely or (tls_context(ca_file) if is_tls else None)
        self._idle: dict[tuple[str, str], list[Connection]] = defaultdict(list)
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: Body, timeouts: tuple[float, float]
    ) -> Response:
        """Make one request; the body of the answer is left on the wire. `timeouts` are for connecting and reading."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        connection = self._take(place) or self._open(place, timeouts[0])
        try:
            if connection.sock is not None:  # a recorder's stand-in, playing back, has none
                connection.sock.settimeout(timeouts[1])
            try:
                connection.request(method, url.partition(parts.netloc)[2] or "/", body, headers)
                keep = lambda: self._keep(place, connection)  # noqa: E731 - as short as the other
            except (BrokenPipeError, ConnectionResetError):
                keep = connection.close  # a server may answer, and stop reading, before it has read it all
            return Response(connection.getresponse(), connection, keep)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Drop the idle connections."""
        _close_all(self._idle)

    def _take(self, place: tuple[str, str]) -> Connection | None:
        with suppress(IndexError):
            while _is_dropped(connection := self._idle[place].pop()):
                connection.close()
            return connection
        return None

    def _keep(self, place: tuple[str, str], connection: Connection) -> None:
        if connection.sock is not None and len(self._idle[place]) < self._kept:
            self._idle[place].append(connection)
        else:
            connection.close()

    def _open(self, place: tuple[str, str], timeout: float) -> Connection:
        # Named when they are used: a recorder of exchanges puts its own classes in their place.
        tls = self._tls
        connection: Connection = (
            http.client.HTTPSConnection(place[1], timeout=timeout, context=tls or tls_context(None))
            if place[0] == "https"
            else http.client.HTTPConnection(place[1], timeout=timeout)
        )
        try:
            connection.connect()
        except BaseException as error:
            connection.close()
            if isinstance(error, ssl.SSLCertVerificationError) and tls and tls is self._likely:
                self._tls = tls_context(None)
                return self._open(place, timeout)
            if not isinstance(error, OSError) or _is_doubtful(error):
                raise
            raise ConnectFailed(*error.args) from error
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with suppress(OSError, AttributeError):  # a recorder's stand-in has no options
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        self._opened(connection)
        return connection


def _close_all(idle: dict[tuple[str, str], list[Connection]]) -> None:
    with suppress(KeyError):
        while True:
            for connection in idle.popitem()[1]:
                connection.close()


def _is_dropped(connection: Connection) -> bool:
    """Whether the other side closed it, or said something that nobody asked for."""
    try:
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError, NotImplementedError):  # a recorder's stand-in is no socket
        return True


class Response:
    """One answer whose body is still on the wire."""

    def __init__(self, answer: http.client.HTTPResponse, connection: Connection, keep: Callable[[], None]) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers  # type: ignore[assignment]  # asked whatever the case
        self._answer = answer
        self._connection = connection
        self._keep = keep
        self._unpacker = zlib.decompressobj(31) if answer.getheader("Content-Encoding", "") == "gzip" else None

    def read(self, size: int) -> bytes:
        """The next bytes of the body, unpacked, at most `size`; none at its end. Raises one of `FAILURES`."""
        if self._unpacker is None:
            return self._raw(size)
        while not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._raw(size)
            if not packed:
                raise http.client.IncompleteRead(b"")
            if piece := self._unpacker.decompress(packed, size):
                return piece
        self._raw(1)  # to the end of the body, so that the connection can be used again
        return b""

    def _raw(self, size: int) -> bytes:
        left = self._answer.length
        piece = self._answer.read(size if left is None else min(size, left))
        if left is not None and len(piece) < min(size, left):
            raise http.client.IncompleteRead(piece, left - len(piece))
        return piece

    def readinto(self, view: memoryview) -> int:
        """As `read`, into the view. What is not packed comes straight from the socket."""
        if self._unpacker is None:
            count = self._answer.readinto(view)
            if not count and self._answer.length:
                raise http.client.IncompleteRead(b"", self._answer.length)
            return count
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Keep the connection for another request when the body was read to its end, else drop it."""
        if self._answer.length == 0 and not self._answer.isclosed():
            self._answer.read()
        if self._answer.isclosed():
            self._keep()
        else:
            self._connection.close()
            self._answer.close()


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """How the other side proves that it is Dropbox.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    context = _bare_context()
    try:
        context.load_verify_locations(ca_file or _bundle())
    except OSError as error:
        raise ConfigError(
            f"the CA file {ca_file} cannot be read: {error.strerror or error}",
            hint="HURACAN_SYNC_CA names the ca.pem that `huracan-sync emulator --tls DIR` writes",
        ) from error
    return context


def _bare_context() -> ssl.SSLContext:
    # Not ssl.create_default_context(): that one takes bundles and key-log files from the environment.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _likely_context() -> ssl.SSLContext | None:
    """As `tls_context`, with only the authorities that sign for Dropbox today: loading the whole bundle costs 24 ms.

    None where the bundle does not name them. A host that they do not sign for is tried again with the whole bundle.
    """
    with suppress(OSError, ValueError):
        text = Path(_bundle()).read_text(encoding="utf-8")
        if found := "".join(re.findall(_LIKELY, text, re.DOTALL)):
            context = _bare_context()
            context.load_verify_locations(cadata=found)
            return context
    return None


def _bundle() -> str:
    """The file of certifi, found without importing it where it lies as a file: the import takes 3 ms."""
    found = importlib.util.find_spec("certifi")
    beside = Path(found.origin).with_name("cacert.pem") if found and found.origin else None
    if beside and beside.is_file():
        return str(beside)
    import certifi  # noqa: PLC0415 - as above

    return certifi.where()


def unreachable(error: Exception, url: str) -> Unreachable | TlsRefused:
    """A failed exchange in our words. `sent` is False only when the request surely never arrived."""
    host = urlsplit(url).netloc
    if _is_doubtful(error):
        return TlsRefused(f"{host} could not prove that it is Dropbox: {error}", host=host)
    brief = "bytes are missing" if isinstance(error, http.client.IncompleteRead) else str(error) or type(error).__name__
    if isinstance(error, ConnectFailed):
        return Unreachable(f"{host} cannot be reached: {brief}", host=host, sent=False)
    return Unreachable(f"the connection to {host} broke: {brief}", host=host, sent=True)


def _is_doubtful(error: BaseException) -> bool:
    """Whether TLS objects to the other side. That it hung up is no objection."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
