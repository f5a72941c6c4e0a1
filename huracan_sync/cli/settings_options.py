"""The options by which a command is told its settings: a file, and single settings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from huracan_sync.cli.invocation import Invocation
from huracan_sync.engine.settings import PRESETS, Settings, load
from huracan_sync.errors import ConfigError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the options."""
    group = parser.add_argument_group("settings", "an option wins over the environment, that over the file")
    group.add_argument("--preset", metavar="NAME", help=f"the documented intervals: {', '.join(PRESETS)}")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting, like sync_interval_logs_seconds=60",
    )


def settings_of(options: argparse.Namespace, invocation: Invocation) -> Settings:
    """What options, environment and file say together.

    Raises:
        UsageError: an option that cannot be.
        ConfigError: the file cannot be read, or says what cannot be.
    """
    said: dict[str, object] = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r} sets nothing", hint="write --set NAME=VALUE")
        if name.strip() == "access_token":
            raise UsageError(
                "a token is no option: everybody on this machine sees options",
                hint="run `huracan-sync authorize` once",
            )
        said[name.strip()] = value.strip()
    said["preset"] = options.preset if options.preset is not None else said.get("preset")
    said["profile"] = options.profile if options.profile is not None else said.get("profile")
    return settings_in(options.config, invocation.env, said)


def settings_in(
    file: Path | None, environment: Mapping[str, str], arguments: Mapping[str, object] | None = None
) -> Settings:
    """What arguments, environment and file (in this order) say together. Raises `ConfigError`."""
    content = None if file is None else _read(file)
    name = "huracan-sync.toml" if file is None else str(file)
    return load(arguments=arguments, environment=environment, file=content, file_name=name)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"--config {file} cannot be read: {error.strerror}",
            hint="name a TOML file that this user may read",
            path=str(file),
        ) from error
