"""The options of `keys rotate` that give a channel its own rules."""

from __future__ import annotations

import argparse
import base64
import binascii
from collections.abc import Callable
from typing import Any

from huracan_sync.errors import UsageError
from huracan_sync.manifest import rotation, sshsig
from huracan_sync.manifest.file_kinds import Kind
from huracan_sync.manifest.trust import Trust

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the options."""
    group = parser.add_argument_group("a channel's own rules")
    group.add_argument("--channel", metavar="C", help="the channel, or `*` for all that have no rules of their own")
    group.add_argument("--max-age", metavar="TIME", help="how long its heads are fresh: 2h, 26h, 7d")
    group.add_argument("--stale-limit", metavar="TIME", help="how long after that one may still ask for them")
    group.add_argument("--kind", metavar="KIND", action="append", help=f"also allow: {', '.join(_kind_names())}")
    group.add_argument("--no-kind", metavar="KIND", action="append", help="no longer allow it")
    group.add_argument("--prefix", metavar="PATH", help="the folder below the root that it may speak of")
    group.add_argument("--max-entries", type=int, metavar="N", help="the most files it may have")
    group.add_argument(
        "--signer",
        metavar="LINE",
        action="append",
        help="a public key that may sign it, as a line of OpenSSH (`ssh-ed25519 AAAA... name`); all that may are said",
    )
    group.add_argument("--threshold", type=int, metavar="N", help="how many of its keys must sign")
    group.add_argument("--new-epoch", action="store_true", help="nothing that was signed before counts any more")


def parse(options: argparse.Namespace) -> Callable[[Trust], Trust]:
    """What the options do to a trust file. Raises `UsageError`."""
    changes: dict[str, Any] = {
        "max_age_s": None if options.max_age is None else seconds("--max-age", options.max_age),
        "stale_limit_s": None if options.stale_limit is None else seconds("--stale-limit", options.stale_limit),
        "path_prefix": None if options.prefix is None else options.prefix.strip("/"),
        "max_entries": options.max_entries,
        "threshold": options.threshold,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    more, less = _kinds(options.kind), _kinds(options.no_kind)
    signers = dict(map(_public, options.signer)) if options.signer else None
    if options.channel is None:
        if changes or more or less or signers or options.new_epoch:
            raise UsageError("the rules are for a channel that was not said", hint="name it with --channel")
        return lambda made: made

    def change(made: Trust) -> Trust:
        before = made.find(options.channel)
        if before is not None:
            if more or less:
                changes["kinds"] = tuple(sorted({*before.kinds, *more} - less))
            if options.new_epoch:
                changes["epoch"] = before.epoch + 1
        return rotation.with_channel(made, options.channel, signers=signers, **changes)

    return change


def seconds(name: str, text: str) -> int:
    """A span of time as an option says it: `2h`, `26h`, `7d`. Raises `UsageError`."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    if not number.isdigit():
        raise UsageError(f"{name} {text!r} is no time", hint="write it like 2h, 26h or 7d")
    return int(number) * unit


def _kind_names() -> list[str]:
    return [kind.name.lower() for kind in Kind]


def _kinds(names: list[str] | None) -> set[int]:
    known = {kind.name.lower(): int(kind) for kind in Kind}
    unknown = set(names or ()) - known.keys()
    if unknown:
        raise UsageError(f"{min(unknown)!r} is no kind of file", hint=f"one of {', '.join(known)}")
    return {known[name] for name in names or ()}


def _public(line: str) -> tuple[bytes, str]:
    """The key and its name in a line of an OpenSSH `.pub` file."""
    words = line.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        blob = b""
    public = blob[-sshsig.KEY_SIZE :]
    if not words or blob != sshsig.public_blob(public) or len(public) != sshsig.KEY_SIZE:
        raise UsageError(
            f"{line[:40]!r} is no public key of the kind ssh-ed25519",
            hint="copy the line that `huracan-sync keys init --key-only` prints, in quotes",
        )
    return public, "-".join(words[2:])[:64] or "publisher"
