"""Where access tokens come from. One owner for each login in a process; one refresh at a time on a machine.

Laws: a token is renewed five minutes before its end, and once when the service says that it has ended; a second
caller takes what the first brought. The scopes are sent with every refresh, and what is granted is judged before it is
used. A refresh token that the service replaces is kept durably before its first use, and the old one until the new
one has worked. A login that was withdrawn is asked about once; after that every process of this machine knows.
A renewal that fails while the old token still serves is no failure.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from huracan_sync.auth import token_cache, token_endpoint
from huracan_sync.auth.credentials import Credential, Credentials, check_pin
from huracan_sync.auth.scopes import check_granted, spelled
from huracan_sync.auth.token_cache import Clocks, State, Token
from huracan_sync.errors import (
    ENABLE_SCOPE,
    DiskFull,
    HuracanError,
    LocalFailure,
    MissingScope,
    NotAuthorized,
    Revoked,
    UnsafePlace,
)
from huracan_sync.remote.errors import Verdict, verdict_of
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.http import Wire
from huracan_sync.remote.rate_limit import Pacing, repeat
from huracan_sync.secret import Secret

log = logging.getLogger(__name__)

LOCK_S = 120.0
"""Seconds that what a person waits for waits for another process that refreshes."""
RETRY_EARLY_S = 30.0
"""Seconds between attempts to renew a token that still serves."""
LOOK_AGAIN_S = 30.0
"""Seconds between looks whether a person has logged in again, after a login was refused for good."""


class TokenSource(Protocol):
    """What the wire's users need: a token, and another when the service rejects it."""

    def token(self) -> Secret:
        """An access token that should be good."""

    def renew(self, rejected: Secret) -> Secret:
        """An access token other than the one the service called expired."""


class ShortLived:
    """A token that was handed to us. It lasts four hours at most, and nothing here can renew it."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def token(self) -> Secret:
        """The token."""
        return self._token

    def renew(self, rejected: Secret) -> Secret:
        """Raise: nothing can renew it."""
        del rejected
        hint = "run `huracan-sync authorize` once and pass no access token"
        raise NotAuthorized("the short-lived access token has expired and cannot be renewed", hint=hint)


class _Failed(NamedTuple):
    """A refusal for good, and the refresh token it was for."""

    error: NotAuthorized
    refresh_token: Secret
    looked_at: float


class AccessTokens:
    """Access tokens of one login. Thread-safe, and safe beside other processes. Nothing is read before first use."""

    def __init__(
        self,
        credentials: Credentials,
        wire: Wire,
        *,
        clocks: Clocks | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._credentials = credentials
        self._wire = wire
        self._clocks = clocks or Clocks()
        self._pacing = pacing or Pacing()
        self._lock = threading.Lock()  # guards all below
        self._held: Token | None = None
        self._serves_until = 0.0  # since boot: a token under early renewal serves unquestioned until then
        self._credential: Credential | None = None
        self._failed: _Failed | None = None
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._lock = threading.Lock()

    def token(self) -> Secret:
        """An access token that should be good.

        Raises:
            NotAuthorized: nobody is logged in, the login was withdrawn, or its scopes are not right.
            VaultRefused: the login is stored and cannot be opened.
            TryLater, Unavailable: no token now.
        """
        held = self._held
        now = self._clocks.now()
        if held is not None and (held.is_fresh(now) or (held.is_valid(now) and now.since_boot < self._serves_until)):
            return held.value
        with self._lock:
            return self._renewed(None).value

    def lend(self, scopes: frozenset[str]) -> tuple[Secret, float]:
        """A token of fewer scopes to be given away, and for how many seconds; this login's own stays as it is."""
        with self._lock:
            self._stop_if_refused()
            credential = self._load()
            narrowed = msgspec.structs.replace(credential, asked=scopes)
            with alone(self._credentials, credential, timeout=LOCK_S):
                state = self._read(credential)
                grant, used = self._ask(narrowed, state, patient=True)
                if (grant.scopes or scopes) - scopes:
                    raise NotAuthorized("Dropbox granted more than was to be lent", code="SCOPE_WIDENED")
                if grant.refresh_token is not None:  # it was replaced by the asking
                    self._settle(credential, used, grant.refresh_token, state.token)
            return grant.access_token, grant.lifetime

    def renew(self, rejected: Secret) -> Secret:
        """An access token other than `rejected`, which the service called expired.

        Raises:
            HuracanError: as `token`.
        """
        with self._lock:
            held = self._held
            if held is not None and held.value.reveal() != rejected.reveal() and held.is_valid(self._clocks.now()):
                return held.value  # another thread was here before us
            return self._renewed(rejected).value

    def _renewed(self, rejected: Secret | None) -> Token:
        """The best token: ours, another process's, or a new one."""
        self._stop_if_refused()
        credential = self._credential or self._load()
        state = self._read(credential)
        now = self._clocks.now()
        serving = [t for t in (state.token, self._held) if t is not None and t.is_valid(now) and not _is(t, rejected)]
        fresh = [t for t in serving if t.is_fresh(now)]
        if fresh and state.revoked is None:
            return self._adopt(fresh[0])
        try:
            with alone(self._credentials, credential, timeout=0.0 if serving else self._pacing.patience_s + LOCK_S):
                return self._refresh(rejected, patient=not serving)
        except NotAuthorized:
            raise
        except HuracanError as error:  # no network, no lock, a keyring that was locked with the screen
            if not serving:
                raise
            log.info("an early renewal must wait: %s", error)
            self._serves_until = now.since_boot + RETRY_EARLY_S
            return self._adopt(serving[0])

    def _refresh(self, rejected: Secret | None, *, patient: bool) -> Token:
        """Look once more, now alone, and if nobody brought a token, ask for one."""
        credential = self._load()  # again: another process may have replaced the refresh token, or a person logged in
        state = self._read(credential)
        if state.revoked is not None:
            raise self._refused(Revoked(f"this login was withdrawn ({state.revoked})"), credential)
        if state.token is not None and state.token.is_fresh(self._clocks.now()) and not _is(state.token, rejected):
            return self._adopt(state.token)
        try:
            grant, used = self._ask(credential, state, patient=patient)
            check_granted(credential.profile, credential.asked, grant.scopes)
            check_pin(credential.login, grant.account_id)
        except Revoked as error:
            self._write(credential, State(revoked=str(error.facts.get("said", ""))))
            raise self._refused(error, credential) from None
        except NotAuthorized as error:
            raise self._refused(_with_scope(error, credential), credential) from None
        token = Token(grant.access_token, grant.lifetime, self._clocks.now())
        log.debug("an access token of profile %s, for %.0f s", credential.profile.name, grant.lifetime)
        self._settle(credential, used, grant.refresh_token, token)
        return self._adopt(token)

    def _ask(self, credential: Credential, state: State, *, patient: bool) -> tuple[token_endpoint.Grant, Secret]:
        """A grant, and the refresh token that brought it: the newest, or the one before if the newest never worked."""
        newest = state.successor or credential.refresh_token
        try:
            return self._ask_once(credential, newest, patient=patient), newest
        except Revoked:
            before = self._before(credential, state)
            if before is None or before.reveal() == newest.reveal():
                raise
            return self._ask_once(credential, before, patient=patient), before

    def _ask_once(self, credential: Credential, refresh_token: Secret, *, patient: bool) -> token_endpoint.Grant:
        def ask() -> token_endpoint.Grant | Verdict:
            try:
                return token_endpoint.refresh(self._wire, credential.app_key, refresh_token, credential.asked)
            except HuracanError as error:
                return verdict_of(error) if patient else Verdict(error)

        return repeat(ask, self._pacing, token_endpoint.ROUTE)

    def _before(self, credential: Credential, state: State) -> Secret | None:
        if credential.login is None:
            return credential.refresh_token if state.successor is not None else None
        store = self._credentials.store
        name = credential.login.refresh_token_before
        return store.get(name) if store.kept_in(name) else None

    def _settle(self, credential: Credential, used: Secret, replaced_by: Secret | None, token: Token | None) -> None:
        """Keep what must outlive us, before anything is used."""
        current = replaced_by or used
        store, login = self._credentials.store, credential.login
        if login is None:  # delivered: its successor lies sealed under it, since we cannot write where it came from
            successor = current if current.reveal() != credential.refresh_token.reveal() else None
            if not self._write(credential, State(token, successor=successor)) and successor is not None:
                log.warning("Dropbox replaced the delivered refresh token, and the new one cannot be kept here")
            return
        if current.reveal() != credential.refresh_token.reveal():
            store.put(login.refresh_token_before, used)
            store.put(login.refresh_token, current)
            self._credential = credential = msgspec.structs.replace(credential, refresh_token=current)
        elif replaced_by is None and store.kept_in(login.refresh_token_before):
            store.forget(login.refresh_token_before)  # the new one has worked
        self._write(credential, State(token))

    def _load(self) -> Credential:
        self._credential = self._credentials.load()
        return self._credential

    def _adopt(self, token: Token) -> Token:
        self._held = token
        return token

    def _stop_if_refused(self) -> None:
        """Repeat a refusal for good without asking, unless a person has logged in since."""
        if self._failed is None:
            return
        error, refused, looked_at = self._failed
        now = self._clocks.now().since_boot
        if not 0 <= now - looked_at < LOOK_AGAIN_S:
            if self._load().refresh_token.reveal() != refused.reveal():
                self._failed = None
                return
            self._failed = _Failed(error, refused, now)
        raise type(error)(str(error), code=error.code, hint=error.hint, **error.facts)

    def _refused(self, error: NotAuthorized, credential: Credential) -> NotAuthorized:
        if isinstance(error, Revoked):
            error.hint = credential.to_replace
        elif isinstance(error, MissingScope):
            error.hint = f"{ENABLE_SCOPE}, then {credential.to_replace}"
        self._failed = _Failed(error, credential.refresh_token, self._clocks.now().since_boot)
        self._held = None
        return error

    # ---- what is shared with other processes -------------------------------------------------------------------------

    def _read(self, credential: Credential) -> State:
        return read_state(self._credentials, credential)

    def _write(self, credential: Credential, state: State) -> bool:
        return write_state(self._credentials, credential, state)


@contextlib.contextmanager
def alone(credentials: Credentials, credential: Credential, *, timeout: float) -> Iterator[None]:
    """Be the only process (and thread) that refreshes, or writes the state of, this login.

    Raises:
        Busy: another is at it still after `timeout` seconds.
    """
    name = token_cache.file_name(credentials.namespace, credential)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(credentials.folder.locked(f"{name}.lock", timeout=timeout))
        except (LocalFailure, DiskFull, UnsafePlace) as error:  # a disk not to be written, or not ours: each for itself
            log.debug("no lock among processes: %s", error)
        yield


def read_state(credentials: Credentials, credential: Credential) -> State:
    """What the processes of this login told each other; an empty state when that cannot be read."""
    name = token_cache.file_name(credentials.namespace, credential)
    try:
        data = credentials.folder.read(name, most=token_cache.MOST)
    except (LocalFailure, UnsafePlace) as error:
        log.warning("the shared access token is ignored: %s", error)
        return State()
    return token_cache.unseal(data, credential.refresh_token, name)


def write_state(credentials: Credentials, credential: Credential, state: State) -> bool:
    """Tell the other processes of this login, while `alone`; False when the disk does not take it: no failure."""
    name = token_cache.file_name(credentials.namespace, credential)
    try:
        credentials.folder.sweep(name)
        credentials.folder.write(name, token_cache.seal(state, credential.refresh_token, name))
    except (LocalFailure, DiskFull, UnsafePlace) as error:
        log.info("the access token is not shared with other processes: %s", error)
        return False
    return True


def forget_state(credentials: Credentials, credential: Credential) -> None:
    """Remove what the processes of this login told each other, while `alone`."""
    credentials.folder.remove(token_cache.file_name(credentials.namespace, credential))


def _with_scope(error: NotAuthorized, credential: Credential) -> NotAuthorized:
    """The error, naming what is missing where the service did not: it only says that the login has not all."""
    if not isinstance(error, MissingScope) or error.facts.get("scope"):
        return error
    had = credential.login.scopes if credential.login is not None else ()
    missing = credential.asked - frozenset(had) or credential.asked
    least = "" if had else "at least one of "
    said = str(error.facts.get("said", ""))
    return MissingScope(
        f"the login of profile {credential.profile.name} lacks {least}{spelled(missing)} ({said})",
        scope=spelled(missing),
        said=said,
    )


def _is(token: Token, rejected: Secret | None) -> bool:
    return rejected is not None and token.value.reveal() == rejected.reveal()
