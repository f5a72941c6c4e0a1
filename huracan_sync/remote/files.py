"""One file at a time: put, fetch, copy, list a folder. One request each, however it is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from huracan_sync.errors import Conflict, ContentMismatch, HuracanError
from huracan_sync.remote.async_jobs import MOST, carry_out
from huracan_sync.remote.client import Ranged, Remote
from huracan_sync.remote.errors import judge_failure
from huracan_sync.remote.listing import (
    DeletedMetadata,
    FileMetadata,
    FolderMetadata,
    Metadata,
    timestamp,
)
from huracan_sync.tree.content_hash import content_hash

OVERWRITE = "overwrite"
"""Whatever lies there is replaced; Dropbox keeps its revision."""
ADD = "add"
"""Nothing may lie there, unless it is the same content."""


def replacing(rev: str) -> dict[str, str]:
    """The mode that replaces exactly this revision."""
    return {".tag": "update", "update": rev}


def put(
    remote: Remote, path: str, content: bytes, *, mode: str | dict[str, str] = OVERWRITE, mtime_ms: int | None = None
) -> FileMetadata:
    """Put content at a path: one request, up to 150 MiB.

    Raises:
        Conflict: `mode` does not allow to replace what lies there.
        ContentMismatch: Dropbox holds other bytes than were sent.
    """
    digest = content_hash(content).hex()
    arg: dict[str, Any] = {"path": path, "mode": mode, "mute": True, "content_hash": digest}
    if mtime_ms is not None:
        arg["client_modified"] = timestamp(mtime_ms)
    found = remote.send("files/upload", arg, content, FileMetadata, commit=True)
    if found.content_hash != digest or found.size != len(content):
        raise ContentMismatch(f"Dropbox holds other bytes of {path} than were sent", path=path)
    return found


def fetch(remote: Remote, path: str, *, limit: int, part: Ranged | None = None) -> tuple[FileMetadata, bytes]:
    """The content at a path (or `rev:...`), verified by its hash when it is whole.

    Raises:
        NotFound: nothing lies there.
        ContentMismatch: other bytes came than Dropbox describes.
    """
    described, content = remote.fetch("files/download", {"path": path}, FileMetadata, limit=limit, part=part)
    if part is None and described.content_hash != content_hash(content).hex():
        raise ContentMismatch(f"{path} arrived with other bytes than Dropbox describes", path=path)
    return described, content


class _Relocated(msgspec.Struct):
    metadata: FileMetadata | FolderMetadata | DeletedMetadata


def copy(remote: Remote, source: str, target: str) -> FileMetadata:
    """Copy a file inside Dropbox; nothing may lie at the target.

    Raises:
        Conflict: something lies there.
        NotFound: nothing lies at the source.
    """
    arg = {"from_path": source, "to_path": target}
    found = remote.rpc("files/copy_v2", arg, _Relocated, commit=True).metadata
    if not isinstance(found, FileMetadata):
        raise Conflict(f"{source} is no file", path=source)
    return found


def move(remote: Remote, source: str, target: str) -> FileMetadata:
    """Move a file inside Dropbox; nothing may lie at the target.

    Raises:
        Conflict: something lies there.
        NotFound: nothing lies at the source.
    """
    arg = {"from_path": source, "to_path": target}
    found = remote.rpc("files/move_v2", arg, _Relocated, commit=True).metadata
    if not isinstance(found, FileMetadata):
        raise Conflict(f"{source} is no file", path=source)
    return found


def relocate(
    remote: Remote,
    pairs: Sequence[tuple[str, str]],
    *,
    keep: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> list[FileMetadata | HuracanError]:
    """Copy (or move) many files inside Dropbox, in jobs of a thousand; each succeeds or fails alone.

    Args:
        remote: the login.
        pairs: source and target paths; nothing may lie at a target.
        keep: copy them; else they are moved.
        sleep: waits that many seconds between looks at a job.
    """
    route = "files/copy_batch" if keep else "files/move_batch"
    results: list[FileMetadata | HuracanError] = []
    for at in range(0, len(pairs), MOST):
        entries = [{"from_path": source, "to_path": target} for source, target in pairs[at : at + MOST]]
        done = carry_out(remote, f"{route}_v2", f"{route}/check_v2", entries, sleep=sleep)
        results += [_relocated(route, entry) for entry in done]
    return results


def _relocated(route: str, entry: dict[str, Any]) -> FileMetadata | HuracanError:
    if entry.get(".tag") != "success":
        # A failure that names the step lies one deeper than other batches' do.
        failure = entry.get("failure", {})
        inner = failure.get("relocation_error", failure) if isinstance(failure, dict) else {}
        return judge_failure(route, inner).error
    found = msgspec.convert(entry["success"], Metadata)
    return found if isinstance(found, FileMetadata) else Conflict("that is no file", route=route)


class Written(msgspec.Struct):
    """What lies at a path, and when Dropbox took it, by its own clock."""

    server_modified: datetime
    content_hash: str = ""


def written(remote: Remote, path: str) -> Written:
    """When what lies at a path was written.

    Raises:
        NotFound: nothing lies there.
    """
    return remote.rpc("files/get_metadata", {"path": path}, Written)
