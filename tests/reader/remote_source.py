"""The Source over a real Dropbox login, here of the emulator; and somebody who may write there."""

import contextlib
import itertools
import time

import msgspec

from huracan_sync.errors import HuracanError, NotAuthorized, NotFound, TryLater, Unavailable
from huracan_sync.paths import join
from huracan_sync.remote import listing
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.remote.errors import CursorReset

PART = 8 << 20


@contextlib.contextmanager
def as_a_source_says():
    """What a reader need not know the reasons of: a folder where a file must be, a path that cannot be."""
    try:
        yield
    except (NotFound, NotAuthorized, TryLater, Unavailable):
        raise
    except HuracanError as error:
        raise NotFound(str(error), **error.facts) from error


class RemoteSource:
    """Reads below `remote.root`. Keeps to the calls of a login that may only read."""

    def __init__(self, remote: Remote, sleep=time.sleep):
        self._remote = remote
        self._sleep = sleep

    def _arg(self, place):
        return {"path": place if place.startswith("rev:") else join(self._remote.root, place)}

    def fetch(self, place, limit):
        data = bytearray()
        with as_a_source_says(), self._remote.stream("files/download", self._arg(place)) as answer:
            for piece in answer.chunks():
                data += piece
                if len(data) > limit:
                    break
        return bytes(data[: limit + 1])

    @contextlib.contextmanager
    def stream(self, place, start, end):
        if start == 0:
            with as_a_source_says():
                answer = self._remote.stream("files/download", self._arg(place))
            with answer:
                yield answer.chunks()
        else:
            parts = self._parts(place, start, end)
            first = next(parts)  # so that what is not there is said now
            yield itertools.chain([first], parts)

    def _parts(self, place, start, end):
        for at in range(start, end, PART):
            part = Ranged(at, min(at + PART, end))
            with as_a_source_says():
                _, data = self._remote.fetch("files/download", self._arg(place), Written, limit=PART, part=part)
            yield data

    def cursor(self, folder):
        with as_a_source_says():
            return listing.latest_cursor(self._remote, join(self._remote.root, folder))

    def changed(self, folder, cursor):
        moved = []
        try:
            with as_a_source_says():
                for page in listing.changes(self._remote, join(self._remote.root, folder), cursor):
                    cursor = page.cursor
                    names = [*(entry.path for entry in page.files), *page.gone, *page.folders]
                    moved += [f"{folder}/{name}" if name else folder for name in names]
        except CursorReset:
            return None
        return cursor, moved

    def wait(self, cursor, timeout_s):
        try:
            result = self._remote.longpoll(cursor, timeout_s)
        except CursorReset:
            return True
        if result.backoff:
            self._sleep(result.backoff)
        return result.changes


class Written(msgspec.Struct):
    rev: str


class RemotePeer:
    """The dictionary of the other tests, but in Dropbox: what a thief with a write token can do to it."""

    def __init__(self, remote: Remote, source: RemoteSource):
        self._remote = remote
        self._source = source
        self.files = {}
        for name in ("fetch", "stream", "cursor", "changed", "wait"):
            setattr(self, name, getattr(source, name))

    def put(self, path, data):
        arg = {"path": join(self._remote.root, path), "mode": "overwrite", "mute": True}
        rev = self._remote.send("files/upload", arg, bytes(data), Written).rev
        self.files[path] = rev
        return rev

    def get(self, path):
        return self._source.fetch(path, 1 << 30)

    def delete(self, path):
        self._remote.rpc("files/delete_v2", {"path": join(self._remote.root, path)}, msgspec.Raw)

    def requests(self):
        """How many since this was last asked: not counted here."""
        return 0
