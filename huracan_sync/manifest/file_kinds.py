"""What a file is to whoever opens it: data only, or a program in disguise.

Pickle, and joblib and PyTorch files which are pickles inside, run code when they are opened. A signature says who
made a file, not that opening it is safe, so a channel must allow these kinds by name; `champions` does not unless told
to, and Hamilton hands out none. Pure.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from enum import IntEnum


class Kind(IntEnum):
    """The number an entry carries."""

    OPAQUE = 0
    """Bytes whose meaning only the reader knows; text, logs and engine models named `.bin` among them."""
    PARQUET = 1
    JSON = 2
    ONNX = 3
    SAFETENSORS = 4
    LIGHTGBM = 5
    """LightGBM's text format."""
    XGBOOST = 6
    """XGBoost's UBJSON format."""
    PICKLE = 30
    JOBLIB = 31


DATA = (Kind.OPAQUE, Kind.PARQUET, Kind.JSON, Kind.ONNX, Kind.SAFETENSORS, Kind.LIGHTGBM, Kind.XGBOOST)
"""Every kind that opening cannot turn into a program."""

PROGRAMS = (Kind.PICKLE, Kind.JOBLIB)

SNIFF = 1024
"""How many first bytes of a file `sniff` wants."""

_BY_SUFFIX = {
    "parquet": Kind.PARQUET,
    "json": Kind.JSON,
    "onnx": Kind.ONNX,
    "safetensors": Kind.SAFETENSORS,
    "lgb": Kind.LIGHTGBM,
    "lightgbm": Kind.LIGHTGBM,
    "ubj": Kind.XGBOOST,
    # Pickles, and containers of them: scikit-learn, PyTorch, dill, Keras (whose Lambda layers are code), HDF5.
    **dict.fromkeys(("pkl", "pickle", "pck", "pcl", "p", "sav", "dill", "cloudpickle"), Kind.PICKLE),
    **dict.fromkeys(("pt", "pth", "ckpt", "mar", "keras", "h5", "hdf5", "npz"), Kind.PICKLE),
    **dict.fromkeys(("joblib", "jbl"), Kind.JOBLIB),
}
_PACKED = frozenset({"gz", "bz2", "xz", "lzma", "z", "zst", "lz4", "zip"})
"""Endings that say nothing of what is inside: the one before them does."""


def by_name(path: str) -> Kind:
    """The kind that a file's name promises."""
    stem, *suffixes = path.rpartition("/")[2].lower().split(".")
    while suffixes and suffixes[-1] in _PACKED and len(suffixes) > 1:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1], Kind.OPAQUE) if suffixes and (stem or len(suffixes) > 1) else Kind.OPAQUE


def sniff(first: bytes, *, is_whole: bool = False) -> Kind | None:
    """`Kind.PICKLE` when a file that begins like this may run a program when it is opened, whatever its name says.

    Such are pickles of every protocol, with or without their mark; archives, which may hold one anywhere (PyTorch,
    Keras, NumPy); NumPy arrays of objects; and what is compressed, where a pickle comes out or nothing that can be
    looked into (joblib). Nothing is opened: the opcodes are read, not run. `is_whole`: these are all bytes of the file.
    """
    if first[:1] == b"\x80" and first[1:2] <= _LAST_PROTOCOL and not _is_safetensors(first):
        return Kind.PICKLE
    if first[:4] in {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\x89HDF"}:
        return Kind.PICKLE
    if first[:6] == b"\x93NUMPY":
        return Kind.PICKLE if re.search(rb"[|<>=]?O", first[10:].partition(b"}")[0].replace(b"False", b"")) else None
    inside = _unpacked(first)
    if inside is not None:
        return Kind.PICKLE if not inside or sniff(inside) else None
    return Kind.PICKLE if _reads_as_pickle(first, is_cut=not is_whole and len(first) >= SNIFF) else None


def is_archive(last: bytes) -> bool:
    """Whether a file that ends like this is a zip archive, whatever stands before it: readers of zips look there."""
    at = last.rfind(b"PK\x05\x06")
    return at >= 0 and len(last) - at >= 22 and len(last) - at - 22 == int.from_bytes(last[at + 20 : at + 22], "little")


def hidden(path: str, first: bytes) -> Kind | None:
    """The kind that a file's bytes give away and its name does not; None where the name tells."""
    kind = of(path, first)
    return None if kind is by_name(path) else kind


def of(path: str, first: bytes) -> Kind:
    """The kind to publish a file under: what its bytes give away, else what its name promises and they bear out.

    What cannot be proved by how it begins is opaque: a policy may do without those.
    """
    named = by_name(path)
    if named in PROGRAMS:
        return named
    proof = _PROOFS.get(named)
    if proof is not None and first and proof(first):
        return named
    return sniff(first) or (Kind.OPAQUE if proof is not None and first else named)


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
    return first[:1] == b"{" and (b"learner" in first or b"version" in first)


_PROOFS: dict[Kind, Callable[[bytes], bool]] = {
    Kind.PARQUET: lambda first: first[:4] in {b"PAR1", b"PARE"},
    Kind.JSON: _is_json,
    Kind.ONNX: _is_onnx,
    Kind.SAFETENSORS: _is_safetensors,
    Kind.LIGHTGBM: lambda first: first[:4] == b"tree",
    Kind.XGBOOST: _is_xgboost,
}


def _unpacked(first: bytes) -> bytes | None:
    """How what is compressed begins; empty where nobody here can tell; None where nothing is compressed."""
    try:
        if first[:1] == b"\x78" and len(first) > 1 and int.from_bytes(first[:2], "big") % 31 == 0:
            return zlib.decompressobj().decompress(first, SNIFF)
        if first[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(first, SNIFF)
        if first[:6] == b"\xfd7zXZ\x00" or first[:3] == b"\x5d\x00\x00":
            return lzma.LZMADecompressor(memlimit=64 << 20).decompress(first, SNIFF)
        if first[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(first, SNIFF)
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return None if first[:1] in b"\x78\x5d" else b""
    return b"" if first[:4] in {b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"} else None


_LAST_PROTOCOL = b"\x10"
"""Python knows protocols 0 to 5 and refuses every other number; some to come are taken for programs too. Numbers as
models hold them often begin with 80 and a larger byte."""
_LEAST_OPCODES = 16
"""How many opcodes must fit for the beginning of a longer file to be taken for a pickle without its mark."""


def _reads_as_pickle(first: bytes, *, is_cut: bool) -> bool:
    """Whether the bytes are opcodes of a pickle, each finding on the stack what it needs."""
    import pickletools  # noqa: PLC0415 - start-up time: hardly any file is asked

    depth, count, last = 0, 0, 0
    marks: list[int] = []
    try:
        for opcode, argument, at in pickletools.genops(first):
            last = at or 0
            if opcode.name in {"GLOBAL", "INST"} and not re.fullmatch(r"[\w.]+ [\w.]+", str(argument)):
                return False
            before = [each.name for each in opcode.stack_before]
            if "mark" in before:
                if not marks:
                    return False
                depth = marks.pop()
                needed = before.index("mark")
            else:
                needed = len(before)
            if depth < needed:
                return False
            depth -= needed
            if opcode.name == "MARK":
                marks.append(depth)
            else:
                depth += len(opcode.stack_after)
            count += 1
            if opcode.name == "STOP":
                return count > 1
    except (ValueError, OverflowError, IndexError, DeprecationWarning):
        # Cut in the middle of a longer file, or no pickle: only the former ends within an opcode.
        return is_cut and count >= _LEAST_OPCODES and _ends_within_opcode(first, last)
    return False


def _ends_within_opcode(first: bytes, last: int) -> bool:
    """Whether the opcode at `last` is the last that is whole, and the next one is an opcode too."""
    import pickletools  # noqa: PLC0415 - as above

    codes = {each.code for each in pickletools.opcodes}
    for end in range(last + 1, len(first) + 1):
        try:
            for _ in pickletools.genops(first[last:end] + b"."):
                pass
        except (ValueError, DeprecationWarning):
            continue
        return end == len(first) or first[end : end + 1].decode("latin-1") in codes
    return True
