"""What a transfer asks of those that carry its bytes elsewhere: workers of an executor that see the same disk.

A share is what one worker gets at a time. The methods that do the work run on a thread of the pool and wait for the
worker; the caller's thread alone goes on with what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from huracan_sync.errors import HuracanError
from huracan_sync.transfer.download_zip import Group
from huracan_sync.transfer.upload_item import UploadItem
from huracan_sync.tree.plan import Copy

if TYPE_CHECKING:
    from huracan_sync.transfer.download import Downloaded


class UploadElsewhere(Protocol):
    """Workers that put files into upload sessions."""

    def shares(self, items: Sequence[UploadItem]) -> list[list[UploadItem]]:
        """The items, a share each."""

    def stage(self, items: list[UploadItem]) -> list[HuracanError | None]:
        """Have a share staged: what was read and sent is noted in each item; for each None, or why it was not.

        Raises:
            HuracanError: nothing is known of any of them.
        """


class DownloadElsewhere(Protocol):
    """Workers that put files in their places on this disk."""

    def shares(self, zips: Sequence[Group], files: Sequence[Copy]) -> list[tuple[list[Group], list[Copy]]]:
        """Folders to be fetched as a zip, and single files, a share each."""

    def fetch(self, zips: list[Group], files: list[Copy]) -> Downloaded:
        """Have a share fetched.

        Raises:
            HuracanError: nothing is known of any of them.
        """
