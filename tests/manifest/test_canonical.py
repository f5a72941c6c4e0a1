"""One spelling for each value, whatever somebody wrote."""

import msgspec
import pytest
from expecting import raises

from huracan_sync.manifest.canonical import Count, Label, ascending, decode, encode


class Value(msgspec.Struct, array_like=True):
    number: Count
    label: Label = ""


DECODER = msgspec.msgpack.Decoder(Value)


def test_what_was_encoded_is_decoded():
    assert decode(DECODER, encode(Value(7, "a")), "BODY_FORMAT", "a value") == Value(7, "a")


# bytes -> the code of the refusal
REFUSED = {
    "no MessagePack": (b"\xc1", "BODY_FORMAT"),
    "nothing": (b"", "BODY_FORMAT"),
    "cut off": (encode(Value(7, "a"))[:-1], "BODY_FORMAT"),
    "another type": (msgspec.msgpack.encode(["7", "a"]), "BODY_FORMAT"),
    "a number below": (msgspec.msgpack.encode([-1, "a"]), "BODY_FORMAT"),
    "a number too large": (msgspec.msgpack.encode([2**63, "a"]), "BODY_FORMAT"),
    "text that is none": (b"\x92\x07\xa1\xff", "BODY_FORMAT"),
    "a label that moves the cursor": (msgspec.msgpack.encode([7, "\x1b[2J"]), "BODY_FORMAT"),
    "a label of two lines": (msgspec.msgpack.encode([7, "a\nb"]), "BODY_FORMAT"),
    "nesting without end": (b"\x91" * 100_000, "BODY_FORMAT"),
    "a longer spelling of a number": (b"\x92\xcd\x00\x07\xa1a", "NOT_CANONICAL"),
    "a longer spelling of a text": (b"\x92\x07\xd9\x01a", "NOT_CANONICAL"),
    "a field too many": (msgspec.msgpack.encode([7, "a", 1]), "NOT_CANONICAL"),
    "a default left out": (msgspec.msgpack.encode([7]), "NOT_CANONICAL"),
    "something behind it": (encode(Value(7, "a")) + b"\x00", "BODY_FORMAT"),
}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(data, code):
    with raises(code, match="a value"):
        decode(DECODER, data, "BODY_FORMAT", "a value")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [([], True), ([1], True), ([1, 2, 3], True), ([1, 1], False), ([2, 1], False), (["a", "B"], False)],
)
def test_ascending(keys, expected):
    assert ascending(keys) is expected
