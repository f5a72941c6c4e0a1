"""Receipts: what a worker has staged, as plain bytes for the driver that commits it. Pure.

They are sealed (HMAC-SHA256) with a key that the driver hands out with its grants: a worker without a grant can neither
make nor change one. What a worker itself says of its files is compared with what Dropbox holds, when it is committed.
A table of leaves can be compared with nothing, so it is taken from sealed receipts only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from huracan_sync.errors import HostilePath, UsageError
from huracan_sync.manifest.locations import is_ours
from huracan_sync.secret import Secret
from huracan_sync.tree.content_hash import BLOCK_SIZE, DIGEST_SIZE, LEAF_SIZE, block_count, combine, leaf_count
from huracan_sync.tree.paths import check, fold

FORM = "huracan-receipts-3"
MOST_FILES = 1_000_000
Digest = Annotated[bytes, Meta(min_length=DIGEST_SIZE, max_length=DIGEST_SIZE)]


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """One file in a closed upload session."""

    path: Annotated[str, Meta(min_length=1, max_length=1024)]
    """Where it goes, below the folder that the driver names."""
    session: Annotated[str, Meta(min_length=1, max_length=512)]
    size: Annotated[int, Meta(ge=0)]
    content_hash: Digest
    mtime_ms: int
    kind: Annotated[int, Meta(ge=0, le=255)]
    """What its first bytes and its name say of it (`manifest.file_kinds`)."""
    blocks: bytes = b""
    """The digests of its blocks, where it has more than one."""
    staged_ms: int = 0
    """Milliseconds since 1970."""
    note: bytes = b""
    """What the one who staged it tells the one who commits it."""
    table: bytes = b""
    """Its table of leaves, where one pays (`manifest.leaves`)."""
    unsigned: bool = False
    """Whether the file was marked, where it was staged, as one that came from Dropbox unsigned (`disk.origin_mark`)."""


class Receipts(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one call of `stage` came to."""

    form: str
    service: str
    account: str
    files: list[Receipt]


class _Sealed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Receipts and their seal."""

    body: bytes
    seal: bytes


_decoder = msgspec.msgpack.Decoder(Receipts)
_envelope = msgspec.msgpack.Decoder(_Sealed)


def encode(service: str, account: str, files: list[Receipt], key: Secret | None = None) -> bytes:
    """Receipts as they travel, sealed if there is a key."""
    body = msgspec.msgpack.encode(Receipts(FORM, service, account, files))
    return msgspec.msgpack.encode(_Sealed(body, _seal(body, key) if key else b""))


def decode(data: bytes, key: Secret | None = None) -> Receipts:
    """Receipts as they arrived. With a key, none that were not sealed with it.

    Raises:
        UsageError: they are none, name what no tree may hold, or (the fact `reason` is `seal`) have another seal.
    """
    try:
        sealed = _envelope.decode(data)
        if key and not hmac.compare_digest(sealed.seal, _seal(sealed.body, key)):
            raise UsageError(
                "these receipts were changed on their way, or made with the grant of another machine",
                hint="stage again with a grant of this machine; where it replaces the other, commit with unsealed=True",
                reason="seal",
            )
        receipts = _decoder.decode(sealed.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"that is no receipt: {error}", hint="pass what `stage` returned, unchanged") from error
    if receipts.form != FORM or len(receipts.files) > MOST_FILES:
        raise UsageError(f"receipts of the form {receipts.form[:40]!a} are not known here")
    for file in receipts.files:
        _check(file)
    return receipts


def without_tables(data: bytes) -> bytes:
    """The same receipts without tables of leaves, and so without a seal. Raises as `decode`."""
    receipts = decode(data)
    if not any(file.table for file in receipts.files):
        return data
    files = [msgspec.structs.replace(file, table=b"") for file in receipts.files]
    return encode(receipts.service, receipts.account, files)


def _seal(body: bytes, key: Secret) -> bytes:
    return hmac.new(key.reveal().encode(), body, hashlib.sha256).digest()


def _check(file: Receipt) -> None:
    check(file.path)
    if is_ours(file.path):
        raise HostilePath(f"{file.path!a} is where signatures lie; nothing else may", path=file.path)
    if file.size > BLOCK_SIZE:
        whole = len(file.blocks) == block_count(file.size) * DIGEST_SIZE and combine(file.blocks) == file.content_hash
    else:
        whole = not file.blocks
    if file.table:
        whole = whole and file.size > LEAF_SIZE and len(file.table) == leaf_count(file.size) * DIGEST_SIZE
    if not whole:
        raise UsageError(f"the receipt of {file.path!a} contradicts itself", path=file.path)


def merged(every: Iterable[Receipts]) -> dict[str, Receipt]:
    """One receipt a path, by folded path: the last that was staged, where a task ran twice."""
    files: dict[str, Receipt] = {}
    for receipts in every:
        for file in receipts.files:
            known = files.get(fold(file.path))
            if known is None or (known.staged_ms, known.session) < (file.staged_ms, file.session):
                files[fold(file.path)] = file
    return files
