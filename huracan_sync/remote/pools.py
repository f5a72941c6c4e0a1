"""Connections by urllib3: the pool of a wire, and what its exceptions mean.

Imported when the first connection is needed: urllib3 takes 60 ms to import, and making a client needs none of it.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from huracan_sync.errors import ConfigError, TlsRefused, Unreachable

FAILURES = (HTTPError, OSError)
"""What an exchange that did not come about raises."""

UNSENT = 256 * 1024
_UNSENT = [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)] if hasattr(socket, "TCP_NOTSENT_LOWAT") else []
"""Where a system can, it takes no more from us than the link is about to: what is written has as good as left."""


def make_pool(
    *, connections: int, is_tls: bool, ca_file: str | None, opened: Callable[[HTTPConnection], None]
) -> urllib3.PoolManager:
    """A pool of connections.

    Args:
        connections: how many are kept open for each host.
        is_tls: whether the hosts speak TLS.
        ca_file: the certificates to trust, where not those of certifi.
        opened: told of each connection that is made.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    pool = urllib3.PoolManager(
        num_pools=4,
        maxsize=connections,
        block=False,
        ssl_context=tls_context(ca_file) if is_tls else None,
        retries=False,
        socket_options=[*HTTPConnection.default_socket_options, *_UNSENT],
    )
    pool.pool_classes_by_scheme = _pool_classes(opened)
    return pool


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """How the other side proves that it is Dropbox.

    Raises:
        ConfigError: the certificates cannot be read.
    """
    # Not ssl.create_default_context(): that one takes bundles and key-log files from the environment.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca_file or certifi.where())
    except OSError as error:
        raise ConfigError(
            f"the CA file {ca_file} cannot be read: {error.strerror or error}",
            hint="HURACAN_SYNC_CA names the ca.pem that `huracan-sync emulator --tls DIR` writes",
        ) from error
    return context


def send(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    headers: dict[str, str],
    body: object,
    timeouts: tuple[float, float],
) -> urllib3.BaseHTTPResponse:
    """Make one request; the body of the answer is left on the wire. `timeouts` are for connecting and for reading."""
    return pool.request(
        method,
        url,
        body=cast("bytes", body),  # or any iterable of buffers, which urllib3's types do not know
        headers=headers,
        timeout=urllib3.Timeout(connect=timeouts[0], read=timeouts[1]),
        retries=False,
        redirect=False,
        preload_content=False,
    )


def _pool_classes(opened: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, which tell of each connection that is made."""

    def telling(connection: HTTPConnection) -> HTTPConnection:
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
            return telling(cast("HTTPConnection", super()._new_conn()))

    class TlsPool(HTTPSConnectionPool):
        def _new_conn(self) -> HTTPConnection:  # type: ignore[override]
            return telling(cast("HTTPConnection", super()._new_conn()))

    return {"http": PlainPool, "https": TlsPool}


def unreachable(error: Exception, url: str) -> Unreachable | TlsRefused:
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
    text = error.args[0] if len(error.args) > 1 and isinstance(error.args[0], str) else str(error)
    return re.sub(r"^(?:<[^>]*>|\w+\([^)]*\)): ", "", text) or type(error).__name__
