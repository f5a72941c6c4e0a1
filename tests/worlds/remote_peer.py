"""Somebody who may write where a real login reads, here in the emulator."""

import msgspec

from huracan_sync.remote.client import Remote
from huracan_sync.remote.source import RemoteSource
from huracan_sync.tree.paths import join


class Written(msgspec.Struct):
    rev: str


class RemotePeer:
    """The dictionary of the other tests, but in Dropbox: what a thief with a write token can do to it."""

    def __init__(self, remote: Remote, source: RemoteSource):
        self._remote = remote
        self._source = source
        self.files = {}
        for name in ("fetch", "stream", "cursor", "lying", "changed", "wait"):
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
