"""A mark on a file of this disk: its content came from Dropbox, and nobody had signed it.

The journal remembers the same; a machine that lost its state folder and kept its data has the mark. It names the
content, so a change of the file makes it another. Best effort: not every disk keeps such marks, nor every copy.
"""

from __future__ import annotations

import contextlib
import os

_NAME = "user.huracan_sync.unsigned"
_KNOWN = hasattr(os, "setxattr")  # Linux


def mark(descriptor: int, content_hash: bytes) -> None:
    """Mark an open file as a stranger's."""
    if _KNOWN:
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, _NAME, content_hash)


def marked(descriptor: int) -> bytes:
    """The content hash that an open file is marked with; empty where it is not."""
    if _KNOWN:
        with contextlib.suppress(OSError):
            return os.getxattr(descriptor, _NAME)
    return b""
