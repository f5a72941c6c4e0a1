"""`keys show`: the pin, what each key may do, and a line for OpenSSH."""

from __future__ import annotations

from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import DONE
from huracan_sync.cli.keys.asked import PRINCIPAL, Asked, allowed, channel_row, in_words, key_row, publics
from huracan_sync.cli.output import moment
from huracan_sync.errors import NotAuthorized, NoTrust
from huracan_sync.manifest import rotation, ssh_armor, trust
from huracan_sync.manifest.trust import Pin, Trust
from huracan_sync.signing import trust_chain


def run(asked: Asked) -> int:
    """Look only; no network."""
    here = {signer.public for signer in asked.keys.all()}
    present = asked.keys.find()
    known, pin = _known(asked, present.public if present else None)
    if known is None and present is None:
        raise NoTrust("this machine has no signing key and trusts nobody")
    rows = [] if known is None else [key_row(known, public, here) for public in publics(known)]
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
        "channels": [] if known is None else [channel_row(known, each.name) for each in known.channels],
        "allowed_signers": allowed(known) if known else ssh_armor.allowed_signer(present.public, PRINCIPAL),  # type: ignore[union-attr]
        "warnings": ending,
    }
    words = [line for row in rows for line in (row["fingerprint"], f"  {row['does']}")] or [
        f"{document['fingerprint']}: no trust file yet"
    ]
    if known is not None:
        words.append(f"version {known.version} of the trust file, until {in_words(known.expires_ms)}")
    words += ["the pin of this root folder, for the machines that read it:", Whole(f"  {pin}")] if pin else []
    words += [
        "for OpenSSH's allowed-signers file:",
        *(Whole(f"  {line}") for line in str(document["allowed_signers"]).splitlines()),
    ]
    asked.output.document(document, [*words, *(f"warning: {each}" for each in ending)])
    return DONE


def _known(asked: Asked, public: bytes | None) -> tuple[Trust | None, Pin | None]:
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
