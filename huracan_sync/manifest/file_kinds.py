"""What a file is to whoever opens it: data only, or a program in disguise.

Pickle, and joblib and PyTorch files which are pickles inside, run code when they are opened. A signature says who
made a file, not that opening it is safe, so a channel must allow these kinds by name; none does unless told to.
"""

from __future__ import annotations

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

SNIFF = 256
"""How many first bytes of a file `sniff` wants."""

_BY_SUFFIX = {
    "parquet": Kind.PARQUET,
    "json": Kind.JSON,
    "onnx": Kind.ONNX,
    "safetensors": Kind.SAFETENSORS,
    "lgb": Kind.LIGHTGBM,
    "lightgbm": Kind.LIGHTGBM,
    "ubj": Kind.XGBOOST,
    "pkl": Kind.PICKLE,
    "pickle": Kind.PICKLE,
    "pt": Kind.PICKLE,
    "pth": Kind.PICKLE,
    "joblib": Kind.JOBLIB,
}


def by_name(path: str) -> Kind:
    """The kind that a file's name promises."""
    name, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return _BY_SUFFIX.get(suffix.lower(), Kind.OPAQUE) if name and dot else Kind.OPAQUE


def sniff(first: bytes) -> Kind | None:
    """`Kind.PICKLE` when a file that begins like this is a pickle whatever its name says, else None.

    Knows pickles of protocol 2 and later and PyTorch's zip of one. Protocols 0 and 1 have no mark to know them by;
    they are refused by name only.
    """
    if first[:1] == b"\x80" and first[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return Kind.PICKLE
    if first[:4] == b"PK\x03\x04" and b"/data.pkl" in first[:SNIFF]:
        return Kind.PICKLE
    return None


def hidden(path: str, first: bytes) -> Kind | None:
    """The kind that a file's bytes give away and its name does not; None where the name tells."""
    kind = of(path, first)
    return None if kind is by_name(path) else kind


def of(path: str, first: bytes) -> Kind:
    """The kind to publish a file under: what its bytes give away, else what its name promises."""
    named = by_name(path)
    return named if named in PROGRAMS else sniff(first) or named
