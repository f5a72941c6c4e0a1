"""`keys rotate`, `keys revoke` and `keys recover`: the next version of the trust file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from huracan_sync.cli import policy_options
from huracan_sync.cli.invocation import DONE
from huracan_sync.cli.keys.asked import Asked, channel_row, in_words, publics, says_yes
from huracan_sync.cli.output import moment
from huracan_sync.errors import ConfigError, UsageError
from huracan_sync.manifest import locations, rotation, sshsig
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import Trust
from huracan_sync.signing.signing_key import KEY_FILE


def add_rotate_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of `keys rotate`."""
    parser.add_argument("--new-key", action="store_true", help="another key takes the place of this machine's")
    parser.add_argument("--key-file", type=Path, metavar="NEW", help="where the new key is, or is to be made")
    policy_options.add_arguments(parser)


def rotate(asked: Asked) -> int:
    """More time, another key, or a channel's own rules."""
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


def add_revoke_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of `keys revoke`."""
    parser.add_argument("fingerprint", metavar="FINGERPRINT", help="`SHA256:...` of the key")
    parser.add_argument("--reason", metavar="TEXT", default="revoked", help="a few words for who reads the log")
    parser.add_argument("--key-file", type=Path, metavar="NEW", help="where the key is, or is made, that replaces it")


def revoke(asked: Asked) -> int:
    """A key counts nowhere any more."""
    options = asked.options
    present = asked.keys.signer()
    own = present.fingerprint == options.fingerprint
    following = asked.keys.make_next(options.key_file) if own or options.key_file else None

    def make(newest: Trust, now_ms: int) -> Trust:
        made = rotation.renewed(newest, now_ms=now_ms)
        public = next((each for each in publics(newest) if sshsig.fingerprint(each) == options.fingerprint), b"")
        if following is not None:
            made = rotation.replaced(made, public, following.public)
        return rotation.revoked(made, newest, sshsig.key_id(public), reason=options.reason)

    made = asked.roots.publish_next(make, following=following)
    return _tell_of_next(asked, made, following)


def _tell_of_next(asked: Asked, made: Trust, following: Signer | None) -> int:
    fingerprints = [sshsig.fingerprint(public) for public in made.roots]
    document = {
        "root": asked.root,
        "trust_version": made.version,
        "expires": moment(made.expires_ms),
        "roots": fingerprints,
        "fingerprint": following.fingerprint if following else asked.keys.signer().fingerprint,
        "channels": [channel_row(made, each.name) for each in made.channels],
    }
    words = [
        f"version {made.version} of the trust file counts from now on, until {in_words(made.expires_ms)}",
        f"root: {', '.join(fingerprints)}; readers that trusted the one before follow by themselves",
    ]
    if following is not None and asked.keys.file is not None:
        words.append(f"from now on set {KEY_FILE}={asked.options.key_file}; keep the old file for a month")
    asked.output.document(document, words)
    return DONE


def add_recover_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of `keys recover`."""
    parser.add_argument("--channel", metavar="C", required=True, help="whose head")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where nobody is there to be asked")


def recover(asked: Asked) -> int:
    """Start a new epoch of a channel, after a person has said yes."""
    channel = locations.check_channel(asked.options.channel)
    asked.keys.signer()
    forgotten = (
        f"every head signed in {channel} so far no longer counts: there is no way back to its earlier snapshots, and "
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


def _confirm_recovery(asked: Asked, forgotten: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to say yes", hint=f"with --yes it is done: {forgotten}")
    asked.output.say(f"From then on {forgotten}.")
    if not says_yes("Begin a new epoch?"):
        raise ConfigError("nothing was changed", hint="run it again once you are sure")
