"""The result of signing what a pair holds."""

from __future__ import annotations

import hashlib

import msgspec

from huracan_sync.transfer.journal import SignedState
from huracan_sync.transfer.progress import Failure


class SignedResult(msgspec.Struct, frozen=True):
    """The signed manifest of a pair, as it stands now."""

    state: SignedState
    made: bool = False
    """Whether a new head was made."""
    unsigned: tuple[str, ...] = ()
    """Paths of files that came from Dropbox and that nobody has signed: they are not listed either."""
    resumed_from: int = 0
    """The sequence that a machine without memory went on from, where an older head lay in its place."""
    superseded: tuple[Failure, ...] = ()
    """Files that others have changed since; the manifest lists theirs."""


def mark_of(left_out: frozenset[str]) -> bytes:
    """What tells one set of paths from another; empty for none."""
    return hashlib.sha256("\0".join(sorted(left_out)).encode()).digest() if left_out else b""
