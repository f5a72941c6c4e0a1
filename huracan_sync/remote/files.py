"""Files in Dropbox: upload, download, copy, move. One request each, but for `relocate`, which works in jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from huracan_sync.errors import Conflict, ContentMismatch, HuracanError, ServiceFault
from huracan_sync.remote.async_jobs import run_batch, verdict_of_entry
from huracan_sync.remote.client import Download, Ranged, Remote
from huracan_sync.remote.errors import DOWNLOAD_ZIP
from huracan_sync.remote.listing import (
    DeletedMetadata,
    FileMetadata,
    FolderMetadata,
    Metadata,
    timestamp,
)
from huracan_sync.tree.content_hash import content_hash

UPLOAD = "files/upload"
DOWNLOAD = "files/download"

OVERWRITE = "overwrite"
"""Whatever lies there is replaced; Dropbox keeps its revision."""
ADD = "add"
"""Nothing may lie there, unless it is the same content."""


def replacing(rev: str) -> dict[str, str]:
    """The mode that replaces exactly this revision."""
    return {".tag": "update", "update": rev}


class Commit(msgspec.Struct, frozen=True):
    """Where content goes and what it may replace."""

    path: str
    mode: str | dict[str, str]
    client_modified: str
    strict_conflict: bool = False
    mute: bool = True


def commit_of(path: str, client_modified: str, *, replaces_rev: str | None) -> Commit:
    """A commit that adds a new file, or replaces exactly the revision that was seen; never anything else."""
    mode: str | dict[str, str] = "add" if replaces_rev is None else {".tag": "update", "update": replaces_rev}
    return Commit(path, mode, client_modified)


def put(
    remote: Remote,
    path: str,
    content: bytes,
    *,
    mode: str | dict[str, str] = OVERWRITE,
    mtime_ms: int | None = None,
    strict: bool = False,
) -> FileMetadata:
    """Put content at a path: one request, up to 150 MiB. With `strict`, the same content in the way is a conflict too.

    Raises:
        Conflict: `mode` does not allow to replace what lies there.
        ContentMismatch: Dropbox holds other bytes than were sent.
    """
    digest = content_hash(content).hex()
    arg: dict[str, Any] = {"path": path, "mode": mode, "mute": True, "content_hash": digest}
    if strict:
        arg["strict_conflict"] = True
    if mtime_ms is not None:
        arg["client_modified"] = timestamp(mtime_ms)
    uploaded = remote.send(UPLOAD, arg, content, FileMetadata, commit=True)
    if uploaded.content_hash != digest or uploaded.size != len(content):
        raise ContentMismatch(f"Dropbox holds other bytes of {path} than were sent", path=path)
    return uploaded


def upload(remote: Remote, commit: Commit, content: bytes, digest: bytes) -> FileMetadata:
    """Upload content as a commit says: one request, up to 150 MiB. The caller compares what Dropbox holds.

    Raises:
        Conflict: the commit does not allow to replace what lies there.
    """
    arg = {**msgspec.structs.asdict(commit), "content_hash": digest.hex()}
    return remote.send(UPLOAD, arg, content, FileMetadata, commit=True)


def swap(remote: Remote, path: str, content: bytes, *, replaces_rev: str | None) -> FileMetadata:
    """Replace exactly the revision that was seen (None: nothing); never tried twice.

    Raises:
        Conflict: something else lies there.
        Unreachable, ServiceFault: with the fact `committed=None` where nobody knows whether it took effect.
    """
    arg = {
        "path": path,
        "mode": ADD if replaces_rev is None else replacing(replaces_rev),
        # Otherwise Dropbox takes equal content, or a file that is gone, for what was meant.
        "strict_conflict": True,
        "mute": True,
        "content_hash": content_hash(content).hex(),
    }
    return remote.send(UPLOAD, arg, content, FileMetadata, commit=True, repeatable=False)


def fetch(remote: Remote, path: str, *, limit: int, part: Ranged | None = None) -> tuple[FileMetadata, bytes]:
    """The content at a path (or `rev:...`), verified by its hash when it is whole.

    Raises:
        NotFound: nothing lies there.
        ContentMismatch: other bytes came than Dropbox describes.
    """
    described, content = download(remote, path, limit=limit, part=part)
    if part is None and described.content_hash != content_hash(content).hex():
        raise ContentMismatch(f"{path} arrived with other bytes than Dropbox describes", path=path)
    return described, content


def download(remote: Remote, path: str, *, limit: int, part: Ranged | None = None) -> tuple[FileMetadata, bytes]:
    """As `fetch`, but the caller compares the bytes with the hash."""
    return remote.fetch(DOWNLOAD, {"path": path}, FileMetadata, limit=limit, part=part)


def download_range(remote: Remote, path: str, part: Ranged) -> Iterator[tuple[FileMetadata, int, memoryview]]:
    """A part of a file, piece by piece: what describes the whole file, where the piece begins, and the piece.

    Raises:
        NotFound: nothing lies there.
    """
    return remote.pieces(DOWNLOAD, {"path": path}, FileMetadata, part)


def open_download(remote: Remote, path: str) -> Download:
    """A file whose bytes are still on the wire. Use as a context manager.

    Raises:
        NotFound: nothing lies there.
    """
    return remote.stream(DOWNLOAD, {"path": path})


def open_zip(remote: Remote, folder: str) -> Download:
    """A folder with everything below it as a zip, still on the wire. Use as a context manager.

    Raises:
        NotFound: there is no such folder.
        CallRefused, ServiceFault: it is too large, or holds too many files.
    """
    return remote.stream(DOWNLOAD_ZIP, {"path": folder})


def create_folder(remote: Remote, path: str) -> bool:
    """Make a folder; False when it was there.

    Raises:
        Conflict: a file lies there.
    """
    try:
        remote.rpc("files/create_folder_v2", {"path": path}, msgspec.Raw, commit=True)
    except Conflict as error:
        if error.facts.get("with_") != "folder":
            raise
        return False
    return True


class _Allocation(msgspec.Struct):
    allocated: int = 0


class _Usage(msgspec.Struct):
    used: int
    allocation: _Allocation


def quota(remote: Remote) -> tuple[int, int]:
    """Bytes the account uses, and bytes it has; needs the scope `account_info.read`."""
    usage = remote.rpc("users/get_space_usage", None, _Usage)
    return usage.used, usage.allocation.allocated


class _Relocated(msgspec.Struct):
    metadata: FileMetadata | FolderMetadata | DeletedMetadata


def copy(remote: Remote, source: str, target: str) -> FileMetadata:
    """Copy a file inside Dropbox; nothing may lie at the target.

    Raises:
        Conflict: something lies there.
        NotFound: nothing lies at the source.
    """
    copied = relocate_one(remote, source, target, keep=True)
    if not isinstance(copied, FileMetadata):
        raise Conflict(f"{source} is no file", path=source)
    return copied


def relocate_one(remote: Remote, source: str, target: str, *, keep: bool) -> FileMetadata | FolderMetadata:
    """Copy (or move) a file, or a folder with all that is in it, inside Dropbox; nothing may lie at the target.

    Raises:
        Conflict: something lies there.
        NotFound: nothing lies at the source.
    """
    route = "files/copy_v2" if keep else "files/move_v2"
    arg = {"from_path": source, "to_path": target}
    relocated = remote.rpc(route, arg, _Relocated, commit=True).metadata
    if isinstance(relocated, DeletedMetadata):
        raise ServiceFault(f"Dropbox says that {target} is gone right after {route}", path=target)
    return relocated


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
    entries = [{"from_path": source, "to_path": target} for source, target in pairs]
    done = run_batch(remote, f"{route}_v2", f"{route}/check_v2", entries, sleep=sleep)
    return [_relocated(route, entry) for entry in done]


def _relocated(route: str, entry: dict[str, Any]) -> FileMetadata | HuracanError:
    if (verdict := verdict_of_entry(route, entry)) is not None:
        return verdict.error
    relocated = msgspec.convert(entry["success"], Metadata)
    return relocated if isinstance(relocated, FileMetadata) else Conflict("that is no file", route=route)


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
