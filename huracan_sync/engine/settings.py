"""Every setting of continuous sync: its default, where it may be given, and what was given there.

Precedence: arguments > environment > file > defaults. An unknown name is an error that names the nearest known one.
Pure: environment and file come as values; nothing is read here.

The environment spells a setting `DROPBOX__<NAME>`, as the engine's own settings do; the file is TOML with the settings
at the top, or in a table `[dropbox]`. A preset sets the four intervals that the engine documents; an interval that is
given anywhere wins over any preset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from huracan_sync.errors import ConfigError, UsageError
from huracan_sync.secret import Secret
from huracan_sync.tree.filters import Filters, Rule
from huracan_sync.tree.layout import LOCAL_FOLDERS, Layout

SENTINEL = "sl.keyring:"
"""A setting that begins so names a profile whose stored login is used: `sl.keyring:engine`. It is no secret, is
truthy and begins like a token, because the engine asks its setting for both."""

PRESETS: Mapping[str, Mapping[str, float]] = {
    "development": {"learning": 90, "logs": 90, "models": 450, "data_cache": 3600},
    "production": {"learning": 300, "logs": 300, "models": 1800, "data_cache": 7200},
    "constrained": {"learning": 750, "logs": 1350, "models": 5400, "data_cache": 18000},
}
"""Seconds between passes: the engine's documented defaults are `production`."""

KINDS = ("learning", "logs", "models", "data_cache", "monitoring", "reports", "exports", "config")
"""What is synced, in the engine's words; `data_cache` is the candles."""

_FOLLOWS = {"monitoring": "logs", "reports": "logs", "exports": "logs", "config": "models"}
"""Kinds that are synced as often as another."""
_LAYOUT_NAMES = {"data_cache": "candles"}

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_FILTERS = {"DROPBOX__INCLUDE", "DROPBOX__EXCLUDE"}
_LONGEST_S = 366 * 24 * 3600.0
_OTHER_NAMES = {
    "DROPBOX_ACCESS_TOKEN": "access_token",
    "HURACAN_SYNC_STRICT": "strict",
    "HURACAN_APP_FOLDER": "app_folder",
    "HURACAN_PROFILE": "profile",
}
"""Variables that are documented under a name of their own."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What continuous sync does. Seconds are between passes; 0 or less disables a kind."""

    enabled: bool = True
    access_token: Secret | None = None
    """A short-lived token that was pasted; None: the stored login of `profile`."""
    profile: str = "engine"
    app_folder: str = "Runpodhuracan"
    preset: str = "production"
    strict: bool = False
    """Raise instead of returning False, 0, None or []."""
    allow_secrets: bool = False
    """Upload config files although a secret was found in them."""
    sign: bool = True
    """Sign what Hamilton reads, and the candles, where this machine has a key."""
    parquet_metadata: bool = False
    """Keep the `_metadata` file of the candles beside them, so that readers need no footer of any file."""
    restore_data_cache_on_startup: bool = True
    watch: bool = True
    """Notice changed candles, notes and models on the disk instead of waiting for the next pass."""
    quick_scan_seconds: float = 300.0
    """Seconds between looks at candles, notes and models, at most, where the disk is not or cannot be watched; 0 or
    less leaves it at their intervals."""

    include: tuple[str, ...] = ()
    """Globs of files that take part, also where `exclude` matches; without `exclude`, only they do. As one text, `;` is
    between them. The `.huracanignore` at the top of a folder counts as well."""
    exclude: tuple[str, ...] = ()
    """Globs of files that are neither sent nor restored: `*.tmp`, `/cache/`."""

    sync_learning: bool = True
    sync_logs: bool = True
    sync_models: bool = True
    sync_data_cache: bool = True
    sync_monitoring: bool = True
    sync_reports: bool = True
    sync_exports: bool = True
    sync_config: bool = True

    sync_interval_learning_seconds: float | None = None
    sync_interval_logs_seconds: float | None = None
    sync_interval_models_seconds: float | None = None
    sync_interval_data_cache_seconds: float | None = None

    learning_dir: str = LOCAL_FOLDERS["learning"]
    logs_dir: str = LOCAL_FOLDERS["logs"]
    models_dir: str = LOCAL_FOLDERS["models"]
    data_cache_dir: str = LOCAL_FOLDERS["candles"]
    monitoring_dir: str = LOCAL_FOLDERS["monitoring"]
    reports_dir: str = LOCAL_FOLDERS["reports"]
    exports_dir: str = LOCAL_FOLDERS["exports"]
    config_dir: str = LOCAL_FOLDERS["config"]

    origins: Mapping[str, str] = {}
    """For every setting that was given: `argument`, the name of the environment variable, or the name of the file."""

    def interval(self, kind: str) -> float:
        """Seconds between passes of a kind; 0 when it is disabled."""
        if not (self.enabled and getattr(self, f"sync_{kind}")):
            return 0.0
        leader = _FOLLOWS.get(kind, kind)
        given: float | None = getattr(self, f"sync_interval_{leader}_seconds")
        return max(0.0, PRESETS[self.preset][leader] if given is None else given)

    @property
    def quick_s(self) -> float:
        """`quick_scan_seconds`, infinite where there is no such scan."""
        return self.quick_scan_seconds if self.quick_scan_seconds > 0 else math.inf

    def folder(self, kind: str) -> str:
        """The local folder of a kind."""
        return str(getattr(self, f"{kind}_dir"))

    def folders(self) -> dict[str, str]:
        """The local folder of each kind that is synced."""
        return {kind: self.folder(kind) for kind in KINDS if self.interval(kind) > 0}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """`include` and `exclude`, in the order in which they count."""
        included = (Rule(includes=True, pattern=pattern) for pattern in self.include)
        return (*included, *(Rule(includes=False, pattern=pattern) for pattern in self.exclude))

    @property
    def layout(self) -> Layout:
        """Where things go in Dropbox."""
        return Layout(self.app_folder)

    def disabled(self) -> tuple[str, ...]:
        """The kinds that are not synced, for saying so once."""
        return tuple(kind for kind in KINDS if self.interval(kind) <= 0)


def layout_kind(kind: str) -> str:
    """The layout's name of a kind: the engine says `data_cache`, the layout `candles`."""
    return _LAYOUT_NAMES.get(kind, kind)


_SETTINGS = {field.name: field for field in msgspec.structs.fields(Settings) if field.name != "origins"}


def load(
    *,
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: bytes | None = None,
    file_name: str = "huracan-sync.toml",
) -> Settings:
    """The settings that were given, over the defaults.

    Args:
        arguments: settings by name; a value of None was not given.
        environment: all of it; only names of settings are looked at.
        file: the content of a TOML file.
        file_name: what it is called in messages.

    Raises:
        ConfigError: `UNKNOWN_SETTING`, a name no setting has.
        ConfigError: a value a setting cannot have, or a file that is no TOML or holds a token.
    """
    given: dict[str, Any] = {}
    origins: dict[str, str] = {}
    layers = (
        _from_file(file, file_name) if file is not None else {},
        _from_environment(environment or {}),
        {name: (value, "argument") for name, value in (arguments or {}).items() if value is not None},
    )
    for layer in layers:
        for name, (value, origin) in layer.items():
            if name not in _SETTINGS:
                raise unknown(name, origin)
            given[name] = _value(name, value, origin)
            origins[name] = origin
    given = _with_login(given, origins)
    settings = Settings(**given, origins=origins)
    _ = settings.layout.root  # refuses a name that can be no folder
    return settings


def filters_in(environment: Mapping[str, str]) -> dict[str, Any]:
    """`include` and `exclude`, where the environment gives them."""
    found = _from_environment({name: value for name, value in environment.items() if name.upper() in _FILTERS})
    return {name: _as_globs(name, value, origin) for name, (value, origin) in found.items()}


def unknown(name: str, origin: str) -> ConfigError:
    """An error about a name that no setting has, with the nearest that one has."""
    return ConfigError(
        f"no setting is called {name!r} ({origin})",
        code="UNKNOWN_SETTING",
        hint=f"did you mean {_nearest(name, _SETTINGS)!r}? docs/settings.md lists them all",
        setting=name,
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only for mistakes

    return difflib.get_close_matches(name, list(known), 1, 0.0)[0]


def _from_file(content: bytes, name: str) -> dict[str, tuple[object, str]]:
    import tomllib  # noqa: PLC0415 - most engines have no file

    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} is no TOML: {error}", hint="correct that line of it", path=name) from error
    nested = table.pop("dropbox", {})
    if not isinstance(nested, dict):
        raise ConfigError(f"`dropbox` in {name} is no table", hint="write [dropbox] on a line of its own", path=name)
    if twice := sorted(table.keys() & nested.keys()):
        message = f"{name} says {', '.join(twice)} twice, at the top and in [dropbox]"
        raise ConfigError(message, hint="leave one of the two out", path=name)
    found = {**table, **nested}
    token = found.get("access_token")
    if isinstance(token, str) and token and not token.startswith(SENTINEL):
        raise ConfigError(
            f"{name} holds an access token",
            hint="remove it and revoke it; log in once with `huracan-sync authorize`",
            path=name,
        )
    return {key: (value, name) for key, value in found.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """Settings the environment gives. `DROPBOX__*` is the engine's own space."""
    found: dict[str, tuple[object, str]] = {}
    for name in sorted(environment):
        upper, value = name.upper(), environment[name]
        if upper.startswith("DROPBOX__"):
            name_of_setting = upper.removeprefix("DROPBOX__").lower()
        elif upper in _OTHER_NAMES:
            name_of_setting = _OTHER_NAMES[upper]
        elif upper.startswith("HURACAN_") and upper.removeprefix("HURACAN_").lower() in _SETTINGS:
            hint = f"write DROPBOX__{upper.removeprefix('HURACAN_')}"
            raise ConfigError(f"no setting is read from {name}", code="UNKNOWN_SETTING", hint=hint, setting=name)
        else:
            continue
        if value.strip() or name_of_setting == "access_token":
            found[name_of_setting] = (value, name)
    return found


def _value(name: str, value: object, origin: str) -> object:
    """The value as the setting's type, however it was spelled."""
    kind = _SETTINGS[name].type
    if kind is bool:
        return _as_bool(name, value, origin)
    if kind == tuple[str, ...]:
        return _as_globs(name, value, origin)
    if kind in {float, float | None}:
        return _as_seconds(name, value, origin)
    if name == "access_token":
        if isinstance(value, Secret):
            return value
        value = str(value) if isinstance(value, str) else ""
        return Secret(value.strip().strip("\"'")) if value else None
    if not isinstance(value, str) and not hasattr(value, "__fspath__"):
        raise _bad(name, value, origin, "text")
    text = str(value)
    if name == "preset" and text not in PRESETS:
        hint = f"did you mean {_nearest(text, PRESETS)!r}?"
        raise ConfigError(f"there is no preset {text!r} ({origin})", hint=hint, setting=name)
    return text


def _as_bool(name: str, value: object, origin: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    raise _bad(name, value, origin, "true or false")


def _as_globs(name: str, value: object, origin: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [pattern.strip() for pattern in value.split(";") if pattern.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(pattern, str) for pattern in value):
        raise _bad(name, value, origin, "a list of globs")
    patterns = tuple(value)
    try:
        Filters([Rule(includes=True, pattern=each) for each in patterns])
    except UsageError as error:
        raise ConfigError(f"{name}: {error} ({origin})", hint=error.hint, setting=name, origin=origin) from error
    return patterns


def _as_seconds(name: str, value: object, origin: str) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _bad(name, value, origin, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value > _LONGEST_S:
        raise _bad(name, value, origin, "a number")
    return float(value)


def _bad(name: str, value: object, origin: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"{name} cannot be {str(value)[:60]!r} ({origin})", hint=f"it wants {wanted}", setting=name, origin=origin
    )


def _with_login(given: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    """A sentinel in place of a token names the profile."""
    token = given.get("access_token")
    if token is None:
        return given
    profile, pasted = login_of(token)
    if pasted is None:
        del given["access_token"]
        if profile is not None:
            given.setdefault("profile", profile)
            origins.setdefault("profile", origins["access_token"])
    return given


def login_of(token: Secret | None) -> tuple[str | None, Secret | None]:
    """What a token setting means: the profile it names (None: whichever is set), or the token it is.

    Raises:
        UsageError: it begins like a profile and names none.
    """
    text = token.reveal() if token is not None else ""
    if not text:
        return None, None
    if text.startswith(SENTINEL):
        profile = text.removeprefix(SENTINEL)
        if not profile:
            return None, None
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", profile):
            raise UsageError(f"{text!r} names no profile", hint=f"write {SENTINEL}engine")
        return profile, None
    return None, token
