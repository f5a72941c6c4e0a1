"""list_folder cursors: opaque to clients, self-contained, and authenticated.

A cursor holds the arguments it was made with, the change number at which the listing began, and how far it has come: in
one of the phases of the first listing (folders, files, what is deleted), then in the changes since.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from hashlib import sha256

import msgspec

FOLDERS, FILES, DELETED, CHANGES = range(4)
_BEGIN = b"\x00\x01"  # so that every cursor begins with AA, as recorded ones do
_SHORTEST = 132  # bytes of payload: cursors of 195 and more characters are recorded
_NONCE = 4  # so that every answer brings another cursor, also when nothing has changed
_MAC = 12


class Scope(msgspec.Struct, array_like=True, frozen=True):
    """The arguments a cursor was made with. `folder` is a path or an id, as the client gave it."""

    account_id: str
    sandbox: str
    folder: str
    recursive: bool = False
    include_deleted: bool = False
    include_mounted: bool = True
    members: bool = False
    restorable: bool = False
    media_info: bool = False


class Cursor(msgspec.Struct, array_like=True):
    """A place in a listing."""

    scope: Scope
    epoch: int
    start: int
    phase: int
    at: int
    limit: int


_decoder = msgspec.msgpack.Decoder(Cursor)


def seal(cursor: Cursor, key: bytes) -> str:
    """Encode a cursor as text."""
    payload = msgspec.msgpack.encode(cursor)
    body = len(payload).to_bytes(4, "big") + payload
    body += b"\0" * max(0, _SHORTEST - _NONCE - len(body)) + os.urandom(_NONCE)
    mac = hmac.new(key, body, sha256).digest()[:_MAC]
    return urlsafe_b64encode(_BEGIN + mac + body).rstrip(b"=").decode()


def unseal(text: str, key: bytes) -> Cursor | None:
    """Decode a cursor; None for a text that the emulator did not issue."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (BadBase64, ValueError):
        return None
    mac, body = data[len(_BEGIN) :][:_MAC], data[len(_BEGIN) + _MAC :]
    if data[: len(_BEGIN)] != _BEGIN or not hmac.compare_digest(mac, hmac.new(key, body, sha256).digest()[:_MAC]):
        return None
    return _decoder.decode(body[4 : 4 + int.from_bytes(body[:4], "big")])
