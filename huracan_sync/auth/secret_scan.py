"""Secrets that were written into a source tree. `scan` is pure. A finding names place and kind, never the secret.

Two ways to recognise one: its own shape (`sl.` tokens, bot tokens, passwords in database URLs), or the name it is given
(`app_secret`, `refresh_token`, `access_token`) together with a value that is no placeholder.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from huracan_sync.disk.scan import scan as files_below
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import LocalFailure
from huracan_sync.tree.paths import RelPath

ACCESS_TOKEN = "Dropbox access token"  # noqa: S105 - what it is called
REFRESH_TOKEN = "Dropbox refresh token"  # noqa: S105
APP_SECRET = "Dropbox app secret"  # noqa: S105
BOT_TOKEN = "bot token"  # noqa: S105
PASSWORD = "password in a URL"  # noqa: S105

UNREADABLE = "unreadable"
"""Of a file or folder that could not be looked at."""

_LARGEST = 4 * 1024 * 1024
_NOT_SOURCES = {".git", ".hg", ".svn", ".venv", "venv", ".tox", "node_modules", "__pycache__"} | {
    f".{tool}_cache" for tool in ("mypy", "pytest", "ruff")
}

# Each takes time in proportion to the line, however it is made: no run of characters is begun twice, and what may
# repeat before something that must follow is bounded.
# In order: where two match the same characters, the first one names them.
_SHAPES = (
    (ACCESS_TOKEN, re.compile(r"(?<![\w.-])sl\.(?=[\w.-]*[A-Z0-9])[\w-][\w.-]{19,}")),
    (BOT_TOKEN, re.compile(r"(?<![\w:])\d{8,10}:[A-Za-z0-9_-]{35}(?![\w-])")),
    (PASSWORD, re.compile(r"[a-z][a-z0-9+]{0,30}://[^\s/:@'\"<>${}]+:(?P<value>[^\s/@'\"<>${}]{3,})@[\w.\[-]")),
)
_NAMED = re.compile(
    r"""(?P<name>(?:app|client|consumer)_?-?secret|refresh_?-?token|access_?-?token)
        ["']?\s{0,8}(?::[A-Za-z_.\[\]| ]{1,40}?)?[=:]>?\s{0,8}    # name = , "name": , name: str =
        (?:(?P<quote>["'])(?P<quoted>[A-Za-z0-9_.~+/-]{15,})(?P=quote)
          |(?P<bare>[A-Za-z0-9_~-]{15,})(?=\s*(?:[,;#}]|$)))""",
    re.VERBOSE | re.IGNORECASE,
)
_A_NAME = re.compile(r"(?i)secret|token")
_PLACEHOLDER = re.compile(
    r"(?i)your|secret|token|example|changeme|change_me|placeholder|xxxx|dummy|redacted|\*\*\*|^(.)\1+$"
)


class Finding(msgspec.Struct, frozen=True, order=True):
    """One secret: where it stands and what it is, never what it says. Lines and columns count from 1."""

    line: int
    column: int
    kind: str


class Found(msgspec.Struct, frozen=True):
    """A finding in a file; line 0 means that the file could not be read."""

    path: str
    finding: Finding


def scan(text: str) -> list[Finding]:
    """Every secret in a text, in order."""
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        taken: list[tuple[int, int]] = []  # in order
        for kind, start, end in _in_line(line):
            at = bisect.bisect(taken, (start, end))
            is_free = (at == 0 or taken[at - 1][1] <= start) and (at == len(taken) or end <= taken[at][0])
            if is_free:
                taken.insert(at, (start, end))
                findings.append(Finding(number, start + 1, kind))
    return sorted(findings)


def _in_line(line: str) -> Iterator[tuple[str, int, int]]:
    for kind, shape in _SHAPES:
        for match in shape.finditer(line):
            group = "value" if "value" in shape.groupindex else 0
            if not _PLACEHOLDER.search(match[group]):
                yield kind, match.start(group), match.end(group)
    if not _A_NAME.search(line):  # nearly every line: the search below is the slow one
        return
    for match in _NAMED.finditer(line):
        group = "quoted" if match["quoted"] else "bare"
        named = _kind(match["name"], match[group], is_quoted=group == "quoted")
        if named is not None and not _PLACEHOLDER.search(match[group]):
            yield named, match.start(group), match.end(group)


def _kind(name: str, value: str, *, is_quoted: bool) -> str | None:
    """What a named value is, or None when it looks like another name: those are words, and hold no digits."""
    plain = name.lower().replace("-", "").replace("_", "")
    looks_random = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if not looks_random or (not is_quoted and not re.search(r"\d[A-Za-z]|[a-z][A-Z]", value)):
        return None
    if plain.endswith("secret"):
        return APP_SECRET
    if len(value) < 20:
        return None
    return REFRESH_TOKEN if plain.endswith("refreshtoken") else ACCESS_TOKEN


def scan_tree(folder: Path) -> Iterator[Found]:
    """Every secret in the text files below a folder, in order of their paths. Links are not followed."""
    tree = files_below(folder, wanted=lambda path: _NOT_SOURCES.isdisjoint(path.split("/")))
    unread = {problem.path for problem in tree.problems}
    for shown in sorted({*tree.files, *unread}):
        try:
            if shown in unread or tree.files[RelPath(shown)].size > _LARGEST:
                data = None if shown in unread else b""
            else:
                with StableRead(folder, RelPath(shown)) as reading:
                    data = reading.read(0, reading.stamp.size)
        except LocalFailure:
            data = None
        if data is None:
            yield Found(shown, Finding(0, 0, UNREADABLE))
        elif b"\0" not in data[:8192]:
            yield from (Found(shown, finding) for finding in scan(data.decode("utf-8", "replace")))
