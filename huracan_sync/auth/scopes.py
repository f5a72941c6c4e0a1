"""Who may do what: the scopes a profile asks for, and how what was granted is judged. Pure.

The order that keeps a reader a reader: needed <= granted <= asked. Wider than asked is refused, also when it would be
convenient: anybody with the token could then write.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from huracan_sync.errors import MissingScope, NotAuthorized, UsageError, VaultRefused
from huracan_sync.secret import Secret

READ = ("files.metadata.read", "files.content.read")
WRITE = ("files.content.write",)
ACCOUNT = ("account_info.read",)

WHAT_FOR = {
    "files.metadata.read": "listing, verifying, following",
    "files.content.read": "restoring, reading",
    "files.content.write": "pushing, publishing, migrating",
    "account_info.read": "the quota line of `doctor`",
}


class Profile(msgspec.Struct, frozen=True):
    """A named login and what it needs."""

    name: str = "engine"
    read_only: bool = False

    @property
    def needed(self) -> frozenset[str]:
        """The scopes without which its verbs fail."""
        return frozenset(READ if self.read_only else READ + WRITE)

    def asked(self, *, account_info: bool = False) -> frozenset[str]:
        """The scopes to ask for. `account_info` only on request: an app that does not have it refuses the whole."""
        return self.needed | frozenset(ACCOUNT if account_info else ())


def profile_named(name: str | None, *, read_only: bool = False) -> Profile:
    """The profile of that name. `hamilton` only reads; another name writes unless `read_only`.

    Raises:
        UsageError: the name cannot be a file's or a keyring's.
    """
    chosen = name or ("hamilton" if read_only else "engine")
    if not chosen.isascii() or not chosen.replace("-", "").replace("_", "").isalnum() or len(chosen) > 64:
        raise UsageError(f"{chosen!r} is no profile name", hint="use letters, digits, - and _, at most 64")
    return Profile(chosen, read_only or chosen == "hamilton")


def to_authorize(profile: Profile) -> str:
    """The command that logs this profile in. A reader's is never told to ask for more."""
    named = "" if profile == profile_named(None, read_only=profile.read_only) else f" --profile {profile.name}"
    return f"huracan-sync authorize{' --read-only' if profile.read_only else ''}{named}"


EMULATOR_TOKENS = ("sl.emulator.", "emulator-")
"""How the access and refresh tokens of the emulator begin, and its codes."""
SHORTEST = 16
"""Dropbox's tokens have 64 characters and more; what has fewer than so many, a local server of others made."""


def check_destination(namespace: str, token: Secret, what: str = "token") -> None:
    """Let a real token (or code, as `what` says) go to Dropbox alone, and an emulator's to emulators.

    Raises:
        VaultRefused: `BOUND_ELSEWHERE`, it would go to the other.
    """
    asks_dropbox = namespace == "dropbox"
    is_real = asks_dropbox or token.reveal().startswith("sl.") or len(token.reveal()) >= SHORTEST
    is_real = is_real and not token.reveal().startswith(EMULATOR_TOKENS)
    if is_real != asks_dropbox:
        belongs, asked = ("Dropbox", "an emulator") if is_real else ("an emulator", "Dropbox")
        way = "unset HURACAN_SYNC_API" if is_real else "set HURACAN_SYNC_API to the emulator's URL"
        raise VaultRefused(
            f"this {what} belongs to {belongs} and is not sent to {asked}",
            code="BOUND_ELSEWHERE",
            hint=f"{way}, or deliver a {what} of {asked}",
        )


def spelled(scopes: Iterable[str]) -> str:
    """Scopes as OAuth writes them: sorted, separated by one space."""
    return " ".join(sorted(scopes))


def check_granted(profile: Profile, asked: frozenset[str], granted: frozenset[str] | None) -> None:
    """Judge what the service granted; None when it did not say, which means: as asked (RFC 6749, 5.1).

    Raises:
        NotAuthorized: `SCOPE_WIDENED`, more than was asked.
        MissingScope: less than the profile needs.
    """
    if granted is None:
        return
    if wider := granted - asked:
        raise NotAuthorized(
            f"Dropbox granted {spelled(wider)}, which the profile {profile.name} did not ask for",
            code="SCOPE_WIDENED",
            hint="nothing was stored; "
            + (
                "add --account-info, so that it is asked for"
                if wider <= frozenset(ACCOUNT)
                else "if the app is shared, make one of its own for this profile"
            ),
            scope=spelled(wider),
        )
    if missing := profile.needed - granted:
        raise MissingScope(
            f"the login of profile {profile.name} lacks {spelled(missing)}",
            scope=spelled(missing),
            needed_for=", ".join(WHAT_FOR[scope] for scope in sorted(missing)),
        )


def writes(scopes: Iterable[str]) -> frozenset[str]:
    """Those of the scopes that let the holder change something: all but the reading ones we know."""
    return frozenset(scopes) - frozenset(READ + ACCOUNT)
