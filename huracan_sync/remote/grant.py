"""A login lent to a worker: short-lived, with fewer scopes, and with a share of the rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import msgspec

from huracan_sync.errors import NotAuthorized
from huracan_sync.remote.http import Endpoint
from huracan_sync.secret import Secret

STAGING = ("files.content.write",)
"""What a worker needs to stage: it can neither list nor read anything, nor change whom the account is shared with."""
MARGIN_S = 30.0
"""A grant about to expire is not begun with."""


class Grant(msgspec.Struct, frozen=True):
    """What a worker needs to know of a login, as `connect("engine").lend()`. It travels as bytes, with an access token.

    It cannot be renewed: when it expires, the driver lends another. Printing it shows no token.
    """

    token: Secret
    account: str
    """Whose Dropbox it is."""
    endpoint: Endpoint
    root: str
    """The remote folder that holds everything of the engine."""
    scopes: tuple[str, ...]
    expires_s: float
    """Seconds since 1970."""
    share: float
    """How much of the login's rate this worker may use, up to 1."""
    seal: Secret = Secret("")
    """The key that receipts are sealed with (`operations.receipts`)."""

    def __repr__(self) -> str:
        return f"Grant({self.account}, {' '.join(self.scopes)}, until {self.expires_s:.0f})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = msgspec.structs.asdict(self)
        fields |= {"token": self.token.reveal(), "seal": self.seal.reveal() if self.seal else ""}
        return _arrived, (fields,)


def _arrived(fields: dict[str, Any]) -> Grant:
    return Grant(**{**fields, "token": Secret(fields["token"]), "seal": Secret(fields["seal"])})


class GrantTokens:
    """The token of a grant, as the wire asks for it."""

    def __init__(self, grant: Grant, *, clock: Callable[[], float] = time.time) -> None:
        self._grant = grant
        self._clock = clock

    def token(self) -> Secret:
        """The token.

        Raises:
            NotAuthorized: `GRANT_EXPIRED`.
        """
        if self._clock() > self._grant.expires_s - MARGIN_S:
            raise self._expired()
        return self._grant.token

    def renew(self, rejected: Secret) -> Secret:
        """Raise: a grant cannot be renewed."""
        del rejected
        raise self._expired()

    def _expired(self) -> NotAuthorized:
        return NotAuthorized("the grant that this worker was lent has expired or was withdrawn", code="GRANT_EXPIRED")


@runtime_checkable
class Lender(Protocol):
    """A source of tokens that can have one made with fewer scopes."""

    def lend(self, scopes: frozenset[str]) -> tuple[Secret, float]:
        """A token of exactly these scopes, and for how many seconds it is good.

        Raises:
            MissingScope: the login does not have them.
            NotAuthorized, Unavailable, TryLater: no token now.
        """
