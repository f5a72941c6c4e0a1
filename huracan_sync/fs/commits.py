"""Putting contents in their places: one request for a small file, one call for a thousand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.errors import HuracanError
from huracan_sync.fs import spelling
from huracan_sync.fs.os_errors import as_os_error, os_error
from huracan_sync.fs.paths import parent
from huracan_sync.remote import files
from huracan_sync.remote.files import Commit
from huracan_sync.remote.listing import FileMetadata, timestamp
from huracan_sync.transfer import staging
from huracan_sync.transfer.staging import OwnProcess, Placing, Staged, StreamUpload

if TYPE_CHECKING:
    from huracan_sync.fs.account import Account

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of small files that are kept until they are staged together."""
SINGLES = 2
"""Up to so many small files are committed one by one; more in a batch, which takes three requests."""


class Target(msgspec.Struct):
    """What goes to one path."""

    what: bytes | Staged
    """The whole content of a small file, or what is staged already."""
    exclusive: bool = False
    """Nothing may lie there."""
    mtime_ms: int | None = None
    """When the content was made; None: now."""


class Batch:
    """Files that are committed together. Small ones wait in memory, but never more than `IN_MEMORY` bytes."""

    def __init__(self, account: Account) -> None:
        self._process = OwnProcess()
        self._account = account
        self._targets: dict[str, Target] = {}
        self._spellings: dict[str, str] = {}
        self._in_memory = 0

    def add(self, path: str, upload: StreamUpload, *, exclusive: bool = False, mtime_ms: int | None = None) -> None:
        """A file that was written whole. Where one path is written twice, the later one counts.

        Raises:
            OSError: it could not be staged.
        """
        with as_os_error(path):
            content = upload.content
        self._targets.pop(path, None)
        spelling.check_differs(self._spellings, path)
        with as_os_error(path):
            what = upload.finish() if content is None else content
            self._targets[path] = Target(what, exclusive, mtime_ms)
            self._in_memory += 0 if content is None else len(content)
            if self._in_memory > IN_MEMORY:
                self._stage()

    def add_content(self, path: str, content: bytes) -> None:
        """A small content as a whole."""
        upload = StreamUpload(self._account.remote, self._account.threads)
        upload.write(content)
        self.add(path, upload)

    def _stage(self) -> None:
        small = [target for target in self._targets.values() if isinstance(target.what, bytes)]
        contents = [target.what for target in small if isinstance(target.what, bytes)]
        staged = staging.stage_contents(self._account.remote, self._account.threads, contents)
        for target, each in zip(small, staged, strict=True):
            target.what = each
        self._in_memory = 0

    def commit(self) -> None:
        """Put everything in place.

        Raises:
            OSError: the first file that was refused; the message says how many were. The others are in place.
        """
        small = [path for path, target in self._targets.items() if isinstance(target.what, bytes)]
        with as_os_error(next(iter(self._targets), "")):
            self._process.check()
            if len(small) > SINGLES:
                self._stage()
            results = _commit(self._account, self._targets)
        raise_first(results)


def commit_upload(account: Account, path: str, upload: StreamUpload, target: Target) -> None:
    """Put one file in its place.

    Raises:
        OSError: it was not.
    """
    with as_os_error(path):
        content = upload.content
        target.what = upload.finish() if content is None else content
        raise_first(_commit(account, {path: target}))


def _commit(account: Account, targets: dict[str, Target]) -> list[tuple[str, FileMetadata | HuracanError]]:
    results: list[tuple[str, FileMetadata | HuracanError]] = []
    placings = []
    now_ms = int(account.clock() * 1000)
    for path, target in targets.items():
        mode = files.ADD if target.exclusive else files.OVERWRITE
        mtime_ms = now_ms if target.mtime_ms is None else target.mtime_ms
        if isinstance(target.what, bytes):
            results.append((path, _put(account, path, target.what, mode, mtime_ms)))
        else:
            commit = Commit(path, mode, timestamp(mtime_ms), strict_conflict=target.exclusive)
            placings.append(Placing(target.what, commit))
    committed = staging.commit(account.remote, placings)
    results += [(placing.commit.path, result) for placing, result in zip(placings, committed, strict=True)]
    return [(path, _noted(account, path, result)) for path, result in results]


def _noted(account: Account, path: str, result: FileMetadata | HuracanError) -> FileMetadata | HuracanError:
    """The result; where the file has kept an older spelling it is given the one it was written with."""
    if not isinstance(result, FileMetadata):
        return result
    if spelling.is_other(path, result):
        try:
            spelling.respell(account, f"{parent(path)}/{result.name}", path)
        except HuracanError as error:
            return error
    else:
        account.metadata.wrote(path, result)
    return result


def _put(account: Account, path: str, content: bytes, mode: str, mtime_ms: int) -> FileMetadata | HuracanError:
    try:
        strict = mode == files.ADD
        return files.put(account.remote, path, content, mode=mode, mtime_ms=mtime_ms, strict=strict)
    except HuracanError as error:
        return error


def raise_first(results: Iterable[tuple[str, object]]) -> None:
    """Raise the first error among results by path, saying how many more there are.

    Raises:
        OSError: there is one.
    """
    failed = [(path, error) for path, error in results if isinstance(error, HuracanError)]
    if not failed:
        return
    path, error = failed[0]
    if len(failed) > 1:
        error.args = (f"{error} (and {len(failed) - 1} more files failed)",)
    raise os_error(error, path)
