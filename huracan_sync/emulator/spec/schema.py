"""Argument types, and the texts with which Dropbox refuses what does not fit. Pure.

The wording is that of the Stone runtime, which all recorded refusals agree with: unknown fields first, then each field
in the order of the specification, then what is missing; the path to the field before a colon.

A decoded struct is a dict with every field present; a decoded union is a pair (tag, value).
"""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

LONGEST_QUOTE = 1000
REQUIRED: Any = object()


class Invalid(Exception):
    """A value that does not fit; `str()` is Dropbox's sentence, with the path to the field."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.parents: list[str] = []

    def __str__(self) -> str:
        return ".".join(reversed(self.parents)) + ": " + self.message if self.parents else self.message


class Kind:
    """A kind of value. Calling it with decoded JSON gives the value, or raises Invalid."""

    def __call__(self, value: Any) -> Any:
        """Return the checked value."""
        raise NotImplementedError


def kind_name(value: Any) -> str:
    """Return the name Dropbox gives to a JSON value's type."""
    if value is None:
        return "null"
    names = ((bool, "boolean"), (int, "integer"), (float, "float"), (list, "list"), (str, "string"))
    return next((name for kind, name in names if isinstance(value, kind)), "dict")


def quote(value: Any) -> str:
    """Return a value as it is quoted in a refusal: cut if long."""
    text = str(value)
    if len(text) > LONGEST_QUOTE:
        return text[:LONGEST_QUOTE] + " [The string has been truncated due to its length]"
    return text


class Void(Kind):
    """No value: `null`."""

    def __call__(self, value: Any) -> None:
        """Accept null only."""
        if value is not None:
            raise Invalid("expected null, got value")


class Bool(Kind):
    """`true` or `false`."""

    def __call__(self, value: Any) -> bool:
        """Return the checked value."""
        if not isinstance(value, bool):
            raise Invalid(f"{value!r} is not a valid boolean")
        return value


class Int(Kind):
    """A whole number within bounds."""

    def __init__(self, low: int = 0, high: int = 2**64 - 1) -> None:
        self.low, self.high = low, high

    def __call__(self, value: Any) -> int:
        """Return the checked value."""
        if not isinstance(value, int):
            raise Invalid(f"expected integer, got {kind_name(value)}")
        if not self.low <= value <= self.high:
            raise Invalid(f"{value:d} is not within range [{self.low}, {self.high}]")
        return value


class Real(Kind):
    """A number within bounds."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, value: Any) -> float:
        """Return the checked value."""
        if not isinstance(value, int | float):
            raise Invalid(f"expected real number, got {kind_name(value)}")
        try:
            number = float(value)
        except OverflowError:
            raise Invalid("too large for float") from None
        if not math.isfinite(number):
            raise Invalid(f"{number:f} values are not supported")
        if number < self.low:
            raise Invalid(f"{number:f} is not greater than {self.low:f}")
        if number > self.high:
            raise Invalid(f"{number:f} is not less than {self.high:f}")
        return number


class Text(Kind):
    """A string of a length and pattern. `special` may refuse with a sentence of its own, before the pattern does."""

    def __init__(
        self,
        pattern: str = "",
        *,
        shortest: int = 0,
        longest: int | None = None,
        special: Callable[[str], str | None] | None = None,
        also: str = "",
    ) -> None:
        self.pattern = pattern
        # `also` is accepted beside the pattern that a refusal prints: the service takes more than it says.
        quick = f"{pattern}{'|' + also if also else ''}".replace(r"(.|[\r\n])*", r"[\s\S]*")  # the same, without groups
        self.compiled = re.compile(rf"\A(?:{quick})\Z") if pattern else None
        self.shortest, self.longest = shortest, longest
        self.special = special

    def __call__(self, value: Any) -> str:
        """Return the checked value."""
        if not isinstance(value, str):
            raise Invalid(f"'{quote(value)}' expected to be a string, got {kind_name(value)}")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise Invalid("could not decode input as JSON")  # half a surrogate pair is no character
        if self.longest is not None and len(value) > self.longest:
            raise Invalid(f"'{quote(value)}' must be at most {self.longest} characters, got {len(value)}")
        if len(value) < self.shortest:
            raise Invalid(f"'{quote(value)}' must be at least {self.shortest} characters, got {len(value)}")
        message = self.special(value) if self.special else None
        if message:
            raise Invalid(message)
        if self.compiled and not self.compiled.match(value):
            raise self.mismatch(value)
        return value

    def mismatch(self, value: str) -> Invalid:
        """Return the refusal of a string that does not match the pattern."""
        return Invalid(f"'{quote(value)}' did not match pattern '{self.pattern}'")


class Timestamp(Kind):
    """`2015-05-12T15:50:38Z`: whole seconds, UTC, and nothing else."""

    FORMAT = "%Y-%m-%dT%H:%M:%SZ"
    _plain = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)

    def __call__(self, value: Any) -> str:
        """Return the time as text, in the one form Dropbox writes."""
        if not isinstance(value, str):
            raise Invalid(f"expected timestamp, got {kind_name(value)}")
        try:
            plain = self._plain.match(value)
            when = datetime.fromisoformat(value[:-1]) if plain else datetime.strptime(value, self.FORMAT)  # noqa: DTZ007
        except ValueError as error:
            raise Invalid(str(error)) from None
        return when.isoformat(timespec="seconds") + "Z"


class Many(Kind):
    """A list of one kind of value."""

    def __init__(self, item: Kind, *, fewest: int = 0, most: int | None = None) -> None:
        self.item, self.fewest, self.most = item, fewest, most

    def __call__(self, value: Any) -> list[Any]:
        """Return the checked values."""
        if not isinstance(value, list):
            raise Invalid(f"expected list, got {kind_name(value)}")
        decoded = [self.item(item) for item in value]
        if self.most is not None and len(value) > self.most:
            raise Invalid(f"{quote(value)!r} has more than {self.most} items")
        if len(value) < self.fewest:
            raise Invalid(f"{quote(value)!r} has fewer than {self.fewest} items")
        return decoded


class Struct(Kind):
    """Named fields. A field is given as its kind (required), or as the pair (kind, default)."""

    def __init__(self, **fields: Kind | tuple[Kind, Any]) -> None:
        pairs = {name: field if isinstance(field, tuple) else (field, REQUIRED) for name, field in fields.items()}
        self.kinds = {name: kind for name, (kind, _) in pairs.items()}
        self.defaults = {name: default for name, (_, default) in pairs.items() if default is not REQUIRED}
        self.required = [name for name in pairs if name not in self.defaults]

    def extend(self, **fields: Kind | tuple[Kind, Any]) -> "Struct":
        """Return a struct with these fields after its own."""
        more = Struct(**fields)
        both = Struct()
        both.kinds = self.kinds | more.kinds
        both.defaults = self.defaults | more.defaults
        both.required = self.required + more.required
        return both

    def __call__(self, value: Any) -> dict[str, Any]:
        """Return the checked fields, with defaults filled in."""
        if value is None and not self.required:
            return dict(self.defaults)
        if not isinstance(value, dict):
            raise Invalid(f"expected object, got {kind_name(value)}")
        kinds = self.kinds
        for name in value:
            if name not in kinds and not name.startswith(".tag"):
                raise Invalid(f"unknown field '{quote(name)}'")
        decoded = dict(self.defaults)
        for name, kind in kinds.items():
            if name in value:
                try:
                    decoded[name] = kind(value[name])
                except Invalid as error:
                    error.parents.append(name)
                    raise
        for name in self.required:
            if name not in decoded:
                raise Invalid(f"missing required field '{name}'")
        return decoded


class Nullable(Kind):
    """A kind of value, or `null`."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __call__(self, value: Any) -> Any:
        """Return the checked value; None for null."""
        return None if value is None else self.kind(value)


class Union(Kind):
    """One of several tags. A tag without a value may be written as a bare string."""

    def __init__(self, *void: str, **members: Kind) -> None:
        self.members: dict[str, Kind | None] = {**dict.fromkeys(void), **members}

    def __call__(self, value: Any) -> tuple[str, Any]:
        """Return the tag and its value (None where it has none)."""
        if isinstance(value, str):
            if self.members.get(value, self) is None:
                return value, None
            known = value in self.members
            message = f"expected object for '{value}', got symbol" if known else f"unknown tag '{quote(value)}'"
            raise Invalid(message)
        if not isinstance(value, dict):
            raise Invalid(f"expected string or object, got {kind_name(value)}")
        tag = self._tag(value)
        kind = self.members[tag]
        if isinstance(kind, Struct):
            return tag, self._inside(tag, kind, {name: field for name, field in value.items() if name != ".tag"})
        if kind is None and value.get(tag) is not None:
            raise Invalid(f"expected null, got {kind_name(value[tag])}")
        if kind is not None and tag not in value:
            raise Invalid(f"missing '{tag}' key")
        for name in value:
            if name not in {tag, ".tag"}:
                raise Invalid(f"unexpected key '{quote(name)}'")
        return tag, None if kind is None else self._inside(tag, kind, value[tag])

    def _tag(self, value: dict[str, Any]) -> str:
        if ".tag" not in value:
            raise Invalid("missing '.tag' key")
        tag = value[".tag"]
        if not isinstance(tag, str):
            raise Invalid(f"tag must be string, got {kind_name(tag)}")
        if tag not in self.members:
            raise Invalid(f"unknown tag '{quote(tag)}'")
        return tag

    @staticmethod
    def _inside(tag: str, kind: Kind, value: Any) -> Any:
        try:
            return kind(value)
        except Invalid as error:
            error.parents.append(tag)
            raise


def decode(kind: Kind, text: bytes | str) -> Any:
    """Decode JSON text as a value of this kind.

    Raises:
        Invalid: it is no JSON, or not of this kind.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("could not decode input as JSON") from None
    return kind(value)
