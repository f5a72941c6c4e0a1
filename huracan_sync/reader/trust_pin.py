"""Whom to trust: the root keys a person has pinned on this machine, and what these have signed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from huracan_sync.errors import ConfigError, NotFound, Refused, StateMissing
from huracan_sync.manifest import locations, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader.source import Source
from huracan_sync.reader.trust_store import State, TrustStore


class Pinning:
    """The trust file of one root folder, from the pinned first one to the newest."""

    def __init__(self, source: Source, seen: TrustStore) -> None:
        """No network and no disk yet."""
        self._source = source
        self._trust_store = seen

    def by_fingerprint(
        self, fingerprints: Iterable[str], *, at_least: Mapping[str, int] | None, anew: bool, now_ms: int
    ) -> Trust:
        """As `Reader.pin` says."""
        pins = tuple(fingerprints)
        held = self._already(pins, at_least, anew=anew)
        return held or self._begin(*self._search(pins), pins, at_least, now_ms)

    def by_file(self, data: bytes, *, at_least: Mapping[str, int] | None, anew: bool, now_ms: int) -> Trust:
        """As `Reader.pin_file` says."""
        made = trust.open(data)
        return self._already((), at_least, anew=anew) or self._begin(made, data, (), at_least, now_ms)

    def raise_floor(self, channel: str, sequence: int) -> None:
        """Accept nothing of the channel below that sequence of its present epoch."""
        policy = trust.open(self._trust_store.load().trust).policy(channel)
        self._trust_store.raise_floor(channel, Mark(policy.epoch, sequence, b""))

    def newest(self, state: State, *, look: bool) -> Trust:
        """The trust file that is held; when told to look, every verified successor, each remembered."""
        data = state.trust
        current = trust.open(data)
        while look and (following := self._file(current.version + 1)) is not None:
            current = trust.follow(current, following)
            self._trust_store.remember_trust(following, after=data)
            data = following
        return current

    def _already(self, pins: tuple[str, ...], at_least: Mapping[str, int] | None, *, anew: bool) -> Trust | None:
        """What is pinned already, with the floors raised; None where a person wants to begin anew, or must."""
        if anew or not self._trust_store.exists():
            return None
        try:
            state = self._trust_store.load()
        except StateMissing:
            if at_least is None:
                raise
            return None
        if set(state.pins) != set(pins):
            raise ConfigError(
                "other root keys are pinned on this machine already",
                hint="if the new ones are right, say so with `--reset`; what was seen is then forgotten",
                actual=", ".join(state.pins),
                expected=", ".join(pins),
            )
        for channel, sequence in (at_least or {}).items():
            self.raise_floor(channel, sequence)
        return trust.open(state.trust)

    def _search(self, pins: tuple[str, ...]) -> tuple[Trust, bytes]:
        """The first trust file that these keys have signed, and from there the newest."""
        current: tuple[Trust, bytes] | None = None
        problem: Refused | None = None
        version = 1
        while (data := self._file(version)) is not None:
            try:
                current = (trust.follow(current[0], data) if current else trust.pin(data, pins), data)
            except Refused as error:
                if current:
                    raise
                problem = error
            version += 1
        if current is None:
            raise problem or NotFound(
                "there is no trust file in this root folder",
                hint="run `huracan-sync keys init` on the machine that publishes",
            )
        return current

    def _begin(
        self, made: Trust, data: bytes, pins: tuple[str, ...], at_least: Mapping[str, int] | None, now_ms: int
    ) -> Trust:
        trust.check_current(made, now_ms)
        floors = {name: Mark(made.policy(name).epoch, sequence, b"") for name, sequence in (at_least or {}).items()}
        self._trust_store.pin(data, pins, floors)
        return made

    def _file(self, version: int) -> bytes | None:
        try:
            return self._source.fetch(locations.trust(version), trust.FORM.max_size)
        except NotFound:
            return None
