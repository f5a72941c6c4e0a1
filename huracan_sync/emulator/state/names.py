"""Names and paths as Dropbox spells them. Pure.

Laws: a path is compared in its lower-cased form; lower-casing goes code point by code point, after NFC composition, by
the tables of Unicode 4.1 (Python 2.5): `ΣΣΣ` becomes `σσσ`, and letters that got their small form later stay. A name
keeps its casing. Some names are malformed, some disallowed; nothing is repaired but composition.
"""

import unicodedata
from collections.abc import Iterator

MAX_NAME = 255  # UTF-16 units of one component: an emoji counts as two

# What Dropbox clients ignore and its servers refuse, in any case.
DISALLOWED = frozenset({"desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"})

# Capital letters whose small letter came after Unicode 4.1, as first and last code point of a run. Derived from the
# ages in the Unicode character database.
_YOUNGER = (
    (0x23A, 0x23A), (0x23E, 0x23E), (0x241, 0x24E), (0x370, 0x372), (0x376, 0x376), (0x37F, 0x37F), (0x3CF, 0x3CF),
    (0x3FD, 0x3FF), (0x4C0, 0x4C0), (0x4FA, 0x4FE), (0x510, 0x52E), (0x10C7, 0x10C7), (0x10CD, 0x10CD),
    (0x13A0, 0x13F5), (0x1C90, 0x1CBA), (0x1CBD, 0x1CBF), (0x1E9E, 0x1E9E), (0x1EFA, 0x1EFE), (0x2132, 0x2132),
    (0x2183, 0x2183), (0x2C2F, 0x2C2F), (0x2C60, 0x2C64), (0x2C67, 0x2C72), (0x2C75, 0x2C75), (0x2C7E, 0x2C7F),
    (0x2CEB, 0x2CED), (0x2CF2, 0x2CF2),
)  # fmt: skip
# Every capital of Unicode 4.1 lies in one of these stretches; what lies beyond is younger.
_CASED = ((0x80, 0x2D00), (0xFF21, 0xFF3B), (0x10400, 0x10428))


def _older() -> Iterator[int]:
    for first, end in _CASED:
        for point in range(first, end):
            if not any(low <= point <= high for low, high in _YOUNGER):
                yield point


_LOWER = {point: small for point in _older() if len(small := chr(point).lower()) == 1 and small != chr(point)}
_LOWER[0x130] = "i"  # İ has a one-letter small form in the tables, and a two-letter one in today's Python
_LOWER.update({point: chr(point + 32) for point in range(0x41, 0x5B)})


def lower(text: str) -> str:
    """Return a name or path in the form in which it is compared."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def compose(text: str) -> str:
    """Return a name or path as it is stored: NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def flaw(name: str, *, astral: bool = True) -> str | None:
    """Return the tag by which a name is refused, or None. `astral` allows characters beyond the BMP."""
    if name in {"", ".", ".."} or _units(name) > MAX_NAME or name.endswith(" "):
        return "malformed_path"
    if "\\" in name or "\x7f" in name or "\0" in name:
        return "malformed_path"
    if not astral and any(ord(char) > 0xFFFF for char in name):
        return "malformed_path"
    return "disallowed_name" if lower(name) in DISALLOWED or _is_temporary(lower(name)) else None


def _units(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode("utf-16-le", "surrogatepass")) // 2


def _is_temporary(name: str) -> bool:
    """Return whether a lower-cased name never syncs: a temporary file, or the lock of an office program."""
    return name.startswith(("~$", ".~")) or (name.startswith("~") and name.endswith(".tmp"))


def numbered(name: str, number: int) -> str:
    """Return `file (1).txt`: the form of autorename for add, overwrite, create_folder, move and copy."""
    stem, ending = extension(name)
    return f"{stem} ({number}){ending}"


def conflicted(name: str, person: str, number: int) -> str:
    """Return `file (NAME's conflicted copy).txt`: the form of autorename for update; a second one has a number."""
    stem, ending = extension(name)
    more = f" {number}" if number else ""
    return f"{stem} ({person}'s conflicted copy{more}){ending}"


def extension(name: str) -> tuple[str, str]:
    """Split a name before its last dot; a leading dot begins no extension."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")
