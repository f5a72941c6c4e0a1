"""Starting the server, and the line of JSON that says it is ready."""

import asyncio
import ipaddress
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from huracan_sync.emulator.serving.app import Application
from huracan_sync.emulator.serving.guard import Guard
from huracan_sync.emulator.state import world as worlds
from huracan_sync.emulator.state.ledger import locked
from huracan_sync.emulator.state.settings import Settings
from huracan_sync.emulator.state.world import World

_PREFIX = "dropbox-emulator-"
_FRESH_S = 60  # a folder may be so old before its lock is looked at: another emulator may be about to take it
_SOCKET_ROOM = 128 * 1024  # bytes that one connection holds each way; the system doubles it


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP with limits. The application can reach the connection, to break it as scripted.

    A connection that brings no request within the time for headers, or is slow to finish one, is cut off. Between
    requests uvicorn's own time for idle connections counts.
    """

    world: World  # set on the subclass that `_run` makes for its world

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._deadline: asyncio.TimerHandle | None = None
        self._waits_for_headers = True
        if len(self.connections) >= self.world.settings.max_connections:
            transport.abort()
            return
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._waits_for_headers = False
        self._watch_headers()
        if self in self.connections:
            super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["emulator.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        self._waits_for_headers = True

    def on_headers_complete(self) -> None:
        """The headers of a request are here."""
        self._waits_for_headers = False
        super().on_headers_complete()

    def _watch_headers(self) -> None:
        """Set the timer if headers are under way, and only then: most requests come in one piece."""
        if self._waits_for_headers and self._deadline is None:
            self._deadline = self.loop.call_later(self.world.settings.header_timeout_s, self.transport.abort)
        elif self._deadline and not self._waits_for_headers:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """A server that prints a line when it listens."""

    def __init__(self, config: uvicorn.Config, world: World, ready: dict[str, Any]) -> None:
        super().__init__(config)
        self._world = world
        self._ready = ready
        self.interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal, and do not raise it again afterwards, so that there is time to clean up."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self.interrupted = sig == signal.SIGINT
        self._world.end_waits()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        sys.stdout.write(json.dumps(self._ready) + "\n")
        sys.stdout.flush()


def serve(
    port: int = 0,
    data: Path | None = None,
    *,
    host: str = "127.0.0.1",
    latency_ms: float = 0.0,
    bandwidth_mbit: float = 0.0,
    tls: Path | None = None,
    header_limit: int = 65536,
    app_folder: bool = False,
) -> None:
    """Serve an emulator until a signal ends it. Prints one JSON line on stdout when it is ready.

    Args:
        port: where to listen; 0 for any free port.
        data: keeps everything there across restarts; without it a private folder is used and removed at the end.
        host: the address to listen at. Beyond loopback, anybody who can reach it can use the control endpoints too.
        latency_ms: added to every answer.
        bandwidth_mbit: of the whole line, each way; 0 for no limit.
        tls: serve https, with certificates kept there; clients trust `ca.pem`.
        header_limit: the most bytes of request headers.
        app_folder: the two public apps see their own folder only, instead of the whole account.

    Raises:
        OSError: the port is taken, or the folder cannot be written.
        KeyboardInterrupt: it was ended by Ctrl-C; everything is cleaned up.
    """
    settings = Settings(latency_ms=latency_ms, bandwidth_mbit=bandwidth_mbit, header_limit=header_limit)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Little room in the sockets: what lies there has crossed a line that is to look slow.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_ROOM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_ROOM)
    listener.bind((host, port))
    folder = data or _private_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        world = World(folder, settings, lasting=data is not None, app_folder=app_folder)
        interrupted = _run(world, listener, tls)
        world.close()
    finally:
        listener.close()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
    if interrupted:
        raise KeyboardInterrupt


def _private_folder() -> Path:
    """Make a folder for this emulator, locked while it runs. Folders of killed emulators are removed."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    locked(folder)
    for other in (lock.parent for lock in folder.parent.glob(f"{_PREFIX}*/lock")):
        try:
            if time.time() - other.stat().st_mtime > _FRESH_S:
                os.close(locked(other))
                shutil.rmtree(other, ignore_errors=True)
        except OSError:
            continue  # it is in use, or somebody else's
    return folder


def _run(world: World, listener: socket.socket, tls: Path | None) -> bool:
    """Serve. Returns whether somebody pressed Ctrl-C."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Only what went wrong here: requests that were cut, or came wrong, are what the emulator is for.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.exc_info is not None)
    address, port = listener.getsockname()[:2]
    loopback = ipaddress.ip_address(address).is_loopback
    secure: dict[str, Any] = {}
    extra: dict[str, str] = {}
    if tls:
        from huracan_sync.emulator.serving.tls import certificates  # noqa: PLC0415  cryptography is needed for this alone

        ca, cert, key = certificates(tls)
        secure = {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
        extra = {"ca": str(ca)}
    config = uvicorn.Config(
        Application(world, Guard(port, open_to_all=not loopback)),
        http=type("BoundProtocol", (Protocol,), {"world": world}),
        ws="none",
        loop="auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
        backlog=2048,
        **secure,
    )
    url = f"{'https' if tls else 'http'}://{_name(address, loopback=loopback)}:{port}"
    server = _Server(config, world, {**ready(world, url), **extra})
    server.run(sockets=[listener])
    return server.interrupted


def _name(address: str, *, loopback: bool) -> str:
    """Return the name by which a client on this machine reaches the address."""
    if not loopback and ipaddress.ip_address(address).is_unspecified:
        return "127.0.0.1" if "." in address else "[::1]"
    return f"[{address}]" if ":" in address else address


def ready(world: World, url: str) -> dict[str, str]:
    """Return the content of the line that says the emulator is ready."""
    return {
        "url": url,
        "app_key": worlds.APP_KEY,
        "read_only_app_key": worlds.READ_ONLY_APP_KEY,
        "control": f"{url}/emulator",
        "confidential_app_key": worlds.CONFIDENTIAL_APP_KEY,
        "confidential_app_secret": worlds.CONFIDENTIAL_APP_SECRET,
        "account_id": world.default_account_id,
    }
