"""Logging in and out: the conversation with a person, as functions that a command line can call.

Nothing is stored before everything is known to be right: the scopes are those asked for, the account is the pinned
one and the one the person confirms. A grant that is not kept is withdrawn again, and so is the one that a new login
replaces, so that no forgotten one lives on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from huracan_sync.auth import login_calls, login_record, pkce, token_cache, token_endpoint
from huracan_sync.auth.credentials import Credential, Credentials, Login, check_pin
from huracan_sync.auth.loopback import LoopbackListener
from huracan_sync.auth.scopes import check_granted, writes
from huracan_sync.auth.token_cache import Clocks, State, Token
from huracan_sync.auth.token_endpoint import Grant
from huracan_sync.auth.tokens import LOCK_S, AccessTokens, alone, forget_state, write_state
from huracan_sync.errors import (
    HuracanError,
    LocalFailure,
    NoCredentials,
    NotAuthorized,
    Revoked,
    ServiceFault,
    StateMissing,
    TryLater,
    Unavailable,
)
from huracan_sync.remote.http import Wire
from huracan_sync.secret import Secret

log = logging.getLogger(__name__)


class Identity(msgspec.Struct, frozen=True):
    """Who consented to what; what a person is shown before anything is stored. No e-mail is asked for."""

    profile: str
    account_id: str
    scopes: tuple[str, ...]
    app_key: str
    pinned: bool
    """Whether this account was confirmed before under this profile."""
    name: str = ""
    """How its owner is called; empty when the login may not know (that takes `account_info.read`)."""


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
    answer_s: float = pkce.ANSWER_S
    """Seconds to wait for the browser's answer; what comes after `pkce.ANSWER_S` is not accepted anyway."""


def log_in(
    credentials: Credentials,
    wire: Wire,
    person: Person,
    wanted: Wanted,
    *,
    clock: Callable[[], float] = time.monotonic,
    clocks: Clocks | None = None,
) -> Login:
    """Ask a person for consent, store the login that comes of it, and withdraw the one it replaces.

    Raises:
        ConfigError: `NO_APP_KEY`, no app is known.
        VaultRefused: `NO_SAFE_PLACE`, there is nowhere to keep the login; said before the person is bothered.
        LocalFailure: the state folder cannot be written; said before, too.
        ConfigError: `PORT_TAKEN`, somebody listens where the answer would come.
        NotAuthorized: `NO_CONSENT`, the person said no, or nothing, or the code is not ours.
        NotAuthorized, MissingScope: `SCOPE_WIDENED`, what was granted is not what was asked. Nothing was stored.
        NotAuthorized: `ACCOUNT_CHANGED`, another account than the pinned or expected one. Nothing was stored.
        Revoked: Dropbox withdrew the new login together with the old one.
    """
    clocks = clocks or Clocks()
    credentials.find_app_key()
    credentials.store.check_can_keep()
    _check_can_write(credentials)
    with _consent(credentials, wire, person, wanted, clock, clocks) as (login, grant):
        before = _stored(credentials)
        _keep(credentials, login, grant, clocks, before)
    if before is not None and before.refresh_token.reveal() != _refresh_token(grant).reveal():
        _withdraw_replaced(credentials, wire, before, grant)
    return login


def _check_can_write(credentials: Credentials) -> None:
    try:
        with credentials.folder.locked(login_record.LOCK):
            pass
    except LocalFailure as error:
        hint = "make that place writable, or name another folder in HURACAN_SYNC_HOME"
        raise LocalFailure(f"no login can be kept: {error}", hint=hint, path=str(credentials.folder.path)) from error


def log_in_for_elsewhere(
    credentials: Credentials,
    wire: Wire,
    person: Person,
    wanted: Wanted,
    hand_over: Callable[[Login, Secret], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask a person for consent, for another machine: the refresh token is handed over, and nothing is stored here.

    Raises:
        HuracanError: as `log_in`. A login that could not be handed over is withdrawn.
    """
    with _consent(credentials, wire, person, wanted, clock, Clocks()) as (login, grant):
        hand_over(login, _refresh_token(grant))


@contextlib.contextmanager
def _consent(
    credentials: Credentials,
    wire: Wire,
    person: Person,
    wanted: Wanted,
    clock: Callable[[], float],
    clocks: Clocks,
) -> Iterator[tuple[Login, Grant]]:
    """What a person granted, judged and confirmed; withdrawn again when what is done with it fails."""
    pinned = credentials.login
    request, code = _ask(credentials, credentials.find_app_key(), wire, person, wanted, clock)
    grant = token_endpoint.exchange_code(wire, request.app_key, code.code, request.verifier, request.redirect_uri)
    with _withdrawn_on_failure(wire, grant):
        login = _judge(credentials, request, grant, clocks)
        check_pin(pinned, login.account_id)
        name = login_calls.account_name(wire, grant.access_token) if "account_info.read" in login.scopes else ""
        _confirm(login, person, wanted, pinned=pinned is not None, name=name)
        yield login, grant


def _stored(credentials: Credentials) -> Credential | None:
    """The login that a new one replaces, if it can be read: to be put back, or withdrawn."""
    try:
        return credentials.load_stored()
    except HuracanError as error:  # it is being replaced because it is broken
        log.info("the login before this one cannot be read: %s", error)
        return None


def _refresh_token(grant: Grant) -> Secret:
    assert grant.refresh_token is not None  # noqa: S101 - _judge refused that
    return grant.refresh_token


def _withdraw_replaced(credentials: Credentials, wire: Wire, before: Credential, grant: Grant) -> None:
    """Withdraw the login before this one, so that no forgotten refresh token lives on.

    By Dropbox's specification (auth.stone) `token/revoke` ends the access token, its refresh token and what came of
    that, so it is called with an access token of the old one. Whether it ever ends more is not recorded anywhere; so
    the new login is used once afterwards, and the person is told while they are still here.
    """
    try:
        earlier = token_endpoint.refresh(wire, before.app_key, before.refresh_token, before.asked)
        login_calls.revoke(wire, earlier.access_token)
    except NotAuthorized as error:
        log.debug("there was nothing left to withdraw: %s", error)
        return
    except HuracanError as error:
        page = "https://www.dropbox.com/account/connected_apps"
        log.warning("the login before this one is still valid (%s); %s lists the apps of the account", error, page)
        return
    try:
        AccessTokens(credentials.of_stored_login(), wire).renew(grant.access_token)
    except Revoked as error:
        raise Revoked(
            f"Dropbox withdrew the new login together with the one it replaces ({error.facts.get('said', '')})",
            hint="run `huracan-sync authorize` once more; there is no earlier login left that could take it along",
        ) from None
    except HuracanError as error:  # Dropbox fails just now; nothing speaks against the login
        log.info("the new login was not tried: %s", error)


def _ask(
    credentials: Credentials, app_key: str, wire: Wire, person: Person, wanted: Wanted, clock: Callable[[], float]
) -> tuple[pkce.Request, pkce.Code]:
    scopes = credentials.profile.asked(account_info=wanted.account_info)
    web = wire.endpoint.web
    if not wanted.browser:
        request = pkce.begin(web, app_key, scopes, None, now=clock(), entropy=os.urandom)
        person.show(request.url, opens=False)
        return request, pkce.pasted(person.paste())
    with LoopbackListener.open(pkce.PORTS if wanted.port is None else [wanted.port], clock=clock) as listener:
        request = pkce.begin(web, app_key, scopes, listener.uri, now=clock(), entropy=os.urandom)
        person.show(request.url, opens=True)
        answer = listener.wait(
            lambda method, target, host: pkce.judge(request, method, target, host, now=clock()),
            timeout=min(wanted.answer_s, pkce.ANSWER_S),
        )
    if isinstance(answer, pkce.Denied):
        raise NotAuthorized(
            f"access was not allowed ({answer.reason})",
            code="NO_CONSENT",
            hint="run the command again and choose Allow; nothing was stored",
            reason="denied",
        )
    return request, answer


def _judge(credentials: Credentials, request: pkce.Request, grant: Grant, clocks: Clocks) -> Login:
    """The login a grant makes, if it is what was asked for."""
    profile = credentials.profile
    check_granted(profile, request.scopes, grant.scopes)
    if profile.read_only and (grant.scopes is None or writes(grant.scopes)):
        raise NotAuthorized(
            f"profile {profile.name} only reads, and Dropbox did not say that the grant does",
            code="SCOPE_WIDENED",
            scope="unknown",
        )
    if grant.refresh_token is None or not grant.account_id:
        raise ServiceFault("Dropbox granted access, but sent no refresh token or account with it")
    return Login(
        namespace=credentials.namespace,
        profile=profile.name,
        read_only=profile.read_only,
        app_key=request.app_key,
        account_id=grant.account_id,
        scopes=tuple(sorted(grant.scopes or request.scopes)),
        authorized_at=int(clocks.now().wall),
    )


def _confirm(login: Login, person: Person, wanted: Wanted, *, pinned: bool, name: str) -> None:
    if wanted.expect_account is not None:
        if wanted.expect_account != login.account_id:
            raise NotAuthorized(
                f"account {login.account_id} answered, {wanted.expect_account} was expected",
                code="ACCOUNT_CHANGED",
                hint="log in to the right account in the browser, then run the command again; nothing was stored",
                answered=login.account_id,
            )
        return
    identity = Identity(login.profile, login.account_id, login.scopes, login.app_key, pinned, name)
    if not person.confirm(identity):
        raise NotAuthorized(
            f"account {login.account_id} was not confirmed",
            code="NO_CONSENT",
            hint="log in to the right account in the browser, then run the command again; nothing was stored",
            reason="denied",
        )


def _keep(credentials: Credentials, login: Login, grant: Grant, clocks: Clocks, before: Credential | None) -> None:
    """Store the login. The secret first: a record without its secret would say "logged in" and not be.

    Nobody refreshes meanwhile: a process that still held the login before this one would be told that it is withdrawn,
    and not look whether there is another.
    """
    store, folder = credentials.store, credentials.folder
    credential = credentials.of_login(login, _refresh_token(grant))
    with _alone_with(credentials, credential, before):
        try:
            store.put(login.refresh_token, credential.refresh_token)
            login_record.write(folder, login)
            write_state(credentials, credential, State(Token(grant.access_token, grant.lifetime, clocks.now())))
            if store.kept_in(login.refresh_token_before):
                store.forget(login.refresh_token_before)
        except BaseException:  # a full disk, or a person who has enough: what was there before stays
            with contextlib.suppress(HuracanError):
                if before is None or before.login is None:
                    store.forget(login.refresh_token)
                    login_record.remove(folder, login.namespace, login.profile)
                else:
                    store.put(before.login.refresh_token, before.refresh_token)
                    login_record.write(folder, before.login)
            raise


@contextlib.contextmanager
def _alone_with(credentials: Credentials, *each: Credential | None) -> Iterator[None]:
    """Hold the locks of several logins, one lock once, and always in the same order."""
    named = {token_cache.file_name(credentials.namespace, one): one for one in each if one is not None}
    with contextlib.ExitStack() as held:
        for name in sorted(named):
            held.enter_context(alone(credentials, named[name], timeout=LOCK_S))
        yield


class _withdrawn_on_failure(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Withdraw a grant that is not kept."""

    def __init__(self, wire: Wire, grant: Grant) -> None:
        self._wire = wire
        self._grant = grant

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if error is not None:
            with contextlib.suppress(HuracanError):
                login_calls.revoke(self._wire, self._grant.access_token)


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
        login = login_record.unknown(credentials.namespace, credentials.profile.name)
    else:
        if login is None:
            return None
        revoked, why_not = _withdraw(credentials.of_stored_login(), wire)
    credentials.store.forget(login.refresh_token)
    credentials.store.forget(login.refresh_token_before)
    login_record.remove(credentials.folder, login.namespace, login.profile)
    return LoggedOut(login.profile, login.account_id, revoked, why_not)


def _withdraw(credentials: Credentials, wire: Wire) -> tuple[bool, str]:
    tokens = AccessTokens(credentials, wire)
    try:
        token = tokens.token()
        if not login_calls.revoke(wire, token):  # this access token had ended; its refresh token may not have
            login_calls.revoke(wire, tokens.renew(token))
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
