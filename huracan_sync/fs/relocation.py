"""Removing, copying and moving inside Dropbox: whole folders with one request, many files in one job."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

from huracan_sync.errors import CallRefused, Conflict, HuracanError, NotFound
from huracan_sync.fs.commits import raise_first
from huracan_sync.fs.os_errors import as_os_error, os_error
from huracan_sync.remote import delete, files
from huracan_sync.remote.listing import FileMetadata

if TYPE_CHECKING:
    from huracan_sync.fs.account import Account

ALONE = 2
"""Up to so many files are copied or moved one by one; more in a job."""


def remove_whatever(account: Account, path: str) -> None:
    """Remove a file, or a folder with all that is in it.

    Raises:
        FileNotFoundError: nothing lies there.
    """
    with as_os_error(path):
        delete.remove_whatever(account.remote, path)
    account.metadata.gone(path)


def remove_files(account: Account, paths: Sequence[str]) -> None:
    """Remove files: exactly the revisions that lie there.

    Raises:
        OSError: one could not be removed.
    """
    results: dict[str, HuracanError | None] = {}
    for ttl_s in (60.0, 0.0):  # a revision that is another by now is looked up and meant too
        left = [path for path in paths if path not in results or isinstance(results[path], Conflict)]
        if not left:
            break
        with as_os_error(left[0]):
            found = [(path, _file(account, path, ttl_s=ttl_s).rev) for path in left]
            results |= delete.remove(account.remote, found)
        for path in left:
            account.metadata.gone(path)
    raise_first(results.items())


def _file(account: Account, path: str, *, ttl_s: float) -> FileMetadata:
    present = account.metadata.info(path, ttl_s=ttl_s)
    if not isinstance(present, FileMetadata):
        raise IsADirectoryError(errno.EISDIR, "that is a folder in Dropbox", path)
    return present


def relocate_folder(account: Account, source: str, target: str, *, keep: bool) -> bool:
    """Copy or move a whole folder with one request, where nothing lies at its target; whether that was so.

    Raises:
        OSError: it could not be copied or moved for another reason.
    """
    try:
        made = files.relocate_one(account.remote, source, target, keep=keep)
    except (Conflict, CallRefused):
        return False  # something came there meanwhile, or it is too much for one call
    except HuracanError as error:
        raise os_error(error, source) from error
    if not keep:
        account.metadata.gone(source)
    account.metadata.wrote(target, made)
    return True


def relocate(account: Account, pairs: Sequence[tuple[str, str]], *, keep: bool) -> list[str]:
    """Copy or move files inside Dropbox; what lies at a target is removed first. The sources where nothing lay.

    Raises:
        OSError: one could not be copied or moved.
    """
    results = dict(zip(pairs, _relocated(account, pairs, keep=keep), strict=True))
    in_the_way = [pair for pair, result in results.items() if isinstance(result, Conflict)]
    if in_the_way:
        remove_files(account, [target for _, target in in_the_way])
        results |= dict(zip(in_the_way, _relocated(account, in_the_way, keep=keep), strict=True))
    for (source, target), result in results.items():
        if isinstance(result, FileMetadata):
            account.metadata.wrote(target, result)
            if not keep:
                account.metadata.gone(source)
    missing = [source for (source, _), result in results.items() if isinstance(result, NotFound)]
    raise_first((source, result) for (source, _), result in results.items() if not isinstance(result, NotFound))
    return missing


def _relocated(account: Account, pairs: Sequence[tuple[str, str]], *, keep: bool) -> list[FileMetadata | HuracanError]:
    if len(pairs) > ALONE:
        return files.relocate(account.remote, pairs, keep=keep)
    results: list[FileMetadata | HuracanError] = []
    for source, target in pairs:
        try:
            made = files.relocate_one(account.remote, source, target, keep=keep)
        except (Conflict, NotFound) as error:
            results.append(error)
        except HuracanError as error:
            raise os_error(error, source) from error
        else:
            results.append(made if isinstance(made, FileMetadata) else Conflict(f"{source} is a folder", path=source))
    return results
