"""From the name of a profile to its Dropbox, to read and to write."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.receipt_seal import seal_of
from huracan_sync.auth.scopes import check_destination
from huracan_sync.auth.session import DEFAULT_ROOT, account_of, credentials_of, home_of, root_of
from huracan_sync.remote.client import Remote
from huracan_sync.remote.grant import Grant, GrantTokens
from huracan_sync.remote.http import Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.shared_rate import SharedPacing
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.remote.throttle import Throttle
from huracan_sync.secret import Secret

__all__ = ["DEFAULT_ROOT", "connect", "connect_lent", "credentials_of", "home_of", "root_of"]


def connect(
    profile: str | None = "engine",
    *,
    env: Mapping[str, str] | None = None,
    home: Path | None = None,
    access_token: Secret | None = None,
    credentials: Credentials | None = None,
    pacing: Pacing | None = None,
    throttle: Throttle | None = None,
    root: str | None = None,
) -> Remote:
    """A profile's Dropbox, as `connect("engine")`. Opens no socket and reads no secret before its first use.

    Args:
        profile: `engine`, `hamilton` (which only reads), or another name that was authorized.
        env: the environment; the process's own by default.
        home: the state folder; by default as the environment says.
        access_token: a short-lived token to use instead of the stored login; nothing can renew it.
        credentials: the login to use, where the profile's name alone does not say which (`credentials_of`).
        pacing: how much at once, and who watches the waits.
        throttle: a limit of bandwidth.
        root: the remote folder of the engine; by default as the environment says, else `/Runpodhuracan`.

    Raises:
        UsageError: the environment names an emulator that is none.
        UsageError: the profile's name is not allowed.
    """
    pacing = pacing or SteadyPacing()
    account = account_of(
        profile,
        env=env,
        home=home,
        access_token=access_token,
        credentials=credentials,
        pacing=pacing,  # the token route's too: a run that is cut short waits for neither
        throttle=throttle,
        root=root,
    )
    remote = Remote(account.wire, account.tokens, pacing=pacing, identity=account.identity, root=account.root)
    remote.seal = functools.partial(seal_of, account.home)
    return remote


def connect_lent(grant: Grant, *, throttle: Throttle | None = None, pacing: Pacing | None = None) -> Remote:
    """The Dropbox of a grant (`Remote.lend`), with its share of the rate, and of what is under way. Opens nothing.

    Args:
        grant: what the driver has lent.
        throttle: a limit of bandwidth.
        pacing: how much at once, and how fast; by default as the grant says.

    Raises:
        VaultRefused: `BOUND_ELSEWHERE`, the grant would take a token of Dropbox to an emulator.
    """
    check_destination(grant.endpoint.namespace, grant.token)
    if pacing is None:
        pacing = SharedPacing(grant.share) if grant.share < 1 else SteadyPacing()
    wire = Wire(grant.endpoint, throttle=throttle)
    remote = Remote(wire, GrantTokens(grant), pacing=pacing, identity=lambda: grant.account, root=grant.root)
    remote.seal = lambda: grant.seal
    return remote
