"""The key that receipts are sealed with. It goes out with every grant; only what was sealed with it is committed."""

from __future__ import annotations

import os
from pathlib import Path

from huracan_sync.disk.private_folder import Folder
from huracan_sync.secret import Secret

NAME = "seal"
SIZE = 32


def seal_of(home: Path) -> Secret:
    """The key in a state folder; made when there is none.

    Raises:
        UnsafePlace: the folder or the file is not ours alone.
        DiskFull, LocalFailure: the disk refused.
    """
    folder = Folder(home / "receipts")
    key = folder.read(NAME, most=SIZE)
    if key is None or len(key) != SIZE:
        with folder.locked("seal.lock"):
            key = folder.read(NAME, most=SIZE)
            if key is None or len(key) != SIZE:
                key = os.urandom(SIZE)
                folder.write(NAME, key)
    return Secret(key.hex())
