"""Making trust files and putting them where readers look: `keys init`, `rotate`, `revoke`, and the first publish.

Laws: a trust file in Dropbox is never replaced. One that is there counts only when this machine's own key is a root
that has signed it, or when a person pinned its roots: anybody with a token could put one there that merely names our
key. A new key is durably kept before the trust file that names it is sent. What was made while Dropbox could not be
reached lies here until the next push or publish takes it along.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from huracan_sync.errors import (
    Conflict,
    HuracanError,
    NoSigningKey,
    NotAuthorized,
    NotFound,
    NoTrust,
    Refused,
    TryLater,
    Unavailable,
)
from huracan_sync.manifest import locations, rotation, signed_files, sshsig, trust
from huracan_sync.manifest.default_policy import LIFETIME_MS, first_trust
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import Pin, Trust
from huracan_sync.reader.trust_pin import Pinning
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote import files
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing import trust_chain as chains
from huracan_sync.signing.context import Context
from huracan_sync.signing.root_id import RANDOM_SIZE, Place, is_for, made_for, place_of
from huracan_sync.signing.trust_chain import Chain
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.signed_state import expire_signatures
from huracan_sync.tree.paths import join
from huracan_sync.tree.units import span_in_words

log = logging.getLogger(__name__)


class InitResult(NamedTuple):
    """What `keys init` came to."""

    signer: Signer
    made_key: bool
    trust: Trust
    pin: Pin
    """What a person carries to readers."""
    problem: HuracanError | None
    """Why the trust file is not in Dropbox yet; None when it is."""


class TrustFiles:
    """Whom readers of one root folder shall trust, as the machine that signs sees it."""

    def __init__(
        self,
        context: Context,
        root: str | None = None,
    ) -> None:
        """No request is made and nothing is opened.

        Args:
            context: the login, the state folder, the key and the clock.
            root: the root folder; the login's own by default.
        """
        self.source = RemoteSource(context.remote, root)
        self.keys = context.keys
        self._remote = context.remote
        self._home = context.home
        self._clock = context.clock
        self._check_clock = context.check_clock
        self._lifetime_ms = LIFETIME_MS

    @property
    def store(self) -> TrustStore:
        """What this machine knows of the root folder. Raises `NotAuthorized` where nobody is logged in."""
        return TrustStore(self._home, self.source.place)

    def begin(self, *, lifetime_ms: int = LIFETIME_MS) -> InitResult:
        """One key that is root and publisher, and a trust file that says so: here, and in Dropbox if it can be.

        Args:
            lifetime_ms: how long the trust file counts, if it is made now.

        Raises:
            Refused: `TRUST_PIN`, the root folder has a trust file of another key.
            VaultRefused: `NO_SAFE_PLACE`, there is no place for a private key.
        """
        self._lifetime_ms = lifetime_ms
        signer, made = self.keys.make()
        try:
            self._ensure_pinned(signer, make=True)
        except (Unavailable, TryLater, NotAuthorized) as error:
            local = self._local(signer)
            return InitResult(signer, made, local.newest, trust.pin_of(local.files[-1]), error)
        data = self.store.load().trust
        return InitResult(signer, made, trust.open(data), trust.pin_of(data), None)

    def ensure_pinned(self, *, send: bool = True) -> None:
        """Pin here what this machine's own key stands for, where nobody has pinned anything.

        Args:
            send: also have it in Dropbox. A machine that only reads writes nothing there and begins no root folder.

        Raises:
            NoTrust: nothing is known for which this machine's key could sign.
            Refused: `TRUST_PIN`, the root folder has a trust file of another key.
        """
        if not self.store.exists():
            self._ensure_pinned(self.keys.signer(), make=False, send=send)

    def send(self) -> int:
        """Put the trust files of this machine into a root folder that has none; how many."""
        held = trust.open(self.store.load().trust)
        place = self.source.place
        kept = (chains.kept(self._home, public).get(place) for public in _publics(held))
        found = next(filter(None, kept), None)
        if found is None or trust.digest(found.files[-1]) != trust.digest(self.store.load().trust):
            return 0
        if not self._send(found):
            raise _taken(1)
        return len(found.files)

    def publish_next(self, make: Callable[[Trust, int], Trust], *, following: Signer | None = None) -> Trust:
        """Begin the next version of the trust file.

        Args:
            make: from the newest version and the time (milliseconds) the next one.
            following: a key that counts from now on, so that it signs too.

        Raises:
            NoSigningKey: too few root keys of the newest version are here.
            Conflict: somebody else has just made a next version.
            Refused: `TRUST_FORMAT` or `TRUST_CHAIN`, no reader would accept it.
        """
        self.ensure_pinned()
        newest = self.newest()
        published = self._published()
        self._check_clock()
        made = make(newest, int(self._clock() * 1000))
        data = signed_files.sign_trust(made, self._root_signers(newest, made, following))
        whole = chains.read([*published[: newest.version], data])
        if len(published) != newest.version or not self._add(made.version, data):
            raise Conflict(
                f"somebody else has made version {made.version} of the trust file",
                hint="look at it with `huracan-sync keys show`, then run this again if it is still needed",
            )
        self.store.remember_trust(data, after=self.store.load().trust)
        chains.keep(self._home, whole, self.source.place)
        with Journal(self._home) as journal:
            expire_signatures(journal)  # what was signed before may not count any more
        if following is not None:
            self.keys.take_next(following)
        return made

    def newest(self) -> Trust:
        """The newest trust file there is, remembered from now on. Raises as a reader's."""
        return Pinning(self.source, self.store).newest(self.store.load(), search=True)

    def renew_if_due(self) -> None:
        """Give the trust file more time at half of its life, where enough root keys are on this machine.

        No request before that. What keeps it from being renewed is logged, and tried again by the next run.
        """
        if not self.store.exists():
            return
        known = trust.open(self.store.load().trust)
        roots = {signer.public for signer in self.keys.all()} & set(known.roots) if self._is_due(known) else set()
        if not roots or len(roots) < known.root_threshold:
            return
        try:
            newest = self.newest()
            if self._is_due(newest):
                made = self.publish_next(lambda newest, now_ms: rotation.renewed(newest, now_ms=now_ms))
                log.warning("renewed the trust file: version %d ends in %s", made.version, self._left(made))
        except HuracanError as error:
            log.warning("the trust file ends in %s and could not be renewed: %s", self._left(known), error)

    def _is_due(self, known: Trust) -> bool:
        return self._clock() * 1000 >= (known.created_ms + known.expires_ms) / 2

    def _left(self, known: Trust) -> str:
        return span_in_words(known.expires_ms / 1000 - self._clock())

    def _ensure_pinned(self, signer: Signer, *, make: bool, send: bool = True) -> None:
        """The root folder has a trust file that our key stands for, and it is pinned here."""
        store, place = self.store, self.source.place
        published, kept = self._published(), chains.kept(self._home, signer.public)
        if published:
            ours = self._own(published, signer)
            self._check_whose(ours, kept.get(place))
        elif not send:
            if place not in kept:
                hint = "check the spelling; a push or publish with a key signs what it sends there"
                raise NoTrust("nothing was ever signed in this root folder", hint=hint, place=place)
            ours = kept[place]
        else:
            # A key that is root elsewhere may begin here too; the new root folder has an id of its own.
            make = make or any(signer.public in chain.newest.roots for chain in kept.values())
            begun = kept.get("")
            begun = begun if begun and is_for(begun.newest.root_id, self._place()) else None
            found = kept.get(place) or begun or (self._begun(signer) if make else None)
            if found is None:
                raise NoTrust(
                    "this machine has a signing key, and no trust file says what it may sign",
                    hint="run `huracan-sync keys init` here, or where the root key is; then push again",
                )
            ours = found
        self._check_delivered(ours)
        if send and not published and not self._send(ours):
            if not self._published():
                raise refused("TRUST_PIN", "something lies where the trust file must be, and it is no file", version=1)
            # Another process or machine has just begun here: what it has put there is judged as if it had lain there.
            self._ensure_pinned(signer, make=make)
            return
        chains.keep(self._home, ours, place)
        if not store.exists():
            store.pin(ours.files[-1], trust.pin_of(ours.files[-1]), None)

    def _check_whose(self, ours: Chain, kept: Chain | None) -> None:
        """What lies in the root folder was made for it: as this machine remembers it, or else as its id tells."""
        remembered, root_id = kept.newest if kept is not None else self.store.pinned(), ours.newest.root_id
        if remembered is not None:
            trust.check_root(root_id, remembered.root_id, "the trust file in this root folder")
        elif self.keys.root_pin is None and not is_for(root_id, self._place()):
            raise refused(
                "WRONG_ROOT",
                "the trust file in this root folder is by this machine's key, and was made for another root folder",
                hint="somebody may have carried it here. If this is the folder, under another name or account: deliver "
                "its pin (`huracan-sync keys show`, where it is known) as HURACAN_ROOT_PIN, or trust it here with "
                "`huracan-sync keys trust PIN`",
                actual=root_id.hex(),
                expected=f"an id made for {self.source.place}",
            )

    def _place(self) -> Place:
        """What an id of this root folder is made for: the account counts where the login says whose it is."""
        account = ""
        with contextlib.suppress(NotAuthorized, TryLater, Unavailable):
            account = self._remote.place.partition("/")[2]
        account = account if account.startswith("dbid:") else ""  # a delivered token has a mark instead
        return place_of(self._remote.wire.endpoint.namespace, account, self.source.root)

    def _check_delivered(self, ours: Chain) -> None:
        """What was delivered beside the key says which root folder it is for."""
        delivered = self.keys.root_pin
        if delivered is not None:
            trust.check_root(ours.newest.root_id, delivered.root_id, "the trust file in this root folder")

    def _own(self, published: Sequence[bytes], signer: Signer) -> Chain:
        """What lies in the root folder, if a key of ours has signed it as a root."""
        roots: list[bytes] = []
        for data in published:
            try:
                trust.pin(data, Pin(trust.open(data).root_id, (signer.fingerprint,)))
            except Refused as error:
                if error.code != "TRUST_PIN":
                    raise
                roots += trust.open(data).roots
            else:
                return chains.read(published)
        raise refused(
            "TRUST_PIN",
            "the root folder already has a trust file, and this machine's key is no root of it",
            hint="use that root key (HURACAN_SIGNING_KEY_FILE); or, to publish under it with this key, run "
            "`huracan-sync keys trust PIN` here and let its owner add this key with `keys rotate --signer`",
            expected=signer.fingerprint,
            actual=", ".join(map(sshsig.fingerprint, dict.fromkeys(roots))),
        )

    def _local(self, signer: Signer) -> Chain:
        """The trust files of our key on this machine, begun now where there are none."""
        kept = chains.kept(self._home, signer.public)
        return kept.get("") or next(iter(kept.values()), None) or self._begun(signer)

    def _begun(self, signer: Signer) -> Chain:
        """Version 1 for a root folder that has none."""
        delivered = self.keys.root_pin
        root_id = delivered.root_id if delivered else made_for(self._place(), secrets.token_bytes(RANDOM_SIZE))
        now_ms = int(self._clock() * 1000)
        made = first_trust(signer.public, root_id=root_id, now_ms=now_ms, lifetime_ms=self._lifetime_ms)
        chain = Chain((signed_files.sign_trust(made, [signer]),), made)
        chains.keep(self._home, chain, "")
        if delivered is None:
            chains.note_begun(self._home, made)
        return chain

    def _root_signers(self, newest: Trust, made: Trust, following: Signer | None) -> list[Signer]:
        """The root keys that are here, enough of both versions."""
        here = {signer.public: signer for signer in self.keys.all()}
        if following is not None:
            here[following.public] = following
        for version in (newest, made):
            count = len(here.keys() & set(version.roots))
            if count < version.root_threshold:
                raise NoSigningKey(
                    f"{count} root keys of version {version.version} are here where {version.root_threshold} must sign",
                    hint="run this where the root key is",
                    fingerprints=", ".join(map(sshsig.fingerprint, version.roots)),
                )
        return [signer for public, signer in here.items() if public in {*newest.roots, *made.roots}]

    def _published(self) -> list[bytes]:
        """The trust files in the root folder, from version 1 on."""
        found: list[bytes] = []
        while True:
            try:
                found.append(self.source.fetch(locations.trust(len(found) + 1), trust.FORM.max_size))
            except NotFound:
                return found

    def _send(self, chain: Chain) -> bool:
        """Put a chain where there is none; False where the place of its first version is taken."""
        for version, data in enumerate(chain.files, 1):
            if not self._add(version, data):
                if version == 1:
                    return False
                raise _taken(version)
        return True

    def _add(self, version: int, data: bytes) -> bool:
        """Whether it lies there now; it replaces nothing."""
        path = join(self.source.root, locations.trust(version))
        try:
            files.put(self._remote, path, data, mode=files.ADD)
        except Conflict:
            return False
        return True


def _taken(version: int) -> Refused:
    return refused("TRUST_PIN", "somebody else has just put a trust file there", version=version)


def _publics(held: Trust) -> list[bytes]:
    return [*held.roots, *(key.public for key in held.keys)]
