"""The reader in the words of trading.

Every answer comes from one manifest of the `champions` channel, the last one taken with `latest` or `follow`. With
`at(snapshot)` several answers come from one manifest: yesterday's roster is never combined with today's model. A file
lies under its canonical symbol (`BTCUSDT`) or, if an older engine wrote it, under the dashed one (`BTC-USDT`).

JSON is kept byte for byte (`.raw`), because its signature is over those bytes; the typed view beside it has the agreed
fields, leaves missing ones empty and ignores unknown keys.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from huracan_sync.auth.session import account_of, home_of
from huracan_sync.errors import HuracanError, NotFound, UsageError
from huracan_sync.manifest.checks import Freshness
from huracan_sync.manifest.file_kinds import PROGRAMS
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader import Reader, Snapshot, Source
from huracan_sync.reader.reader import KEEP_SET, Each
from huracan_sync.remote.forked import renewed_in_child
from huracan_sync.remote.parallel import several
from huracan_sync.remote.read_client import ReadOnly
from huracan_sync.remote.source import RemoteSource
from huracan_sync.tree.symbols import ACTIVE, CHAMPIONS, CONFIGS, MODELS, ROSTER
from huracan_sync.tree.symbols import symbol as canonical

_MODEL_SUFFIXES = (".joblib", ".pkl", ".lightgbm", ".lgb", ".safetensors", ".onnx", ".ubj", ".bin")
"""What a model's name may end in; `.bin`, which the contract names, goes before all others."""

MAX_ACTIVE = 4_096
"""Bytes: no name of a model is longer."""


class Metrics(msgspec.Struct, frozen=True):
    """How a model did, in the roster."""

    sharpe: float | None = None
    hit_rate: float | None = None
    net_pnl_pct: float | None = None
    max_drawdown_pct: float | None = None
    sample_size: int | None = None


class RosterSymbol(msgspec.Struct, frozen=True):
    """One line of the roster."""

    symbol: str
    model_path: str = ""
    """Where the engine had the model on its own disk; `Hamilton.champion` finds it in the snapshot."""
    rank: int | None = None
    spread_bps: float | None = None
    fee_bps: float | None = None
    avg_slip_bps: float | None = None
    total_cost_bps: float | None = None
    last_7d_net_bps: float | None = None
    trade_ok: bool = False
    metrics: Metrics = Metrics()


class Roster(msgspec.Struct, frozen=True):
    """`hamilton/roster.json`."""

    symbols: tuple[RosterSymbol, ...] = ()
    date: str = ""
    """As the engine writes it: `YYYYMMDD`."""
    generated_at: str = ""
    total_symbols: int | None = None
    trade_ok_count: int | None = None
    raw: bytes = b""
    """The file, byte for byte."""

    def get(self, symbol: str) -> RosterSymbol | None:
        """The line of a symbol, however it is spelled there or here."""
        wanted = canonical(symbol)
        return next((line for line in self.symbols if _canonical_or_none(line.symbol) == wanted), None)

    def tradable(self) -> tuple[RosterSymbol, ...]:
        """The lines that say `trade_ok`, in the order of the file."""
        return tuple(line for line in self.symbols if line.trade_ok)


class Performance(msgspec.Struct, frozen=True):
    """How a model did, in its config."""

    sharpe: float | None = None
    win_rate: float | None = None


class RiskLimits(msgspec.Struct, frozen=True):
    """How far Hamilton may go with a model."""

    max_position_pct: float | None = None
    max_leverage: float | None = None


class Config(msgspec.Struct, frozen=True):
    """`hamilton/configs/{SYMBOL}.json`."""

    model_id: str = ""
    symbol: str = ""
    model_path: str = ""
    gate_score: float | None = None
    performance: Performance = Performance()
    risk_limits: RiskLimits = RiskLimits()
    deployed_at: str = ""
    feedback_enabled: bool = False
    raw: bytes = b""
    """The file, byte for byte."""

    def json(self) -> dict[str, Any]:
        """Everything in the file, including keys that have no attribute here. Raises `CONTRACT` if they are damaged."""
        return _decoded(_object, self.raw, "the config")


class Champion(msgspec.Struct, frozen=True):
    """The model to trade a symbol with."""

    symbol: str
    """Canonical."""
    path: str
    """In the snapshot, for `snapshot.path` or `snapshot.open`."""
    kind: int
    """One of `file_kinds.Kind`."""
    rev: str
    content_hash: bytes
    data: bytes
    """The model, proved."""


D = TypeVar("D")
T = TypeVar("T", Roster, Config)
_roster = msgspec.json.Decoder(Roster)
_config = msgspec.json.Decoder(Config)
_object = msgspec.json.Decoder(dict[str, Any])


class ChampionSet:
    """What one manifest of `champions` says, in the words of trading. It never changes; safe for several threads."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Read from this snapshot, and from no other."""
        self.snapshot = snapshot

    def symbols(self) -> list[str]:
        """The symbols that have a champion, canonical, in order."""
        return sorted(self._models())

    def champion(self, symbol: str) -> Champion:
        """The model of a symbol, proved. Raises `NotFound` when the snapshot has none, `KIND` when it is a pickle."""
        path = self._models().get(canonical(symbol))
        if path is None:
            raise self._none(f"no champion of {canonical(symbol)}", symbol)
        item = self.snapshot.item(path)
        if item.kind in PROGRAMS:
            raise refused("KIND", f"{path} is a pickle: opening it runs whatever is in it", path=path, kind=item.kind)
        data = self.snapshot.read(path)
        return Champion(canonical(symbol), path, item.kind, item.rev, item.content_hash, data)

    def roster(self) -> Roster:
        """The roster. Raises `NotFound` when the snapshot has none, `CONTRACT` when it is not one."""
        return self._typed(_roster, ROSTER)

    def config(self, symbol: str) -> Config:
        """The config of a symbol. Raises as `roster`."""
        path = self._named(CONFIGS, ".json").get(canonical(symbol))
        if path is None:
            raise self._none(f"no config of {canonical(symbol)}", symbol)
        return self._typed(_config, path)

    def active(self, symbol: str) -> str | None:
        """The name of the model that is active for a symbol, None when none is."""
        path = self._named(ACTIVE, ".txt").get(canonical(symbol))
        if path is None:
            return None
        data = self.snapshot.read(path)
        try:
            if len(data) <= MAX_ACTIVE:
                return data.decode().strip() or None
        except UnicodeDecodeError:
            pass
        raise refused("CONTRACT", f"{path} is not the name of a model", path=path)

    def _models(self) -> dict[str, str]:
        """Path by symbol. Of several files of one symbol the suffix that stands last in the list is taken."""
        return {symbol: path for end in _MODEL_SUFFIXES for symbol, path in self._named(MODELS, end).items()}

    def _named(self, folder: str, suffix: str) -> dict[str, str]:
        """The files of a folder by the symbol in their names; the canonical spelling before the dashed one."""
        found: dict[str, str] = {}
        for entry in self.snapshot.iter(folder):
            stem = entry.path[len(folder) + 1 :].removesuffix(suffix)
            symbol = _canonical_or_none(stem) if entry.path.endswith(suffix) and "/" not in stem else None
            if symbol is not None and (symbol not in found or stem == symbol):
                found[symbol] = entry.path
        return found

    def _typed(self, decoder: msgspec.json.Decoder[T], path: str) -> T:
        raw = self.snapshot.read(path)
        return msgspec.structs.replace(_decoded(decoder, raw, path), raw=raw)

    def _none(self, what: str, symbol: str) -> NotFound:
        sequence = self.snapshot.sequence
        return NotFound(
            f"there is {what} in sequence {sequence} of {CHAMPIONS}",
            hint=f"it holds {', '.join(self.symbols()) or 'no champions'}",
            symbol=symbol,
            sequence=sequence,
        )


class Hamilton:
    """Reads what the engine has published: `Hamilton.open("hamilton").champion("BTCUSDT").data`. Cannot write or sign.

    `champion`, `config`, `roster`, `symbols` and `active` each answer from one snapshot, the newest that was taken. For
    several answers from the same snapshot use `at(snapshot)`. Safe for several threads.
    """

    def __init__(self, reader: Reader, *, allow_stale: bool = False) -> None:
        """Use `open`, unless you bring a reader of your own.

        Args:
            reader: reads and verifies.
            allow_stale: whether a manifest past its time may be used, until it is dead: to manage open positions,
                not for new risk.
        """
        self.reader = reader
        self._allow_stale = allow_stale
        self._current: Snapshot | None = None
        self._opened: Callable[[], Hamilton] | None = None
        self.renew_in_child()
        renewed_in_child(self)

    def renew_in_child(self) -> None:
        """See `forked`."""
        self._lock = threading.Lock()  # guards _current

    @classmethod
    def open(
        cls,
        profile: str = "hamilton",
        *,
        source: Source | None = None,
        home: Path | None = None,
        place: str | None = None,
        allow_stale: bool = False,
        keep_set: int = KEEP_SET,
        each: Each = several,
        clock: Callable[[], float] = time.time,
    ) -> Hamilton:
        """Hamilton on this machine. No network before the first question.

        Args:
            profile: the login to read with.
            source: where to read instead.
            home: HURACAN_SYNC_HOME; by default as the environment says.
            place: tells one root folder from another on this machine; by default as the login says.
            allow_stale: as in the constructor.
            keep_set: bytes up to which a set is brought here whole before it takes effect.
            each: applies a function to many, as `map` does; the default fetches several files at once.
            clock: seconds since 1970.

        Raises:
            ConfigError: the environment names an emulator that is none.
            NoCredentials: nobody is logged in under this profile.
        """
        own: RemoteSource | None = None
        if source is None:
            login = account_of(profile, home=home)
            source = own = RemoteSource(ReadOnly(login.wire, login.tokens, identity=login.identity, root=login.root))
            home, place = login.home, own.place if place is None else place
        reader = Reader(
            source,
            home or home_of(os.environ),
            place=place or "",
            pin=os.environ.get("HURACAN_ROOT_PIN", ""),
            keep_set=keep_set,
            each=each,
            clock=clock,
        )
        hamilton = cls(reader, allow_stale=allow_stale)
        if own is not None and each is several and clock is time.time:
            options: dict[str, Any] = {"place": place, "allow_stale": allow_stale, "keep_set": keep_set}
            hamilton._opened = partial(cls.open, profile, home=home, **options)
        return hamilton

    def __reduce__(self) -> tuple[Any, ...]:
        """How it was opened is what is sent to another process; it opens itself there, with the login found there."""
        if self._opened is None:
            raise UsageError(
                "this Hamilton reads from a source of its own and cannot be sent to another process",
                hint='open one there: Hamilton.open("hamilton")',
            )
        return self._opened, ()

    def pin(self, pin: str | Iterable[str], *, at_least: Mapping[str, int] | None = None) -> Trust:
        """Trust the root folder and keys of this pin (`huracan-sync keys show` prints it). See `Reader.pin`."""
        return self.reader.pin(pin, at_least=at_least)

    def latest(self, channel: str = CHAMPIONS) -> Snapshot:
        """The newest manifest of a channel, verified, or an error. One request when nothing has changed.

        For `champions`, the methods below answer from it until a newer one is taken.
        """
        return self._taken(self.reader.latest(channel, allow_stale=self._allow_stale))

    def follow(
        self,
        channel: str = CHAMPIONS,
        *,
        stop: Callable[[], bool] = lambda: False,
        observe: Callable[[HuracanError], None] = lambda _: None,
    ) -> Iterator[Snapshot]:
        """Each new manifest as soon as it is published; see `Reader.follow`."""
        for snapshot in self.reader.follow(channel, allow_stale=self._allow_stale, stop=stop, observe=observe):
            yield self._taken(snapshot)

    def _taken(self, snapshot: Snapshot) -> Snapshot:
        """Answer from it from now on, unless another thread took a newer one while this one was on its way."""
        new = snapshot.head
        with self._lock:
            now = self._current.head if self._current and self._current.head.root_id == new.root_id else new
            if new.channel == CHAMPIONS and (now.epoch, now.seq) <= (new.epoch, new.seq):
                self._current = snapshot
        return snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The manifest of `champions` that the methods below answer from; the newest, if none was taken yet."""
        return self._current or self.latest()

    @property
    def status(self) -> Freshness:
        """Whether that manifest is fresh, stale or dead now."""
        return self.snapshot.status

    def at(self, snapshot: Snapshot | None = None) -> ChampionSet:
        """The answers of one manifest: of this snapshot, by default of the newest that was taken."""
        return ChampionSet(snapshot or self.snapshot)

    def symbols(self) -> list[str]:
        """The symbols that have a champion, canonical, in order."""
        return self.at().symbols()

    def champion(self, symbol: str) -> Champion:
        """The model of a symbol, proved. Raises `NotFound` when the snapshot has none, `KIND` when it is a pickle."""
        return self.at().champion(symbol)

    def roster(self) -> Roster:
        """The roster. Raises `NotFound` when the snapshot has none, `CONTRACT` when it is not one."""
        return self.at().roster()

    def config(self, symbol: str) -> Config:
        """The config of a symbol. Raises as `roster`."""
        return self.at().config(symbol)

    def active(self, symbol: str) -> str | None:
        """The name of the model that is active for a symbol, None when none is."""
        return self.at().active(symbol)


def _decoded(decoder: msgspec.json.Decoder[D], raw: bytes, path: str) -> D:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused("CONTRACT", f"{path} does not hold what was agreed on: {error}", path=path) from error


def _canonical_or_none(text: str) -> str | None:
    """The canonical spelling, or None for what is no symbol (a README among the models)."""
    try:
        return canonical(text)
    except UsageError:
        return None
