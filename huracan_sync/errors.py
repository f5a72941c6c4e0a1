"""What can go wrong, by who must act. Anything that escapes outside this tree is a bug in us.

    HuracanError
     ├─ UsageError            the caller: an argument that cannot be right
     │   └─ HostilePath           a name no tree may hold: `..`, NUL, a second spelling
     ├─ ConfigError           the operator: settings, keys or state on this machine
     │   ├─ NoSigningKey          nothing here can sign
     │   ├─ NoTrust               no root key is pinned here
     │   ├─ StateMissing          remembered state is lost or damaged; going on would allow a rollback
     │   └─ VaultRefused          no safe place for a secret, or the place is not as it must be
     │       ├─ UnsafePlace           a file or folder of ours that others own, may read, or linked
     │       └─ SecretMissing         a secret that the environment names is not where it says
     ├─ NotAuthorized         the operator: log in, or enable a scope
     │   ├─ NoCredentials         nobody has logged in here
     │   ├─ Revoked               the login was withdrawn; no call succeeds until a new one
     │   └─ MissingScope          the login lacks a permission that a call needs
     ├─ Refused               nobody by trying again: the data is untrusted or corrupt
     │   └─ ContentMismatch       bytes do not have the hash they must have
     ├─ Conflict              a person, or a new plan: somebody else changed the same thing
     ├─ PathRefused           a person: Dropbox does not do this at that path; all others go on
     ├─ NotFound              the caller: nothing lies at that path
     ├─ LocalFailure          the operator: a file here cannot be read or written
     │   ├─ FileChanged           a file changed while it was read, or is not whole; the next pass finds it whole
     │   ├─ LeftOut               a file arrived whole and was not wanted
     │   └─ SecretInFile          a file that was to be sent holds a token or a password
     ├─ TryLater              time: the same call will do
     │   ├─ RateLimited           the server asked for a pause longer than we may wait
     │   ├─ Busy                  another process of ours works on the same thing
     │   ├─ Stopped               this process was asked to end; what was done is kept
     │   ├─ DiskFull              no space left on this machine
     │   └─ OutOfSpace            no space left in Dropbox
     └─ Unavailable           the network or the service
         ├─ Unreachable           no answer at all
         ├─ TlsRefused            the other side could not prove who it is; trying again is no cure
         ├─ CallRefused           the service calls a request malformed: a bug in us, or the API changed
         └─ ServiceFault          an answer that is no answer: 5xx, HTML, a body cut short

There is one class for everything that callers handle in the same way; what distinguishes the cases within it is the
`.code`, a stable word such as `PORT_TAKEN` or `ROLLBACK`. Every error also has its facts as keyword arguments
(`.facts`), a `.hint` that says what to do next, and `.retryable`, which says whether the same call may succeed later
with nobody acting.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import ClassVar

ENABLE_SCOPE = "enable the scope on the Permissions tab of https://www.dropbox.com/developers/apps"

_MAKE_A_KEY = "make a key with `(umask 077; head -c 32 /dev/urandom | base64 > FILE)`"


class HuracanError(Exception):
    """The root. `print(error, error.hint)`: a sentence with its facts, and what to do; no message ever holds a secret.

    The code `BUG` marks an exception that this library did not foresee.
    """

    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""
    default_code: ClassVar[str] = ""
    codes: ClassVar[Mapping[str, str]] = {
        "BUG": "please report this with the traceback that HURACAN_SYNC_STRICT=1 shows",
    }
    """The codes of this class and the hint of each; an empty one means the default hint."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.hint = (self.codes.get(self.code) or self.default_hint) if hint is None else hint
        self.facts = facts

    @property
    def hint(self) -> str:
        """What to do next. A traceback ends with it."""
        return self._hint

    @hint.setter
    def hint(self, text: str) -> None:
        self._hint = text
        self.__notes__ = [f"hint: {text}"] if text else []

    def as_dict(self) -> dict[str, object]:
        """The error for machines: `error` (class name), `message`, `hint`, `retryable`, `facts`, and `code` if any."""
        facts = {k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in self.facts.items()}
        described: dict[str, object] = {
            "error": type(self).__name__,
            "message": str(self),
            "hint": self.hint,
            "retryable": self.retryable,
            "facts": facts,
        }
        return described | {"code": self.code} if self.code else described


class UsageError(HuracanError):
    """An argument that cannot be right, whatever the state of the world."""

    default_hint = "see what is allowed: `huracan-sync help VERB`, or the function's docstring"


class HostilePath(UsageError):
    """A name that no tree may hold. Refused, never repaired: a repaired name is a second spelling."""

    default_hint = "rename it, or choose another name"


class ConfigError(HuracanError):
    """Settings, keys or state on this machine are not as they must be.

    `UNKNOWN_SETTING`: no setting has this name; the hint names the nearest one.
    `NO_APP_KEY`: no app key was given, and none is known from an earlier login.
    `PORT_TAKEN`: another process listens on the loopback port. No login was begun.
    """

    codes: ClassVar[Mapping[str, str]] = {
        "UNKNOWN_SETTING": "",
        "NO_APP_KEY": "make an app once at https://www.dropbox.com/developers/apps (Scoped access, Full Dropbox), "
        "copy its App key (an emulator prints it), then `huracan-sync authorize --app-key KEY`, or set HURACAN_APP_KEY",
        "PORT_TAKEN": "end the other program, choose another registered port with --port, or use --no-browser",
    }


class NoSigningKey(ConfigError):
    """Nothing on this machine can sign for the channel."""

    default_hint = "run `huracan-sync keys init`, or set HURACAN_SIGNING_KEY_FILE"


class NoTrust(ConfigError):
    """No root key is pinned on this machine, so no signature can be judged."""

    default_hint = (
        "run `huracan-sync keys trust PIN` with the pin that `keys show` prints on the engine, or set HURACAN_ROOT_PIN"
    )


class StateMissing(ConfigError):
    """Remembered state is lost or damaged; accepting anything now could accept an old head."""

    default_hint = "find the last sequence Hamilton used, then run `huracan-sync keys trust --at-least SEQ`"


class VaultRefused(ConfigError):
    """There is no safe place for a secret here, or the place is not as it must be.

    `NO_SAFE_PLACE`: neither an OS keyring nor a key for the vault.
    `KEYRING`: the OS keyring cannot be opened. What lies in it is not lost, and nobody is taken for logged out.
    `NO_VAULT_KEY`: there is a vault, and nothing here to open it with.
    `WEAK_VAULT_KEY`: a passphrase under 16 characters, or a key that is not 32 bytes.
    `WRONG_VAULT_KEY`: the key is not the one that made the vault. The vault is untouched.
    `VAULT_DAMAGED`: the vault was changed by something that does not know its key. Nothing of it is believed.
    `VAULT_UNKNOWN`: not a vault, of a newer format, or one whose limits lie outside those we accept.
    `BOUND_ELSEWHERE`: the secret belongs to another service, app or account than the one that asks for it.
    """

    codes: ClassVar[Mapping[str, str]] = {
        "NO_SAFE_PLACE": f"{_MAKE_A_KEY} and set HURACAN_VAULT_KEY_FILE=FILE, or deliver the token itself as a file "
        "and set HURACAN_REFRESH_TOKEN_FILE and HURACAN_APP_KEY",
        "KEYRING": "unlock the keyring (log in to the desktop session), then run the same command again; on a machine "
        "without a desktop, run `authorize` with DBUS_SESSION_BUS_ADDRESS= (empty) and HURACAN_VAULT_KEY_FILE set",
        "NO_VAULT_KEY": "set HURACAN_VAULT_KEY_FILE to the key file the vault was made with",
        "WEAK_VAULT_KEY": f"{_MAKE_A_KEY}, or choose a passphrase of 16 characters or more",
        "WRONG_VAULT_KEY": "set HURACAN_VAULT_KEY_FILE to the key file the vault was made with",
        "VAULT_DAMAGED": "if `vault.1`, the version before it, lies beside it, copy it over `vault`; else, or if it is "
        "damaged too, move both away and run `huracan-sync authorize`",
        "VAULT_UNKNOWN": "use the newest huracan-sync; if it is no vault at all, move it away and run "
        "`huracan-sync authorize`",
        "BOUND_ELSEWHERE": "run `huracan-sync logout` and `huracan-sync authorize` for this profile",
    }


class UnsafePlace(VaultRefused):
    """A file or folder that holds secrets is not ours alone. The fact `path` names it, `reason` says why."""


class SecretMissing(VaultRefused):
    """A secret that the environment or an option names is not there. No other source is tried in its stead."""

    default_hint = "check that the secret is mounted where its name says, or unset the name"


class NotAuthorized(HuracanError):
    """The service does not let this login do that. Nothing but a person changes it.

    `NO_CONSENT`: the person said no, or gave no answer. The fact `reason`: `denied`, `timeout` or `code`.
    `SCOPE_WIDENED`: the service granted more than was asked. A reader must not hold a writer's token.
    `ACCOUNT_CHANGED`: another account answered than the one pinned at the first login.
    `GRANT_EXPIRED`: what a driver lent to this worker is over.
    """

    default_hint = "run `huracan-sync authorize`"
    codes: ClassVar[Mapping[str, str]] = {
        "NO_CONSENT": "",
        "SCOPE_WIDENED": "",
        "ACCOUNT_CHANGED": "",
        "GRANT_EXPIRED": "let the driver lend another (`remote.lend()`) and run the task again",
    }


class NoCredentials(NotAuthorized):
    """Nobody has logged in on this machine under this profile."""


class Revoked(NotAuthorized):
    """The refresh token was withdrawn. Terminal: one call finds it, no further call is made."""


class MissingScope(NotAuthorized):
    """The login lacks a permission. The fact `scope` names it."""

    default_hint = f"{ENABLE_SCOPE}, then run `huracan-sync authorize` again"


class Refused(HuracanError):
    """Untrusted or corrupt data. Trying again cannot make it true.

    The code is the reason in the words of the format's specification; `manifest/refusals.py` has them all.
    """

    default_code = "REFUSED"


class ContentMismatch(Refused):
    """Bytes do not have the content hash they must have. Nothing of them was put in place."""

    default_code = "CONTENT"
    default_hint = "run it again; if it stays so, somebody replaces the file, or something on the way changes bytes"


class Conflict(HuracanError):
    """Somebody else changed the same thing. Nothing was overwritten.

    `EXISTS`: the caller asked not to overwrite, and other content is there.
    `SUPERSEDED`: another publisher has changed one of the files since.
    """

    default_hint = "look at what lies there; nothing of it was replaced"
    codes: ClassVar[Mapping[str, str]] = {"EXISTS": "", "SUPERSEDED": ""}


class PathRefused(HuracanError):
    """Dropbox refuses this at one path to everybody: the fact `tags` says why. The others go on."""


class NotFound(HuracanError):
    """Nothing lies at that remote path."""

    default_hint = "check the spelling; `huracan-sync ls FOLDER` shows what lies there"


class LocalFailure(HuracanError):
    """A file or folder on this machine cannot be read or written."""

    default_hint = "check that it is there, and its owner and rights"


_HINTS = {
    errno.EACCES: "check its owner and rights",
    errno.EPERM: "check its owner and rights",
    errno.EROFS: "the disk is mounted read-only: mount it to be written, or work elsewhere",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the machine has too many files open: close programs, or raise fs.file-max",
    errno.ELOOP: "a symbolic link stands there and is not followed: put the file or folder itself there",
    errno.ENOTDIR: "a file or a symbolic link stands where a folder must be: move it away",
    errno.EISDIR: "a folder stands where the file must be: move it away",
    errno.ENAMETOOLONG: "give it a shorter name, or move it further up",
    errno.EIO: "the disk fails: look at the system's log",
}


def hint_of(error: OSError) -> str | None:
    """What to do about an error of the operating system; None where nothing better is known than its class's hint."""
    return _HINTS.get(error.errno or 0)


class FileChanged(LocalFailure):
    """A file changed while it was read. Nothing mixed was sent; the next pass finds it whole.

    `HALF_WRITTEN`: the file is not whole: still being written, or damaged. It was not sent.
    """

    retryable = True
    default_hint = "run it again: the file is read again"
    codes: ClassVar[Mapping[str, str]] = {"HALF_WRITTEN": "if nothing writes it any more, it is damaged: make it again"}


class LeftOut(LocalFailure):
    """A file arrived whole and was not put in its place, because the caller's own check did not accept it."""

    default_hint = "it lies in Dropbox as before; restore it without the option that leaves it out"


class SecretInFile(LocalFailure):
    """A file that was to be sent holds a secret. The fact `kinds` says of what kind, never what it is."""

    default_hint = "move the secret out of the file (environment, secret mount), or allow it with allow_secrets=True"


class TryLater(HuracanError):
    """The same call will do, later.

    `JOURNAL_DAMAGED`: the journal could not be read. It was put aside; nothing that must not be lost was in it.
    """

    retryable = True
    codes: ClassVar[Mapping[str, str]] = {
        "JOURNAL_DAMAGED": "run the same command again; what the journal knew is found out again"
    }


class RateLimited(TryLater):
    """The server asked for a longer pause than this call may wait."""

    default_hint = "run the same command again later; it carries on where it stopped"


class Busy(TryLater):
    """Another process of ours holds the same root, channel or vault."""

    default_hint = "wait for the other process to end, then run it again"


class Stopped(TryLater):
    """The run was asked to end. What was under way came to its end; the next run carries on."""

    default_hint = "run it again; it carries on where it stopped"


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
    """An answer that is none: 5xx, HTML where JSON belongs, a body cut short.

    `RANGE_IGNORED`: the service sent other bytes than the range that was asked for.
    """

    codes: ClassVar[Mapping[str, str]] = {"RANGE_IGNORED": ""}
    default_hint = "Dropbox is having trouble; run the same command again later (status.dropbox.com)"


class TlsRefused(Unavailable):
    """The other side could not prove that it is Dropbox. Terminal: a retry would ask an impostor again."""

    retryable = False
    default_hint = "check the clock and the network (a proxy that opens TLS?); for an emulator set HURACAN_SYNC_CA"


class CallRefused(Unavailable):
    """The service calls a request malformed (400) or unexpected: a bug in us, or the API changed.

    `HEADER_TOO_LARGE`: the argument header is over the server's limit, which is not published.
    """

    retryable = False
    codes: ClassVar[Mapping[str, str]] = {"HEADER_TOO_LARGE": ""}
    default_hint = "please report this with the command you ran"


def local_failure(error: OSError, path: str, verb: str) -> LocalFailure | DiskFull:
    """The typed error for an `OSError`."""
    shown = ascii(path)[1:-1]
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{shown} cannot be written: {reason}", path=shown)
    return LocalFailure(
        f"{shown} cannot be {'read' if verb == 'read' else 'written' if verb == 'write' else 'removed'}: {reason}",
        hint=hint_of(error),
        path=shown,
        errno=error.errno,
    )
