"""What a reader reads from: the root folder of a login, by calls that only read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import msgspec

from huracan_sync.errors import (
    CallRefused,
    ConfigError,
    HuracanError,
    NotAuthorized,
    NotFound,
    TryLater,
    Unavailable,
    Unreachable,
)
from huracan_sync.remote import listing
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.read_client import Ranged, ReadOnly
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.paths import fold, join

PART = 2 * BLOCK_SIZE
"""Bytes asked for at once after an answer broke off."""
FLOOR_S = 2.0
"""Seconds between two looks at least, where change follows change; a look and the wait after it are two calls."""
BROKEN_OFF = 3
"""How often a small file is asked for whose answer breaks off."""


class RemoteSource:
    """Reads below a root folder: the `Source` that `reader` asks for."""

    def __init__(
        self,
        remote: ReadOnly,
        root: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """No request is made.

        Args:
            remote: the login.
            root: the folder, as the API wants it; the login's own by default.
            clock: monotonic seconds.
            sleep: waits that many seconds.
        """
        self._remote = remote
        self.root = remote.root if root is None else root
        self._clock = clock
        self._sleep = sleep
        self._woken_at = clock() - FLOOR_S

    @property
    def place(self) -> str:
        """What this root folder is told from others by: the service, the account, the path."""
        return f"{self._remote.place}:{fold(self.root)}"

    def fetch(self, place: str, limit: int) -> bytes:
        """A small file whole; of a larger one than `limit` bytes the first `limit` + 1."""
        for last in range(BROKEN_OFF, 0, -1):
            try:
                with _as_a_reader_sees_it(), self._remote.stream("files/download", self._arg(place)) as answer:
                    return _at_most(answer.chunks(), limit + 1)
            except Unreachable:
                if last == 1:
                    raise
        raise AssertionError

    @contextlib.contextmanager
    def stream(self, place: str, start: int, end: int) -> Iterator[Iterator[bytes]]:
        """The bytes from `start` to `end` as they come, in one answer; fewer where the file is shorter."""
        try:
            with _as_a_reader_sees_it():
                answer = self._remote.stream("files/download", self._arg(place), Ranged(start, end))
        except CallRefused as error:
            if "not_satisfiable" not in str(error.facts.get("tags")):
                raise
            yield iter(())  # the file ends before `start`
            return
        with answer:
            yield self._up_to(answer.chunks(), place, start, end)

    def cursor(self, folder: str) -> str:
        """Where the listing of everything below the folder stands now."""
        with _as_a_reader_sees_it():
            return listing.latest_cursor(self._remote, join(self.root, folder))

    def lying(self, folder: str) -> tuple[str, dict[str, bytes]] | None:
        """Everything below the folder, and where the listing of it stands; None where one answer does not hold it."""
        with _as_a_reader_sees_it():
            page = next(listing.listing(self._remote, join(self.root, folder)))
        if page.has_more:
            return None
        return page.cursor, {f"{folder}/{entry.path}": entry.content_hash for entry in page.files}

    def changed(self, folder: str, cursor: str) -> tuple[str, dict[str, bytes]] | None:
        """What came, changed or went since the cursor; None when it is no longer known."""
        moved: dict[str, bytes] = {}
        try:
            with _as_a_reader_sees_it():
                for page in listing.changes(self._remote, join(self.root, folder), cursor):
                    cursor = page.cursor
                    for name in (*page.gone, *page.folders):
                        moved[f"{folder}/{name}" if name else folder] = b""
                    for entry in page.files:
                        moved[f"{folder}/{entry.path}"] = entry.content_hash
        except CursorReset:
            return None
        return cursor, moved

    def wait(self, cursor: str, timeout_s: int) -> bool:
        """Wait until something changes below the cursor's folder."""
        changes, backoff = True, 0
        with contextlib.suppress(CursorReset, NotFound), _as_a_reader_sees_it():  # nobody knows: a look will tell
            result = self._remote.longpoll(cursor, timeout_s)
            changes, backoff = result.changes, result.backoff
        # Dropbox wakes up all who wait for anything in the account: others' changes must not cost us a look each.
        soonest = self._woken_at + FLOOR_S if changes else 0.0
        if (pause := max(backoff, soonest - self._clock())) > 0:
            self._sleep(pause)
        self._woken_at = self._clock()
        return changes

    def _arg(self, place: str) -> dict[str, str]:
        return {"path": place if place.startswith("rev:") else join(self.root, place)}

    def _up_to(self, chunks: Iterator[bytes], place: str, start: int, end: int) -> Iterator[bytes]:
        """The pieces of one answer, up to `end`; where it breaks off, the rest in parts."""
        at = start
        try:
            for piece in chunks:
                yield piece if len(piece) <= end - at else piece[: end - at]
                at += len(piece)
                if at >= end:
                    return
        except Unreachable:
            if at >= end:
                raise
            yield from self._parts(place, at, end)

    def _parts(self, place: str, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, PART):
            part = Ranged(at, min(at + PART, end))
            with _as_a_reader_sees_it():
                _, data = self._remote.fetch("files/download", self._arg(place), msgspec.Raw, limit=PART, part=part)
            yield data


def _at_most(pieces: Iterator[bytes], size: int) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) >= size:
            break
    return bytes(data[:size])


@contextlib.contextmanager
def _as_a_reader_sees_it() -> Iterator[None]:
    """What a reader need not know the reason of (a folder where a file must be, an impossible path) is not found."""
    try:
        yield
    except (NotFound, NotAuthorized, TryLater, Unavailable):
        raise
    except ConfigError as error:  # a keyring that was locked meanwhile: nothing is known, so nothing is missing
        raise NotAuthorized(str(error), hint=error.hint) from error
    except HuracanError as error:
        raise NotFound(str(error), hint=error.hint) from error
