"""`keys`: who signs, and whom this machine trusts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huracan_sync.auth.connect import connect, home_of
from huracan_sync.cli import policy_options
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import add_arguments as add_secrets
from huracan_sync.cli.login_options import context_of, credentials
from huracan_sync.cli.output import moment
from huracan_sync.cli.parser import add_global_options
from huracan_sync.errors import ConfigError, LocalFailure, NotAuthorized, NoTrust, UsageError
from huracan_sync.manifest import locations, rotation, ssh_armor, sshsig, trust
from huracan_sync.manifest.default_policy import APART_MS, LIFETIME_MS
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import DAY_MS, MAX_LIFETIME_MS, Pin, Trust
from huracan_sync.reader import Reader
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing import trust_chain
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.signing.signing_key import KEY_FILE
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.paths import remote_root
from huracan_sync.tree.symbols import CHAMPIONS

PRINCIPAL = "huracan"
"""What the signer is called in an allowed-signers file."""

_WHAT = {
    "init": "make a signing key and the trust file that says what it may sign; one person, one command",
    "show": "the pin for readers, what each key may do and until when, and a line for OpenSSH's allowed-signers file",
    "trust": "believe what the root keys of this pin have signed for its root folder (on Hamilton's machine)",
    "rotate": "begin the next version of the trust file: more time, another key, a channel's own rules",
    "revoke": "make a key count nowhere any more, and everything it has signed",
    "recover": "begin a channel anew where its head cannot be gone on from, such as one from the future",
    "export-sshsig": "write a channel's head out for `ssh-keygen -Y verify`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.epilog = (
        "The private key lies in the OS keyring or the vault, or in the file that HURACAN_SIGNING_KEY_FILE names "
        "(made by `keys init`, mode 0400). Hamilton's machine has none: there only `keys trust` is needed."
    )
    inner = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, what in _WHAT.items():
        each = inner.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        add_global_options(each, inner=True)
        each.add_argument("--root", metavar="REMOTE", help="another root folder than the profile's")
        add_secrets(each, inner=True)
        _ARGUMENTS[name](each)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`keys WHAT`."""
    return _RUN[options.what](_Asked(options, invocation))


class _Asked:
    """What was asked, with what it takes to answer."""

    def __init__(self, options: argparse.Namespace, invocation: Invocation) -> None:
        self.options = options
        self.output = invocation.output
        self.home = home_of(invocation.env)
        self.remote: Remote = connect(env=invocation.env, credentials=credentials(options, invocation))
        self.root = self.remote.root if options.root is None else remote_root(options.root)
        self.context = context_of(options, invocation, self.remote)
        self.keys = self.context.keys
        self.roots = TrustFiles(self.context, self.root)

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(time.time() * 1000)

    def pinned(self) -> list[str]:
        """What was pinned here for the root folder, also where the rest is lost."""
        try:
            pin = TrustStore(self.home, RemoteSource(self.remote, self.root).place).pinned()
        except NotAuthorized:
            return []  # nobody is logged in, so nothing can be pinned for a login
        return [str(pin)] if pin else []

    def reader(self) -> Reader:
        """Reads the root folder; pins nothing by itself."""
        source = RemoteSource(self.remote, self.root)
        return Reader(source, self.home, place=source.place, keep_set=0, each=several)


# --- init -------------------------------------------------------------------------------------------------------


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key-only", action="store_true", help="only the key: for a machine that publishes under another's root key"
    )
    apart, longest = f"{APART_MS // DAY_MS}d", f"{MAX_LIFETIME_MS // DAY_MS}d"
    parser.add_argument(
        "--root-lifetime",
        metavar="TIME",
        help="how long the trust file counts where the root key is kept apart and a person renews it, such as "
        f"{apart} (at most {longest}; by default {LIFETIME_MS // DAY_MS}d, renewed here). It bounds what a revoked key "
        "can still do",
    )


def _init(asked: _Asked) -> int:
    if asked.options.key_only:
        signer, made = asked.keys.make()
        line = ssh_armor.public_line(signer.public)
        document = {"fingerprint": signer.fingerprint, "made": made, "key_in": asked.keys.where(), "public": line}
        words = [
            f"{'made' if made else 'found'} the key {signer.fingerprint} ({asked.keys.where()})",
            f"where the root key is, run: huracan-sync keys rotate --channel CHANNEL --signer '{line}'",
        ]
        asked.output.document(document, words)
        return DONE
    begun = asked.roots.begin(lifetime_ms=_lifetime_ms(asked.options.root_lifetime))
    fingerprint = begun.signer.fingerprint
    document = {
        "pin": str(begun.pin),
        "fingerprint": fingerprint,
        "made": begun.made_key,
        "key_in": asked.keys.where(),
        "root": asked.root,
        "trust_version": begun.trust.version,
        "expires": moment(begun.trust.expires_ms),
        "in_dropbox": begun.problem is None,
        "why_not": "" if begun.problem is None else str(begun.problem),
        "allowed_signers": _allowed(begun.trust),
    }
    words = [
        f"the pin of this root folder: {begun.pin}",
        f"{'made' if begun.made_key else 'found'} the key {fingerprint} ({asked.keys.where()})",
        f"version {begun.trust.version} of the trust file counts until {_moment(begun.trust.expires_ms)}",
        f"it lies in Dropbox, in {asked.root}/{locations.TRUST}"
        if begun.problem is None
        else f"it is kept here, and the next push or publish takes it to Dropbox ({begun.problem})",
        f"on Hamilton's machine, run: huracan-sync keys trust {begun.pin} --profile hamilton",
    ]
    asked.output.document(document, words)
    return DONE


def _lifetime_ms(text: str | None) -> int:
    if text is None:
        return LIFETIME_MS
    chosen = policy_options.seconds("--root-lifetime", text) * 1000
    if not DAY_MS <= chosen <= MAX_LIFETIME_MS:
        raise UsageError(f"--root-lifetime {text} is not from 1d to {MAX_LIFETIME_MS // DAY_MS}d")
    return chosen


# --- show -------------------------------------------------------------------------------------------------------


def _show(asked: _Asked) -> int:
    here = {signer.public for signer in asked.keys.all()}
    present = asked.keys.find()
    known, pin = _known(asked, present.public if present else None)
    if known is None and present is None:
        raise NoTrust("this machine has no signing key and trusts nobody")
    rows = [] if known is None else [_key_row(known, public, here) for public in _publics(known)]
    pinned = asked.pinned()
    ending = [] if known is None else rotation.endings(known, now_ms=asked.now_ms)
    document = {
        "pin": str(pin or ""),
        "fingerprint": present.fingerprint if present else (pin.fingerprints[0] if pin else ""),
        "key_in": asked.keys.where() if present else "",
        "root": asked.root,
        "trust_version": known.version if known else 0,
        "expires": moment(known.expires_ms) if known else None,
        "pinned": pinned,
        "keys": rows,
        "channels": [] if known is None else [_channel_row(known, each.name) for each in known.channels],
        "allowed_signers": _allowed(known) if known else ssh_armor.allowed_signer(present.public, PRINCIPAL),  # type: ignore[union-attr]
        "warnings": ending,
    }
    words = [f"{row['fingerprint']}  {row['does']}" for row in rows] or [
        f"{document['fingerprint']}  no trust file yet"
    ]
    if known is not None:
        words.append(f"version {known.version} of the trust file, until {_moment(known.expires_ms)}")
    words += [f"the pin of this root folder: {pin}"] if pin else []
    words += ["for OpenSSH's allowed-signers file:", *str(document["allowed_signers"]).splitlines()]
    asked.output.document(document, [*words, *(f"warning: {each}" for each in ending)])
    return DONE


def _known(asked: _Asked, public: bytes | None) -> tuple[Trust | None, Pin | None]:
    """The trust file that counts on this machine, and the pin that readers need for it. No network."""
    try:
        store = asked.roots.store
        if store.exists():
            state = store.load()
            return trust.open(state.trust), trust.pin_of(state.trust)
    except NotAuthorized:
        pass  # nobody is logged in, so nothing can be pinned for a login
    kept = trust_chain.kept(asked.home, public) if public else {}
    found = kept.get("") or next(iter(kept.values()), None)
    return (found.newest, trust.pin_of(found.files[-1])) if found else (None, None)


def _publics(known: Trust) -> list[bytes]:
    return list(dict.fromkeys([*known.roots, *(key.public for key in known.keys)]))


def _key_row(known: Trust, public: bytes, here: set[bytes]) -> dict[str, Any]:
    key_id = sshsig.key_id(public)
    key = known.key(key_id)
    channels = [each.name for each in known.channels if key_id in each.key_ids]
    does = ["root"] if public in known.roots else []
    does += [f"signs {', '.join(channels)}"] if channels else []
    does += ["REVOKED"] if known.is_revoked(key_id) else []
    does += ["private key is here"] if public in here else []
    return {
        "fingerprint": sshsig.fingerprint(public),
        "public": ssh_armor.public_line(public),
        "label": key.label if key else "root",
        "root": public in known.roots,
        "channels": channels,
        "revoked": known.is_revoked(key_id),
        "here": public in here,
        "not_after": moment(key.not_after_ms) if key else None,
        "does": "; ".join(does) or "nothing",
    }


def _channel_row(known: Trust, name: str) -> dict[str, Any]:
    found = next(each for each in known.channels if each.name == name)
    return {
        "channel": name,
        "epoch": found.epoch,
        "threshold": found.threshold,
        "max_age_s": found.max_age_s,
        "stale_limit_s": found.stale_limit_s,
        "kinds": list(found.kinds),
        "path_prefix": found.path_prefix,
    }


def _allowed(known: Trust) -> str:
    counts = [public for public in _publics(known) if not known.is_revoked(sshsig.key_id(public))]
    return "\n".join(ssh_armor.allowed_signer(public, PRINCIPAL) for public in counts)


# --- trust ------------------------------------------------------------------------------------------------------


def _trust_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pin", metavar="PIN", nargs="*", help="`hz2:...`, as `keys show` prints it where the root key is"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        nargs="+",
        help="trust files that were brought here by hand: to begin with, or newer ones that lead on from what is known",
    )
    parser.add_argument(
        "--at-least", type=int, metavar="SEQ", help="accept nothing below this sequence; needed where state was lost"
    )
    parser.add_argument("--channel", metavar="C", default=CHAMPIONS, help=f"the channel of --at-least ({CHAMPIONS})")
    parser.add_argument("--reset", action="store_true", help="forget what was pinned and seen, also where it is whole")
    parser.add_argument("--anew", dest="reset", action="store_true", help=argparse.SUPPRESS)  # the older spelling


def _trust(asked: _Asked) -> int:
    options, reader = asked.options, asked.reader()
    if options.at_least is not None and options.at_least < 1:
        raise UsageError(f"--at-least {options.at_least} is no sequence")
    floors = None if options.at_least is None else {options.channel: options.at_least}
    if options.file is not None:
        made = reader.pin_file(*map(_read, options.file), at_least=floors, reset=options.reset)
    else:
        pins = tuple(options.pin) or _pinned_before(asked) or _ask(asked)
        made = reader.pin(pins, at_least=floors, reset=options.reset)
    fingerprints = [sshsig.fingerprint(public) for public in made.roots]
    document = {
        "root": asked.root,
        "trusted": fingerprints,
        "trust_version": made.version,
        "expires": moment(made.expires_ms),
        "at_least": floors or {},
    }
    words = [f"this machine trusts {', '.join(fingerprints)} (version {made.version} of the trust file)"]
    words += [f"nothing below sequence {floor} of {name} is accepted" for name, floor in (floors or {}).items()]
    asked.output.document(document, words)
    return DONE


def _pinned_before(asked: _Asked) -> list[str]:
    """With --at-least alone: the root that was pinned already, whatever became of the rest."""
    if asked.options.at_least is None or asked.options.reset:
        return []
    return asked.pinned()


def _ask(asked: _Asked) -> tuple[str, ...]:
    """Trust on first use: only with a person who looks at the fingerprint."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to compare a pin, so one must be said",
            hint="run `huracan-sync keys show` where the key is, then `huracan-sync keys trust PIN` here",
        )
    data = RemoteSource(asked.remote, asked.root).fetch(locations.trust(1), trust.FORM.max_size)
    found = str(trust.pin_of(data))
    asked.output.say(
        f"The pin of the trust file in {asked.root} is {found}.\n"
        "Nothing on this machine says whether that is the right one: this is trust on first use. Compare it with what\n"
        "`huracan-sync keys show` prints where the key is."
    )
    if not _says_yes("Is it the same?"):
        raise ConfigError("nothing was trusted", hint="run it again when you have compared the pin")
    return (found,)


def _says_yes(question: str) -> bool:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


# --- rotate, revoke ---------------------------------------------------------------------------------------------


def _rotate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--new-key", action="store_true", help="another key takes the place of this machine's")
    parser.add_argument("--key-file", type=Path, metavar="NEW", help="where the new key is, or is to be made")
    policy_options.add_arguments(parser)


def _rotate(asked: _Asked) -> int:
    options = asked.options
    change = policy_options.parse(options)
    present = asked.keys.signer()
    following = asked.keys.make_next(options.key_file) if options.new_key or options.key_file else None

    def make(newest: Trust, now_ms: int) -> Trust:
        made = rotation.renewed(newest, now_ms=now_ms)
        if following is not None:
            made = rotation.replaced(made, present.public, following.public)
        return change(made)

    made = asked.roots.publish_next(make, following=following)
    return _tell_of_next(asked, made, following)


def _revoke_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fingerprint", metavar="FINGERPRINT", help="`SHA256:...` of the key")
    parser.add_argument("--reason", metavar="TEXT", default="revoked", help="a few words for who reads the log")
    parser.add_argument("--key-file", type=Path, metavar="NEW", help="where the key is, or is made, that replaces it")


def _revoke(asked: _Asked) -> int:
    options = asked.options
    present = asked.keys.signer()
    own = present.fingerprint == options.fingerprint
    following = asked.keys.make_next(options.key_file) if own or options.key_file else None

    def make(newest: Trust, now_ms: int) -> Trust:
        made = rotation.renewed(newest, now_ms=now_ms)
        public = next((each for each in _publics(newest) if sshsig.fingerprint(each) == options.fingerprint), b"")
        if following is not None:
            made = rotation.replaced(made, public, following.public)
        return rotation.revoked(made, newest, sshsig.key_id(public), reason=options.reason)

    made = asked.roots.publish_next(make, following=following)
    return _tell_of_next(asked, made, following)


def _tell_of_next(asked: _Asked, made: Trust, following: Signer | None) -> int:
    fingerprints = [sshsig.fingerprint(public) for public in made.roots]
    document = {
        "root": asked.root,
        "trust_version": made.version,
        "expires": moment(made.expires_ms),
        "roots": fingerprints,
        "fingerprint": following.fingerprint if following else asked.keys.signer().fingerprint,
        "channels": [_channel_row(made, each.name) for each in made.channels],
    }
    words = [
        f"version {made.version} of the trust file counts from now on, until {_moment(made.expires_ms)}",
        f"root: {', '.join(fingerprints)}; readers that trusted the one before follow by themselves",
    ]
    if following is not None and asked.keys.file is not None:
        words.append(f"from now on set {KEY_FILE}={asked.options.key_file}; keep the old file for a month")
    asked.output.document(document, words)
    return DONE


# --- recover ----------------------------------------------------------------------------------------------------


def _recover_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channel", metavar="C", required=True, help="whose head")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where nobody is there to be asked")


def _recover(asked: _Asked) -> int:
    channel = locations.check_channel(asked.options.channel)
    asked.keys.signer()
    forgotten = (
        f"every head signed in {channel} so far counts no more: there is no way back to its earlier snapshots, and "
        "what other machines state in it is missing until each has pushed a change or renewed its head. "
        "No file is deleted, and readers keep what they have until the next push or publish"
    )
    if not asked.options.yes:
        _confirm_recovery(asked, forgotten)
    made = asked.roots.publish_next(
        lambda newest, now_ms: rotation.recovered(rotation.renewed(newest, now_ms=now_ms), channel)
    )
    epoch = made.policy(channel).epoch
    document = {
        "root": asked.root,
        "trust_version": made.version,
        "expires": moment(made.expires_ms),
        "channel": channel,
        "epoch": epoch,
        "forgotten": forgotten,
    }
    words = [
        f"version {made.version} of the trust file begins epoch {epoch} of {channel}; push or publish now",
        forgotten,
    ]
    asked.output.document(document, words)
    return DONE


def _confirm_recovery(asked: _Asked, forgotten: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to say yes", hint=f"with --yes it is done: {forgotten}")
    asked.output.say(f"From then on {forgotten}.")
    if not _says_yes("Begin a new epoch?"):
        raise ConfigError("nothing was changed", hint="run it again once you are sure")


# --- export-sshsig ----------------------------------------------------------------------------------------------


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channel", metavar="C", required=True, help="whose head")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path(), help="where to write (default: here)")


def _export(asked: _Asked) -> int:
    channel, out = asked.options.channel, asked.options.out
    reader_at(asked.context, asked.root).latest(channel, allow_stale=True)
    state = asked.roots.store.load()
    known = trust.open(state.trust)
    message, armored = ssh_armor.export_sshsig(state.channels[channel].head, [key.public for key in known.keys])
    name = channel.replace("/", "+")
    files = {f"{name}.payload": message, "allowed_signers": f"{_allowed(known)}\n".encode()}
    files |= {f"{name}{f'.{n}' if n > 1 else ''}.sig": text.encode() for n, text in enumerate(armored, 1)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for written, data in files.items():
            (out / written).write_bytes(data)
    except OSError as error:
        raise LocalFailure(f"{out} cannot be written: {error.strerror}", path=str(out)) from error
    command = (
        f"ssh-keygen -Y verify -n {sshsig.HEAD} -f {out / 'allowed_signers'} -I {PRINCIPAL} "
        f"-s {out / f'{name}.sig'} < {out / f'{name}.payload'}"
    )
    asked.output.document({"files": sorted(files), "out": str(out), "verify": command}, [command])
    return DONE


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "init": _init_arguments,
    "show": lambda _: None,
    "trust": _trust_arguments,
    "rotate": _rotate_arguments,
    "revoke": _revoke_arguments,
    "recover": _recover_arguments,
    "export-sshsig": _export_arguments,
}
_RUN: dict[str, Callable[[_Asked], int]] = {
    "init": _init,
    "show": _show,
    "trust": _trust,
    "rotate": _rotate,
    "revoke": _revoke,
    "recover": _recover,
    "export-sshsig": _export,
}


def _moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms / 1000))
