"""Where every artifact lives, in Dropbox and on the engine's disk, both directions. Pure: dates are arguments, UTC.

    /Runpodhuracan/2025-11-12/logs/...            what one day leaves behind, by day and kind
    /Runpodhuracan/data/candles/BTCUSDT/...       what lasts, never by day: candles, champions, training, hamilton
    /huracan/...                                  what the contracts name: absolute, never by day, read as written

Laws. `place` applied twice is `place` applied once: a path that was placed is never dated, prefixed or moved again.
A candle's folder follows from its file name alone, so that no route can make a second copy of it: `BTCUSDT/` in
Dropbox, `BTC/` on disk, and a perpetual (`BTC-USDT:USDT_1m_...`) beside its spot market, kept apart by its name.
Prefixes are compared by whole components (`/APPX` is not below `/APP`) and without case, as Dropbox compares them.
What no tree may hold (`..`, control characters, an empty component) is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from huracan_sync.errors import HostilePath, UsageError
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, below, check, fold, join
from huracan_sync.tree.symbols import ACTIVE, CONFIGS, MODELS, QUOTES, ROSTER, symbol, symbol_spellings

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT_ROOTS = ("huracan", "huracanengine")
"""First components that make a path absolute: the folders that Hamilton and Mechanic read."""

LOCAL_FOLDERS = {
    "logs": "logs",
    "models": "models",
    "monitoring": "logs",
    "learning": "logs/learning",
    "candles": "data/candles",
    "reports": "reports",
    "config": "config",
    "exports": "exports",
}
"""Where the engine keeps each kind of data, relative to where it is started."""

_MODELS = ("pkl", "bin", "pth", "onnx", "ubj", "safetensors", "lgb", "keras", "pt", "joblib")
PATTERNS = {
    "logs": ("*.log",),
    "models": tuple(f"*.{end}" for end in _MODELS),
    "monitoring": ("*.json",),
    "learning": ("*.json",),
    "candles": ("*.parquet",),
    "reports": ("*.json", "*.csv", "*.html", "*.pdf", "*.txt"),
    "config": ("*.yaml", "*.yml", "*.json", "*.toml"),
    "exports": ("*.csv", "*.json", "*.parquet"),
}
"""Which files of each kind are synced. Models in the formats that engines write, and in those that are safer."""

_SAME_FOLDER = ({"logs", "monitoring", "learning"},)
"""Kinds whose folders are one, or lie in one another: what one of them leaves out another may take."""


def is_left_out(kind: str, path: str) -> bool:
    """Whether no kind of data that looks at the folder of `kind` takes a file that lies there."""
    kinds = next((kinds for kinds in _SAME_FOLDER if kind in kinds), {kind})
    name = path.rpartition("/")[2]
    return not any(fnmatchcase(name, pattern) for each in kinds for pattern in PATTERNS[each])


_DATED = frozenset(LOCAL_FOLDERS) - {"candles"}
_LASTING = (
    ("data", "candles"),
    ("models", "champions"),
    ("models", "training"),
    ("hamilton",),
    ("coins",),
    (".huracan",),
)
_CANDLE = re.compile(
    r"(?P<base>[A-Za-z0-9]{1,32})-(?P<quote>[A-Za-z0-9]{1,32})(:(?P<settle>[A-Za-z0-9]{1,32}))?"
    r"(_[0-9]{1,4}[smhdwMy](_[^/]*)?)?\.parquet"
)
_JOINED_CANDLE = re.compile(r"(?P<symbol>[A-Za-z0-9]{2,32})_[0-9]{1,4}[smhdwMy](_[^/]*)?\.parquet")
"""`ETHUSDT_1d_20250615_20251112.parquet`: it does not tell its base, so it has the same folder on both sides."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COMPACT_DAY = re.compile(r"[0-9]{8}")


class Candle(msgspec.Struct, frozen=True):
    """What the name of a candle file says."""

    name: str
    base: str
    """`BTC`, as written; the whole symbol, where the name does not tell its base."""
    symbol: str
    """`BTCUSDT`; `BTCUSDT_PERP` for a perpetual."""

    @property
    def here(self) -> RelPath:
        """Where the loader looks for it, below `data/candles`."""
        return RelPath(f"{self.base}/{self.name}")

    @property
    def there(self) -> RelPath:
        """Where it lies in Dropbox, below `data/candles`. A perpetual lies in the folder of its spot market."""
        return RelPath(f"{self.symbol.removesuffix('_PERP')}/{self.name}")

    @property
    def older_places(self) -> tuple[RelPath, ...]:
        """Where earlier writers put it, below `data/candles`: by base, by dashed symbol, with its colon, flat."""
        written = self.name.partition(".")[0].partition("_")[0].upper()
        spelled = symbol_spellings(written) if self.base == self.symbol else ()
        bases = (text.partition("-")[0] for text in spelled)
        folders = (self.base, written.partition(":")[0], written.replace("-", ""), written, *spelled, *bases)
        places = dict.fromkeys((*(f"{folder}/{self.name}" for folder in folders), self.name))
        return tuple(RelPath(place) for place in places if place != self.there)


def candle(path: str) -> Candle | None:
    """The candle that a path's last component names, None for any other file."""
    name = path.rpartition("/")[2]
    match = _CANDLE.fullmatch(name)
    if match is None:
        match = _JOINED_CANDLE.fullmatch(name)
        joined = match["symbol"].upper() if match else ""
        is_pair = joined.endswith(QUOTES) and joined not in QUOTES
        return Candle(name, joined, joined) if is_pair else None
    pair = f"{match['base']}-{match['quote']}"
    return Candle(name, match["base"], symbol(f"{pair}:{match['settle']}" if match["settle"] else pair))


def candle_there(path: str) -> RelPath:
    """A path below the local candle folder as Dropbox has it. What is no candle keeps its path."""
    found = candle(path)
    return found.there if found else check(path)


def candle_here(path: str) -> RelPath:
    """A path below the remote candle folder, in whatever place, as the loader has it. The inverse of `candle_there`."""
    found = candle(path)
    return found.here if found else check(path)


def candle_view(folder: Path, *, takes_strays: bool = True) -> FolderView:
    """The engine's folder of candles (absolute), `BTC/` here and `BTCUSDT/` there."""
    return FolderView(folder, "candles", candle_there, candle_here, takes_strays)


def is_candle_folder(remote_folder: str, root: str) -> bool:
    """Whether a remote folder is the one of all candles, below the remote folder of the engine."""
    return fold(remote_folder.strip("/")) == fold(f"{root}/data/candles".strip("/"))


def day_of(moment: date | datetime | str) -> str:
    """The UTC day of a moment, as `YYYY-MM-DD`. Strings may be `YYYY-MM-DD` or `YYYYMMDD`.

    Raises:
        UsageError: it is no day.
    """
    if isinstance(moment, datetime):
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()
    if isinstance(moment, date):
        return moment.isoformat()
    try:
        if _DAY.fullmatch(moment):
            return date.fromisoformat(moment).isoformat()
        if _COMPACT_DAY.fullmatch(moment):
            return date(int(moment[:4]), int(moment[4:6]), int(moment[6:])).isoformat()
    except ValueError:
        pass  # the 31st of February
    raise UsageError(f"{moment!r} is no day", hint="write it like 2025-11-12 or 20251112", day=moment)


class Artifact(msgspec.Struct, frozen=True):
    """What lies at a remote path.

    `kind` is one of `LOCAL_FOLDERS`, or: `training`, `coin` (a coin's results, organised and legacy), `champion`,
    `champion-archive`, `roster`, `pointer`, `hamilton-config`, `active`, `contract` (absolute), `other`.
    """

    kind: str
    path: str = ""
    """What is left when kind, day and symbol are said; for the archive, what tells two of one day apart."""
    day: str = ""
    symbol: str = ""


class Layout(msgspec.Struct, frozen=True):
    """The places below one app folder."""

    app_folder: str = "Runpodhuracan"
    contract_roots: tuple[str, ...] = CONTRACT_ROOTS
    kind_first: bool = False
    """`/logs/2025-11-12` instead of `/2025-11-12/logs`. Readers accept both."""

    @property
    def root(self) -> str:
        """The app folder as the API wants it.

        Raises:
            HostilePath: its name cannot be one.
        """
        inner = self.app_folder.strip("/")
        return f"/{check(inner)}" if inner else ""

    def is_contract(self, path: str) -> bool:
        """Whether the path's first component is one that makes it absolute."""
        first = path.lstrip("/").partition("/")[0]
        return fold(first) in {fold(root) for root in self.contract_roots}

    # --- any path ---------------------------------------------------------------------------------------------

    def place(self, path: str, day: str | None = None) -> str:
        """Where a path that the engine names belongs, whether it is relative, below the app folder, or placed already.

        Args:
            path: with or without a leading slash; `/` is the folder itself.
            day: `YYYY-MM-DD` for what is kept by day, None for what lasts. A day the path begins with wins: it was
                said on purpose, or the path was placed before midnight.

        Raises:
            HostilePath: no tree may hold it.
        """
        inner = path.strip("/")
        if not inner:
            return join(self.root, day or "") or "/"
        absolute = f"/{check(inner)}"
        if self.is_contract(inner):
            return absolute
        relative = below(self.root, absolute)
        said, rest = _split(inner if relative is None else relative, kind_first=self.kind_first)
        if _lasts(rest):
            return join(self.root, _candled(rest))
        return join(self.root, self._dated(rest, said or day or ""))

    def literal(self, path: str) -> str:
        """A path that was said in full: a leading slash is all it may lack. Candles of the app still go to their place.

        Raises:
            HostilePath: no tree may hold it.
        """
        absolute = f"/{check(path.strip('/'))}"
        relative = below(self.root, absolute)
        if relative and candle(relative):
            rest = _split(relative)[1]
            if _in_candles(rest):
                return join(self.root, _candled(rest))
        return absolute

    def _dated(self, rest: list[str], day: str) -> str:
        if not day:
            return "/".join(rest)
        if self.kind_first and rest and rest[0] in _DATED:
            return "/".join((rest[0], day, *rest[1:]))
        return "/".join((day, *rest))

    # --- one place for each artifact ----------------------------------------------------------------------------

    @property
    def candles(self) -> str:
        """The folder of all candles."""
        return join(self.root, "data/candles")

    def folder(self, kind: str, day: str) -> str:
        """The folder of a kind of data on a day; candles have none of their own."""
        return self.candles if kind == "candles" else join(self.root, self._dated([kind], day))

    def path(self, artifact: Artifact) -> str:
        """The remote path of an artifact: the inverse of `artifact`.

        Raises:
            UsageError: it lacks a symbol or a day that its kind needs, or has one that is none.
        """
        kind, rest = artifact.kind, artifact.path
        if kind == "contract":
            return f"/{check(rest)}"
        if kind == "candles":
            return join(self.candles, candle_there(rest))
        if kind == "other":
            return join(self.root, self._dated(check(rest).split("/"), artifact.day))
        if kind in _DATED:
            return join(self.folder(kind, day_of(artifact.day)), check(rest))
        if kind in _FIXED:
            return join(self.root, _FIXED[kind])
        key = symbol(artifact.symbol)
        if kind in _BY_SYMBOL:
            before, after = _BY_SYMBOL[kind]
            return join(self.root, f"{before}/{key}{after}")
        day = day_of(artifact.day)
        if kind == "champion-archive":
            return join(self.root, f"models/champions/archive/{day}/{key}{f'.{rest}' if rest else ''}.bin")
        if kind == "training":
            return join(self.root, f"models/training/{day}/{key}/{check(rest)}")
        if kind == "coin":
            return join(self.root, f"coins/{key}/{day}/{check(rest)}")
        raise UsageError(f"{kind!r} is no kind of artifact", hint="one of " + ", ".join(sorted(KINDS)))

    def artifact(self, remote: str) -> Artifact | None:
        """What lies at a remote path; None for what is neither below the app folder nor a contract's."""
        try:
            inner = check(remote.strip("/"))
        except HostilePath:
            return None
        if self.is_contract(inner):
            return Artifact("contract", inner)
        relative = below(self.root, f"/{inner}")
        if not relative:
            return None
        for pattern, kind in _readings():
            match = pattern.fullmatch(relative)
            if match and (found := _artifact(kind, match.groupdict(""))):
                return found
        day, rest = _split(relative, kind_first=True)
        if _in_candles(rest) and len(rest) > 2:
            return Artifact("candles", candle_there("/".join(rest[2:])))
        if day and len(rest) > 1 and rest[0] in _DATED:
            return Artifact(rest[0], "/".join(rest[1:]), day)
        return Artifact("other", "/".join(rest), day) if rest else None


_FIXED = {"roster": ROSTER, "pointer": "hamilton/champion.json"}
_BY_SYMBOL = {
    "champion": (MODELS, ".bin"),
    "hamilton-config": (CONFIGS, ".json"),
    "active": (ACTIVE, ".txt"),
}
KINDS = frozenset({*LOCAL_FOLDERS, *_FIXED, *_BY_SYMBOL, "training", "coin", "champion-archive", "contract", "other"})

_D = r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_S = r"(?P<symbol>[A-Za-z0-9_-]+)"


@cache
def _readings() -> list[tuple[re.Pattern[str], str]]:
    """How each kind of fixed place reads; compiled when the first is asked for."""
    return [
        *((re.compile(re.escape(path)), kind) for kind, path in _FIXED.items()),
        *((re.compile(f"{folder}/{_S}{re.escape(end)}"), kind) for kind, (folder, end) in _BY_SYMBOL.items()),
        (re.compile(f"models/champions/archive/{_D}/{_S}(\\.(?P<path>[0-9a-f]+))?\\.bin"), "champion-archive"),
        (re.compile(f"models/training/{_D}/{_S}/(?P<path>.+)"), "training"),
        (re.compile(f"coins/{_S}/{_D}/(?P<path>.+)"), "coin"),
    ]


def _artifact(kind: str, said: dict[str, str]) -> Artifact | None:
    day = said.get("day", "")
    if day and not _is_day(day):
        return None
    try:
        return Artifact(kind, said.get("path", ""), day, symbol(said["symbol"]) if "symbol" in said else "")
    except UsageError:
        return None


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.fullmatch(text)) and day_of(text) == text
    except UsageError:
        return False


def _split(relative: str, *, kind_first: bool = False) -> tuple[str, list[str]]:
    """The day a path begins with (the last of several), or its kind's; and what is left."""
    parts = [part for part in relative.split("/") if part]
    day = ""
    while parts and _is_day(parts[0]):
        day = parts.pop(0)
    if kind_first and not day and len(parts) > 1 and parts[0] in _DATED and _is_day(parts[1]):
        day = parts.pop(1)
    return day, parts


def _lasts(rest: list[str]) -> bool:
    return any(tuple(map(fold, rest[: len(prefix)])) == prefix for prefix in _LASTING)


def _in_candles(rest: list[str]) -> bool:
    return tuple(map(fold, rest[:2])) == ("data", "candles")


def _candled(rest: list[str]) -> str:
    """What lasts, with a candle in its one place."""
    if _in_candles(rest) and (found := candle(rest[-1])):
        return f"data/candles/{found.there}"
    return "/".join(rest)
