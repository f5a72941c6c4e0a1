"""Paths as fsspec passes them: with or without a protocol, as text or path objects. Pure.

A path here is `""` for the root of the account, else `/a/b`, which is how Dropbox spells it too.
"""

from __future__ import annotations

import re

from huracan_sync.errors import HostilePath
from huracan_sync.tree.paths import check, fold

_NOT_A_NAME = frozenset({"", ".", ".."})
_NOT_IN_A_PATH = re.compile("[\x00\\\\\ud800-\udfff]")


def strip(text: str, protocol: str) -> str:
    """The path without `protocol://`, with one slash before it and none behind; `""` for the root."""
    if not isinstance(text, str):
        raise TypeError(f"a path is text or a path object, not {type(text).__name__}")
    for prefix in (f"{protocol}://", f"{protocol}::", f"{protocol}:/"):
        if text.startswith(prefix):
            text = text[len(prefix) :]
            break
    text = text.strip("/")
    return f"/{text}" if text else ""


def check_readable(path: str) -> str:
    """Accept a path that Dropbox may hold something at.

    Raises:
        HostilePath: `..`, an empty component, NUL, a backslash, or text that is none.
    """
    reason = ""
    if not path.isascii() or _NOT_IN_A_PATH.search(path):
        found = _NOT_IN_A_PATH.search(path)
        reason = f"it holds {found[0]!a}" if found else ""
    if path and not reason:
        wrong = next((name for name in path[1:].split("/") if name in _NOT_A_NAME), None)
        reason = f"{wrong!r} is not a name" if wrong is not None else ""
    if reason:
        raise HostilePath(f"the path {path[:200]!a} is refused: {reason}", path=ascii(path[:200]), reason=reason)
    return path


def check_writable(path: str) -> str:
    """Accept a path that something may be written to: the rules of every tree.

    Raises:
        HostilePath: no tree may hold it, or it is the root.
    """
    if not path:
        raise HostilePath("the root of the account is a folder", path="/", reason="it is the root")
    check(path[1:])
    return path


def parent(path: str) -> str:
    """The folder a path lies in; of the root, the root."""
    return path.rpartition("/")[0]


def key(path: str) -> str:
    """What a path is compared by: Dropbox knows no case."""
    return fold(path)
