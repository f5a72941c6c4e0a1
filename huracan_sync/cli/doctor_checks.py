"""What a doctor would ask of a login: where its secrets live (never what they are), what it may do, and what is odd.

Each check is a function from facts to a `Check`; those that must look at the disk, the keyring or the network say so by
their arguments. Nothing is written, here or remotely. What needs the API (is the root visible, how full is it) is asked
by the caller and handed in.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import msgspec

from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.keystore.store import FOLDER, Store
from huracan_sync.auth.login_calls import could_write
from huracan_sync.auth.scopes import ACCOUNT, READ, WRITE, Profile, spelled, to_authorize
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.errors import ENABLE_SCOPE, HuracanError, NoCredentials, NotAuthorized, VaultRefused
from huracan_sync.remote.http import Answer, Endpoint, Wire
from huracan_sync.secret import Secret
from huracan_sync.signing.expiry import Ending

Verdict = Literal["ok", "warn", "bad", "unknown"]
LEAST_WATCHES = 8192
"""With fewer inotify watches than this a tree of ordinary size cannot be watched."""
SKEW_S = 120.0
"""Seconds our clock may differ from Dropbox's before it is worth a word."""

VERBS = {
    "push": READ + WRITE,
    "publish": READ + WRITE,
    "migrate": READ + WRITE,
    "restore": READ,
    "verify": READ[:1],
    "follow": READ,
    "quota": ACCOUNT,
}
_IGNORED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_LEFTOVERS = ("DROPBOX_ACCESS_TOKEN", "DROPBOX__ACCESS_TOKEN")
_READABLE = ("HURACAN_DROPBOX_REFRESH_TOKEN", "HURACAN_VAULT_KEY")


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    says: str
    """One sentence for a person."""
    facts: Mapping[str, object] = {}
    hint: str = ""


def check_credentials(credentials: Credentials) -> Check:
    """Whether there is a login, where it comes from, and whose it is. Opens the place it is kept in."""
    name = "credentials"
    try:
        found = credentials.load()
    except NoCredentials as error:
        return Check(name, "bad", f"{error}.", hint=error.hint)
    except HuracanError as error:
        return Check(name, "bad", f"{error}.", {"error": error.code or type(error).__name__}, error.hint)
    facts: dict[str, object] = {"source": found.source, "app_key": found.app_key, "profile": found.profile.name}
    if found.login is None:
        says = f"a refresh token is delivered by {found.source}; it is kept in memory only."
        return Check(name, "ok", says, facts)
    facts["account_id"] = found.login.account_id
    return Check(name, "ok", f"logged in as {found.login.account_id}; kept in the {found.source}.", facts)


def check_keeping(store: Store, *, delivered: bool = False) -> Check:
    """Which keyring or vault there is for secrets. Asks the keyring whether it is there.

    Args:
        store: the secrets of this machine.
        delivered: whether the login comes from elsewhere, so that nothing needs to be kept here.
    """
    name, vault = "keyring", store.vault.exists()
    facts: dict[str, object] = {
        "backend": store.keyring.backend if store.keyring is not None else "",
        "vault": str(store.folder.path / "vault") if vault else "",
    }
    if vault and store.would_keep_in() is not None:
        try:
            store.vault.check()
        except VaultRefused as error:
            return Check("vault", "bad", f"{error}.", facts | {"error": error.code}, error.hint)
    if store.keyring is not None:
        return Check(name, "ok", f"the OS keyring answers ({store.keyring.backend}).", facts)
    if store.would_keep_in() is None:
        if delivered and not vault:
            return Check(name, "ok", "there is none here, and none is needed: the login is delivered.", facts)
        hint = "set HURACAN_VAULT_KEY_FILE, or deliver the token as a file (HURACAN_REFRESH_TOKEN_FILE)"
        verdict: Verdict = "bad" if vault else "warn"
        return Check(name, verdict, "there is no OS keyring here, and no key for a vault.", facts, hint)
    return Check(name, "ok", "there is no OS keyring here; secrets go to the encrypted vault.", facts)


def check_vault_key(env: Mapping[str, str], store: Store) -> Check | None:
    """Whether the vault's key lies where the vault does; None when there is no such pair."""
    named = env.get("HURACAN_VAULT_KEY_FILE")
    if not named or not store.vault.exists():
        return None
    try:
        key, home = Path(named).stat(), store.folder.path.stat()
    except OSError as error:
        return Check("vault key", "bad", f"{named} cannot be looked at: {error.strerror}.", {"path": named})
    facts: dict[str, object] = {"path": named, "mode": f"{stat.S_IMODE(key.st_mode):04o}"}
    if key.st_mode & 0o077 and key.st_uid == os.geteuid():
        return Check("vault key", "bad", "others may read the vault's key.", facts, f"run `chmod 400 {named}`")
    if key.st_dev == home.st_dev:
        says = "the vault and its key lie on one volume: it guards against accidents, not against a thief."
        return Check("vault key", "warn", says, facts, "deliver the key by the platform's secret store")
    return Check("vault key", "ok", "the vault's key lies apart from it.", facts)


def check_delivered(env: Mapping[str, str]) -> Check | None:
    """Whether the delivered token's file is ours to read alone; None when none is delivered."""
    named = env.get("HURACAN_REFRESH_TOKEN_FILE")
    if not named:
        return None
    try:
        mode = stat.S_IMODE(Path(named).stat().st_mode)
    except OSError as error:
        return Check("token file", "bad", f"{named} cannot be looked at: {error.strerror}.", {"path": named})
    facts: dict[str, object] = {"path": named, "mode": f"{mode:04o}"}
    if mode & 0o044:
        hint = f"run `chmod 400 {named}`, or deliver it with that mode; in a container of our own it is no harm"
        return Check("token file", "warn", f"others may read {named} (mode {mode:04o}).", facts, hint)
    return Check("token file", "ok", f"{named} is ours alone to read.", facts)


def check_scopes(profile: Profile, scopes: Iterable[str]) -> Check:
    """What the login may do, against what each verb needs."""
    granted = frozenset(scopes)
    verbs = {verb: sorted(set(needed) - granted) for verb, needed in VERBS.items()}
    able = [verb for verb, missing in verbs.items() if not missing]
    facts: dict[str, object] = {"granted": sorted(granted), "verbs": verbs}
    if missing := profile.needed - granted:
        hint = f"{ENABLE_SCOPE}, then run `{to_authorize(profile)}`"
        return Check("scopes", "bad", f"the login lacks {spelled(missing)}.", facts, hint)
    if profile.read_only and (wider := granted - frozenset(READ + ACCOUNT)):
        hint = f"run `huracan-sync logout --profile {profile.name}`, then `{to_authorize(profile)}`"
        return Check("scopes", "bad", f"a reader's login can do more than read: {spelled(wider)}.", facts, hint)
    return Check("scopes", "ok", f"enough for: {', '.join(able)}.", facts)


def check_token(tokens: AccessTokens, *, name_of: Callable[[Secret], str] | None = None) -> Check:
    """Whether Dropbox still honours the login. Makes at most one call of the token route.

    Args:
        tokens: of the login.
        name_of: asks how the account's owner is called, where the login may know.
    """
    try:
        token = tokens.token()
    except NotAuthorized as error:
        return Check("login", "bad", f"{error}.", {"error": error.code or type(error).__name__}, error.hint)
    except HuracanError as error:
        return Check("login", "unknown", f"{error}.", {"error": error.code or type(error).__name__}, error.hint)
    name = name_of(token) if name_of is not None else ""
    return Check(
        "login", "ok", f"Dropbox honours it{f'; the account is called {name}' if name else ''}.", {"name": name}
    )


def check_reader(credentials: Credentials, wire: Wire) -> Check | None:
    """Whether the token that was delivered to a reader could write if somebody asked it to; None where none was.

    What `authorize --read-only` stores was judged when it was granted. A delivered token does not say what it may do,
    and somebody who takes it from the reader's machine may ask for everything: so it is asked here, once.
    """
    credential = credentials.load()
    if credential.login is not None or not credential.profile.read_only:
        return None
    try:
        writes = could_write(credentials, wire, credential)
    except HuracanError as error:
        return Check("reader", "unknown", f"{error}.", {"error": error.code or type(error).__name__}, error.hint)
    if writes:
        says = "the delivered token is an engine's: who steals it from this machine can write with it."
        hint = f"{credential.to_replace}; then log the other one out"
        return Check("reader", "bad", says, {"could_write": True}, hint)
    return Check("reader", "ok", "the delivered token cannot write, whatever is asked of it.", {"could_write": False})


def check_reach(endpoint: Endpoint, answer: Answer | HuracanError, *, now: float) -> Check:
    """Whether Dropbox answers, and how far our clock is from its.

    Args:
        endpoint: who was asked.
        answer: what it said to any request, or why it did not.
        now: seconds since 1970 by our clock when the answer came.
    """
    facts: dict[str, object] = {"api": endpoint.api, "ca_file": endpoint.ca_file or "", "proxy": ""}
    trust = f"CA file {endpoint.ca_file}" if endpoint.ca_file else "CA bundle of certifi"
    way = f"no proxy; {trust if endpoint.api.startswith('https') else 'no TLS'}"
    if isinstance(answer, HuracanError):
        return Check("network", "bad", f"{answer}.", facts, answer.hint)
    skew = _skew(answer.headers.get("Date", ""), now)
    if skew is None:
        return Check("network", "ok", f"{endpoint.api} answers ({way}).", facts)
    facts["clock_skew_s"] = round(skew)
    if abs(skew) > SKEW_S:
        side = "ahead of" if skew > 0 else "behind"
        says = f"our clock is {abs(skew):.0f} s {side} Dropbox's."
        return Check("network", "warn", says, facts, "set the clock (NTP): freshness of signed heads depends on it")
    says = f"{endpoint.api} answers ({way}); the clocks agree within {SKEW_S:.0f} s."
    return Check("network", "ok", says, facts)


def _skew(date: str, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def check_environment(env: Mapping[str, str]) -> Check:
    """Variables that should not be there, and those that are there and ignored. Never their values."""
    leftover = [name for name in _LEFTOVERS if env.get(name)]
    readable = [name for name in _READABLE if env.get(name)]
    ignored = sorted(
        name for name in env if env[name] and (name.upper() in _IGNORED or name.startswith("DROPBOX_DOMAIN"))
    )
    facts: dict[str, object] = {"leftover": leftover, "readable": readable, "ignored": ignored}
    if leftover:
        hint = "unset it where it is set, and revoke the token at https://www.dropbox.com/account/connected_apps"
        says = f"{', '.join(leftover)} is still set; such a token lasts four hours at most."
        return Check("environment", "warn", says, facts, hint)
    if readable:
        hint = "deliver it as a file instead: HURACAN_REFRESH_TOKEN_FILE, HURACAN_VAULT_KEY_FILE"
        says = f"{', '.join(readable)} can be read by every process of this user."
        return Check("environment", "warn", says, facts, hint)
    if ignored:
        hint = "nothing is taken from them: a proxy or another CA could read every token; reach Dropbox directly"
        return Check("environment", "warn", f"set, and ignored here: {', '.join(ignored)}.", facts, hint)
    return Check("environment", "ok", "nothing in it that should not be.", facts)


def check_state_folder(home: Path) -> Check:
    """Whether our state is ours alone: of `home`, others may see the names; of the secrets in it, nothing."""
    secrets = home / FOLDER
    facts: dict[str, object] = {"path": str(home), "exists": home.is_dir()}
    if why := _not_ours(secrets):
        return Check("state folder", "bad", f"{secrets} is {why}.", facts, f"run `chmod 700 {secrets}`")
    if why := _not_ours(home):
        return Check("state folder", "warn", f"{home} is {why}.", facts, f"run `chmod 700 {home}`")
    place = next((each for each in (home, *home.parents) if each.exists()), home)
    if not os.access(place, os.W_OK):
        hint = "mount it writable, or name another folder in HURACAN_SYNC_HOME"
        what = f"{home} cannot be written." if place == home else f"{home} cannot be made: {place} cannot be written."
        return Check("state folder", "bad", what, facts, hint)
    says = f"{home} is ours alone." if home.is_dir() else f"{home} is not there yet."
    return Check("state folder", "ok", says, facts)


def check_signing_key(env: Mapping[str, str]) -> Check | None:
    """Whether the signing key's file is ours to read alone; None where no file is named."""
    named = env.get("HURACAN_SIGNING_KEY_FILE")
    if not named:
        return None
    try:
        found = Path(named).stat()
    except FileNotFoundError:
        hint = "`huracan-sync keys init` makes it; without a key nothing is signed"
        return Check("signing key", "warn", f"{named} is not there yet.", {"path": named}, hint)
    except OSError as error:
        return Check("signing key", "bad", f"{named} cannot be looked at: {error.strerror}.", {"path": named})
    facts: dict[str, object] = {"path": named, "mode": f"{stat.S_IMODE(found.st_mode):04o}"}
    if found.st_mode & 0o077:
        hint = f"run `chmod 400 {named}`; if somebody may have read it, `huracan-sync keys rotate --new-key`"
        return Check("signing key", "bad", f"others may read {named}.", facts, hint)
    return Check("signing key", "ok", f"{named} is ours alone to read.", facts)


def check_ends(endings: Sequence[Ending]) -> Check:
    """Whether what is signed on this machine ends within 30 days."""
    if not endings:
        return Check("lifetimes", "ok", "no key or trust file ends soon.")
    ended = any(ending.has_ended for ending in endings)
    warnings = [ending.sentence for ending in endings]
    says, hint = f"{'; '.join(warnings)}.", "run `huracan-sync keys rotate` where the root key is"
    return Check("lifetimes", "bad" if ended else "warn", says, {"warnings": warnings}, hint)


def check_disk_events(inotify: Path = Path("/proc/sys/fs/inotify")) -> Check | None:
    """Whether the disk can be watched for changes; None where the system does it in another way (macOS)."""
    if sys.platform != "linux":
        return None
    facts: dict[str, object] = {}
    for name in ("max_user_watches", "max_user_instances"):
        try:
            facts[name] = int((inotify / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            hint = "`run` scans on its intervals instead; changes take longer to be seen"
            return Check("disk events", "warn", "there is no inotify here.", facts, hint)
    if int(str(facts["max_user_watches"])) < LEAST_WATCHES:
        hint = f"raise fs.inotify.max_user_watches to {LEAST_WATCHES} or more (sysctl)"
        return Check("disk events", "warn", "inotify has few watches; large trees are scanned instead.", facts, hint)
    try:
        _open_inotify()
    except OSError as error:
        hint = "`run` scans on its intervals instead; where many watch, raise fs.inotify.max_user_instances (sysctl)"
        return Check("disk events", "warn", f"the disk cannot be watched: {error.strerror}.", facts, hint)
    return Check("disk events", "ok", f"inotify has {facts['max_user_watches']} watches.", facts)


def _open_inotify() -> None:
    """As `run` does first: limits do not tell how much others have taken. Raises OSError."""
    import ctypes  # noqa: PLC0415 - doctor alone needs it

    descriptor = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(descriptor)


def _not_ours(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if found.st_uid != os.geteuid():
        return f"owned by user {found.st_uid}"
    return f"open to others (mode {stat.S_IMODE(found.st_mode):04o})" if found.st_mode & 0o077 else ""


def check_root(profile: Profile, root: str, *, visible: bool | HuracanError, elsewhere: Sequence[str] = ()) -> Check:
    """Whether the login sees the folder it works in.

    Args:
        profile: whose login.
        root: the remote folder; empty for the whole Dropbox.
        visible: whether it is there for this login, or why nobody knows.
        elsewhere: where it lies instead, in the folders of other apps.
    """
    facts: dict[str, object] = {"root": root or "/", "visible": visible if isinstance(visible, bool) else None}
    if elsewhere:
        facts["elsewhere"] = list(elsewhere)
    if isinstance(visible, HuracanError):
        return Check("root folder", "unknown", f"{visible}.", facts, visible.hint)
    if visible:
        return Check("root folder", "ok", f"{root or 'the whole Dropbox'} is visible.", facts)
    if elsewhere:
        says = f"{root} is not there for this login, but {' and '.join(elsewhere)}: an App-folder app wrote it there."
        hint = f"if that is the engine's, set HURACAN_APP_FOLDER={shlex.quote(elsewhere[0])} here"
        return Check("root folder", "bad", says, facts, hint)
    hint = (
        "an App-folder app sees only Apps/<its name>, as if that were everything. A reader must be authorized with the "
        "same app as the engine (`authorize --read-only --app-key THE_ENGINE_S`), or both apps must be of the type "
        "Full Dropbox"
        if profile.read_only
        else "it is made by the first push; with an App-folder app it lies in Apps/<the app's name>"
    )
    verdict: Verdict = "bad" if profile.read_only else "warn"
    return Check("root folder", verdict, f"{root} is not there for this login.", facts, hint)


def check_quota(used: int | None, allocated: int | None) -> Check:
    """How full the account is, in bytes; None when the login may not know."""
    if used is None or allocated is None:
        hint = "authorize with --account-info to see it (the app needs the scope account_info.read)"
        return Check("quota", "unknown", "the login may not see it.", hint=hint)
    facts: dict[str, object] = {"used": used, "allocated": allocated}
    share = used / allocated if allocated else 1.0
    if share > 0.95:
        return Check("quota", "warn", f"{share:.0%} of the account is used.", facts, "free some space in Dropbox")
    return Check("quota", "ok", f"{share:.0%} of the account is used.", facts)
