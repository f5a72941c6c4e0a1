"""The pin: what a person carries to a machine that reads, in one text. Pure.

    hz2:<root id in base32>:SHA256:<fingerprint>[,SHA256:<fingerprint> ...]

It names one root folder and the root keys that may speak for it. One key used for two root folders gives two pins, so
nothing that was signed for the one is ever believed in the other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import NamedTuple

from huracan_sync.errors import UsageError

ROOT_ID_SIZE = 16
_PIN = re.compile(r"hz2:([a-z2-7]{26}):(SHA256:[A-Za-z0-9+/]{43}(?:,SHA256:[A-Za-z0-9+/]{43}){0,7})")


class Pin(NamedTuple):
    """A root folder, and the root keys that a person believes in."""

    root_id: bytes
    """16 bytes."""
    fingerprints: tuple[str, ...]
    """`SHA256:...`, one or more; each of these keys must have signed the trust file."""

    def __str__(self) -> str:
        root = base64.b32encode(self.root_id).decode().rstrip("=").lower()
        return f"hz2:{root}:{','.join(self.fingerprints)}"


def parse(text: str) -> Pin:
    """The pin that a text spells.

    Raises:
        UsageError: it spells none; with a hint where it is a fingerprint alone.
    """
    match = _PIN.fullmatch(text.strip())
    if match is None:
        bare = text.strip().startswith("SHA256:")
        raise UsageError(
            f"{text[:200]!a} is a fingerprint without the root folder it is for"
            if bare
            else f"{text[:200]!a} is no pin",
            hint="run `huracan-sync keys show` where the root key is: it prints the pin of that root folder (hz2:...)",
        )
    root_id = base64.b32decode(match[1].upper() + "=" * 6)
    pin = Pin(root_id, tuple(sorted(set(match[2].split(",")))))
    if not str(pin).startswith(f"hz2:{match[1]}:"):
        raise UsageError(f"{text[:200]!a} is no pin: it has a second spelling")
    return pin


def one_pin(pins: str | Iterable[str]) -> Pin:
    """The pin that one or several texts make; they must be of one root folder.

    Raises:
        UsageError: one of them is no pin, there is none, or they are of several root folders.
    """
    parsed = [parse(text) for text in ([pins] if isinstance(pins, str) else pins)]
    if len({pin.root_id for pin in parsed}) != 1:
        what = "several root folders" if parsed else "no root folder"
        raise UsageError(f"these are pins of {what}", hint="pin each root folder by itself")
    return Pin(parsed[0].root_id, tuple(sorted({each for pin in parsed for each in pin.fingerprints})))
