"""Verify: is a folder what was signed of it?

    remote   newest head -> its body -> listing of the folder -> what differs       no file is downloaded
    local    the statement kept here -> every file, hashed    -> what differs       no network

Dropbox tells every file's content hash, and Dropbox computes it: whoever writes to the account cannot choose it. So a
listing shows what anybody with a token has changed; what Dropbox itself might make up, only reading the bytes would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.account import home_of
from huracan_sync.errors import LocalFailure, NotFound
from huracan_sync.keys.here import KeyPlace
from huracan_sync.layout import arranged_candles
from huracan_sync.local import Problem, scan
from huracan_sync.paths import RelPath, below, fold, join
from huracan_sync.remote.client import Remote
from huracan_sync.remote.listing import listing
from huracan_sync.rooted import reader_at
from huracan_sync.seen import Seen
from huracan_sync.signed import trust
from huracan_sync.signed.places import is_ours
from huracan_sync.spot import channel_of, spot_of
from huracan_sync.statement import find
from huracan_sync.survey import hash_of
from huracan_sync.transfer.progress import Monitor, Silent
from huracan_sync.tree import Entry, Tree, tree

ARRANGEMENTS = {"": lambda folder: folder, "candles": arranged_candles}
"""How a folder on disk is read, by what its statement calls it."""


class Difference(msgspec.Struct, frozen=True):
    """A file that is not as it was signed."""

    path: str
    """Below the folder that was verified."""
    what: str
    """`changed`, `missing`, `extra` (it lies there and nobody has signed it), or `unreadable`."""
    expected: str = ""
    """The content hash that was signed, hex."""
    actual: str = ""
    """The content hash of what lies there, hex."""


class Verdict(msgspec.Struct):
    """What came of it."""

    folder: str
    channel: str
    sequence: int
    status: str
    """How fresh the head is, `fresh` or `stale`; `kept` for a statement on this disk."""
    signed_ms: int
    """When it was signed, milliseconds since 1970."""
    publisher: str
    files: int
    """How many files were signed below the folder."""
    differences: list[Difference]
    requests: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything is as it was signed."""
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"ok": self.ok, **msgspec.to_builtins(self)}


def verify(
    remote_folder: str,
    *,
    remote: Remote,
    home: Path | None = None,
    channel: str | None = None,
    keys: KeyPlace | None = None,
    clock: Callable[[], float] = time.time,
) -> Verdict:
    """Compare a remote folder with the newest signed list of its channel. Downloads no file.

    What nobody has signed counts as a difference below a folder of its own; in the root folder, where channels and
    unsigned files lie side by side, only in the folders where the channel has files.

    Args:
        remote_folder: where; a folder that was pushed or published, or one inside of it.
        remote: the login.
        home: the state folder.
        channel: the channel; by default called as the last component of the folder.
        keys: where this machine's own key is, if it has one: what it has signed is believed.
        clock: seconds since 1970.

    Raises:
        NoTrust: nobody has pinned a root key here.
        Refused: what is signed does not stand up.
        NotFound: nothing was published there.
        Unavailable, NotAuthorized: Dropbox could not be asked.
    """
    spot = spot_of(remote_folder, remote.root)
    channel = channel or channel_of(remote_folder)
    before = remote.wire.meter.read()
    reader = reader_at(remote, home or home_of(), spot.root, keys=keys, clock=clock)
    snapshot = reader.latest(channel, allow_stale=True)
    if snapshot.problem is not None:
        raise snapshot.problem  # what was last known good says nothing about what lies there now
    signed = tree(_inside(spot.prefix, snapshot))
    if not signed:
        raise NotFound(
            f"sequence {snapshot.sequence} of {channel} has no file below {remote_folder}",
            hint="name the channel with --channel; the folder is the one that was pushed, or one inside of it",
            channel=channel,
        )
    lying = _lying(remote, join(spot.root, spot.prefix))
    verdict = Verdict(
        folder=remote_folder,
        channel=channel,
        sequence=snapshot.sequence,
        status=snapshot.status.value,
        signed_ms=snapshot.head.created_ms,
        publisher=snapshot.head.publisher,
        files=len(signed),
        differences=compare(signed, lying, alone=bool(spot.prefix)),
    )
    verdict.requests = (remote.wire.meter.read() - before).requests
    return verdict


def verify_local(
    folder: str | Path,
    *,
    home: Path | None = None,
    monitor: Monitor | None = None,
) -> Verdict:
    """Compare a local folder with the signed statement that its last push or verified restore left. No network.

    Every file is read and hashed. The statement's age does not matter; whoever signed it must still be trusted.

    Args:
        folder: the local folder.
        home: the state folder.
        monitor: told what is read.

    Raises:
        NotFound: nothing was ever signed of this folder here.
        Refused: nobody who counts has signed it, or it was damaged.
        NoTrust, StateMissing: nothing here says whom to believe.
        UsageError: there is no such folder.
    """
    local, home = Path(folder).absolute(), home or home_of()
    said = find(home, local)
    opened, items = said.open(trust.open(Seen(home, said.place).load().trust))
    signed = tree(_inside(said.prefix, (item.entry() for item in items)))
    verdict = Verdict(
        folder=str(local),
        channel=said.channel,
        sequence=opened.head.seq,
        status="kept",
        signed_ms=opened.head.created_ms,
        publisher=opened.head.publisher,
        files=len(signed),
        differences=[],
    )
    root = ARRANGEMENTS[said.arranged](local)
    found = scan(root)
    lying, unread = {}, []
    watching = monitor or Silent()
    watching.planned(len(found.files), sum(stamp.size for stamp in found.files.values()))
    for path, stamp in found.files.items():
        try:
            lying[fold(path)] = Entry(path, stamp.size, hash_of(root, path))
        except LocalFailure as error:
            unread.append(Problem(path, error))
        watching.moved(stamp.size)
        watching.finished(path, stamp.size)
    unclear = set()
    for problem in (*found.problems, *unread):
        unclear.add(fold(problem.path))
        watching.failed(problem.path, problem.error)
    verdict.differences = [
        Difference(each.path, "unreadable", each.expected) if fold(each.path) in unclear else each
        for each in compare(signed, lying, alone=True)
    ]
    return verdict


def compare(signed: Tree, lying: Tree, *, alone: bool) -> list[Difference]:
    """What differs, in the order of the paths. Pure.

    Args:
        signed: what should lie there.
        lying: what does.
        alone: nothing else may lie there at all; else nothing else in the folders of what is signed.
    """
    folders = {key.rpartition("/")[0] for key in signed}
    found = []
    for key in sorted(signed.keys() | lying.keys()):
        want, have = signed.get(key), lying.get(key)
        if want is None:
            if have is not None and (alone or key.rpartition("/")[0] in folders):
                found.append(Difference(have.path, "extra", actual=have.content_hash.hex()))
        elif have is None:
            found.append(Difference(want.path, "missing", want.content_hash.hex()))
        elif (want.size, want.content_hash) != (have.size, have.content_hash):
            found.append(Difference(want.path, "changed", want.content_hash.hex(), have.content_hash.hex()))
    return found


def _inside(prefix: str, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries below a folder, relative to it."""
    for entry in entries:
        path = below(prefix, entry.path)
        if path:
            yield msgspec.structs.replace(entry, path=RelPath(path))


def _lying(remote: Remote, folder: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    try:
        for news in listing(remote, folder):
            for path in news.gone:  # changed while it was listed
                found.pop(fold(path), None)
            found |= tree(entry for entry in news.files if not is_ours(entry.path))
    except NotFound:
        return {}
    return found
