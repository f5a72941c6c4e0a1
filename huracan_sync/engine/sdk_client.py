"""`DropboxSync._dbx`: the official SDK's client, with the engine's eyes.

Candles are read from their one place first, whatever place is asked for; what an older writer left elsewhere is still
found. What changes something (move, copy, delete) is done exactly as it is said: a clean-up script that deletes a copy
must not hit the original.

Every download notes the revision it gave, so that writing the same path afterwards replaces exactly that revision: a
read-modify-write by the means the engine's services have always used, but nobody's update is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dropbox

from huracan_sync.engine.error_boundary import for_sdk_callers
from huracan_sync.engine.read_revisions import ReadRevisions
from huracan_sync.errors import HostilePath, NotAuthorized
from huracan_sync.remote.client import Remote
from huracan_sync.remote.sdk import SdkClient
from huracan_sync.tree.layout import Layout, candle
from huracan_sync.tree.paths import below, fold, join


class RawClient(SdkClient):
    """See the page's opening."""

    def __init__(self, remote: Remote, layout: Layout, read_revisions: ReadRevisions) -> None:
        super().__init__(remote)
        self._layout = layout
        self._read_revisions = read_revisions

    def check_and_refresh_access_token(self) -> None:
        """As the SDK does it, with errors its callers catch."""
        try:
            super().check_and_refresh_access_token()
        except NotAuthorized as error:
            raise for_sdk_callers(error) from error

    def refresh_access_token(self, *_: object, **__: object) -> None:
        """As the SDK does it, with errors its callers catch."""
        try:
            super().refresh_access_token()
        except NotAuthorized as error:
            raise for_sdk_callers(error) from error

    def files_get_metadata(self, path: str, *args: Any, **options: Any) -> Any:
        """As the SDK's; a candle is looked for in its one place first."""
        return self._first_found(super().files_get_metadata, path, args, options)

    def files_download(self, path: str, *args: Any, **options: Any) -> Any:
        """As the SDK's; a candle is looked for in its one place first."""
        try:
            found = self._first_found(super().files_download, path, args, options)
        except dropbox.exceptions.ApiError as error:
            if _is_missing(error):
                self._read_revisions.note(path, "")
            raise
        self._read_revisions.note(path, found[0].rev)
        return found

    def _first_found(self, call: Callable[..., Any], path: str, args: Any, options: Any) -> Any:
        places = self._places(path)
        for place in places[:-1]:
            try:
                return call(place, *args, **options)
            except dropbox.exceptions.ApiError as error:
                if not _is_missing(error):
                    raise
        try:
            return call(places[-1], *args, **options)
        except dropbox.exceptions.ApiError as error:
            older = self._newest_elsewhere(path) if _is_missing(error) else None
            if older is None:
                raise
        return call(older, *args, **options)

    def _places(self, path: str) -> list[str]:
        """The one place of a candle, then the place that was asked for."""
        try:
            proper = self._layout.literal(path) if path.startswith("/") else path
        except HostilePath:
            proper = path
        return [proper] if fold(proper) == fold(path) else [proper, path]

    def _newest_elsewhere(self, path: str) -> str | None:
        """Of the places where earlier writers put a candle, the one that was written last."""
        found = candle(path)
        if found is None or below(self._layout.candles, path) is None:
            return None
        there = []
        for place in found.older_places:
            try:
                there.append(super().files_get_metadata(join(self._layout.candles, place)))
            except dropbox.exceptions.ApiError as error:
                if not _is_missing(error):
                    raise
        return max(there, key=lambda item: item.server_modified).path_display if there else None


def _is_missing(error: Any) -> bool:
    reason = error.error
    return bool(reason.is_path() and reason.get_path().is_not_found())
