"""A small page for people, `/metrics` for Prometheus, `/healthz` for a supervisor. On loopback only, and only to look.

Laws: it answers GET and nothing else, to requests that name this machine and this port as their host (a page elsewhere
on the web must not read it through a name that points here), and to no page of another site or port; it shows no
secret, loads nothing from anywhere, runs no script.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from huracan_sync.engine.daemon.dashboard.drawing import as_html
from huracan_sync.engine.daemon.dashboard.metrics import as_metrics
from huracan_sync.engine.daemon.dashboard.samples import Samples
from huracan_sync.engine.daemon.status import Status
from huracan_sync.errors import ConfigError
from huracan_sync.secret import redact

CONNECTION_S = 10.0
"""A connection lasts at most so long, whatever comes over it."""
MOST_CONNECTIONS = 64
_NAMES = ("127.0.0.1", "localhost")
_HTTP = 80


class _Server(ThreadingHTTPServer):
    """Ends connections that last too long, and takes no more than a few at once: a slow writer holds nothing up."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        del client_address
        if len(self._open) >= MOST_CONNECTIONS:
            return False
        self._open[request] = self.monotonic()
        return True

    monotonic = staticmethod(time.monotonic)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second."""
        for request, since in list(self._open.items()):
            if self.monotonic() - since > CONNECTION_S:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)  # its thread notices, and closes it


class Page:
    """A server on a thread of its own."""

    def __init__(self, port: int, status: Callable[[], Status], samples: Samples, now: Callable[[], float]) -> None:
        """Listen on `port` of 127.0.0.1; 0 takes any.

        Raises:
            ConfigError: `PORT_TAKEN`, another process listens there.
        """

        class Handler(_Handler):
            page = self

        self.status = status
        self.samples = samples
        self.now = now
        try:
            self._server = _Server(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ConfigError(
                f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}",
                code="PORT_TAKEN",
                hint="choose another with --http PORT; 0 takes any",
                port=port,
            ) from error
        self._port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="huracan-page")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def is_asked_here(self, host: str, origin: str | None) -> bool:
        """Whether a request names this page as its host, and comes from no other site or port in a browser."""
        host = host.lower()
        names_it = host in {f"{name}:{self._port}" for name in _NAMES} or (self._port == _HTTP and host in _NAMES)
        return names_it and (origin is None or origin.lower() == f"http://{host}")

    def answer(self, path: str) -> tuple[int, str, str] | None:
        """Status, type and text for a path; None for one that is none."""
        now, status = self.now(), self.status()
        if path == "/":
            return 200, "text/html; charset=utf-8", as_html(status, self.samples.all(), now)
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", as_metrics(status, now)
        if path == "/healthz":
            ill = [kind.name for kind in status.kinds if not kind.is_healthy(now)]
            health = {
                "healthy": not ill,
                "late": ill,
                "pending": status.pending,
                "refused": {kind.name: kind.refused for kind in status.kinds if kind.refused},
                "not_watching": status.not_watching,
            }
            return 503 if ill else 200, "application/json", redact(msgspec.json.encode(health).decode())
        if path == "/status.json":
            return 200, "application/json", redact(msgspec.json.encode(status.as_dict(now)).decode())
        return None


class _Handler(BaseHTTPRequestHandler):
    page: Page
    server_version = "huracan-sync"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        if not self.page.is_asked_here(self.headers.get("Host", ""), self.headers.get("Origin")):
            self._send(421, "text/plain; charset=utf-8", "this page is for the machine it runs on\n")
            return
        answer = self.page.answer(self.path.partition("?")[0])
        self._send(*(answer or (404, "text/plain; charset=utf-8", "/ /metrics /healthz /status.json\n")))

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
            "frame-ancestors 'none'",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing of a request."""
