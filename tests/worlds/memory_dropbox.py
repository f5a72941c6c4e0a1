"""The emulator without a socket: its application called in this process, and a wire that leads there.

Everything of the client but the bytes on a socket is the real thing, and so is everything of the emulator but its
server. A request takes a millisecond, and whoever tests may do something between any two of them.
"""

import asyncio
import http.client
import io
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.serving.app import Application
from huracan_sync.emulator.state.world import World
from huracan_sync.remote.http import Stream, Wire
from huracan_sync.remote.pools import Response

URL = "http://127.0.0.1:1"


class MemoryDropbox(Emulator):
    """A running emulator as other tests know it, whose server is whoever calls it: one request at a time."""

    def __init__(self, folder):
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()  # guards the loop: whoever asks runs it for as long as his answer takes
        self.world = World(folder)
        self._app = Application(self.world)
        ready = {"url": URL, "app_key": "emulatorfullapp", "read_only_app_key": "emulatorreadapp"}
        super().__init__(ready | {"account_id": self.world.default_account_id})

    def stop(self):
        self.loop.close()
        self.world.close()

    def request(self, method, url, headers, body=b""):
        """(status, headers, body) of one request."""
        with self._lock:
            return self.loop.run_until_complete(self._request(method, url, headers, body))

    async def _request(self, method, url, headers, body):
        parts = urlsplit(url)
        given = {"host": parts.netloc, "content-length": str(len(body)), **headers}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": parts.scheme,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), str(value).encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 2),
            "server": ("127.0.0.1", 1),
            "state": {},
            "extensions": {},
        }
        waiting = [{"type": "http.request", "body": bytes(body), "more_body": False}]
        answer, pieces = {}, []

        async def receive():
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()  # nobody hangs up here
            raise AssertionError

        async def send(message):
            if message["type"] == "http.response.start":
                answer.update(message)
            else:
                pieces.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return answer["status"], answer["headers"], b"".join(pieces)

    def _call(self, verb, path, data):
        import json

        headers = {"content-type": "application/json"} if data else {}
        status, _, body = self.request(verb, URL + path, headers, data.encode() if data else b"")
        return status, json.loads(body)


class MemoryWire(Wire):
    """A wire to a `MemoryDropbox`. `around` is called with each URL before the request, and after the answer."""

    def __init__(self, endpoint, dropbox, around=None):
        super().__init__(endpoint)
        self._dropbox = dropbox
        self.around = around

    def open(self, url, *, headers, token=None, body=b"", method="POST", read_timeout=None):
        data = bytes(body) if isinstance(body, bytes | memoryview) else b"".join(body)
        self.meter.add(requests=1, sent=len(data))
        bearer = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        if self.around:
            self.around(url, answered=False)
        status, given, answer = self._dropbox.request(method, url, {**headers, **bearer}, data)
        if self.around:
            self.around(url, answered=True)
        return Stream(_response(status, given, answer), url, self.meter, self._shape)


def _response(status, headers, body):
    """An answer as it would come over a wire."""
    head = b"".join(b"%s: %s\r\n" % field for field in headers if field[0].lower() != b"content-length")
    raw = b"HTTP/1.1 %d OK\r\n%sContent-Length: %d\r\n\r\n%s" % (status, head, len(body), body)
    answer = http.client.HTTPResponse(SimpleNamespace(makefile=lambda _: io.BytesIO(raw)))
    answer.begin()
    return Response(answer, http.client.HTTPConnection("memory"), lambda: None)
