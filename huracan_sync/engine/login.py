"""Which login a `DropboxSync` uses, and the events that tell how that went.

A setting of `sl.keyring:PROFILE`, an empty one or none means the stored login: nothing is asked of the network before
the first use. Any other `sl.` string is a token that somebody pasted; it lasts four hours at most, so it is asked for
at once whether it still does.
"""

from __future__ import annotations

import functools

import msgspec

from huracan_sync.auth.connect import connect
from huracan_sync.auth.credentials import Credentials
from huracan_sync.engine.error_boundary import for_sdk_callers
from huracan_sync.engine.event_log import error_fields, log
from huracan_sync.engine.settings import SENTINEL, Settings, login_of
from huracan_sync.errors import HuracanError, NotAuthorized
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import TokenExpired
from huracan_sync.remote.listing import check_access
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret

SHORTEST = 100
"""Characters of a token that may be whole; Dropbox's have some 1,300."""
SUSPICIOUS = 500

_EXPIRED = (
    "Dropbox access token has expired.\n"
    "Pasted tokens last four hours. To be done with them, log in once:\n"
    "1. huracan-sync authorize\n"
    "2. remove DROPBOX_ACCESS_TOKEN from the environment and from the settings file\n"
    "3. restart the engine"
)
_INVALID = (
    "Dropbox access token is invalid: it was cut short, changed or revoked.\n"
    "Log in once with `huracan-sync authorize`, then remove the token."
)


class Pasted:
    """A token that somebody pasted. The service is asked a second time before it is believed to have ended."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def token(self) -> Secret:
        """The token."""
        return self._token

    def renew(self, rejected: Secret) -> Secret:
        """The same one: what the service says about it then is final, and says whether it expired or never was."""
        del rejected
        return self._token


class Chosen(msgspec.Struct, frozen=True):
    """A login."""

    profile: str
    token: Secret | None

    @property
    def setting(self) -> str:
        """What stands in the engine's setting for it; of a pasted token, the token."""
        return self.token.reveal() if self.token else f"{SENTINEL}{self.profile}"


def choose(access_token: Secret) -> Chosen:
    """The login that a setting means.

    Raises:
        ValueError: it is no token and names no profile.
    """
    cleaned = Secret("".join(access_token.reveal().split()).strip("\"'"))
    profile, token = login_of(cleaned)
    if token is None:
        return Chosen(profile or "engine", None)
    length = len(token.reveal())
    if not token.reveal().startswith("sl."):
        log.error("dropbox_token_invalid_format", token_length=length, message="Token should start with 'sl.'")
        raise ValueError(f"Invalid Dropbox token format - token should start with 'sl.' (got {length} characters)")
    if length < SHORTEST:
        log.error("dropbox_token_too_short", token_length=length, message="the token may have been cut short")
        raise ValueError(f"Dropbox token is too short ({length} characters); the token may have been cut short")
    if length < SUSPICIOUS:
        log.warning("dropbox_token_short", token_length=length, message="shorter than tokens of Dropbox usually are")
    return Chosen("engine", token)


def chosen_by(settings: Settings) -> Chosen:
    """The login that settings mean.

    Raises:
        ValueError: they hold a token that is none.
    """
    return choose(settings.access_token) if settings.access_token else Chosen(settings.profile, None)


def log_in(chosen: Chosen, pacing: Pacing, credentials: Credentials | None, *, root: str) -> Remote:
    """The Dropbox of a login; of a stored one without asking anybody. `root` is the remote folder of the engine.

    Raises:
        ConfigError: the environment names an emulator that is none.
        NotAuthorized: a pasted token has ended. It is a `dropbox.exceptions.AuthError` too.
        Unavailable: nobody answered whether it has.
    """
    if chosen.token is None:
        log.info("dropbox_token_received", source=f"stored login of profile {chosen.profile}")
        return connect(chosen.profile, pacing=pacing, credentials=credentials, root=root)
    log.info("dropbox_token_received", token_length=len(chosen.token.reveal()), message="Token received and cleaned")
    _warn_once()
    remote = connect(access_token=chosen.token, pacing=pacing, root=root)
    remote.tokens = Pasted(chosen.token)
    _check(remote)
    return remote


@functools.cache
def _warn_once() -> None:
    log.warning(
        "dropbox_token_pasted",
        message="a pasted access token ends within four hours and cannot be renewed; run `huracan-sync authorize` once",
    )


def _check(remote: Remote) -> None:
    try:
        check_access(remote)
    except TokenExpired as error:
        if error.facts.get("tag") == "invalid_access_token":
            log.error("dropbox_token_invalid", **error_fields(error), message=_INVALID)
        else:
            log.error("dropbox_token_expired", **error_fields(error), message=_EXPIRED)
        raise for_sdk_callers(error) from error
    except NotAuthorized as error:
        log.error("dropbox_auth_failed", **error_fields(error))
        raise for_sdk_callers(error) from error
    except HuracanError as error:
        log.error("dropbox_connection_failed", **error_fields(error))
        raise
