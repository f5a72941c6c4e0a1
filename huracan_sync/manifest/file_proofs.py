"""Whether a file is what its name and its first bytes say, by the structure of all of it. Pure.

`file_kinds` tells from how a file begins; that is enough for what is merely stored. What a trading process opens is
looked into whole, once, where it is published. Nothing is opened by the library that will open it, and nothing is run:
a structure that cannot be followed to its end makes the file opaque.
"""

from __future__ import annotations

import codecs
import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.file_kinds import Kind

Read = Callable[[int, int], bytes]
"""The bytes at an offset, so many of them, fewer at the end."""
BEGINNING = 4 * 1024 * 1024
_PIECE = 1024 * 1024
_LONGEST_END = 22 + 65_535
"""Bytes in the longest end record of a zip archive, with the comment behind it."""
_IN_MEMORY = 512 * 1024 * 1024
"""A larger file of a kind that is read as a whole is not looked into, and opaque."""
_DEEPEST = 64


class _Other(Exception):
    """It is not what it is taken for."""


def examine(path: str, size: int, read: Read) -> Kind:
    """The kind of a file, proved by its structure.

    Args:
        path: what it is called.
        size: bytes.
        read: reads it.
    """
    first = read(0, min(size, BEGINNING))
    kind = file_kinds.of(path, first, size=size)
    if kind in file_kinds.PROGRAMS:
        return kind
    last = read(max(0, size - _LONGEST_END), _LONGEST_END)
    if file_kinds.is_tar(first) or file_kinds.is_archive(last) or _is_hdf5(size, read):
        return Kind.PICKLE
    proof = _PROOFS.get(kind)
    if proof is None or not size:
        return kind
    try:
        proof(size, read)
    except (_Other, ValueError, RecursionError, struct.error, LookupError, TypeError, AttributeError):
        return Kind.OPAQUE
    return kind


def _is_hdf5(size: int, read: Read) -> bool:
    """HDF5 (Keras) is also found behind a block of the user's, at a power of two."""
    at = 512
    while at < size:
        if read(at, 8) == b"\x89HDF\r\n\x1a\n":
            return True
        at *= 2
    return False


def _whole(size: int, read: Read) -> bytes:
    if size > _IN_MEMORY:
        raise _Other
    return read(0, size)


def _must(it_is: object) -> None:
    if not it_is:
        raise _Other


# --- text ---------------------------------------------------------------------------------------------------------

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")


def _text(size: int, read: Read) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, size, _PIECE):
        piece = read(at, min(_PIECE, size - at))
        _must(not _CONTROL.search(decoder.decode(piece, final=at + _PIECE >= size)))


def _json(size: int, read: Read) -> None:
    json.loads(_whole(size, read).decode("utf-8-sig"))


def _lightgbm(size: int, read: Read) -> None:
    _text(size, read)


# --- tables and arrays --------------------------------------------------------------------------------------------


def _parquet(size: int, read: Read) -> None:
    length, magic = struct.unpack("<I4s", read(size - 8, 8))
    _must(size >= 12 and magic == read(0, 4) and length <= size - 12)


def _arrow(size: int, read: Read) -> None:
    length, magic = struct.unpack("<i6s", read(size - 10, 10))
    _must(magic == b"ARROW1" and 0 < length <= size - 18)


_ITEM = r"'[|<>=]?(?:[?]|[bBiufc](?:[0-9]{1,2})?|[SUV][0-9]{1,9}|[mM]8(?:\[[0-9]{0,9}[a-zA-Z]{1,2}\])?)'"
_SHAPE = r"\((?:[0-9]+L?, ?)*(?:[0-9]+L?)?\)"
_FIELD = rf"\((?:'[^']*'|\('[^']*', '[^']*'\)), {_ITEM}(?:, {_SHAPE}|, [0-9]+)?\)"
_RECORD = re.compile(rf"\[{_FIELD}(?:, {_FIELD})*\]")
_HEADER = re.compile(rf"\{{'descr': {_ITEM}, 'fortran_order': (?:True|False), 'shape': {_SHAPE}, *\}} *\n")
_LONGEST_HEADER = 64 * 1024


def _numpy(_size: int, read: Read) -> None:
    """A header as NumPy writes it, of items without objects; the size of the file says how many there are."""
    width = 2 if read(6, 1) == b"\x01" else 4
    length = int.from_bytes(read(8, width), "little")
    _must(length <= _LONGEST_HEADER)
    header, records = read(8 + width, length).decode("utf-8" if read(6, 1) == b"\x03" else "latin-1"), _DEEPEST
    _must("\\" not in header)
    while not _HEADER.fullmatch(header):
        header, found = _RECORD.subn("'V1'", header)  # the innermost ones
        records -= 1
        _must(found and records)


def _safetensors(size: int, read: Read) -> None:
    """Every tensor lies where the header says, one behind the other, up to the last byte."""
    length = int.from_bytes(read(0, 8), "little")
    _must(length <= min(100_000_000, size - 8))
    header: dict[str, Any] = json.loads(read(8, length))
    metadata = header.pop("__metadata__", {})
    _must(all(isinstance(each, str) for each in metadata.values()))
    end = 0
    for start, stop in sorted(tensor["data_offsets"] for tensor in header.values()):
        _must(start == end <= stop)
        end = stop
    _must(8 + length + end == size)


# --- models -------------------------------------------------------------------------------------------------------


def _xgboost(size: int, read: Read) -> None:
    """An object with a `learner`, in JSON or in UBJSON."""
    data = _whole(size, read)
    if data[1:2] in b'"\t\r\n ':
        _must("learner" in json.loads(data.decode()))
        return
    names: list[bytes] = []
    end = _ubj_value(data, 0, _DEEPEST, names)
    _must(end == size and b"learner" in names)


_UBJ_SIZES = {b"i": 1, b"U": 1, b"I": 2, b"u": 2, b"l": 4, b"m": 4, b"L": 8, b"M": 8, b"d": 4, b"D": 8, b"C": 1}
_UBJ_SIZES |= dict.fromkeys((b"Z", b"N", b"T", b"F"), 0)
_UBJ_NUMBERS = {b"i": "b", b"U": "B", b"I": ">h", b"l": ">i", b"L": ">q"}


def _ubj_length(data: bytes, at: int) -> tuple[int, int]:
    marker = data[at : at + 1]
    (number,) = struct.unpack_from(_UBJ_NUMBERS[marker], data, at + 1)
    _must(0 <= number <= len(data))
    return number, at + 1 + _UBJ_SIZES[marker]


def _ubj_value(data: bytes, at: int, deep: int, names: list[bytes], *, marker: bytes = b"") -> int:
    """Where a value ends; the names of the outermost object are added to `names`."""
    _must(deep)
    if not marker:
        marker, at = data[at : at + 1], at + 1
    if marker in _UBJ_SIZES:
        return at + _UBJ_SIZES[marker]
    if marker in {b"S", b"H"}:
        length, at = _ubj_length(data, at)
        return at + length
    _must(marker in {b"{", b"["})
    close = b"}" if marker == b"{" else b"]"
    typed, count = b"", -1
    if data[at : at + 1] == b"$":
        typed, at = data[at + 1 : at + 2], at + 2
    if data[at : at + 1] == b"#":
        count, at = _ubj_length(data, at + 1)
    if close == b"]" and typed in _UBJ_SIZES and count >= 0:
        return at + count * _UBJ_SIZES[typed]
    inner: list[bytes] = []
    while count != 0 and not (count < 0 and data[at : at + 1] == close):
        _must(at < len(data))
        if close == b"}":
            length, at = _ubj_length(data, at)
            names.append(data[at : at + length])
            at += length
        at = _ubj_value(data, at, deep - 1, inner, marker=typed)
        count -= 1
    return at if count == 0 else at + 1


def _onnx(size: int, read: Read) -> None:
    """A protobuf message of a graph whose tensors all lie in it: none is a path to another file."""
    data = memoryview(_whole(size, read))
    found = set()
    for number, value in _fields(data):
        found.add(number)
        if number in _INSIDE["model"]:
            _no_external(value, _INSIDE["model"][number], _DEEPEST)
    _must({1, 7} <= found)


_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Where tensors lie in an ONNX model: by message, the fields that hold another message."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def _no_external(data: memoryview | int, message: str, deep: int) -> None:
    _must(isinstance(data, memoryview) and deep)
    inside = _INSIDE[message]
    for number, value in _fields(data):  # type: ignore[arg-type]  # checked above
        if message == "tensor":
            _must(number != _EXTERNAL_DATA and not (number == _DATA_LOCATION and value))
        elif number in inside:
            _no_external(value, inside[number], deep - 1)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a protobuf message: number and value."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        _must(number)
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        else:
            length = {1: 8, 5: 4}[wire]
        _must(at + length <= len(data))
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise _Other


_PROOFS: dict[Kind, Callable[[int, Read], None]] = {
    Kind.PARQUET: _parquet,
    Kind.JSON: _json,
    Kind.ONNX: _onnx,
    Kind.SAFETENSORS: _safetensors,
    Kind.LIGHTGBM: _lightgbm,
    Kind.XGBOOST: _xgboost,
    Kind.CSV: _text,
    Kind.TEXT: _text,
    Kind.NUMPY: _numpy,
    Kind.ARROW: _arrow,
}
