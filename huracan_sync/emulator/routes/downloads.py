"""download, download_zip, and the refusals of thumbnails, previews and exports."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from huracan_sync.emulator.calls.call import Answer, Call, header_json, route
from huracan_sync.emulator.calls.path_faults import strike_restricted
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure, Headers
from huracan_sync.emulator.state import metadata
from huracan_sync.emulator.state.records import Extent, Revision
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.world import World

Json = dict[str, Any]
READ = "files.content.read"
_RANGE = re.compile(r"\Abytes=(\d{0,19})-(\d{0,19})\Z")
_ZIP_TOTAL = 20 * 1024**3
_ZIP_FILE = 4 * 1024**3
_ZIP_ENTRIES = 10_000
_IMAGES = {"jpg", "jpeg", "png", "tiff", "tif", "gif", "webp", "ppm", "bmp"}


def content_of(world: World, revision: Revision) -> list[Extent]:
    """Return where the bytes of a revision lie."""
    return world.blobs[revision.content_hash].extents


@route("files/download", arguments.DOWNLOAD, READ, style="download")
async def download(call: Call) -> Answer:
    """Answer with a file, a range of it, or 304."""
    revision, described = _file(call)
    described = {name: value for name, value in described.items() if name != ".tag"}
    headers = [("Dropbox-API-Result", header_json(described))]
    asked = {} if call.quirk("ignore_range") else call.headers
    answer = serve(call.world, revision, headers, asked)
    if answer.status == 416:
        raise Failure("range", "not_satisfiable")  # no recording; the official Go and Python SDKs wait for this
    return answer


def _file(call: Call) -> tuple[Revision, Json]:
    """Return the revision that a ReadPath means, and its metadata.

    Raises:
        Failure: a LookupError under `path`.
    """
    view, path = call.view, call.arg["path"]
    rev = path[4:] if path.startswith("rev:") else call.arg.get("rev")
    try:
        if rev:
            revision = view.revision(rev)
            return revision, metadata.of_revision(view, revision)
        node, revision = view.file(path)
        return revision, metadata.of(view, node)
    except Failure as failure:
        raise failure.under("path") from None


def serve(
    world: World,
    revision: Revision,
    headers: Headers,
    asked: dict[str, str],
    kind: str = "application/octet-stream",
) -> Answer:
    """Return the bytes of a revision, by the range and the ETag in the request's headers (`asked`).

    A range that begins behind the end is a 416; one that cannot be read is not looked at. Both are choices.
    """
    etag = f'W/"{revision.rev}"'
    if asked.get("if-none-match", "").strip() in {etag, etag[2:], "*"}:
        return Answer(304, [("ETag", etag)])
    size = revision.size
    span = span_of(asked.get("range"), size)
    headers = [
        ("Content-Type", kind),
        ("Accept-Ranges", "bytes"),
        ("ETag", etag),
        ("Original-Content-Length", str(size)),
        *headers,
    ]
    if span == "unsatisfiable":
        return Answer(416, [("Content-Range", f"bytes */{size}"), ("Content-Type", "text/plain; charset=utf-8")])
    first, length = span if isinstance(span, tuple) else (0, size)
    body = world.content.read(content_of(world, revision), first, length) if length else b""
    if span is None:
        return Answer(200, headers, body, size)
    return Answer(206, [("Content-Range", f"bytes {first}-{first + length - 1}/{size}"), *headers], body, length)


def span_of(ranged: str | None, size: int) -> tuple[int, int] | str | None:
    """Return first byte and length of a Range header, None for the whole file, or `unsatisfiable`."""
    match = _RANGE.match(ranged.strip()) if ranged else None
    if match is None or not any(match.groups()):
        return None
    low, high = match.groups()
    first = int(low) if low else max(0, size - int(high))
    last = min(int(high), size - 1) if high and low else size - 1
    if low and high and int(high) < first:
        return None
    return "unsatisfiable" if first >= size or (not low and high == "0") else (first, last - first + 1)


# -- zip ----------------------------------------------------------------------------------------------------------


@route("files/download_zip", arguments.READ, READ, style="download")
async def download_zip(call: Call) -> Answer:
    """Answer with a folder as a zip, written while it is sent. Names in it begin with the folder's own name."""
    try:
        folder = call.view.folder(call.arg["path"])
    except Failure as failure:
        raise failure.under("path") from None
    nodes = list(folder.walk())
    sizes = [node.revision.size for node in nodes if node.revision]
    strike_restricted(call, [node.path(call.view.root) for node in nodes if node.revision])
    if len(nodes) >= _ZIP_ENTRIES:
        raise Failure("too_many_files")
    if sum(sizes) >= _ZIP_TOTAL or max(sizes, default=0) >= _ZIP_FILE:
        raise Failure("too_large")
    described = {"metadata": metadata.of(call.view, folder, tagged=False)}
    headers = [
        ("Content-Type", "application/zip"),
        ("Content-Disposition", f'attachment; filename="{_ascii(folder.name)}.zip"'),
        ("Dropbox-API-Result", header_json(described)),
    ]
    return Answer(200, headers, _zip(call.world, folder, nodes))


def _ascii(name: str) -> str:
    return "".join(char if " " <= char < "\x7f" and char not in '"\\' else "_" for char in name)


class _Sink:
    """A buffer that zipfile writes to, and from which bytes are taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.filled = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self.filled += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: zipfile calls it."""

    def take(self) -> bytes:
        data, self.parts, self.filled = b"".join(self.parts), [], 0
        return data


def _zip(world: World, folder: Node, nodes: list[Node]) -> Iterator[bytes]:
    # What is zipped is what was there when the call came, whatever changes while it is sent.
    base = folder.parent or folder
    entries = [(node.path(base)[1:], node.revision) for node in nodes]
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:  # type: ignore[call-overload]
        for name, revision in entries:
            info = _info(name, revision)
            if revision is None:
                archive.writestr(info, b"")
                continue
            with archive.open(info, "w") as file:
                for chunk in world.content.read(content_of(world, revision)):
                    file.write(chunk)
                    if sink.filled > 256 * 1024:
                        yield sink.take()
            if sink.filled > 256 * 1024:
                yield sink.take()
    yield sink.take()


def _info(name: str, revision: Revision | None) -> zipfile.ZipInfo:
    if revision is None:
        return zipfile.ZipInfo(name + "/")
    year, month, day = (int(part) for part in revision.client_modified[:10].split("-"))
    hour, minute, second = (int(part) for part in revision.client_modified[11:19].split(":"))
    year = min(max(year, 1980), 2107)  # what a zip can say
    info = zipfile.ZipInfo(name, (year, month, day, hour, minute, second))
    info.file_size = revision.size
    return info


# -- pictures and documents: found or refused, never rendered -----------------------------------------------------


@route("files/get_thumbnail", arguments.THUMBNAIL, READ, style="download")
async def get_thumbnail(call: Call) -> Answer:
    """Refuse: the emulator renders no pictures."""
    raise _no_thumbnail(call)


def _no_thumbnail(call: Call) -> Failure:
    _, described = _file(call)
    ending = described["name"].rpartition(".")[2].lower()
    return Failure("unsupported_image" if ending in _IMAGES else "unsupported_extension")


@route("files/get_thumbnail_batch", arguments.THUMBNAIL_BATCH, READ, host="content")
async def get_thumbnail_batch(call: Call) -> Json:
    """Refuse every entry: the emulator renders no pictures."""
    wanted = call.arg["entries"]
    if len(wanted) > 25:
        raise Failure("too_many_files")
    entries: list[Json] = []
    for arg in wanted:
        call.arg = arg
        try:
            failure = _no_thumbnail(call)
        except Failure as error:
            failure = error
        entries.append({".tag": "failure", "failure": failure.error()})
    return {"entries": entries}


@route("files/get_preview", arguments.DOWNLOAD, READ, style="download")
async def get_preview(call: Call) -> Answer:
    """Refuse: the emulator renders no previews."""
    _file(call)
    raise Failure("unsupported_extension")


@route("files/export", arguments.EXPORT, READ, style="download")
async def export(call: Call) -> Answer:
    """Refuse: no file here needs an export."""
    _file(call)
    raise Failure("non_exportable")
