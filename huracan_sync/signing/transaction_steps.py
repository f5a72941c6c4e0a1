"""The steps of the publish transaction, what is asked of it, and its result. Values alone: `transaction` decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from huracan_sync.manifest.body_writer import Part
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import MAX_CARRIED, Head
from huracan_sync.manifest.trust import Trust
from huracan_sync.signing.merge import Change
from huracan_sync.signing.next_head import BodyRef, SeenHead, StoredFile
from huracan_sync.tree.paths import RelPath

# --- steps ------------------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """Read a file below the root: a `Lying`, or None where nothing lies."""

    place: RelPath
    limit: int


class Names(NamedTuple):
    """The names of the files directly in a folder below the root: a list."""

    folder: str


class Lost(NamedTuple):
    """Which of these files cannot be had any more, neither by their revision nor at their path: a list of paths."""

    items: tuple[Item, ...]


class Store(NamedTuple):
    """Store these bytes at a place whose name is their hash: None."""

    place: RelPath
    data: bytes


class Current(NamedTuple):
    """Which revision lies at each of these paths: a dict, None where nothing lies."""

    paths: tuple[str, ...]


class Intend(NamedTuple):
    """Note durably on this machine what is about to be committed: None."""

    published: Published


class Swap(NamedTuple):
    """Put this head where the revision `rev` lies, only there (None: where nothing lies): its own, or a `Swapped`."""

    place: RelPath
    data: bytes
    rev: str | None


class Pause(NamedTuple):
    """Wait a little, longer with each attempt: None."""

    attempt: int
    why: str = "somebody else was faster to publish"


class Swapped(Enum):
    """Why there is no revision of what was swapped in."""

    OTHER = "other"
    """Something else lies there."""
    UNKNOWN = "unknown"
    """No answer came."""


Step = Read | Names | Lost | Store | Current | Intend | Swap | Pause
T = TypeVar("T")
Steps = Generator[tuple[Step, ...], Sequence[Any], T]
"""Steps of one tuple may be done in any order, or at once; what is sent back are their results in theirs."""


# --- the request ------------------------------------------------------------------------------------------------


class Renew(NamedTuple):
    """The manifest stays as it is and gets more time."""


class Reinstate(NamedTuple):
    """The manifest that an earlier head names becomes current again."""

    ref: BodyRef
    body: bytes
    """The body: a small one travels in the new head, as it may have in the earlier one alone."""


Wanted = Change | Renew | Reinstate


class ChannelView(NamedTuple):
    """The channel as it was a moment ago. If it is out of date, the swap fails."""

    version: int
    """Of the trust file that was known before."""
    stored: StoredFile | None
    trust: Trust
    added: tuple[bytes, ...] = ()
    """The bytes of newer trust files."""
    held: SeenHead | None = None
    """Where this machine remembers nothing: the head to go on from, if it is another than lies at its place."""
    is_remembered: bool = False
    """Whether `stored` is what this machine put there itself, with the revision it has got, and was not looked at."""
    looked_ms: int = 0
    """When it was known that there is no newer trust file, milliseconds since 1970; 0 where that was not asked."""
    is_unlooked: bool = False
    """Whether that was a short while ago, and nothing was looked at now."""

    @property
    def is_new(self) -> bool:
        """Whether the channel is taken for one in which nothing was ever published, without a look."""
        return self.is_unlooked and self.stored is None


class SeenFolder(NamedTuple):
    """A folder in Dropbox as this machine listed it last."""

    path: str
    """Relative to the root; empty for the root itself."""
    lying: Callable[[Collection[str]], Mapping[str, str]]
    """The revisions that lie at these of its paths, folded and relative to the root."""


class PublishRequest(NamedTuple):
    """What to publish, and who publishes it."""

    channel: str
    wanted: Wanted
    held: SeenHead | None
    """What this machine has seen of the channel."""
    known: frozenset[bytes]
    """SHA-256 of bodies and shards that lie in Dropbox for certain, in files of their own."""
    sign: Callable[[Head, Trust], bytes]
    clock: Callable[[], float]
    publisher: str
    channel_view: ChannelView | None = None
    tables: Mapping[bytes, bytes] = {}
    """Tables of leaves, by SHA-256, that its entries name and that may not lie in Dropbox yet."""
    folder: SeenFolder | None = None
    """Where what others have signed may lie; None where this machine has not listed it."""
    revoked: frozenset[bytes] | None = None
    """The keys that were known to be revoked when the content was chosen; None where all of it was made here."""


class Published(NamedTuple):
    """The head that is current after the transaction."""

    head: Head
    digest: bytes
    data: bytes
    """The head file as it lies there, with the body that it carries."""
    parts: tuple[bytes, ...]
    """SHA-256 of the body and its shards."""
    trust: Trust
    trust_files: tuple[bytes, ...]
    """Trust files that were not known before, oldest first."""
    shared: bool
    superseded: tuple[str, ...]
    """Paths that others have changed after this machine; the manifest lists theirs."""
    left_out: tuple[str, ...]
    """Paths of a kind that the channel does not allow."""
    made: bool
    """Whether a new head was made for it."""
    bodies: tuple[Part, ...] = ()
    """The body and its shards, where this machine has made them."""
    links: tuple[bytes, ...] = ()
    """Digests on the way of `skip` from this head on, as far as they are known."""
    resumed_from: int = 0
    """The sequence that a machine without memory went on from, where an older head lay in its place."""
    rev: str = ""
    """The revision of the head at its place; empty where nobody can tell."""
    looked_ms: int = 0
    """As in `ChannelView`."""

    @property
    def stored(self) -> tuple[bytes, ...]:
        """Those of `parts` that lie in files of their own for certain."""
        return self.parts[self.head.body_len <= MAX_CARRIED :]
