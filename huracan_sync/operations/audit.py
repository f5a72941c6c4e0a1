"""Audit: the whole history of a channel, from its newest head down.

    newest head -> the head its `prev` names, in the log -> ... -> the first

Every head is judged by the trust file it was made under, itself reached from the root keys that are pinned here. What
the log lacks is told as a gap; what was put into it by somebody else, or changed, as a fault. Heads that were signed
and never took effect (another publisher was faster) are told apart: no head names them.

Works on the folder of signed things wherever it lies: in Dropbox, or a copy of it on this disk, with no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from huracan_sync.errors import NotFound, NoTrust, Refused, local_failure
from huracan_sync.manifest import body, checks, head, head_history, locations, sshsig, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.scope import channel_of
from huracan_sync.manifest.trust import Pin, Trust, parse_pin
from huracan_sync.reader import Reader
from huracan_sync.reader.known_roots import pinned
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.parallel import several
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.remote.source import RemoteSource
from huracan_sync.remote.stat import children
from huracan_sync.signing.context import Context
from huracan_sync.signing.open_reader import Scope, in_nearest, readers
from huracan_sync.tree.paths import fold, join

MOST = 50
"""Heads told of where nobody asks for more."""
MOST_COMPARED = 1_000_000
"""Entries in all lists that are told of; beyond that only their numbers are compared."""

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
_NAME = re.compile(r"([1-9][0-9]{0,18})-([1-9][0-9]{0,18})-([0-9a-f]{8})\.hzh")


class Archive(Protocol):
    """Where the signed things of a root folder lie."""

    def fetch(self, place: str, limit: int) -> bytes:
        """A file; of a larger one than `limit` bytes a little more. Raises `NotFound`."""

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder; none where there is no such folder."""


class InDropbox(RemoteSource):
    """The signed things of a root folder in Dropbox."""

    def __init__(self, remote: ReadOnly, root: str) -> None:
        """No request is made."""
        super().__init__(remote, root)
        self._listed = remote

    def names(self, folder: str) -> list[str]:
        """See `Archive`."""
        try:
            return [item.name for item in children(self._listed, join(self.root, folder))]
        except NotFound:
            return []


class InFolder:
    """A copy of a root folder on this disk, or of as much of it as `.huracan`."""

    def __init__(self, path: Path) -> None:
        """Raises `NotFound` where it holds no signed things."""
        self._path = path
        if not (path / locations.HOME).is_dir():
            raise NotFound(
                f"{path} holds no folder {locations.HOME}",
                hint="copy it from Dropbox with any tool, beside nothing else if you like; or name the remote folder",
                path=str(path),
            )

    def fetch(self, place: str, limit: int) -> bytes:
        """See `Archive`."""
        try:
            with (self._path / place).open("rb") as file:
                return file.read(limit + 1)
        except OSError as error:
            raise NotFound(f"{self._path / place} cannot be read: {error.strerror}") from error

    def names(self, folder: str) -> list[str]:
        """See `Archive`."""
        try:
            return sorted(each.name for each in (self._path / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise local_failure(error, str(self._path / folder), "read") from error


class Changed(msgspec.Struct, frozen=True):
    """How a list differs from the one before it."""

    added: int
    changed: int
    removed: int
    paths: list[str]
    """Some of them, each after `+`, `~` or `-`."""


class Row(msgspec.Struct):
    """A head that took effect."""

    epoch: int
    sequence: int
    created_ms: int
    expires_ms: int
    publisher: str
    signed_by: list[str]
    """The labels of the keys."""
    entries: int
    same: bool
    """Whether it names the list of the head before: a heartbeat."""
    digest: str
    trust_version: int
    changed: Changed | None = None
    """What its list changed; None for a heartbeat, or where a list can no longer be had."""


class History(msgspec.Struct):
    """What is told of a channel."""

    channel: str
    rows: list[Row] = []
    """Newest first, each following the next."""
    superseded: list[str] = []
    """Heads in the log that were signed and never took effect."""
    faults: list[str] = []
    """What is not as it must be: gaps in the log, files that nobody signed, heads that were changed."""
    complete: bool = False
    """Whether the rows go down to the first head there ever was."""
    more: int = 0
    """Heads in the log that were not looked at."""
    requests: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what was looked at."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"ok": self.ok, **msgspec.to_builtins(self)}


class _Name(NamedTuple):
    epoch: int
    sequence: int
    short: str
    name: str


def trusts(archive: Archive, pin: Pin, held: Trust | None) -> dict[int, Trust]:
    """Every trust file that the pinned root keys lead to, by version.

    Args:
        archive: where they lie.
        pin: the root folder and its root keys.
        held: the newest that is known already.

    Raises:
        NoTrust: nothing says whom to believe.
        Refused: the chain of trust files is broken.
    """
    found = {} if held is None else {held.version: held}
    current: Trust | None = None
    version = 1
    while True:
        try:
            data = archive.fetch(locations.trust(version), trust.FORM.max_size)
        except NotFound:
            break
        try:
            current = trust.follow(current, data) if current else trust.pin(data, pin)
            found[version] = current
        except Refused:
            if current is not None:
                raise
        version += 1
    if not found:
        raise NoTrust("no trust file there is signed by a root key that is known here", expected=str(pin))
    return found


def audit(
    archive: Archive,
    channel: str,
    known: dict[int, Trust],
    *,
    mark: Mark | None = None,
    most: int = MOST,
    each: Each = map,
) -> History:
    """The history of a channel.

    Args:
        archive: where it lies.
        channel: its name.
        known: from `trusts`.
        mark: the highest head this machine has seen.
        most: heads to tell of, newest first; 0: all.
        each: applies a function to many, as `map` does.

    Raises:
        NotFound: nothing was ever published in the channel.
        NotAuthorized, TryLater, Unavailable: Dropbox could not be asked.
    """
    history = History(locations.check_channel(channel))
    folder = f"{locations.LOG}/{channel}"
    names = sorted(_parsed(history, archive.names(folder)), reverse=True)
    top = _top(archive, history, known, mark)
    if most and len(names) > most:
        last = names[most - 1][:2]
        wanted = [name for name in names if name[:2] >= last]
        history.more, names = len(names) - len(wanted), wanted
    read = each(lambda name: _fetched(archive, f"{folder}/{name.name}", head.MAX_SIZE), names)
    heads = {opened.digest: opened for opened in _judged(history, zip(names, read, strict=True), known)}
    if top is not None and top.digest not in heads:
        history.faults.append(f"the log has no copy of the head, {top.head.epoch}-{top.head.seq}")
        heads[top.digest] = top
    chain = list(_chain(history, heads, top))
    followed = {opened.digest for opened in chain}
    history.superseded = [f"{o.head.epoch}-{o.head.seq}" for o in heads.values() if o.digest not in followed]
    history.rows = [_row(opened, below) for opened, below in zip(chain, [*chain[1:], None], strict=True)]
    _compare(archive, history, chain, known, each)
    return history


def _parsed(history: History, names: Iterable[str]) -> Iterator[_Name]:
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            yield _Name(int(match[1]), int(match[2]), match[3], name)
        else:
            history.faults.append(f"the log holds {name!a}, which is no head's name")


def _top(archive: Archive, history: History, known: dict[int, Trust], mark: Mark | None) -> Opened | None:
    """The newest head; where it is gone or refused, that is a fault, and the log is told of as far as it goes."""
    channel = history.channel
    try:
        opened = _open(archive.fetch(locations.head(channel), head.MAX_SIZE), channel, known)
        checks.advances(mark, opened.head.epoch, opened.head.seq, opened.digest, opened.head.prev)
    except Refused as error:
        history.faults.append(f"the head is refused: {error}")
        return None
    except NotFound:
        if mark is None and not archive.names(f"{locations.LOG}/{channel}"):
            raise NotFound(f"nothing was ever published in {channel}", channel=channel) from None
        history.faults.append("the head is gone")
        return None
    newest = known[max(known)]
    try:
        head_history.past(opened.data, trust=newest, channel=channel)
    except Refused as error:
        history.faults.append(f"the head no longer counts: {error}")
    return opened


def _open(data: bytes, channel: str, known: dict[int, Trust]) -> Opened:
    """A head, judged by the trust file that it says it was made under, and the body that it carries."""
    said = head.linked(data, head_history.digest_of(data))
    rules_then = known.get(said.trust_version)
    if rules_then is None:
        raise refused(
            "HEAD_FORMAT",
            f"it was made under version {said.trust_version} of the trust file, which is not known here",
            trust_version=said.trust_version,
        )
    opened = head_history.past(data, trust=rules_then, channel=channel)
    if opened.body:
        body.check_part(opened.body, said.body_sha256, said.body_len)
    return opened


def _judged(history: History, read: Iterable[tuple[_Name, bytes | None]], known: dict[int, Trust]) -> Iterator[Opened]:
    for name, data in read:
        if data is None:
            history.faults.append(f"the log lost {name.name} while it was read")
            continue
        try:
            opened = _open(data, history.channel, known)
        except Refused as error:
            history.faults.append(f"{name.name} in the log is refused: {error}")
            continue
        if (opened.head.epoch, opened.head.seq, opened.digest.hex()[:8]) != name[:3]:
            history.faults.append(f"{name.name} in the log is sequence {opened.head.epoch}-{opened.head.seq}")
            continue
        yield opened


def _chain(history: History, heads: dict[bytes, Opened], top: Opened | None) -> Iterator[Opened]:
    """The heads that took effect, newest first. After a gap it goes on with the newest below it."""
    rest = sorted(heads.values(), key=lambda each: (each.head.epoch, each.head.seq), reverse=True)
    at = top or (rest[0] if rest else None)
    while at is not None:
        yield at
        said = at.head
        if said.prev == head.FIRST:
            history.complete = True
            return
        below = heads.get(said.prev)
        if below is None:
            below = next((o for o in rest if (o.head.epoch, o.head.seq) < (said.epoch, said.seq)), None)
            where = f"{said.epoch}-{said.seq}"
            if below is not None:
                found = f"{below.head.epoch}-{below.head.seq}"
                history.faults.append(f"a gap: what {where} follows is not in the log; the next there is {found}")
            elif not history.more:
                history.faults.append(f"a gap: what {where} follows is not in the log, nor anything older")
        at = below


def _row(opened: Opened, below: Opened | None) -> Row:
    said = opened.head
    return Row(
        epoch=said.epoch,
        sequence=said.seq,
        created_ms=said.created_ms,
        expires_ms=said.expires_ms,
        publisher=said.publisher,
        signed_by=[key.label or sshsig.fingerprint(key.public) for key in opened.signers],
        entries=said.entry_count,
        same=below is not None and below.head.body_sha256 == said.body_sha256,
        digest=opened.digest.hex(),
        trust_version=said.trust_version,
    )


def audit_remote(
    context: Context,
    folder: str,
    channel: str,
    *,
    most: int = MOST,
) -> History:
    """The history of a channel in Dropbox, by whom this machine trusts.

    Of several pinned root folders that the folder lies in, the nearest counts; the next one only for the channel that
    is called as the folder. Another root's `champions` are another history.

    Raises:
        NoTrust, StateMissing: nothing here says whom to believe.
        As `trusts` and `audit`.
    """
    remote = context.remote
    before = remote.wire.meter.read()

    def told(scope: Scope, _: Reader) -> History:
        archive = InDropbox(remote, scope.root)
        state = TrustStore(context.home, archive.place).load()
        held = state.channels.get(channel)
        known = trusts(archive, parse_pin(state.pin), trust.open(state.trust))
        return audit(archive, channel, known, mark=held.mark if held else None, most=most, each=several)

    is_of_folder = channel == channel_of(folder)
    history = in_nearest(context, folder, told) if is_of_folder else told(*next(readers(context, folder)))
    history.requests = (remote.wire.meter.read() - before).requests
    return history


def audit_copy(path: Path, home: Path, channel: str, *, pin: str = "", most: int = MOST) -> History:
    """The history of a channel in a copy of its root folder on this disk. No network.

    Args:
        path: the copy, which holds at least `.huracan`.
        home: the state folder.
        channel: the channel.
        pin: the root folder and its root keys; by default those that were pinned on this machine, whichever fits.
        most: as `audit`.

    Raises:
        NoTrust: none of these keys has signed a trust file there.
        As `trusts` and `audit`.
    """
    archive, last = InFolder(path), NoTrust("no root key is pinned on this machine")
    for each in [parse_pin(pin)] if pin else pinned(home):
        try:
            return audit(archive, channel, trusts(archive, each, None), most=most)
        except NoTrust as error:
            last = error
    raise last


# --- what changed -----------------------------------------------------------------------------------------------


def _compare(archive: Archive, history: History, chain: list[Opened], known: dict[int, Trust], each: Each) -> None:
    """Fill in what each list changed."""
    lists = {opened.head.body_sha256: opened.head for opened in chain}
    carried = {sshsig.sha256(opened.body): opened.body for opened in chain if opened.body}
    if sum(said.entry_count for said in lists.values()) > MOST_COMPARED:
        return
    read = each(lambda said: _items(archive, said, known[said.trust_version], carried), lists.values())
    items = {said.body_sha256: found for said, found in zip(lists.values(), read, strict=True)}
    first = history.complete
    for at, (row, opened) in enumerate(zip(history.rows, chain, strict=True)):
        below = chain[at + 1] if at + 1 < len(chain) else None
        now = items[opened.head.body_sha256]
        before = items[below.head.body_sha256] if below else ({} if first else None)
        if not row.same and now is not None and before is not None:
            row.changed = _changed(before, now)


def _items(archive: Archive, said: Head, rules_then: Trust, carried: Mapping[bytes, bytes]) -> dict[str, Item] | None:
    """The list of a head by folded path; None where it can no longer be had, or nobody would accept it."""

    def fetch(sha256: bytes, length: int) -> bytes:
        return carried.get(sha256) or archive.fetch(locations.body(sha256), length)

    try:
        return {fold(item.path): item for item in body.read(said, rules_then.policy(said.channel), fetch)}
    except (Refused, NotFound):
        return None


def _changed(before: dict[str, Item], now: dict[str, Item]) -> Changed:
    added = sorted(now.keys() - before.keys())
    removed = sorted(before.keys() - now.keys())
    both = now.keys() & before.keys()
    changed = sorted(key for key in both if now[key].content_hash != before[key].content_hash)
    paths = [f"+{now[key].path}" for key in added] + [f"~{now[key].path}" for key in changed]
    paths += [f"-{before[key].path}" for key in removed]
    return Changed(len(added), len(changed), len(removed), paths[:20])


def _fetched(archive: Archive, place: str, limit: int) -> bytes | None:
    try:
        return archive.fetch(place, limit)
    except NotFound:
        return None
