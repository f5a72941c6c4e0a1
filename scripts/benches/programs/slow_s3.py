"""moto's S3 with the latency of a link: `slow_s3.py LATENCY_MS` prints its port; `/__requests` says how many came."""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class _Slow:
    """An application whose answers take their time. Counts them."""

    def __init__(self, app: Any, latency_s: float) -> None:
        self._app = app
        self._latency_s = latency_s
        self._lock = threading.Lock()  # guards _count
        self._count = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/__requests":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(self._count).encode()]
        with self._lock:
            self._count += 1
        time.sleep(self._latency_s)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as those of a real server

    def log(self, *_: Any, **__: Any) -> None:
        """Nothing."""


def main(latency_s: float) -> None:
    """Serve until killed."""
    app = _Slow(DomainDispatcherApplication(create_backend_app), latency_s)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000)
