"""The emulator without a socket: its application called in this process, and a wire that leads there.

Everything of the client but the bytes on a socket is the real thing, and so is everything of the emulator but its
server. A request takes a millisecond, and whoever tests may do something between any two of them. It can also go back
to a beginning that was prepared once.
"""

import asyncio
import http.client
import io
import json
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.serving.app import Application
from huracan_sync.emulator.state.clock import Clock
from huracan_sync.emulator.state.faults import Faults
from huracan_sync.emulator.state.traffic import Traffic
from huracan_sync.emulator.state.tree import Account
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
        self._tokens, self._kept = {}, None

    def reset(self):
        super().reset()
        self._tokens = {}

    def token(self, scopes=None, **more):
        """One login for all that ask for the same."""
        asked = (tuple(scopes or ()), *sorted(more.items()))
        if asked not in self._tokens:
            self._tokens[asked] = super().token(scopes, **more)
        return self._tokens[asked]

    @property
    def account(self):
        return self.world.accounts[self.account_id]

    def keep(self):
        """Remember the files as they are now, for `go_back`."""
        account = self.account
        places = [account._place(node) for node in account.root.walk() if node is not account.root]
        self._kept = places, list(account.tombstones.values()), list(account.revisions.values())

    def go_back(self):
        """The files are again as they were kept. Logins stay; the clock, faults and the log begin anew."""
        world = self.world
        account = world.accounts[self.account_id] = Account(self.account.person, world.ledger)
        account.restore(*self._kept)
        world.clock, world.faults, world.traffic = Clock(), Faults(), Traffic()
        for leftover in (world.sessions, world.pieces, world.jobs, world.links, world.listings, world.calls):
            leftover.clear()

    def content(self, revision):
        """The bytes of a revision, past the API."""
        return b"".join(self.world.content.read(self.world.blobs[revision.content_hash].extents))

    def stop(self):
        self.loop.close()
        self.world.close()

    def request(self, method, url, headers, body=b""):
        """(status, headers, body) of one request."""
        with self._lock:
            return self._run(self._request(method, url, headers, body))

    def _run(self, answering):
        """What a request comes to: at once, as nearly always, or once the loop has run for it."""
        if self.world.running:  # jobs that were begun go on beside requests
            self.loop.run_until_complete(asyncio.sleep(0))
        asyncio._set_running_loop(self.loop)
        try:
            waits_for = answering.send(None)
        except StopIteration as ended:
            return ended.value
        finally:
            asyncio._set_running_loop(None)
        return self.loop.run_until_complete(_Begun(answering, waits_for).rest())

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
        headers = {"content-type": "application/json"} if data else {}
        status, _, body = self.request(verb, URL + path, headers, data.encode() if data else b"")
        return status, json.loads(body)


class _Begun:
    """A coroutine that has begun to wait for something, to be gone on with in a task."""

    def __init__(self, begun, waits_for):
        self._begun, self._waits_for = begun, waits_for

    def __await__(self):
        while True:
            try:
                sent = yield self._waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to whom it concerns
                step, given = self._begun.throw, error
            else:
                step, given = self._begun.send, sent
            try:
                self._waits_for = step(given)
            except StopIteration as ended:
                return ended.value

    async def rest(self):
        return await self


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
    answer = http.client.HTTPResponse(SimpleNamespace(makefile=lambda _: io.BytesIO(body)))
    answer.status, answer.version, answer.reason = status, 11, "OK"
    answer.headers = answer.msg = http.client.HTTPMessage()
    for name, value in headers:
        answer.headers.set_raw(name.decode("latin-1"), value.decode("latin-1"))
    answer.chunked, answer.will_close, answer.length = False, False, len(body)
    return Response(answer, http.client.HTTPConnection("memory"), lambda: None)
