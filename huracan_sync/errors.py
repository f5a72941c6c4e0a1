"""What can go wrong, sorted by who must act. Anything that escapes outside this tree is a bug in us.

    HuracanError
     ├─ UsageError            the caller: an argument that cannot be right
     │   └─ HostilePath           a name no tree may hold: `..`, NUL, a second spelling
     ├─ ConfigError           the operator: settings, keys or state on this machine
     │   ├─ UnknownSetting        a name no setting has
     │   ├─ NoSigningKey          nothing here can sign
     │   ├─ NoTrust               no root key is pinned here
     │   ├─ StateMissing          what was seen before is lost or damaged; going on would allow a rollback
     │   └─ VaultRefused          no safe place for a secret, or the place is not as it must be
     ├─ NotAuthorized         the operator: log in, or enable a scope
     │   ├─ NoCredentials         nobody has logged in here
     │   ├─ Revoked               the login was withdrawn; no call will succeed until a new one
     │   ├─ MissingScope          the login lacks a permission that a call needs
     │   ├─ ScopeWidened          the service granted more than was asked
     │   └─ AccountChanged        another account answers than the one that was pinned
     ├─ Refused               nobody by trying again: the data is untrusted or corrupt
     │   ├─ ContentMismatch       bytes do not have the hash they must have
     │   └─ ...                   signed/ adds one class for every reason it refuses for
     ├─ Conflict              a person, or a new plan: somebody else changed the same thing
     │   └─ RemoteExists          the caller asked not to overwrite, and something else is there
     ├─ NotFound              the caller: nothing lies at that path
     ├─ LocalFailure          the operator: a file here cannot be read or written
     │   └─ FileChanged           a file changed while it was read; the next pass will find it whole
     ├─ TryLater              time: the same call will do
     │   ├─ RateLimited           the server asked for a pause longer than we may wait
     │   ├─ Busy                  another process of ours works on the same thing
     │   ├─ DiskFull              no space left on this machine
     │   └─ OutOfSpace            no space left in Dropbox
     └─ Unavailable           the network or the service
         ├─ Unreachable           no answer at all
         ├─ TlsRefused            the other side could not prove who it is; trying again is no cure
         ├─ CallRefused           the service calls a request malformed: a bug in us, or the API changed
         └─ ServiceFault          an answer that is no answer: 5xx, HTML, a body cut short

Every error has its facts as keyword arguments (`.facts`), a `.hint` that says what to do next, and `.retryable`,
which says whether the same call may succeed later with nobody acting.
"""

from __future__ import annotations

from typing import ClassVar


class HuracanError(Exception):
    """The root. `str(error)` is one sentence with its facts; no message ever holds a secret."""

    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.hint = self.default_hint if hint is None else hint
        self.facts = facts

    def as_dict(self) -> dict[str, object]:
        """The error for machines: `error` (class name), `message`, `hint`, `retryable`, `facts`."""
        facts = {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in self.facts.items()}
        return {
            "error": type(self).__name__,
            "message": str(self),
            "hint": self.hint,
            "retryable": self.retryable,
            "facts": facts,
        }


class UsageError(HuracanError):
    """An argument that cannot be right, whatever the state of the world."""


class HostilePath(UsageError):
    """A name that no tree may hold. Refused, never repaired: a repaired name is a second spelling."""


class ConfigError(HuracanError):
    """Settings, keys or state on this machine are not as they must be."""


class UnknownSetting(ConfigError):
    """A name no setting has; the hint names the nearest that one has."""


class NoSigningKey(ConfigError):
    """Nothing on this machine can sign for the channel."""

    default_hint = "run `huracan-sync keys init`, or set HURACAN_SIGNING_KEY_FILE"


class NoTrust(ConfigError):
    """No root key is pinned on this machine, so no signature can be judged."""

    default_hint = (
        "run `huracan-sync keys trust FINGERPRINT` with the fingerprint that `keys show` prints on the engine"
    )


class StateMissing(ConfigError):
    """What was seen before is lost or damaged; accepting anything now could accept an old head."""

    default_hint = "find the last sequence Hamilton used, then run `huracan-sync keys trust --at-least SEQ`"


class VaultRefused(ConfigError):
    """There is no safe place for a secret here, or the place is not as it must be."""


class NotAuthorized(HuracanError):
    """The service does not let this login do that. Nothing but a person changes it."""

    default_hint = "run `huracan-sync authorize`"


class NoCredentials(NotAuthorized):
    """Nobody has logged in on this machine under this profile."""


class Revoked(NotAuthorized):
    """The refresh token was withdrawn. Terminal: one call finds it, no further call is made."""


class MissingScope(NotAuthorized):
    """The login lacks a permission. The fact `scope` names it."""

    default_hint = (
        "enable the scope on the Permissions tab of https://www.dropbox.com/developers/apps, "
        "then run `huracan-sync authorize` again"
    )


class ScopeWidened(NotAuthorized):
    """The service granted more than was asked. Refused: a reader must not hold a writer's token."""


class AccountChanged(NotAuthorized):
    """Another account answered than the one pinned at the first login."""


class Refused(HuracanError):
    """Untrusted or corrupt data. Trying again cannot make it true."""


class ContentMismatch(Refused):
    """Bytes do not have the content hash they must have. Nothing of them was put in place."""


class Conflict(HuracanError):
    """Somebody else changed the same thing. Nothing was overwritten."""


class RemoteExists(Conflict):
    """The caller asked not to overwrite, and other content is there."""


class NotFound(HuracanError):
    """Nothing lies at that remote path."""


class LocalFailure(HuracanError):
    """A file or folder on this machine cannot be read or written."""


class FileChanged(LocalFailure):
    """A file changed while it was read. Nothing mixed was sent; the next pass finds it whole."""

    retryable = True


class TryLater(HuracanError):
    """The same call will do, later."""

    retryable = True


class RateLimited(TryLater):
    """The server asked for a longer pause than this call may wait."""


class Busy(TryLater):
    """Another process of ours holds the same root, channel or vault."""


class DiskFull(TryLater):
    """No space left on this machine. What was in place is untouched."""

    default_hint = "free some space and run the same command again; it carries on where it stopped"


class OutOfSpace(TryLater):
    """No space left in the Dropbox account. Uploads stop, downloads go on."""

    default_hint = "free some space in Dropbox or enlarge the plan, then run the same command again"


class Unavailable(HuracanError):
    """The network or the service."""

    retryable = True


class Unreachable(Unavailable):
    """No answer. The fact `sent` says whether the request may have arrived."""

    default_hint = "check the network, then run the same command again; it carries on where it stopped"


class ServiceFault(Unavailable):
    """An answer that is none: 5xx, HTML where JSON belongs, a body cut short."""

    default_hint = "Dropbox is having trouble; run the same command again later (status.dropbox.com)"


class TlsRefused(Unavailable):
    """The other side could not prove that it is Dropbox. Terminal: a retry would ask an impostor again."""

    retryable = False
    default_hint = "check the clock and the network (a proxy that opens TLS?); for an emulator set HURACAN_SYNC_CA"


class CallRefused(Unavailable):
    """The service calls a request malformed (400) or unexpected: a bug in us, or the API changed."""

    retryable = False
    default_hint = "please report this with the command you ran"
