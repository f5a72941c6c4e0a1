"""Logging in and out: the conversation with a person, as functions that a command line can call.

Nothing is stored before everything is known to be right: the scopes are those asked for, the account is the pinned
one and the one the person confirms. A grant that is not stored is withdrawn again, so that no forgotten one lives on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from huracan_sync.auth import grants, logins, pkce
from huracan_sync.auth.access import LOCK_S, AccessTokens, alone, forget_state, write_state
from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.grants import Grant
from huracan_sync.auth.profiles import check_granted, writes
from huracan_sync.auth.redirect import Door
from huracan_sync.auth.shared import Clocks, State, Token
from huracan_sync.errors import (
    AccountChanged,
    HuracanError,
    NoConsent,
    NoCredentials,
    NotAuthorized,
    ScopeWidened,
    ServiceFault,
    StateMissing,
    TryLater,
    Unavailable,
)
from huracan_sync.wire import Wire


class Identity(msgspec.Struct, frozen=True):
    """Who consented to what; what a person is shown before anything is stored. No e-mail is asked for."""

    profile: str
    account_id: str
    scopes: tuple[str, ...]
    app_key: str
    pinned: bool
    """Whether this account was confirmed before under this profile."""


class Person(Protocol):
    """The one who is asked: a terminal, or a test."""

    def show(self, url: str, *, opens: bool) -> None:
        """Show the consent page's address; `opens`: open it in a browser too."""

    def paste(self) -> str:
        """The code that the page shows after Allow."""

    def confirm(self, identity: Identity) -> bool:
        """Whether this is the right account."""


class Wanted(msgspec.Struct, frozen=True):
    """How to log in."""

    browser: bool = True
    """Let the browser bring the answer to a loopback port; else a code is pasted."""
    port: int | None = None
    """The port, if not the first free one of `pkce.PORTS`."""
    expect_account: str | None = None
    """The account id that must answer; nobody is asked to confirm then."""
    account_info: bool = False
    """Ask for `account_info.read` too, for the quota line of `doctor`."""


def log_in(
    credentials: Credentials,
    wire: Wire,
    person: Person,
    wanted: Wanted,
    *,
    clock: Callable[[], float] = time.monotonic,
    clocks: Clocks | None = None,
) -> logins.Login:
    """Ask a person for consent, and store the login that comes of it.

    Raises:
        NoAppKey: no app is known.
        NoSafePlace: there is nowhere to keep the login; said before the person is bothered.
        PortTaken: somebody listens where the answer would come.
        NoConsent: the person said no, or nothing, or the code is not ours.
        ScopeWidened, MissingScope: what was granted is not what was asked. Nothing was stored.
        AccountChanged: another account than the pinned or expected one. Nothing was stored.
    """
    clocks = clocks or Clocks()
    app_key = credentials.find_app_key()
    credentials.store.check_can_keep()
    pinned = credentials.login
    request, code = _ask(credentials, app_key, wire, person, wanted, clock)
    grant = grants.exchange_code(wire, request.app_key, code.code, request.verifier, request.redirect_uri)
    with _withdrawn_on_failure(wire, grant):
        login = _judge(credentials, request, grant, clocks)
        logins.check_pin(pinned, login.account_id)
        _confirm(login, person, wanted, pinned=pinned is not None)
        _keep(credentials, login, grant, clocks)
    return login


def _ask(
    credentials: Credentials, app_key: str, wire: Wire, person: Person, wanted: Wanted, clock: Callable[[], float]
) -> tuple[pkce.Request, pkce.Code]:
    scopes = credentials.profile.asked(account_info=wanted.account_info)
    web = wire.endpoint.web
    if not wanted.browser:
        request = pkce.begin(web, app_key, scopes, None, now=clock())
        person.show(request.url, opens=False)
        return request, pkce.pasted(person.paste())
    with Door.open(pkce.PORTS if wanted.port is None else [wanted.port], clock=clock) as door:
        request = pkce.begin(web, app_key, scopes, door.uri, now=clock())
        person.show(request.url, opens=True)
        answer = door.wait(
            lambda method, target, host: pkce.judge(request, method, target, host, now=clock()),
            timeout=pkce.ANSWER_S,
        )
    if isinstance(answer, pkce.Denied):
        raise NoConsent(
            f"access was not allowed ({answer.reason})",
            hint="run the command again and choose Allow; nothing was stored",
            reason="denied",
        )
    return request, answer


def _judge(credentials: Credentials, request: pkce.Request, grant: Grant, clocks: Clocks) -> logins.Login:
    """The login a grant makes, if it is what was asked for."""
    profile = credentials.profile
    check_granted(profile, request.scopes, grant.scopes)
    if profile.read_only and (grant.scopes is None or writes(grant.scopes)):
        raise ScopeWidened(
            f"profile {profile.name} only reads, and Dropbox did not say that the grant does", scope="unknown"
        )
    if grant.refresh_token is None or not grant.account_id:
        raise ServiceFault("Dropbox granted access, but sent no refresh token or account with it")
    return logins.Login(
        namespace=credentials.namespace,
        profile=profile.name,
        read_only=profile.read_only,
        app_key=request.app_key,
        account_id=grant.account_id,
        scopes=tuple(sorted(grant.scopes or request.scopes)),
        authorized_at=int(clocks.now().wall),
    )


def _confirm(login: logins.Login, person: Person, wanted: Wanted, *, pinned: bool) -> None:
    if wanted.expect_account is not None:
        if wanted.expect_account != login.account_id:
            raise AccountChanged(
                f"account {login.account_id} answered, {wanted.expect_account} was expected",
                hint="log in to the right account in the browser, then run the command again; nothing was stored",
                answered=login.account_id,
            )
        return
    identity = Identity(login.profile, login.account_id, login.scopes, login.app_key, pinned)
    if not person.confirm(identity):
        raise NoConsent(
            f"account {login.account_id} was not confirmed",
            hint="log in to the right account in the browser, then run the command again; nothing was stored",
            reason="denied",
        )


def _keep(credentials: Credentials, login: logins.Login, grant: Grant, clocks: Clocks) -> None:
    """The secret first: a record without its secret would say "logged in" and not be."""
    assert grant.refresh_token is not None  # noqa: S101 - _judge refused that
    store = credentials.store
    store.put(login.refresh_token, grant.refresh_token)
    if store.kept_in(login.refresh_token_before):
        store.forget(login.refresh_token_before)
    logins.write(credentials.folder, login)
    token = Token(grant.access_token, grant.lifetime, clocks.now())
    credential = credentials.of_login(login, grant.refresh_token)
    with alone(credentials, credential, timeout=LOCK_S):
        write_state(credentials, credential, State(token))


class _withdrawn_on_failure(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Withdraw a grant that is not kept."""

    def __init__(self, wire: Wire, grant: Grant) -> None:
        self._wire = wire
        self._grant = grant

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if error is not None:
            with contextlib.suppress(HuracanError):
                grants.revoke(self._wire, self._grant.access_token)


class LoggedOut(msgspec.Struct, frozen=True):
    """What logging out did."""

    profile: str
    account_id: str
    revoked: bool
    """Whether Dropbox withdrew the login, or had already."""
    why_not: str = ""


def log_out(credentials: Credentials, wire: Wire) -> LoggedOut | None:
    """Withdraw the profile's login and forget it; None when there is none.

    Without a network it is forgotten all the same: `why_not` then says that Dropbox still knows it.

    Raises:
        VaultRefused: the place it is kept in cannot be opened, so it cannot be forgotten.
    """
    revoked, why_not = False, "the login's record is damaged, so Dropbox could not be told"
    try:
        login = credentials.login
    except StateMissing:  # whose it was is lost; what there is of it is forgotten
        login = logins.unknown(credentials.namespace, credentials.profile.name)
    else:
        if login is None:
            return None
        revoked, why_not = _withdraw(credentials.of_stored_login(), wire)
    credentials.store.forget(login.refresh_token)
    credentials.store.forget(login.refresh_token_before)
    logins.remove(credentials.folder, login.namespace, login.profile)
    return LoggedOut(login.profile, login.account_id, revoked, why_not)


def _withdraw(credentials: Credentials, wire: Wire) -> tuple[bool, str]:
    tokens = AccessTokens(credentials, wire)
    try:
        token = tokens.token()
        if not grants.revoke(wire, token):  # this access token had ended; its refresh token may not have
            grants.revoke(wire, tokens.renew(token))
    except NotAuthorized as error:
        return True, str(error)  # there was nothing left to withdraw
    except (Unavailable, TryLater) as error:
        return False, str(error)
    finally:
        with contextlib.suppress(NoCredentials):
            credential = credentials.load()
            with alone(credentials, credential, timeout=LOCK_S):
                forget_state(credentials, credential)
    return True, ""
