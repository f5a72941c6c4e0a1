"""What survives a restart, as flat records. Only data; `ledger` stores them.

A record replaces an older one with the same key. Secrets are kept as fingerprints.
"""

from typing import Any, ClassVar

import msgspec

# Where bytes lie: segment, first byte, length.
Extent = tuple[int, int, int]


class Record(msgspec.Struct, array_like=True, tag=True):
    """One fact with a key."""

    KEY: ClassVar[tuple[str, ...]] = ()

    def key(self) -> tuple[Any, ...]:
        """Return the key: a later record with the same one replaces this."""
        return (type(self).__name__, *(getattr(self, name) for name in type(self).KEY))


class Gone(Record, array_like=True, tag=True):
    """The record with this key is removed."""

    what: tuple[str | int, ...]

    def key(self) -> tuple[Any, ...]:
        """Return the key of the removed record."""
        return self.what


class Note(Record, array_like=True, tag=True):
    """A value of the whole emulator."""

    KEY = ("name",)
    name: str
    value: bytes


class App(Record, array_like=True, tag=True):
    """An app as registered in the App Console."""

    KEY = ("app_key",)
    app_key: str
    name: str
    secret: str | None
    app_folder: bool
    scopes: list[str]
    redirect_uris: list[str]


class Grant(Record, array_like=True, tag=True):
    """What a person allowed an app: the parent of access tokens, and of a refresh token if access is offline."""

    KEY = ("grant_id",)
    grant_id: str
    app_key: str
    account_id: str
    scopes: list[str]
    refresh: str | None = None
    successor: str | None = None
    revoked: bool = False
    pkce: bool = False


class Token(Record, array_like=True, tag=True):
    """An access token."""

    KEY = ("fingerprint",)
    fingerprint: str
    grant_id: str
    scopes: list[str]
    expires: float | None


class Person(Record, array_like=True, tag=True):
    """An account, without its files."""

    KEY = ("account_id",)
    account_id: str
    uid: str
    namespace: str
    prefix: bytes
    root_id: str
    given_name: str
    surname: str
    email: str
    quota_bytes: int
    suspended: bool = False
    cursor_epoch: int = 0


class Place(Record, array_like=True, tag=True):
    """The place of a file or folder. A folder has no rev."""

    KEY = ("account_id", "node_id")
    account_id: str
    node_id: str
    parent_id: str
    name: str
    seq: int
    rev: str | None = None
    mount: bool = False


class Tombstone(Record, array_like=True, tag=True):
    """A path at which something was deleted."""

    KEY = ("account_id", "path_lower")
    account_id: str
    path_lower: str
    path: str
    seq: int
    was_folder: bool
    when: str


class Revision(Record, array_like=True, tag=True):
    """A revision of a file, kept for ever. `path` is where it was written."""

    KEY = ("account_id", "rev")
    account_id: str
    rev: str
    file_id: str
    path: str
    content_hash: str
    size: int
    client_modified: str
    server_modified: str


class Blob(Record, array_like=True, tag=True):
    """Content, stored once for all files that have it."""

    KEY = ("content_hash",)
    content_hash: str
    size: int
    extents: list[Extent]


class Session(Record, array_like=True, tag=True):
    """An upload session; its bytes are pieces. `size` is where a closed concurrent session ends."""

    KEY = ("session_id",)
    session_id: str
    account_id: str
    app_key: str
    created: float
    concurrent: bool = False
    closed: bool = False
    size: int = 0


class Piece(Record, array_like=True, tag=True):
    """Bytes one request brought to a session. `digests`: SHA-256 of its 4 MiB blocks, counted from its first byte."""

    KEY = ("session_id", "number")
    session_id: str
    number: int
    offset: int
    length: int
    extents: list[Extent]
    digests: bytes


class Job(Record, array_like=True, tag=True):
    """An asynchronous job that has ended; `outcome` is what its check answers, as JSON."""

    KEY = ("job_id",)
    job_id: str
    account_id: str
    kind: str
    outcome: bytes


class Link(Record, array_like=True, tag=True):
    """A link that needs no token: to one revision of a file, or to one upload yet to come (`commit`, as JSON)."""

    KEY = ("secret",)
    secret: str
    account_id: str
    app_key: str
    expires: float
    rev: str = ""
    commit: bytes = b""
    used: bool = False


class Reference(Record, array_like=True, tag=True):
    """A copy reference."""

    KEY = ("reference",)
    reference: str
    account_id: str
    app_key: str
    node_id: str


class FileRequest(Record, array_like=True, tag=True):
    """A file request, as it is answered, as JSON."""

    KEY = ("request_id",)
    request_id: str
    account_id: str
    answer: bytes


AnyRecord = (
    Gone
    | Note
    | App
    | Grant
    | Token
    | Person
    | Place
    | Tombstone
    | Revision
    | Blob
    | Session
    | Piece
    | Job
    | Link
    | Reference
    | FileRequest
)
