"""About how many requests a plan's copies will take: for a dry run, which sends none. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.plan import Copy

WHOLE = 2 * BLOCK_SIZE
"""Bytes up to which a file is moved in one piece, and of a part of a larger one."""
SINGLES = 2
"""Up to so many small files are sent one by one; more in batches."""
IN_A_BATCH = 55
"""Small files whose arguments fit one header."""
IN_A_COMMIT = 1000
FEWEST_ZIPPED = 6
"""From so many small files on, a folder comes as a zip."""
ZIP_BYTES = 256 * 1024 * 1024
RANGE = 64 * BLOCK_SIZE
"""Bytes of the longest range of a download."""


def uploads(copies: Sequence[Copy]) -> int:
    """Requests that these uploads take, if nothing has to be tried again."""
    small = [step.entry.size for step in copies if step.entry.size <= WHOLE]
    large = [step.entry.size for step in copies if step.entry.size > WHOLE]
    requests = len(small)
    if len(small) > SINGLES:
        appends = max(_parts(len(small), IN_A_BATCH), _parts(sum(small), WHOLE))
        requests = appends + 2 * _parts(len(small), IN_A_COMMIT)
    return requests + sum(_parts(size, WHOLE) + 2 for size in large)


def downloads(copies: Sequence[Copy]) -> int:
    """The same of downloads."""
    small = [step.entry.size for step in copies if step.entry.size <= WHOLE]
    large = [step.entry.size for step in copies if step.entry.size > WHOLE]
    zipped = max(1, _parts(sum(small), ZIP_BYTES)) if len(small) >= FEWEST_ZIPPED else len(small)
    return zipped + sum(_parts(size, RANGE) for size in large)


def batches(count: int) -> int:
    """Requests that so many files take which are moved, copied or deleted inside Dropbox: a job, and a look at it."""
    return 2 * _parts(count, IN_A_COMMIT)


def _parts(whole: int, part: int) -> int:
    return -(-whole // part)
