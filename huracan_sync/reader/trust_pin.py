"""Whom to trust: the root folder and keys a person has pinned on this machine, and what these have signed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from huracan_sync.errors import ConfigError, NotFound, Refused, StateMissing
from huracan_sync.manifest import locations, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Pin, Trust
from huracan_sync.reader.source import Source
from huracan_sync.reader.trust_store import State, TrustStore


class Pinning:
    """The trust file of one root folder, from the pinned first one to the newest."""

    def __init__(self, source: Source, trust_store: TrustStore) -> None:
        """No network and no disk yet."""
        self._source = source
        self._trust_store = trust_store

    def by_pin(self, pin: Pin, *, at_least: Mapping[str, int] | None, reset: bool, now_ms: int) -> Trust:
        """As `Reader.pin` says."""
        held = self._held(at_least, reset=reset)
        if held is None and self._begin(*(found := self._search(pin)), pin, at_least, now_ms, reset=reset):
            return found[0]
        held = held or self._trust_store.load()  # another thread or process was faster
        if held.pin != str(pin):
            message = "another root is pinned on this machine already"
            hint = "if the new one is right, say so with `--reset`; what was seen is then forgotten"
            raise ConfigError(message, hint=hint, actual=held.pin, expected=str(pin))
        return self._raise_floors(held, at_least)

    def by_files(
        self, files: Iterable[bytes], *, at_least: Mapping[str, int] | None, reset: bool, now_ms: int
    ) -> Trust:
        """As `Reader.pin_file` says."""
        brought = {each.version: data for data in files for each in (trust.open(data),)}
        held = self._held(at_least, reset=reset)
        if held is None:
            files = [brought[version] for version in sorted(brought)]
            newest = trust.follow_all(trust.open(files[0]), files[1:])
            if self._begin(newest, files[-1], trust.pin_of(files[0]), at_least, now_ms, reset=reset):
                return newest
        self._follow_by_hand(held or self._trust_store.load(), brought)
        return self._raise_floors(self._trust_store.load(), at_least)

    def raise_floor(self, channel: str, sequence: int) -> None:
        """Accept nothing of the channel below that sequence of its present epoch."""
        policy = trust.open(self._trust_store.load().trust).policy(channel)
        self._trust_store.raise_floor(channel, Mark(policy.epoch, sequence, b""))

    def newest(self, state: State, *, search: bool) -> Trust:
        """The trust file that is held; when told to search, every verified successor, each remembered."""
        data = state.trust
        current = trust.open(data)
        while search and (following := self._file(current.version + 1)) is not None:
            current = trust.follow(current, following)
            self._trust_store.remember_trust(following, after=data)
            data = following
        return current

    def _held(self, at_least: Mapping[str, int] | None, *, reset: bool) -> State | None:
        """What is pinned already; None where a person wants to begin again, or must."""
        if reset or not self._trust_store.exists():
            return None
        try:
            return self._trust_store.load()
        except StateMissing:
            if at_least is None:
                raise
            return None

    def _raise_floors(self, held: State, at_least: Mapping[str, int] | None) -> Trust:
        for channel, sequence in (at_least or {}).items():
            self.raise_floor(channel, sequence)
        return trust.open(held.trust)

    def _follow_by_hand(self, held: State, brought: Mapping[int, bytes]) -> None:
        """Go on from the trust file that is held to the newest that was brought; nothing that was seen is forgotten.

        A version between that was not brought is looked for in the root folder.
        """
        current, data, last = trust.open(held.trust), held.trust, max(brought)
        trust.check_root(trust.open(brought[last]).root_id, current.root_id, f"version {last} of the trust file")
        if last == current.version and trust.digest(brought[last]) != trust.digest(data):
            raise refused("TRUST_CHAIN", f"another version {last} of the trust file is known here already")
        for version in range(current.version + 1, last + 1):
            following = brought.get(version) or self._file(version)
            if following is None:
                message = f"version {version} of the trust file is needed to go on to version {last}"
                hint = f"bring it too: `huracan-sync keys trust --file {version}.hzt {last}.hzt`"
                raise refused("TRUST_CHAIN", message, hint=hint)
            current = trust.follow(current, following)
            self._trust_store.remember_trust(following, after=data)
            data = following

    def _search(self, pin: Pin) -> tuple[Trust, bytes]:
        """The first trust file that the pinned keys have signed, and from there the newest."""
        current: tuple[Trust, bytes] | None = None
        problem: Refused | None = None
        version = 1
        while (data := self._file(version)) is not None:
            try:
                current = (trust.follow(current[0], data) if current else trust.pin(data, pin), data)
            except Refused as error:
                if current:
                    raise
                problem = error
            version += 1
        if current is None:
            hint = "run `huracan-sync keys init` on the machine that publishes"
            raise problem or NotFound("there is no trust file in this root folder", hint=hint)
        return current

    def _begin(
        self, made: Trust, data: bytes, pin: Pin, at_least: Mapping[str, int] | None, now_ms: int, *, reset: bool
    ) -> bool:
        trust.check_current(made, now_ms)
        floors = {name: Mark(made.policy(name).epoch, sequence, b"") for name, sequence in (at_least or {}).items()}
        return self._trust_store.pin(data, pin, floors if reset or at_least is not None else None, forget=reset)

    def _file(self, version: int) -> bytes | None:
        try:
            return self._source.fetch(locations.trust(version), trust.FORM.max_size)
        except NotFound:
            return None
