"""Verify: does a folder hold what was signed of it?

    remote   newest head -> its body -> listing of the folder -> what differs       no file is downloaded
    local    the manifest kept here -> every file, hashed    -> what differs       no network

Dropbox computes every file's content hash itself, so nobody who writes to the account can choose it. A listing
therefore shows whatever anybody with a token has changed. It does not show what Dropbox itself might make up: that
takes the bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from huracan_sync.auth.session import home_of
from huracan_sync.disk.files import Root
from huracan_sync.disk.scan import Problem, scan
from huracan_sync.errors import Busy, LocalFailure, NotFound
from huracan_sync.manifest import trust
from huracan_sync.manifest.locations import HEADS, is_ours
from huracan_sync.manifest.scope import Scope, channel_of
from huracan_sync.reader import Reader, Snapshot
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import Contents, contents_of, everything
from huracan_sync.remote.listing import Changes, listing
from huracan_sync.remote.parallel import several
from huracan_sync.signing.context import Context
from huracan_sync.signing.local_manifest import ARRANGEMENTS, below_prefix, find
from huracan_sync.signing.open_reader import in_nearest
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.transfer.compare import hash_of
from huracan_sync.transfer.progress import Monitor, Silent
from huracan_sync.tree.entry import Entry, Tree, tree
from huracan_sync.tree.paths import RelPath, ancestors, fold, join

LOOKS = 4
"""How often it is looked again whether what differs is only that somebody publishes just now."""
MOST_FOLDERS = 16
"""Up to so many folders are listed one by one where they lie in a large one that others share."""

Pages = tuple[list[Changes], Iterator[Changes]]
"""The first page of a listing, and the others, not asked for yet."""


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
    """The result of a verification."""

    folder: str
    channel: str
    sequence: int
    status: str
    """How fresh the head is, `fresh` or `stale`; `kept` for a manifest on this disk."""
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
    clock: Callable[[], float] | None = None,
) -> Verdict:
    """Compare a remote folder with the newest signed list of its channel. Downloads no file.

    In a folder of its own, every unsigned file counts as a difference. In the root folder, where channels and unsigned
    files lie side by side, only those in folders where the channel has files do.

    Of several pinned root folders that it lies in, the nearest that has the channel counts.

    Args:
        remote_folder: where; a folder that was pushed or published, or one inside of it.
        remote: the login.
        home: the state folder.
        channel: the channel; by default named like the last component of the folder.
        keys: where this machine's own key is, if it has one: what it has signed is believed.
        clock: seconds since 1970.

    Raises:
        NoTrust: nobody has pinned a root key here.
        Refused: what is signed is not to be believed.
        NotFound: nothing was published there.
        Unavailable, NotAuthorized: Dropbox could not be asked.
    """
    context = Context.of(remote, home=home, keys=keys, clock=clock)
    name = channel or channel_of(remote_folder)
    before = remote.wire.meter.read()

    def at_once(scope: Scope, reader: Reader) -> tuple[_Looks, Snapshot, Pages]:
        looks = _Looks(remote, scope, reader, name)
        return looks, *looks.at_once()

    looks, snapshot, first = in_nearest(context, remote_folder, at_once)
    snapshot, signed, differences = looks.compared(snapshot, first, remote_folder)
    return Verdict(
        folder=remote_folder,
        channel=name,
        sequence=snapshot.sequence,
        status=snapshot.status.value,
        signed_ms=snapshot.head.created_ms,
        publisher=snapshot.head.publisher,
        files=len(signed),
        differences=differences,
        requests=(remote.wire.meter.read() - before).requests,
    )


class _Looks:
    """Looks at a channel and at what lies in a folder."""

    def __init__(self, remote: Remote, scope: Scope, reader: Reader, channel: str) -> None:
        self.scope = scope
        self._remote = remote
        self._reader = reader
        self._channel = channel

    def at_once(self) -> tuple[Snapshot, Pages]:
        """The newest list, and the first page of the listing."""
        asked: list[Callable[[], Any]] = [self.newest, self.begin]
        snapshot, first = several(lambda ask: ask(), asked)
        return snapshot, first

    def compared(self, snapshot: Snapshot, first: Pages, said: str) -> tuple[Snapshot, Tree, list[Difference]]:
        """What differs while the head stays, and the list that says so: the folder may move on between two answers."""
        signed = _signed(self.scope, snapshot, said)
        alone = bool(self.scope.prefix)
        differences = compare(signed, self.lying(first, signed), alone=alone)
        for _ in range(LOOKS):
            if not differences:
                break
            differences = compare(signed, self.lying(self.begin(), signed), alone=alone)
            if not differences:
                break  # that is true of this head, whatever has come after it
            newest = self.newest()
            if newest.digest == snapshot.digest:
                break
            snapshot, signed = newest, _signed(self.scope, newest, said)
        else:
            channel = self._channel
            raise Busy(f"{channel} is being published all the time; nothing can be compared with it", channel=channel)
        return snapshot, signed, differences

    def newest(self) -> Snapshot:
        """The newest list."""
        try:
            snapshot = self._reader.latest(self._channel, allow_stale=True, remember=False)
        except NotFound as error:
            raise self._nothing(error) from None
        if snapshot.problem is not None:
            raise snapshot.problem  # what was last known good says nothing about what lies there now
        snapshot.check_whole()
        return snapshot

    def begin(self) -> Pages:
        """The listing of the folder, its first page asked for; nothing where there is no such folder."""
        pages = listing(self._remote, join(self.scope.root, self.scope.prefix))
        try:
            return [next(pages)], pages
        except NotFound:
            return [], iter(())

    def lying(self, begun: Pages, signed: Tree) -> dict[str, Entry]:
        """What lies in the folder; of a large root folder, which others share, only where the channel has files."""
        first, rest = begun
        if first and first[0].has_more and not self.scope.prefix:
            folders = _folders(signed)
            if len(folders) <= MOST_FOLDERS and "" not in folders:
                return {key: entry for each in several(self._inside, folders) for key, entry in each.items()}
        found = _with_refused(contents_of(itertools.chain(first, rest), lambda entry: entry))
        return found if self.scope.prefix else {key: e for key, e in found.items() if not is_ours(e.path)}

    def _inside(self, folder: str) -> dict[str, Entry]:
        try:
            contents = everything(self._remote, join(self.scope.root, folder), lambda entry: entry)
        except NotFound:
            return {}
        inside = _with_refused(contents).values()
        return tree(msgspec.structs.replace(entry, path=RelPath(f"{folder}/{entry.path}")) for entry in inside)

    def _nothing(self, error: NotFound) -> NotFound:
        """Nothing is published in the channel: say in which something is."""
        try:
            page = next(listing(self._remote, join(self.scope.root, HEADS)))
        except NotFound:
            return error
        there = sorted(entry.path.removesuffix(".hzh") for entry in page.files)
        hint = f"name a channel that has something with --channel: {', '.join(there)}" if there else error.hint
        return NotFound(str(error), hint=hint, channel=self._channel)


def verify_local(
    folder: str | Path,
    *,
    home: Path | None = None,
    channel: str | None = None,
    monitor: Monitor | None = None,
) -> Verdict:
    """Compare a local folder with the signed manifest that its last push or verified restore left. No network.

    Every file is read and hashed. The manifest's age does not matter; its signer must still be trusted.

    Args:
        folder: the local folder.
        home: the state folder.
        channel: the channel that must have signed it; by default whichever has.
        monitor: told what is read.

    Raises:
        NotFound: nothing was ever signed of this folder here.
        Refused: nobody who counts has signed it, or it was damaged.
        NoTrust, StateMissing: nothing here says whom to believe.
        UsageError: there is no such folder.
    """
    local, home = Path(folder).absolute(), home or home_of()
    said = find(home, local)
    if channel is not None and said.channel != channel:
        raise NotFound(
            f"what was signed last of {local} is of the channel {said.channel}, not of {channel}",
            hint=f"leave --channel out, or restore the folder with --channel {channel}",
            path=str(local),
        )
    opened, items = said.open(trust.open(TrustStore(home, said.place).load().trust))
    signed = tree(below_prefix(said.prefix, (item.entry() for item in items)))
    absent = frozenset(said.absent)
    verdict = Verdict(
        folder=str(local),
        channel=said.channel,
        sequence=opened.head.seq,
        status="kept",
        signed_ms=opened.head.created_ms,
        publisher=opened.head.publisher,
        files=len(signed.keys() - absent),
        differences=[],
    )
    lying, unclear = _hashed(ARRANGEMENTS[said.arranged](local), monitor or Silent())
    wanted = {key: entry for key, entry in signed.items() if key in lying or key not in absent}
    expected = {key: entry.content_hash.hex() for key, entry in signed.items()}
    differences = [each for each in compare(wanted, lying, alone=True) if fold(each.path) not in unclear]
    differences += [Difference(path, "unreadable", expected.get(fold(path), "")) for path in unclear.values()]
    verdict.differences = sorted(differences, key=lambda each: fold(each.path))
    return verdict


def _hashed(root: Root, monitor: Monitor) -> tuple[Tree, dict[str, str]]:
    """What lies there, read and hashed; and the paths of what cannot be read. By `fold(path)`."""
    found = scan(root)
    lying, unread = {}, []
    monitor.planned(len(found.files), sum(stamp.size for stamp in found.files.values()))
    for path, stamp in found.files.items():
        try:
            lying[fold(path)] = Entry(path, stamp.size, hash_of(root, path))
        except LocalFailure as error:
            unread.append(Problem(path, error))
        monitor.moved(stamp.size)
        monitor.finished(path, stamp.size)
    unclear: dict[str, str] = {}
    for problem in (*found.problems, *unread):
        unclear[fold(problem.path)] = problem.path
        monitor.failed(problem.path, problem.error)
    return lying, unclear


def compare(signed: Tree, lying: Tree, *, alone: bool) -> list[Difference]:
    """What differs, in the order of the paths. Pure.

    Args:
        signed: what should lie there.
        lying: what does.
        alone: nothing else may lie there at all; else nothing else in the folders of what is signed, nor below them.
    """
    folders = {key.rpartition("/")[0] for key in signed}
    found = []
    for key in sorted(signed.keys() | lying.keys()):
        want, have = signed.get(key), lying.get(key)
        if want is None:
            if have is not None and (alone or _is_in(folders, key)):
                found.append(Difference(have.path, "extra", actual=have.content_hash.hex()))
        elif have is None:
            found.append(Difference(want.path, "missing", want.content_hash.hex()))
        elif (want.size, want.content_hash) != (have.size, have.content_hash):
            found.append(Difference(want.path, "changed", want.content_hash.hex(), have.content_hash.hex()))
    return found


def _is_in(folders: set[str], key: str) -> bool:
    """Whether a file lies in one of these folders, or below one that is not the root itself."""
    return ("" in folders and "/" not in key) or not folders.isdisjoint(ancestors(key))


def _signed(scope: Scope, snapshot: Snapshot, said: str) -> dict[str, Entry]:
    """What a list has below the folder, by paths relative to it."""
    signed = tree(below_prefix(scope.prefix, snapshot))
    if not signed:
        raise NotFound(
            f"sequence {snapshot.sequence} of {snapshot.channel} has no file below {said}",
            hint="name the channel with --channel; the folder is the one that was pushed, or one inside of it",
            channel=snapshot.channel,
        )
    return signed


def _folders(signed: Tree) -> list[str]:
    """The fewest folders that, with all below them, hold these files and nothing above their own folders."""
    found: list[str] = []
    for folder in sorted({entry.path.rpartition("/")[0] for entry in signed.values()}):
        if not any(above in ("", folder) or folder.startswith(f"{above}/") for above in found):
            found.append(folder)
    return found


def _with_refused(contents: Contents[Entry]) -> dict[str, Entry]:
    """The files of a listing, by `fold(path)`; names that no tree may hold are among them, since nobody signed them."""
    return contents.files | tree(Entry(RelPath(ascii(path)), 0, b"") for path in contents.refused.values())
