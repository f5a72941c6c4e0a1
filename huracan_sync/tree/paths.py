"""One spelling per file.

A *relative path* (`RelPath`) names a file below a root, the same on disk, in Dropbox and in a manifest: NFC, `/`
between components, no component that a file system or Dropbox would read in another way. What does not fit is
refused with its reason, never repaired: a repaired name is a second spelling.

Dropbox knows no case. `fold` is the identity used for every comparison: Dropbox's own `path_lower`, no more and no
less. `Maße.csv` and `Masse.csv`, two sigmas or a ligature and its letters are different files there, and here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NewType

from huracan_sync.errors import HostilePath

RelPath = NewType("RelPath", str)
"""A path that `check` has accepted: relative, `/`-separated, NFC."""

MAX_COMPONENT_BYTES = 255  # what ext4, APFS and Dropbox (255 characters) all hold
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32

PART_PREFIX = ".huracan-"
PART_SUFFIX = ".part"
"""How our half-written files are named."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Zero-width and bidirectional controls, and the byte-order mark: two names could look the same to a person.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u061c\u180e]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


def check(path: str) -> RelPath:
    """Accept `path` as it is, or raise `HostilePath` saying why no tree may hold it."""
    # Nearly every path is short ASCII with nothing to say about it; only that common case is decided twice.
    if not _PLAIN.fullmatch(path):
        _check_characters(path)
    components = path.split("/")
    for component in components:
        reason = _objection(component)
        if reason:
            raise _hostile(path, reason)
    if len(components) > MAX_DEPTH:
        raise _hostile(path, f"it is {len(components)} levels deep, more than {MAX_DEPTH}")
    if len(path) > MAX_PATH_BYTES // 4 and len(path.encode()) > MAX_PATH_BYTES:
        raise _hostile(path, f"it is longer than {MAX_PATH_BYTES} bytes")
    return RelPath(path)


_PLAIN = re.compile(r"[A-Za-z0-9 ._:/,;=+@#%&()\[\]{}'!$^-]*")
_PLAIN_BYTES = bytes(code for code in range(128) if _PLAIN.fullmatch(chr(code)))


def _check_characters(path: str) -> None:
    for pattern, what in (
        (_SURROGATE, "it is not valid text"),
        (_CONTROL, "it holds a control character"),
        (_INVISIBLE, "it holds an invisible character"),
    ):
        if pattern.search(path):
            raise _hostile(path, what)
    if "\\" in path:
        raise _hostile(path, "it holds a backslash")
    if not unicodedata.is_normalized("NFC", path):
        hint = "rename it with composed characters: `convmv --nfc -f utf8 -t utf8 -r --notest FOLDER` does it"
        raise _hostile(path, "its characters are not composed (NFC), so it has a second spelling", hint)


def _objection(component: str) -> str:
    """Why this component is refused, or an empty string."""
    if component in {"", ".", "..", "~"}:
        return f"{component!r} is not a name"
    if component[-1] in " .":
        return f"{component!r} ends with a space or a dot"
    if component[0] == " ":
        return f"{component!r} begins with a space"
    if component[1:2] == ":" and _DRIVE.match(component):
        return f"{component!r} reads as a drive letter"
    if len(component) > MAX_COMPONENT_BYTES // 4 and len(component.encode()) > MAX_COMPONENT_BYTES:
        return f"a name in it is longer than {MAX_COMPONENT_BYTES} bytes"
    return ""


def _hostile(path: str, reason: str, hint: str = "rename the file") -> HostilePath:
    shown = ascii(path if len(path) <= 200 else path[:200] + "...")
    return HostilePath(f"the path {shown} is refused: {reason}", hint=hint, path=shown, reason=reason)


_THERE = "choose another name; what lies in Dropbox can be renamed there, for instance on dropbox.com"


def refusal(path: str) -> HostilePath | None:
    """Why a file that lies at this path in Dropbox may lie at none here; None when it may."""
    if is_part(path.rpartition("/")[2]):
        return _hostile(path, "half-written files are named like this", _THERE)
    try:
        check(path)
    except HostilePath as error:
        error.hint = _THERE
        return error
    return None


def check_all(paths: Sequence[str]) -> set[str]:
    """Accept many paths as `check` accepts each, at a tenth of the cost. Returns the folders they lie in."""
    folders = {path.rpartition("/")[0] for path in paths}
    if not _all_plain(paths, folders):
        for path in paths:
            check(path)
    return folders


def _all_plain(paths: Sequence[str], folders: set[str]) -> bool:
    """Whether questions to all the text at once show every path to be harmless. False means: ask each."""
    text = "\n".join(paths)
    if not text.isascii() or len(text.encode().translate(None, _PLAIN_BYTES)) != len(paths) - 1:
        return False
    # A name is what follows the last slash; the folders before it are few, and each is asked by itself.
    if not {path[-1:] for path in paths}.isdisjoint({"", "/", ".", " "}) or max(map(len, paths)) > MAX_COMPONENT_BYTES:
        return False
    if text[0] in "/ " or "\n/" in text or (" " in text and ("/ " in text or "\n " in text)):
        return False
    before_colons = text.split(":")[:-1]
    if any(len(before) == 1 or before[-2:-1] in {"/", "\n"} for before in before_colons):
        return False
    for folder in folders - {""}:
        check(folder)
        if folder.count("/") + 2 > MAX_DEPTH:
            return False
    return True


def ancestors(path: str) -> Iterator[str]:
    """The folders a path lies in, the nearest first; not the root itself."""
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


def parents(folders: Iterable[str]) -> set[str]:
    """The folders, and every folder that one of them lies in."""
    with_ancestors: set[str] = set()
    for folder in folders:
        if folder and folder not in with_ancestors:
            with_ancestors.add(folder)
            for above in ancestors(folder):
                if above in with_ancestors:
                    break
                with_ancestors.add(above)
    return with_ancestors


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that one of the paths lies in, at any depth; not the root itself."""
    return parents({path.rpartition("/")[0] for path in paths})


def fold_all(paths: Sequence[str]) -> list[str]:
    """`fold` of each."""
    text = "\n".join(paths)
    folded = text.lower().split("\n") if text.isascii() else []
    return folded if len(folded) == len(paths) else [fold(path) for path in paths]


def fold(path: str) -> str:
    """The identity of a path for every comparison, Dropbox's `path_lower`: equal means that it is one file there."""
    return path.lower() if path.isascii() else "".join(map(_lower_case, unicodedata.normalize("NFC", path)))


# Dropbox lower-cases code point by code point with the tables of Unicode 4.1. Capitals whose small letter came later
# stay as they are: here the first and last code point of each run of them, from the ages in Unicode's database.
_YOUNGER = (
    (0x23A, 0x23A), (0x23E, 0x23E), (0x241, 0x24E), (0x370, 0x372), (0x376, 0x376), (0x37F, 0x37F), (0x3CF, 0x3CF),
    (0x3FD, 0x3FF), (0x4C0, 0x4C0), (0x4FA, 0x4FE), (0x510, 0x52E), (0x10C7, 0x10C7), (0x10CD, 0x10CD),
    (0x13A0, 0x13F5), (0x1C90, 0x1CBA), (0x1CBD, 0x1CBF), (0x1E9E, 0x1E9E), (0x1EFA, 0x1EFE), (0x2132, 0x2132),
    (0x2183, 0x2183), (0x2C2F, 0x2C2F), (0x2C60, 0x2C64), (0x2C67, 0x2C72), (0x2C75, 0x2C75), (0x2C7E, 0x2C7F),
    (0x2CEB, 0x2CED), (0x2CF2, 0x2CF2),
)  # fmt: skip
_CASED = (range(0x41, 0x5B), range(0x80, 0x2D00), range(0xFF21, 0xFF3B), range(0x10400, 0x10428))
"""Where every capital letter of Unicode 4.1 lies."""


@cache
def _lower_case(char: str) -> str:
    """Found out when a character is first met: a table of all of them takes 20 ms to make."""
    point, small = ord(char), char.lower()
    if point == 0x130:
        return "i"  # the capital I with a dot has one small letter in the old tables, and two today
    younger = any(first <= point <= last for first, last in _YOUNGER)
    return small if len(small) == 1 and not younger and any(point in run for run in _CASED) else char


def is_part(name: str) -> bool:
    """Whether our half-written files are named like this: a scan passes over them, and they are removed."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def remote_root(path: str) -> str:
    """A remote folder as the API wants it: `""` for the root, else `/a/b` with no slash at the end.

    Accepts `/`, `/a/b/` and `a/b`; refuses what `check` refuses.
    """
    inner = path.strip("/")
    if inner and (error := refusal(inner)):
        raise error
    return f"/{inner}" if inner else ""


def join(root: str, path: str) -> str:
    """The remote path of `path` below the remote folder `root`."""
    return f"{root}/{path}" if path else root


def below(root: str, path: str) -> str | None:
    """`path` relative to the remote folder `root`, whatever its case, or None when it lies elsewhere."""
    if not root:
        return path.lstrip("/")
    if fold(path) == fold(root):
        return ""
    # Only the number of components counts: another spelling of the root may have another length.
    parts = path.split("/")
    depth = root.count("/") + 1
    if len(parts) > depth and fold("/".join(parts[:depth])) == fold(root):
        return "/".join(parts[depth:])
    return None
