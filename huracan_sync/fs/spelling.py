"""Names in another case: to Dropbox they are the same file, which has the spelling it was written with last."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from huracan_sync.errors import Conflict, HuracanError
from huracan_sync.fs.os_errors import as_os_error
from huracan_sync.fs.paths import key
from huracan_sync.remote import files
from huracan_sync.remote.folder_listing import Present
from huracan_sync.tree.paths import fold

if TYPE_CHECKING:
    from huracan_sync.fs.account import Account


def is_other(path: str, present: Present) -> bool:
    """Whether what lies at a path has its name in another case."""
    name = path.rpartition("/")[2]
    return present.name != name and fold(present.name) == fold(name)


def check_all_differ(paths: Iterable[str]) -> None:
    """Raise where two paths are to become two files and Dropbox can hold one of them.

    Raises:
        FileExistsError: they differ only in case.
    """
    known: dict[str, str] = {}
    for path in paths:
        check_differs(known, path)


def check_differs(known: dict[str, str], path: str) -> None:
    """As `check_all_differ`, one path after the other; `known` takes those that were checked."""
    twin = known.setdefault(key(path), path)
    if twin != path:
        with as_os_error(path):
            words = f"{path} and {twin} differ only in case; Dropbox can hold one of them"
            raise Conflict(words, hint="rename one of the two", path=path)


def respell(account: Account, source: str, target: str) -> Present:
    """Give a file or folder its name in another case. Dropbox has no such call: it goes by a third name.

    Raises:
        HuracanError: it could not be done; it has its old name, or the third one, which the hint says.
    """
    between = f"{target}.{secrets.token_hex(6)}"
    files.relocate_one(account.remote, source, between, keep=False)
    account.metadata.gone(source)
    try:
        moved = files.relocate_one(account.remote, between, target, keep=False)
    except HuracanError as error:
        error.hint = f"it is called {between!a} now: move it to where it belongs"
        raise
    account.metadata.wrote(target, moved)
    return moved
