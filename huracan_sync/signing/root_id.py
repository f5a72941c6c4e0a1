"""Root ids that tell, to the machines that hold the root key, which root folder they were made for.

One key may be root of several folders. A machine that remembers nothing takes the id from the trust file that its own
key has signed; were any such file good enough, anybody who may write could carry the one of production into staging,
have a fresh machine sign staging's content under it, and carry that back. To everybody else an id is 16 bytes.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from huracan_sync.manifest.trust import ROOT_ID_SIZE
from huracan_sync.tree.paths import fold

RANDOM_SIZE = 10
"""Bytes of chance in an id; then follow a digest of them and of the folder, and one of them and of the account too."""
_DOMAIN = b"huracan-sync/root-id/v1\0"
_SHARE = (ROOT_ID_SIZE - RANDOM_SIZE) // 2


class Place(NamedTuple):
    """What an id is made for."""

    service: str
    """`Endpoint.namespace` without its address: an emulator is one wherever it listens."""
    root: str
    """The root folder, folded."""
    account: str
    """The account's id; empty where nobody says whose login it is."""


def place_of(namespace: str, account: str, root: str) -> Place:
    """The root folder of an account.

    Args:
        namespace: `Endpoint.namespace`.
        account: the account's id; empty where it is not known: before the login, and by a delivered token.
        root: the root folder.
    """
    return Place(namespace.partition(":")[0], fold(root), account)


def made_for(place: Place, chance: bytes) -> bytes:
    """The id of a folder, from `RANDOM_SIZE` random bytes."""
    return chance + _digest(chance, place._replace(account="")) + _digest(chance, place)


def is_for(root_id: bytes, place: Place) -> bool:
    """Whether an id was made for this folder; of this account, where both know whose it is."""
    anybody = place._replace(account="")
    chance, folder, account = root_id[:RANDOM_SIZE], root_id[RANDOM_SIZE:-_SHARE], root_id[-_SHARE:]
    if folder != _digest(chance, anybody):
        return False
    return not place.account or account in {_digest(chance, place), folder}


def _digest(chance: bytes, place: Place) -> bytes:
    return hashlib.sha256(_DOMAIN + chance + "\0".join(place).encode()).digest()[:_SHARE]
