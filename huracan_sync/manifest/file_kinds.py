"""What a file is to the program that opens it: data only, or a program in disguise.

Pickle, and joblib and PyTorch files which are pickles inside, run code when they are opened. A signature says who
made a file, not that opening it is safe, so a channel must allow these kinds by name; `champions` does not unless told
to, and Hamilton hands out none. Pure.
"""

from __future__ import annotations

import bz2
import functools
import lzma
import re
import zlib
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pickletools import OpcodeInfo


class Kind(IntEnum):
    """The number an entry carries."""

    OPAQUE = 0
    """Bytes whose meaning only the reader knows: what neither name nor structure proves to be anything else."""
    PARQUET = 1
    JSON = 2
    ONNX = 3
    SAFETENSORS = 4
    LIGHTGBM = 5
    """LightGBM's text format."""
    XGBOOST = 6
    """XGBoost's UBJSON and JSON formats."""
    CSV = 7
    TEXT = 8
    """UTF-8 without control characters: logs, notes, names of models."""
    NUMPY = 9
    """An array of numbers."""
    ARROW = 10
    """Arrow's IPC files, Feather among them."""
    PICKLE = 30
    JOBLIB = 31


PROGRAMS = (Kind.PICKLE, Kind.JOBLIB)
DATA = tuple(kind for kind in Kind if kind not in PROGRAMS)
"""Every kind that opening cannot turn into a program, as far as anybody can tell."""
PROVABLE = tuple(kind for kind in DATA if kind is not Kind.OPAQUE)
"""Every kind whose structure says that it is data."""

SNIFF = 1024
"""How many first bytes of a file `sniff` wants."""

_BY_SUFFIX = {
    "parquet": Kind.PARQUET,
    "json": Kind.JSON,
    "onnx": Kind.ONNX,
    "safetensors": Kind.SAFETENSORS,
    "lgb": Kind.LIGHTGBM,
    "lightgbm": Kind.LIGHTGBM,
    **dict.fromkeys(("ubj", "xgb"), Kind.XGBOOST),
    **dict.fromkeys(("csv", "tsv"), Kind.CSV),
    **dict.fromkeys(("txt", "log", "md", "yaml", "yml", "toml", "ini", "jsonl", "ndjson"), Kind.TEXT),
    "npy": Kind.NUMPY,
    **dict.fromkeys(("feather", "arrow"), Kind.ARROW),
    # Pickles, and containers of them: scikit-learn, PyTorch, dill, Keras (whose Lambda layers are code), HDF5.
    **dict.fromkeys(("pkl", "pickle", "pck", "pcl", "p", "sav", "dill", "cloudpickle"), Kind.PICKLE),
    **dict.fromkeys(("pt", "pth", "ckpt", "mar", "keras", "h5", "hdf5", "npz"), Kind.PICKLE),
    **dict.fromkeys(("joblib", "jbl"), Kind.JOBLIB),
}
_PACKED = frozenset({"gz", "bz2", "xz", "lzma", "z", "zst", "lz4", "zip"})
"""Endings that say nothing of what is inside: the one before them does."""


@lru_cache(maxsize=1024)  # asked several times of each file, one file after the other
def by_name(path: str) -> Kind:
    """The kind that a file's name promises."""
    stem, *suffixes = path.rpartition("/")[2].lower().split(".")
    while suffixes and suffixes[-1] in _PACKED and len(suffixes) > 1:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1], Kind.OPAQUE) if suffixes and (stem or len(suffixes) > 1) else Kind.OPAQUE


def sniff(first: bytes, *, size: int | None = None) -> Kind | None:
    """`Kind.PICKLE` when a file that begins like this may run a program when it is opened, whatever its name says.

    Such are pickles of every protocol, with or without their mark; archives, which may hold one anywhere (PyTorch,
    Keras, NumPy); NumPy arrays of objects; and what is compressed, where a pickle comes out or nothing that can be
    looked into (joblib). Nothing is opened: the opcodes are read, not run.

    Args:
        first: how it begins, at least `SNIFF` bytes or all of it.
        size: how many bytes it has, if that is known.
    """
    is_marked = first[:1] == b"\x80" and first[1:2] <= _LAST_PROTOCOL and not _is_safetensors(first)
    if is_marked or first[:4] in _ARCHIVES or first[:2] == b"ZF" or is_tar(first):
        return Kind.PICKLE
    if first[:6] == b"\x93NUMPY":
        return None if _is_numpy(first) else Kind.PICKLE
    unpacked = _unpacked(first)
    if unpacked is not None:
        inside, is_all = unpacked
        return Kind.PICKLE if not inside or sniff(inside, size=len(inside) if is_all else None) else None
    left = len(first) < SNIFF if size is None else size <= len(first)
    return Kind.PICKLE if _reads_as_pickle(first, size=len(first) if left else size) else None


_ARCHIVES = frozenset({b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\x89HDF"})


def is_archive(last: bytes) -> bool:
    """Whether a file that ends like this is a zip archive, whatever stands before or behind it, as readers of zips see.

    Python's counts no members: the directory begins where its size says, unless there is a 64-bit record.
    """
    for end in re.finditer(rb"(?=PK\x05\x06.{8}(.{4}).{6})", last, re.DOTALL):
        at, size = end.start(), int.from_bytes(end[1], "little")
        begins = last[at - size : at - size + 4] if size <= at else b"PK\x01\x02"  # or before all of this
        if (size >= 46 and begins == b"PK\x01\x02") or last[max(0, at - 20) : at][:4] == b"PK\x06\x07":
            return True
    return False


def hidden(path: str, first: bytes, *, size: int | None = None) -> Kind | None:
    """The kind that a file's bytes give away and its name does not; None where the name tells."""
    kind = of(path, first, size=size)
    return None if kind is by_name(path) else kind


def of(path: str, first: bytes, *, size: int | None = None) -> Kind:
    """The kind to publish a file under: what its bytes give away, else what its name promises and they bear out.

    A name that promises nothing (`.bin`) is no matter: then the bytes alone tell. What cannot be proved is opaque; a
    policy may do without those. `file_proofs` goes on from here, with the whole file.
    """
    named = by_name(path)
    if named in PROGRAMS or not first:
        return named
    proof = _PROOFS.get(named)
    if proof is not None and proof(first) and named not in _OF_TEXT:
        # The length of a header may be any opcode: `N.` is a whole pickle, and harmless.
        calls = named is Kind.SAFETENSORS and _reads_as_pickle(first, size=size, up_to_a_call=True)
        return Kind.PICKLE if calls else named
    if program := sniff(first, size=size):
        return program
    if proof is not None:
        return named if proof(first) else Kind.OPAQUE
    found = next((kind for kind in _BY_CONTENT if _PROOFS[kind](first)), Kind.OPAQUE)
    # A number or a word is JSON too; where no name says so, it is some other text.
    return Kind.TEXT if found is Kind.JSON and first.lstrip()[:1] not in b"{[" else found


# --- what a file of a kind begins with ----------------------------------------------------------------------------


def _is_safetensors(first: bytes) -> bool:
    """The length of a JSON header in eight bytes, and its brace."""
    return int.from_bytes(first[:8], "little") <= 100_000_000 and first[8:9] == b"{"


def _is_json(first: bytes) -> bool:
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return text[:1] in b'{["-0123456789tfn' and not any(byte < 32 and byte not in b"\t\r\n" for byte in first)


def _is_onnx(first: bytes) -> bool:
    """A protobuf message that begins with its IR version, or with another field of a model."""
    return first[:1] == b"\x08" and 0 < first[1] < 128 if len(first) > 1 else False


def _is_xgboost(first: bytes) -> bool:
    return first[:1] == b"{" and b"learner" in first


def _is_text(first: bytes) -> bool:
    """UTF-8, perhaps cut within a character, without control characters."""
    try:
        first.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or len(first) - error.start > 3:
            return False
    return not _CONTROL.search(first)


_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def _is_numpy(first: bytes) -> bool:
    """A header that tells of numbers, not of objects."""
    header = first[10 if first[6:7] == b"\x01" else 12 :].partition(b"}")
    return bool(header[1]) and not re.search(rb"[\\\\\"#]|[:,] *'(?:[|<>=]?O[0-9]*'|object)", header[0])


def is_tar(first: bytes) -> bool:
    """What PyTorch once wrote: the header of a tar names its own checksum, of its bytes with or without their signs."""
    header, field = first[:148] + first[156:512], first[148:156]
    try:
        told = int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        told = int.from_bytes(field[field[:1] == b"\x80" :], "big", signed=field[:1] == b"\xff")
    negative = len(header) - len(header.translate(None, bytes(range(128, 256))))
    return len(first) >= 512 and sum(header) + 8 * 32 - told in {0, 256 * negative}


_PROOFS: dict[Kind, Callable[[bytes], bool]] = {
    Kind.PARQUET: lambda first: first[:4] in {b"PAR1", b"PARE"},
    Kind.JSON: _is_json,
    Kind.SAFETENSORS: _is_safetensors,
    Kind.ONNX: _is_onnx,
    Kind.LIGHTGBM: lambda first: re.match(rb"tree\r?\nversion=", first) is not None,
    Kind.XGBOOST: _is_xgboost,
    Kind.CSV: _is_text,
    Kind.TEXT: _is_text,
    Kind.NUMPY: lambda first: first[:6] == b"\x93NUMPY" and _is_numpy(first),
    Kind.ARROW: lambda first: first[:8] == b"ARROW1\x00\x00",
}
_OF_TEXT = frozenset({Kind.JSON, Kind.CSV, Kind.TEXT, Kind.LIGHTGBM})
"""Kinds whose first bytes a pickle of protocol 0, which is text, may have too."""
_BY_CONTENT = (*(kind for kind in _PROOFS if kind not in {Kind.JSON, Kind.CSV, Kind.TEXT}), Kind.JSON, Kind.TEXT)


def _unpacked(first: bytes) -> tuple[bytes, bool] | None:
    """How what is compressed begins, empty where nobody here can tell, and whether that is all; None: it is not."""
    try:
        if first[:1] == b"\x78" and len(first) > 1 and int.from_bytes(first[:2], "big") % 31 == 0:
            return _some(zlib.decompressobj(), first)
        if first[:2] == b"\x1f\x8b":
            return _some(zlib.decompressobj(31), first)
        if first[:6] == b"\xfd7zXZ\x00" or first[:2] == b"\x5d\x00":
            return _some(lzma.LZMADecompressor(memlimit=64 << 20), first)
        if first[:3] == b"BZh":
            return _some(bz2.BZ2Decompressor(), first)
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return None if first[:1] in b"\x78\x5d" else (b"", False)
    return (b"", False) if first[:4] in {b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"} else None


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _some(packed: _Decompressor, first: bytes) -> tuple[bytes, bool]:
    return packed.decompress(first, SNIFF), packed.eof


# --- what a pickle looks like -------------------------------------------------------------------------------------

_LAST_PROTOCOL = b"\x10"
"""Python knows protocols 0 to 5 and refuses every other number; some to come are taken for programs too. Numbers as
models hold them often begin with 80 and a larger byte."""
_FIRST = frozenset(
    b"().012BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
    b"\x90\x91\x92\x93\x94\x95\x96\x97\x98"
)
"""Every opcode. What begins otherwise is no pickle, which most files show."""
_LEAST_OPCODES = 16
"""How many opcodes must fit for the beginning of a longer file to be taken for a pickle without its mark."""
_MOST_OPCODES = 100_000
"""No other file reads as so many."""
_LONG_LINE = 64 * 1024
_IN_NUMBERS = b"0123456789abcdefABCDEFxXoOlLinfINFtyTY_.+- \t\r\v\f"
_INTEGER = re.compile(rb"\s*[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)L?\s*")
_FLOAT = re.compile(rb"\s*[+-]?([0-9_.]+([eE][+-]?[0-9]+)?|inf(inity)?|nan)\s*", re.IGNORECASE)
_LINES: dict[str, re.Pattern[bytes]] = {
    "INT": _INTEGER,
    "LONG": _INTEGER,
    "GET": _INTEGER,
    "PUT": _INTEGER,
    "FLOAT": _FLOAT,
    "STRING": re.compile(rb"\s*('.*'|\".*\")\s*", re.DOTALL),
    "UNICODE": re.compile(rb".*", re.DOTALL),
    "PERSID": re.compile(rb".*", re.DOTALL),
}
"""What Python's two unpicklers take, and a little more: `pickletools` takes less."""
_NAME = re.compile(r"[\w.]+")
_TO_NEWLINE = -1
_COUNTED = {-2: 1, -3: 4, -4: 4, -5: 8}
"""Bytes of the length before an argument, by what `pickletools` calls the size of the argument."""


@functools.cache
def _opcodes() -> dict[int, OpcodeInfo]:
    import pickletools  # noqa: PLC0415 - start-up time: hardly any file is asked

    return {ord(each.code): each for each in pickletools.opcodes}


class _Cut(Exception):
    """The bytes end within an opcode; `is_telling`: as no other file than a pickle does."""

    def __init__(self, *, is_telling: bool) -> None:
        self.is_telling = is_telling


def _reads_as_pickle(first: bytes, *, size: int | None, up_to_a_call: bool = False) -> bool:
    """Whether an unpickler would find an opcode everywhere, with what it needs on the stack, up to a call or the end.

    Args:
        first: how the file begins.
        size: how many bytes it has; None: nobody knows, and more than these.
        up_to_a_call: an end without any call does not count.
    """
    if first[:1] and first[0] not in _FIRST:
        return False
    depth, count, at, opcodes = 0, 0, 0, _opcodes()
    marks: list[int] = []
    is_whole = size is not None and size <= len(first)
    while at < len(first):
        opcode = opcodes.get(first[at])
        if opcode is None or count == _MOST_OPCODES:
            return opcode is not None
        try:
            end = _argument_end(opcode, first, at + 1, size)
        except _Cut as cut:
            return not is_whole and (count >= _LEAST_OPCODES or cut.is_telling)
        if end < 0:
            return False
        depth, stands = _effect(opcode, depth, marks)
        if not stands:
            return False
        at, count = end, count + 1
        if opcode.name in {"INST", "STACK_GLOBAL", "REDUCE", "STOP"}:
            return opcode.name != "STOP" or (count > 1 and not up_to_a_call)
    return not is_whole and count >= _LEAST_OPCODES


def _effect(opcode: OpcodeInfo, depth: int, marks: list[int]) -> tuple[int, bool]:
    """How deep the stack is after an opcode, and whether it held what the opcode takes."""
    if opcode.name == "POP" and marks and depth == marks[-1]:
        marks.pop()  # as both unpicklers have it
        return depth, True
    before = [each.name for each in opcode.stack_before]
    needed = len(before)
    if "mark" in before:
        if not marks:
            return depth, False
        depth, needed = marks.pop(), before.index("mark")
    if depth < needed:
        return depth, False
    if opcode.name == "MARK":
        marks.append(depth)
        return depth, True
    return depth - needed + len(opcode.stack_after), True


def _argument_end(opcode: OpcodeInfo, first: bytes, at: int, size: int | None) -> int:
    """Where an opcode's argument ends; -1 where it cannot have that one.

    Raises:
        _Cut: it ends behind `first`.
    """
    count = opcode.arg.n if opcode.arg else 0
    if count == _TO_NEWLINE:
        return _line_end(opcode, first, at)
    if count >= 0:
        length = count
    else:
        width = _COUNTED[count]
        if at + width > len(first):
            raise _Cut(is_telling=False)
        length = width + int.from_bytes(first[at : at + width], "little")
    if at + length > len(first):
        # A length that the file has is no accident: of other bytes it would be some enormous number.
        raise _Cut(is_telling=size is not None and length > SNIFF and at + length <= size)
    return at + length


def _line_end(opcode: OpcodeInfo, first: bytes, at: int) -> int:
    end = first.find(b"\n", at)
    if end < 0:
        is_number = opcode.name in {"INT", "LONG", "FLOAT"} and not first[at:].translate(None, _IN_NUMBERS)
        quoted = opcode.name == "STRING" and first[at : at + 1] in {b"'", b'"'}
        raise _Cut(is_telling=quoted or ((is_number or opcode.name == "UNICODE") and len(first) - at >= _LONG_LINE))
    if opcode.name not in {"GLOBAL", "INST"}:
        return end + 1 if _LINES[opcode.name].fullmatch(first, at, end) else -1
    last = first.find(b"\n", end + 1)
    if last < 0:
        raise _Cut(is_telling=False)
    try:
        names = first[at:end].decode(), first[end + 1 : last].decode()
    except UnicodeDecodeError:
        return -1
    return last + 1 if all(map(_NAME.fullmatch, names)) else -1
