"""Does in Dropbox what the publish transaction says."""

from __future__ import annotations

import contextlib
import posixpath
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from huracan_sync.errors import CallRefused, Conflict, HuracanError, NotFound, ServiceFault, Unreachable, UsageError
from huracan_sync.manifest.entries import Item
from huracan_sync.remote import files
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import everything
from huracan_sync.remote.listing import FileMetadata, timestamp
from huracan_sync.remote.parallel import several
from huracan_sync.remote.rate_limit import Wait
from huracan_sync.remote.stat import children, metadata
from huracan_sync.signing.next_head import StoredFile
from huracan_sync.signing.transaction_steps import (
    Current,
    Intend,
    Lost,
    Names,
    Published,
    Read,
    Step,
    Steps,
    Store,
    Swap,
    Swapped,
)
from huracan_sync.transfer import staging
from huracan_sync.transfer.staging import Placing
from huracan_sync.transfer.worker_pool import WORKERS, background
from huracan_sync.tree.paths import fold, join

LOOK_ALONE = 20
"""Up to so many files are looked up one by one; more by one listing."""

STORED_ALONE = 4
"""Up to so many files are stored with a request each; more together, which takes three or four."""

_PAUSE_MOST_S = 2.0

T = TypeVar("T")


class Executor:
    """The signed things of one root folder, to be written."""

    def __init__(
        self,
        remote: Remote,
        root: str,
        *,
        intend: Callable[[Published], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """No request is made.

        Args:
            remote: the login.
            root: the root folder.
            intend: notes durably what is about to be committed.
            clock: seconds since 1970.
        """
        self._clock = clock
        self._remote = remote
        self._root = root
        self._intend = intend

    def perform(self, transaction: Steps[T]) -> T:
        """Do what the transaction says until it ends; its result.

        Raises:
            NotAuthorized, TryLater, Unavailable: Dropbox could not be asked. Nothing half-done counts.
        """
        answers: Sequence[Any] | None = None
        while True:
            try:
                steps = transaction.send(answers)  # type: ignore[arg-type]  # None begins
            except StopIteration as end:
                result: T = end.value
                return result
            answers = [self._do(steps[0])] if len(steps) == 1 else self._do_several(steps)

    def _do_several(self, steps: Sequence[Step]) -> Sequence[object]:
        stores = [step for step in steps if isinstance(step, Store)]
        if len(stores) == len(steps) > STORED_ALONE:
            with contextlib.suppress(CallRefused):  # a server without batch routes
                return self._store(stores)
        return list(several(self._do, steps))

    def _store(self, stores: Sequence[Store]) -> Sequence[object]:
        """Many files with few requests."""
        moment = timestamp(int(self._clock() * 1000))
        with background(WORKERS, "huracan-store") as threads:
            staged = staging.stage_contents(self._remote, threads, [step.data for step in stores])
        commits = [files.Commit(join(self._root, step.place), files.OVERWRITE, moment) for step in stores]
        for result in staging.commit(self._remote, list(map(Placing, staged, commits))):
            if isinstance(result, HuracanError):
                raise result
        return [None] * len(stores)

    def _do(self, step: Step) -> object:
        if isinstance(step, Read):
            return self._read(join(self._root, step.place), step.limit)
        if isinstance(step, Store):
            files.put(self._remote, join(self._root, step.place), step.data)
        elif isinstance(step, Swap):
            return self._swap(join(self._root, step.place), step.data, step.rev)
        elif isinstance(step, Current):
            return self._current(step.paths)
        elif isinstance(step, Names):
            return self._names(join(self._root, step.folder))
        elif isinstance(step, Lost):
            return self._lost(step.items)
        elif isinstance(step, Intend):
            self._intend(step.published)
        else:
            pacing = self._remote.pacing
            pause = min(_PAUSE_MOST_S, pacing.backoff(step.attempt))
            pacing.pause(Wait(pause, step.why, files.UPLOAD, step.attempt))
        return None

    def _read(self, path: str, limit: int) -> StoredFile | None:
        try:
            described, data = files.fetch(self._remote, path, limit=limit)
        except NotFound:
            return None
        except UsageError as error:
            raise Conflict(
                f"a folder lies at {path}, where a signed file must be",
                hint="somebody with a token to this account has made it: delete it in Dropbox, then run this again",
                path=path,
            ) from error
        except ServiceFault:
            # Somebody may have put there more than any such file can have: then that is no reason to stop.
            found = metadata(self._remote, path)
            if not isinstance(found, FileMetadata) or found.size <= limit:
                raise
            return StoredFile(b"", found.rev)
        return StoredFile(data, described.rev)

    def _swap(self, path: str, data: bytes, rev: str | None) -> Swapped | str:
        try:
            return files.swap(self._remote, path, data, replaces_rev=rev).rev
        except Conflict:
            return Swapped.OTHER
        except (Unreachable, ServiceFault):
            return Swapped.UNKNOWN

    def _names(self, folder: str) -> list[str]:
        try:
            return [found.name for found in children(self._remote, folder)]
        except NotFound:
            return []

    def _lost(self, items: Sequence[Item]) -> list[str]:
        asked = items
        if len(items) > LOOK_ALONE:  # one listing tells of most
            current = self._current([item.path for item in items])
            asked = [item for item in items if current[item.path] != item.rev]
        return [path for path in several(self._lost_one, asked) if path]

    def _lost_one(self, item: Item) -> str:
        """Its path, or nothing when it can still be had."""
        for path in (f"rev:{item.rev}", join(self._root, item.path)):
            found = metadata(self._remote, path)
            if isinstance(found, FileMetadata) and found.content_hash == item.content_hash.hex():
                return ""
        return item.path

    def _current(self, paths: Sequence[str]) -> dict[str, str | None]:
        if len(paths) <= LOOK_ALONE:
            found = several(lambda path: metadata(self._remote, join(self._root, path)), paths)
            return {p: f.rev if isinstance(f, FileMetadata) else None for p, f in zip(paths, found, strict=True)}
        folder = posixpath.commonpath([path.rpartition("/")[0] for path in paths])
        inside = f"{folder}/" if folder else ""
        revs = everything(self._remote, join(self._root, folder), lambda entry: entry.rev).files
        return {path: revs.get(fold(path.removeprefix(inside))) for path in paths}
