"""`DropboxSync._dbx`: the official SDK's client, which knows where candles lie.

Of a candle the newest copy is read, whatever place is asked for: other writers leave copies elsewhere. One
that is uploaded goes to its one place. What else changes something (move, copy, delete) is done exactly as it is said:
a clean-up script that deletes a copy must not hit the original.

Every download notes the revision it gave, so that writing the same path afterwards replaces exactly that revision: a
read-modify-write by the means the engine's services have always used, but nobody's update is lost. It also notes the
content as one that came from Dropbox: written to this disk and pushed again, it is not signed for that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dropbox

from huracan_sync.engine.context import EngineContext
from huracan_sync.engine.error_boundary import for_sdk_callers
from huracan_sync.errors import HostilePath, NotAuthorized
from huracan_sync.remote.parallel import several
from huracan_sync.remote.sdk import SdkClient
from huracan_sync.tree.layout import candle
from huracan_sync.tree.paths import below, fold, join


class RawClient(SdkClient):
    """See the opening."""

    def __init__(self, context: EngineContext) -> None:
        super().__init__(context.remote)
        self._layout = context.layout
        self._read_revisions = context.read_revisions
        self._note_unsigned = context.note_unsigned

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Called by the SDK for every route; what it hands out of a file is noted."""
        result = super().request(*args, **kwargs)
        described = result[0] if isinstance(result, tuple) else result
        if isinstance(described, dropbox.files.GetTemporaryLinkResult):
            described = described.metadata
        if isinstance(described, dropbox.files.FileMetadata) and described is not result and described.size:
            self._note_unsigned(bytes.fromhex(described.content_hash))
        return result

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
        """As the SDK's; of a candle, the copy that was written last, wherever it lies."""
        return self._read(super().files_get_metadata, path, args, options)

    def files_download(self, path: str, *args: Any, **options: Any) -> Any:
        """As the SDK's; of a candle, the copy that was written last, wherever it lies."""
        try:
            found = self._read(super().files_download, path, args, options)
        except dropbox.exceptions.ApiError as error:
            if _is_missing(error):
                self._read_revisions.note(path, "")
            raise
        self._read_revisions.note(path, found[0].rev)
        return found

    def files_upload(self, f: bytes, path: str, *args: Any, **options: Any) -> Any:
        """As the SDK's; a candle goes to its one place, unless it is to replace a revision that it names."""
        mode = args[0] if args else options.get("mode")
        is_exact = isinstance(mode, dropbox.files.WriteMode) and mode.is_update()
        return super().files_upload(f, path if is_exact else self._proper(path) or path, *args, **options)

    def files_download_to_file(self, download_path: str, path: str, *args: Any, **options: Any) -> Any:
        """As the SDK's; of a candle, the copy that was written last, wherever it lies."""
        call = functools.partial(super().files_download_to_file, download_path)
        found = self._read(call, path, args, options)
        self._read_revisions.note(path, found.rev)
        return found

    def _read(self, call: Callable[..., Any], path: str, args: Any, options: Any) -> Any:
        return call(self._newest(path), *args, **options)

    def _newest(self, path: str) -> str:
        """Where to read what was asked for: of a candle, the copy that was written last, wherever it lies.

        Its one place on a tie, or where the contents are alike; the path itself where nothing is anywhere.
        """
        found, proper = candle(path), self._proper(path)
        if found is None or proper is None:
            return path
        older = (join(self._layout.candles, place) for place in found.older_places)
        places = list({fold(place): place for place in (proper, path, *older)}.values())
        copies = [(place, each) for place, each in zip(places, several(self._file_at, places), strict=True) if each]
        if not copies:
            return path
        newest, latest = max(copies, key=lambda copy: (copy[1].server_modified, copy[0] == proper))
        alike = [place for place, each in copies if each.content_hash == latest.content_hash]
        return proper if proper in alike else newest

    def _proper(self, path: str) -> str | None:
        """The one place of a candle; None for any other path."""
        try:
            proper = self._layout.literal(path) if path.startswith("/") else path
        except HostilePath:
            return None
        is_candle = candle(path) is not None and below(self._layout.candles, proper) is not None
        return proper if is_candle else None

    def _file_at(self, path: str) -> Any:
        """What lies at a path; None when no file does."""
        try:
            there = super().files_get_metadata(path)
        except dropbox.exceptions.ApiError as error:
            if not _is_missing(error):
                raise
            return None
        return there if isinstance(there, dropbox.files.FileMetadata) else None


def _is_missing(error: Any) -> bool:
    reason = error.error
    return bool(reason.is_path() and reason.get_path().is_not_found())
