"""The outer form that heads and trust files share: a payload, and signatures over exactly its bytes.

    8    magic
    2    payload length L, big-endian          1    number of signatures n (1..8)
    L    payload (MessagePack)
    n *  ( 16 key id    64 Ed25519 signature )     in ascending order of key id
    in a head, or nothing: 4 length m, big-endian    m bytes of the body it names

Nothing here is trusted yet. The payload is looked into only after its signatures were counted.
"""

from __future__ import annotations

from typing import NamedTuple

from huracan_sync.manifest.canonical import ascending
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.sshsig import KEY_ID_SIZE, SIGNATURE_SIZE

MAX_SIGNATURES = 8
_FIXED = 11
_LENGTH = 4
_PAIR = KEY_ID_SIZE + SIGNATURE_SIZE


class Form(NamedTuple):
    """One of the two forms there are."""

    name: str
    magic: bytes
    namespace: str
    max_payload: int
    refusal: str
    """The code for a file that is not of this form."""
    max_carried: int = 0
    """Bytes that may follow the signatures, behind their length."""

    @property
    def max_size(self) -> int:
        """Bytes in the largest file of this form."""
        return _FIXED + self.max_payload + MAX_SIGNATURES * _PAIR + (self.max_carried and _LENGTH + self.max_carried)


class Envelope(NamedTuple):
    """A file taken apart, not yet trusted."""

    payload: bytes
    signatures: dict[bytes, bytes]
    """Signature (64 bytes) by key id (16 bytes)."""
    signed: bytes
    """The file up to the last signature."""
    carried: bytes
    """What follows; nobody has signed it."""


def unpack(form: Form, data: bytes) -> Envelope:
    """Take a file apart, or raise the form's refusal. Reads lengths only; decodes nothing."""
    if len(data) > form.max_size:
        raise refused(
            form.refusal, f"a {form.name} of {len(data)} bytes is larger than {form.max_size}", actual_bytes=len(data)
        )
    if data[:8] != form.magic:
        raise refused(form.refusal, f"a {form.name} does not begin with {form.magic!r}", actual=data[:8].hex())
    length, count = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:11], "big")
    if length > form.max_payload or not 1 <= count <= MAX_SIGNATURES:
        raise refused(
            form.refusal, f"a {form.name} claims {length} bytes and {count} signatures", length=length, count=count
        )
    end = _FIXED + length + count * _PAIR
    size = int.from_bytes(data[end : end + _LENGTH], "big")
    whole = end + _LENGTH + size if 0 < size <= form.max_carried else end
    if len(data) != whole:
        message = f"a {form.name} has {len(data)} bytes where its lengths make {whole}"
        raise refused(form.refusal, message, actual_bytes=len(data), expected_bytes=whole)
    pairs = [data[at : at + _PAIR] for at in range(_FIXED + length, end, _PAIR)]
    keys = [pair[:KEY_ID_SIZE] for pair in pairs]
    if not ascending(keys):
        raise refused(form.refusal, f"the signatures of a {form.name} are not in ascending order of key id")
    signatures = {pair[:KEY_ID_SIZE]: pair[KEY_ID_SIZE:] for pair in pairs}
    return Envelope(data[_FIXED : _FIXED + length], signatures, data[:end], data[end + _LENGTH :])
