"""What all filesystems of one login in one process share: connections, pacing, threads, what is known of Dropbox.

fsspec keeps one filesystem instance for each thread that asks; a rate limit or a cached listing is of the login.
A forked child starts over: it shares no connection, thread or lock with its parent.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from huracan_sync.auth.connect import connect, connect_lent, home_of
from huracan_sync.errors import ContentMismatch, NotFound
from huracan_sync.fs.byte_cache import ByteCache
from huracan_sync.fs.metadata_cache import MetadataCache
from huracan_sync.remote import files
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.grant import Grant
from huracan_sync.remote.http import Endpoint
from huracan_sync.remote.listing import FileMetadata
from huracan_sync.remote.parallel import Threads
from huracan_sync.secret import Secret
from huracan_sync.transfer.ranges import fetch_range
from huracan_sync.transfer.worker_pool import WORKERS, background

TAIL = 64 * 1024
"""Bytes at the end of a file that are fetched at once and kept: where parquet, zip and others keep their index."""
WHOLE = 1024 * 1024
"""Bytes up to which a file is fetched whole, and kept."""
THREADS = "huracan-fs"
KEPT = 32 * 1024 * 1024
"""Bytes of tails and small files kept in memory."""
PROVED = 64 * 1024 * 1024
"""Bytes of proved blocks kept in memory."""


class Login(NamedTuple):
    """The key under which an account is shared in this process."""

    profile: str
    token_mark: str
    """Of a token or a grant, where there is one."""
    endpoint: Endpoint
    home: Path


class Account:
    """One login's Dropbox as its filesystems use it. Thread-safe."""

    def __init__(self, remote: Remote, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.remote = remote
        self.home = home
        self.clock = clock
        """Seconds since 1970."""
        self.metadata = MetadataCache(remote)
        self._lock = threading.Lock()  # guards _threads
        self._threads: Threads | None = None
        renewed_in_child(self)
        self.kept = ByteCache(KEPT)
        """Tails and small files, by revision and first byte."""
        self.proved = ByteCache(PROVED)
        """Blocks that were compared with what is signed, by content hash and number."""

    def renew_in_child(self) -> None:
        """See `forked`: what was opened before the fork goes on with this one."""
        self._lock = threading.Lock()

    @property
    def threads(self) -> Threads:
        """Where bytes are fetched and sent from."""
        with self._lock:
            if self._threads is None:
                self._threads = background(WORKERS, THREADS)
            return self._threads

    def read(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """Some bytes of exactly the revision that was described, whatever lies at the path by now.

        Raises:
            NotFound: the revision is gone, and other content lies at the path.
            ContentMismatch: bytes of another file came.
        """
        end = min(end, described.size)
        if start >= end:
            return b""
        kept_from = 0 if described.size <= WHOLE else described.size - TAIL
        if start >= kept_from:
            return self._kept_part(described, path, kept_from)[start - kept_from : end - kept_from]

        def fetch(first: int, last: int) -> bytes:
            return self.fetch_part(described, path, first, last)

        # Work of `threads` must not wait for other work of `threads`.
        on_thread = threading.current_thread().name.startswith(THREADS)
        return fetch(start, end) if on_thread else fetch_range(self.threads, fetch, start, end)

    def _kept_part(self, described: FileMetadata, path: str, start: int) -> bytes:
        data = self.kept.get((described.rev, start))
        if data is None:
            data = self.fetch_part(described, path, start, described.size)
            self.kept.put((described.rev, start), data)
        return data

    def fetch_part(self, described: FileMetadata, path: str, start: int, end: int) -> bytes:
        """As `read`, in one request and from no cache."""
        whole = (start, end) == (0, described.size)
        part = None if whole else Ranged(start, end)
        try:
            answered, data = files.fetch(self.remote, f"rev:{described.rev}", limit=end - start, part=part)
        except NotFound:
            answered, data = files.fetch(self.remote, path, limit=end - start, part=part)
            if answered.content_hash != described.content_hash:
                raise NotFound(
                    f"{path} holds other content by now, and its earlier revision is gone", path=path
                ) from None
        if answered.content_hash != described.content_hash or len(data) != end - start:
            raise ContentMismatch(f"other bytes came of {path} than Dropbox describes", path=path)
        return data


def login_of(profile: str, secret: Secret | Grant | None) -> Login:
    """The login that a filesystem's arguments and the environment name. Opens nothing."""
    token = secret.token if isinstance(secret, Grant) else secret
    mark = "" if token is None else hashlib.sha256(b"fs\0" + token.reveal().encode()).hexdigest()[:16]
    endpoint = secret.endpoint if isinstance(secret, Grant) else Endpoint.from_environment(os.environ)
    return Login(profile, mark, endpoint, home_of(os.environ))


class Accounts:
    """The accounts of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _accounts
        self._accounts: dict[Login, Account] = {}
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """A child has accounts of its own: it shares no connection, thread or lock with its parent."""
        self._lock = threading.Lock()
        self._accounts = {}

    def of(self, login: Login, secret: Secret | Grant | None) -> Account:
        """The account of a login: the same one for every filesystem of this process."""
        with self._lock:
            account = self._accounts.get(login)
            if account is None:
                if isinstance(secret, Grant):
                    remote = connect_lent(secret)
                else:
                    remote = connect(login.profile, home=login.home, access_token=secret)
                account = Account(remote, login.home)
                self._accounts[login] = account
            return account


ACCOUNTS = Accounts()
