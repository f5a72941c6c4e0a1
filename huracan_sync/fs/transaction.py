"""fsspec's transaction as one batch: what is written in it is staged meanwhile and committed together at its end.

Dropbox commits up to a thousand files in one call under one lock. It is no atomic change: each file succeeds or fails
alone, and a reader may see some before others. What must be seen all or not at all is published with a signed head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsspec.transaction import Transaction

from huracan_sync.fs.commits import Batch

if TYPE_CHECKING:
    from huracan_sync.fs.writable import WritableFileSystem


class BatchTransaction(Transaction):
    """The files of one transaction."""

    def __init__(self, fs: WritableFileSystem) -> None:
        super().__init__(fs)
        self._fs = fs
        self.batch = Batch(fs.account)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: one is under way: what it holds would be forgotten.
        """
        if self._fs.is_in_transaction:
            raise RuntimeError("a transaction of this filesystem is under way, and they do not nest")
        super().start()
        self.batch = Batch(self._fs.account)

    def complete(self, commit: bool = True) -> None:
        """Commit everything with one call a thousand files, or nothing of it. It is over, whatever comes of it.

        Raises:
            OSError: a file was still open, so nothing was committed; or the first file that was refused.
        """
        still_open = [file for file in self.files if not file.closed]
        self.files.clear()
        self._fs.end_of_transaction()
        self.fs = None
        for file in still_open:
            file.discard()
        if commit and still_open:
            raise OSError(f"{still_open[0].path} was still open at the end of its transaction; nothing was committed")
        if commit:
            self.batch.commit()
