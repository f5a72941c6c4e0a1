"""Which relative paths take part: ordered include and exclude rules, and a `.huracanignore`. Pure.

Rules are globs as in rclone and rsync: `*` and `?` stop at a slash, `**` does not, `[...]` and `{a,b}` choose. A
pattern that begins with a slash counts from the top folder; any other matches at every depth. A pattern that names
a folder counts for everything below it. The first rule that matches decides. What no rule matches takes part,
unless all rules are includes. A path that no rule matched is then asked of the ignore file, whose lines are those
of `.gitignore`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from huracan_sync.errors import UsageError

if TYPE_CHECKING:
    import pathspec

IGNORE_FILE = ".huracanignore"
"""Read from the top of the local folder."""

_PIECE = re.compile(r"\\.|\[[!^]?\]?(?:\\.|\[:\w*:\]|[^]\\])*\]|.", re.DOTALL)
"""What a glob is read by: an escaped character, a bracket as a whole, or a character."""


LONGEST = 4096
"""Characters of a pattern: no path has more, and reading one may take the square of them."""

MOST_EXPANDED = 1000
"""Patterns that one with braces stands for."""


class Rule(msgspec.Struct, frozen=True):
    """One glob, and what becomes of the paths that it matches."""

    includes: bool
    pattern: str


def parse_rules(text: str, *, source: str) -> list[Rule]:
    """The lines of a filter file: `+ PATTERN` or `- PATTERN`; empty lines and those that begin with `#` count nothing.

    Raises:
        UsageError: another line is among them.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped[0] not in "+-" or stripped[1:2] != " " or not stripped[2:].strip():
            hint = "write `+ PATTERN` to include, `- PATTERN` to exclude"
            raise UsageError(f"{source}, line {number}: {stripped[:60]!r} is no filter rule", hint=hint)
        rules.append(Rule(stripped[0] == "+", stripped[2:].strip()))
    return rules


class Filters:
    """Decides about relative paths, and remembers which ones it left out."""

    def __init__(self, rules: Iterable[Rule] = (), *, ignore: str = "") -> None:
        """Rules in the order in which they count, and the text of an ignore file. Raises `UsageError`."""
        rules = self.rules = tuple(rules)
        self._rules = [(rule.includes, _compiled(rule.pattern)) for rule in rules]
        self._otherwise = not rules or not all(rule.includes for rule in rules)
        self._ignored = _spec(ignore.splitlines(), IGNORE_FILE)
        self.left_out: set[str] = set()
        """Every path that was asked about and takes no part."""

    def __call__(self, path: str) -> bool:
        """Whether a relative path takes part."""
        if self.decide(path):
            return True
        self.left_out.add(path)
        return False

    def decide(self, path: str) -> bool:
        """As calling it, without remembering."""
        for includes, spec in self._rules:
            if spec.match_file(path):
                return includes
        return self._otherwise and not self._ignored.match_file(path)


def _compiled(pattern: str) -> pathspec.GitIgnoreSpec:
    if not pattern.strip("/") or pattern.startswith("!"):
        raise UsageError(f"{pattern!r} is no pattern", hint="write a glob like *.tmp, /cache/ or **/logs/*.gz")
    _require_short([pattern], "the pattern")
    _require_closed(pattern)
    expanded = [_anchored(each) for each in islice(_expanded(pattern), MOST_EXPANDED + 1)]
    if len(expanded) > MOST_EXPANDED:
        raise UsageError(
            f"the braces of {pattern[:40]!r} stand for more than {MOST_EXPANDED} patterns",
            hint="write several patterns",
        )
    return _spec(expanded, f"the pattern {pattern!r}")


def _require_short(lines: list[str], source: str) -> None:
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST:
            what = f"{source} {line[:40]!r}..." if len(lines) == 1 else f"{source}, line {number}"
            raise UsageError(f"{what} has {len(line)} characters", hint=f"a pattern has at most {LONGEST}")


def _spec(lines: list[str], source: str) -> pathspec.GitIgnoreSpec:
    _require_short(lines, source)
    import pathspec  # noqa: PLC0415 - start-up time: most runs filter nothing

    base: Any = type(pathspec.GitIgnoreSpec.from_lines(["a"]).patterns[0])
    from_lines: Any = pathspec.GitIgnoreSpec.from_lines
    # Newer versions take RE2 where it is installed, which knows no expression like ours.
    how = {"backend": "simple"} if "backend" in (from_lines.__func__.__kwdefaults__ or ()) else {}

    class Quick(base):  # type: ignore[misc]  # whatever the installed version calls it
        @classmethod
        def pattern_to_regex(cls, pattern: Any) -> Any:
            regex, include = super().pattern_to_regex(pattern)
            return (_without_retries(regex) if regex else regex), include

    try:
        spec: pathspec.GitIgnoreSpec = from_lines(lines, pattern_factory=Quick, **how)
    except (ValueError, re.error) as error:
        raise UsageError(f"{source} cannot be read: {error}", hint="the rules are those of .gitignore") from None
    return spec


_STAR, _FOLDERS = "[^/]*", "(?:/.+)?/"
"""What a `*`, and `/**/`, are in a regular expression of pathspec."""


def _without_retries(regex: str) -> str:
    """The same expression, which tries nothing again that cannot help: what it takes no longer grows without bounds.

    Of what stands between two stars, the first place that fits is as good as any. A class takes no slash, as in git.
    """
    first, *rest = map(_stars_without_retries, re.sub(r"\[\^(?!/)", "[^/", regex).split(_FOLDERS))
    inner = "".join(f"(?>(?:/.+?)??/{folders}(?=/))" for folders in rest[:-1])
    return first + inner + (_FOLDERS + rest[-1] if rest else "")


def _stars_without_retries(part: str) -> str:
    first, *rest = part.split(_STAR)
    for number, piece in enumerate(rest, 1):
        is_last_in_its_folder = number == len(rest) or "/" in piece.replace("[^/", "")
        first += f"{_STAR}{piece}" if is_last_in_its_folder else f"(?>[^/]*?{piece})"
    return first


def _require_closed(pattern: str) -> None:
    """Refuses a bracket or brace that has no end, and a class that no glob here knows: each would match nothing."""
    depth = 0
    for piece in _PIECE.findall(pattern):
        if piece == "[":
            raise UsageError(f"the pattern {pattern!r} has a [ that is not closed", hint="write \\[ to mean a bracket")
        if len(piece) > 1 and piece[0] == "[" and "[:" in piece:
            hint = "write the characters themselves, like [a-zA-Z0-9]"
            raise UsageError(f"the pattern {pattern!r} names a class of characters", hint=hint)
        depth += {"{": 1, "}": -1 if depth else 0}.get(piece, 0)
    if depth:
        raise UsageError(f"the pattern {pattern!r} has a {{ that is not closed", hint="write \\{ to mean a brace")


def _anchored(pattern: str) -> str:
    """As .gitignore would write it: there any slash means the top folder, here only one at the beginning."""
    escaped = f"\\{pattern}" if pattern.startswith("#") else pattern
    inner = escaped.rstrip("/")
    return escaped if escaped.startswith(("/", "**/")) or "/" not in inner else f"**/{escaped}"


def _expanded(pattern: str) -> Iterator[str]:
    """`a.{b,c}` is `a.b` and `a.c`; braces within braces count, escaped ones and those within brackets do not."""
    pieces = _PIECE.findall(pattern)
    begin = next((at for at, piece in enumerate(pieces) if piece == "{"), None)
    if begin is None:
        yield "".join(_plain(piece) for piece in pieces)
        return
    depth, choices = 0, [""]
    for at, piece in enumerate(pieces[begin:], begin):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if piece == "," and depth == 1:
            choices.append("")
        elif depth == 0:
            break
        elif at > begin:
            choices[-1] += piece
    before, after = "".join(pieces[:begin]), "".join(pieces[at + 1 :])
    for choice in choices:
        yield from _expanded(before + choice + after)


def _plain(piece: str) -> str:
    """An escaped brace or comma without its escape, which only the braces needed."""
    return piece[1:] if piece in {"\\{", "\\}", "\\,"} else piece
