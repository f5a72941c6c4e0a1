"""Where signed things lie, relative to the root folder in Dropbox. Nothing else may be written there.

.huracan/trust/<N>.hzt                          signed by the root key, immutable
.huracan/heads/<channel>.hzh                    the only file of a channel that changes
.huracan/log/<channel>/<epoch>-<seq>-<8>.hzh    an immutable copy of every head, sent before it takes effect
.huracan/bodies/<sha256>.hzm                    immutable, named by content
.huracan/bodies/<sha256>.hzl                    a table of leaves (64 KiB pieces); the same
"""

from __future__ import annotations

import re

from huracan_sync.manifest.refusals import refused
from huracan_sync.tree.paths import RelPath, fold

HOME = ".huracan"
TRUST = f"{HOME}/trust"
HEADS = f"{HOME}/heads"
LOG = f"{HOME}/log"
BODIES = f"{HOME}/bodies"

MAX_CHANNEL = 128
# Lower case, because Dropbox knows no case and a channel must have one file; no dot first or last.
_PART = r"[a-z0-9_](?:[a-z0-9._-]{0,62}[a-z0-9_])?"
_CHANNEL = re.compile(rf"{_PART}(?:/{_PART}){{0,3}}")


def check_channel(name: str) -> str:
    """Accept a channel's name as it is, or raise `CHANNEL_NAME`."""
    if len(name) > MAX_CHANNEL or not _CHANNEL.fullmatch(name):
        raise refused(
            "CHANNEL_NAME", f"{name[:MAX_CHANNEL]!a} cannot be a channel's name", channel=ascii(name[:MAX_CHANNEL])
        )
    return name


def is_ours(path: str) -> bool:
    """Whether a path lies in the folder of signed things, where no entry of a manifest may lie."""
    return fold(path).partition("/")[0] == HOME


def trust(version: int) -> RelPath:
    """The trust file of a version."""
    return RelPath(f"{TRUST}/{version}.hzt")


def head(channel: str) -> RelPath:
    """The head of a channel."""
    return RelPath(f"{HEADS}/{check_channel(channel)}.hzh")


def channel_of_head(path: str) -> str:
    """The channel whose head lies at a path; empty where no head may lie."""
    name = path.removeprefix(f"{HEADS}/").removesuffix(".hzh")
    return name if path == f"{HEADS}/{name}.hzh" and len(name) <= MAX_CHANNEL and _CHANNEL.fullmatch(name) else ""


def log(channel: str, epoch: int, sequence: int, digest: bytes) -> RelPath:
    """The immutable copy of the head with this place in the channel's history and this digest."""
    return RelPath(f"{LOG}/{check_channel(channel)}/{epoch}-{sequence}-{digest.hex()[:8]}.hzh")


def body(sha256: bytes) -> RelPath:
    """The body, or the shard of one, with this SHA-256."""
    return RelPath(f"{BODIES}/{sha256.hex()}.hzm")


def leaves(sha256: bytes) -> RelPath:
    """The table of leaves with this SHA-256."""
    return RelPath(f"{BODIES}/{sha256.hex()}.hzl")
