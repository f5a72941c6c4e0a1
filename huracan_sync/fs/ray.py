"""Ray Data writes a dataset with one commit: each write task stages its part, the driver commits them all.

    ray.data.range(1000).write_datasink(StagedParquet("/runs/today", channel="training"))

The only module that imports Ray.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from ray.data.block import BlockAccessor
from ray.data.datasource import Datasink

from huracan_sync.auth.connect import connect
from huracan_sync.operations.commit import commit
from huracan_sync.operations.push import PushReport
from huracan_sync.operations.stage import stage


class StagedParquet(Datasink):
    """Parquet files below one folder; all of them are in place, and signed, when the write returns."""

    def __init__(self, folder: str, *, profile: str = "engine", channel: str | None = None, share: float = 0.5) -> None:
        """Lend the workers a grant.

        Args:
            folder: where the files go.
            profile: the driver's login.
            channel: as in `commit`.
            share: how much of the login's rate each worker may use.
        """
        self._folder = folder
        self._profile = profile
        self._channel = channel
        self._grant = connect(profile).lend(share=share)
        self.report: PushReport | None = None
        """What the commit came to."""

    def write(self, blocks: Iterable[Any], ctx: Any) -> bytes:
        """On a worker: stage what this task has made."""
        tables = [BlockAccessor.for_block(block).to_arrow() for block in blocks]
        content = io.BytesIO()
        pyarrow.parquet.write_table(pa.concat_tables(tables), content)
        return stage(self._grant, [(content.getvalue(), f"part-{ctx.task_idx:06}.parquet")])

    def on_write_complete(self, write_result: Any) -> None:
        """On the driver: commit every part, or raise the first error.

        Raises:
            HuracanError: a part is not in its place.
        """
        receipts = [each for each in write_result.write_returns if each]
        self.report = commit(connect(self._profile), receipts, self._folder, channel=self._channel)
        if self.report.failed:
            raise self.report.failed[0].error
