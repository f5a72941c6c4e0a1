"""What a worker tells the driver of a file that it has staged. Pure."""

from __future__ import annotations

import msgspec

from huracan_sync.errors import UsageError


class StagedNote(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """How the file is to be put in its place."""

    overwrite: bool = True
    """Replace what lies there; else what differs stays."""
    champion: str = ""
    """Of a champion: its symbol, so that the one before it is archived first."""
    day: str = ""
    """Of a champion: the day of the archive."""

    def encoded(self) -> bytes:
        """As a receipt carries it."""
        return b"" if self == StagedNote() else msgspec.msgpack.encode(self)


def decoded(note: bytes) -> StagedNote:
    """The note of a receipt.

    Raises:
        UsageError: it is none.
    """
    try:
        return msgspec.msgpack.decode(note, type=StagedNote) if note else StagedNote()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"a receipt has a note that says nothing: {error}") from error
