"""MessagePack read strictly: one spelling for each value, bounded, and one way to fail.

Whatever a decoder stumbles over (a wrong type, a number too large, nesting without end) becomes the caller's refusal.
What it accepts is encoded again and compared: a longer spelling of the same value is refused.
"""

from __future__ import annotations

import operator
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from huracan_sync.manifest.refusals import refused

T = TypeVar("T")

MAX_NUMBER = 2**63 - 1
MAX_MILLIS = 253_402_300_800_000  # the year 10000: every smaller time can be shown as a date

Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Ordinal = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
Millis = Annotated[int, Meta(ge=0, lt=MAX_MILLIS)]
"""Milliseconds since 1970, UTC."""
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
RootId = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""What tells one root folder from every other: made at random by `keys init`."""
KeyId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Label = Annotated[str, Meta(max_length=64, pattern=r"\A[ -~]*\Z")]
"""A few words for people. Printable ASCII, so that it cannot play tricks on a terminal."""

_encoder = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """The one spelling of a value."""
    return _encoder.encode(value)


def decode(decoder: msgspec.msgpack.Decoder[T], data: bytes, refusal: str, what: str) -> T:
    """The value spelled by `data`. Refused with the code `refusal` or `NOT_CANONICAL`; `what` names it to people."""
    try:
        value = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError, OverflowError) as error:
        raise refused(refusal, f"{what} cannot be decoded: {error}", reason=str(error)) from None
    if _encoder.encode(value) != data:
        raise refused("NOT_CANONICAL", f"{what} is not in the one spelling it may have")
    return value


def ascending(keys: list[bytes] | list[str] | list[int]) -> bool:
    """Whether each is greater than the one before."""
    return all(map(operator.lt, keys, keys[1:]))
