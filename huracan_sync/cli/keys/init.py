"""`keys init`: a signing key, and the trust file that says what it may sign."""

from __future__ import annotations

import argparse

from huracan_sync.cli import policy_options
from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import DONE
from huracan_sync.cli.keys.asked import Asked, allowed, in_words
from huracan_sync.cli.output import moment
from huracan_sync.errors import UsageError
from huracan_sync.manifest import locations, ssh_armor
from huracan_sync.manifest.default_policy import APART_MS, LIFETIME_MS
from huracan_sync.manifest.trust import DAY_MS, MAX_LIFETIME_MS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments."""
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


def run(asked: Asked) -> int:
    """Make what is not there yet; say what readers need."""
    if asked.options.key_only:
        signer, made = asked.keys.make()
        line = ssh_armor.public_line(signer.public)
        document = {"fingerprint": signer.fingerprint, "made": made, "key_in": asked.keys.where(), "public": line}
        words = [
            f"{'made' if made else 'found'} the key {signer.fingerprint} ({asked.keys.where()})",
            "where the root key is, run:",
            Whole(f"  huracan-sync keys rotate --channel CHANNEL --signer '{line}'"),
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
        "allowed_signers": allowed(begun.trust),
    }
    words = [
        "the pin of this root folder, for the machines that read it:",  # first: it is what people and scripts look for
        Whole(f"  {begun.pin}"),
        "on Hamilton's machine, run:",
        Whole(f"  huracan-sync keys trust {begun.pin} --profile hamilton"),
        f"{'made' if begun.made_key else 'found'} the key {fingerprint} ({asked.keys.where()})",
        f"version {begun.trust.version} of the trust file counts until {in_words(begun.trust.expires_ms)}",
        f"it lies in Dropbox, in {asked.root}/{locations.TRUST}"
        if begun.problem is None
        else f"it is kept here, and the next push or publish takes it to Dropbox ({begun.problem})",
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
