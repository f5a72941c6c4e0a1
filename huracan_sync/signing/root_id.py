"""Root ids that tell, to the machines that hold the root key, which root folder they were made for.

One key may be root of several folders. A machine that remembers nothing takes the id from the trust file that its own
key has signed; were any such file good enough, whoever may write could carry the one of production into staging, have
a fresh machine sign staging's content under it, and carry that back. To everybody else an id is 16 bytes.
"""

from __future__ import annotations

import hashlib

from huracan_sync.manifest.trust import ROOT_ID_SIZE
from huracan_sync.tree.paths import fold

RANDOM_SIZE = 10
"""Bytes of chance in an id; the others are a digest of them and of the folder."""
_DOMAIN = b"huracan-sync/root-id/v1\0"


def place_of(namespace: str, account: str, root: str) -> str:
    """What an id is made for.

    Args:
        namespace: `Endpoint.namespace`; an emulator is one whatever its address.
        account: the account's id; empty where an id is made before anybody has logged in.
        root: the root folder.
    """
    return "\0".join((namespace.partition(":")[0], account, fold(root)))


def made_for(place: str, chance: bytes) -> bytes:
    """The id of a folder, from `RANDOM_SIZE` random bytes."""
    return chance + hashlib.sha256(_DOMAIN + chance + place.encode()).digest()[: ROOT_ID_SIZE - RANDOM_SIZE]


def is_for(root_id: bytes, place: str) -> bool:
    """Whether an id was made for this folder."""
    return root_id == made_for(place, root_id[:RANDOM_SIZE])
