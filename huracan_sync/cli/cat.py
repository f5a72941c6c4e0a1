"""`cat`: print a remote file, verified where it is signed."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Iterator

from huracan_sync.auth.connect import connect
from huracan_sync.cli import reading
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import context_of, credentials
from huracan_sync.errors import ContentMismatch, LocalFailure, UsageError
from huracan_sync.remote.files import open_download
from huracan_sync.remote.listing import FileMetadata, FolderMetadata
from huracan_sync.signing.context import Context
from huracan_sync.tree.content_hash import BLOCK_SIZE
from huracan_sync.tree.content_hasher import ContentHasher
from huracan_sync.tree.paths import remote_root

MOST_IN_JSON = 64 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("remote", metavar="REMOTE", help="the file in Dropbox")
    reading.add_arguments(parser)
    parser.epilog = (
        "A signed file is verified block by block before it is printed. Of any other, a mismatch with Dropbox's "
        "content hash is reported at its end (exit code 65). With --json the bytes are base64 in `data`."
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`cat REMOTE`."""
    remote = connect(env=invocation.env, credentials=credentials(options, invocation))
    context = context_of(options, invocation, remote)
    found = reading.find(options, invocation, context)
    if isinstance(found, FolderMetadata):
        raise UsageError(f"{options.remote} is a folder", hint="name a file; `huracan-sync ls` lists the folder")
    if invocation.output.as_json:
        data = b"".join(_bounded(_pieces(found, context, options.remote)))
        verified = isinstance(found, reading.Signed)
        encoded = base64.b64encode(data).decode()
        invocation.output.document(
            {"path": options.remote, "size": len(data), "verified": verified, "data": encoded}, []
        )
        return DONE
    if sys.stdout is None:  # closed before the program began
        raise LocalFailure("the output is closed, so nothing can be printed", hint="use `get` to bring it to a file")
    for piece in _pieces(found, context, options.remote):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return DONE


def _pieces(found: reading.Signed | FileMetadata, context: Context, path: str) -> Iterator[bytes]:
    if isinstance(found, reading.Signed):
        with found.snapshot.open(found.path) as file:
            while piece := file.read(BLOCK_SIZE):
                yield piece
        return
    hasher = ContentHasher()
    with open_download(context.remote, f"rev:{found.rev}") as download:
        for piece in download.chunks():
            hasher.update(piece)
            yield piece
    if found.content_hash and hasher.digest().hex() != found.content_hash:
        raise ContentMismatch(f"{path} arrived with other bytes than Dropbox describes", path=remote_root(path))


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_IN_JSON:
            raise UsageError("it is too large for a JSON document", hint="leave --json out, or use `get`")
        yield piece
