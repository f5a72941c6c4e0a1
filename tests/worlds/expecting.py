"""`raises`: expect an error by its code, its class, or several of either; and that it says something."""

from __future__ import annotations

from typing import Any

import pytest

from huracan_sync.errors import HuracanError

Expected = str | type[BaseException]


def raises(*expected: Expected | tuple[Expected, ...], match: str | None = None) -> Any:
    """As `pytest.raises`; a text among `expected` is the `code` that the error must have."""
    kinds = [kind for one in expected for kind in (one if isinstance(one, tuple) else (one,))]
    codes = {kind for kind in kinds if isinstance(kind, str)}
    classes = tuple(kind for kind in kinds if not isinstance(kind, str))

    def fits(error: BaseException) -> bool:
        if isinstance(error, HuracanError):
            says_something(error)
        return isinstance(error, classes) or (isinstance(error, HuracanError) and error.code in codes)

    return pytest.raises((HuracanError, *classes) if codes else classes, match=match, check=fits)


FACTS = {
    "BAD_SIGNATURE": {"key"},
    "CHANNEL_UNKNOWN": {"channel", "trust_version"},
    "KEY_CHANNEL": {"keys"},
    "KEY_REVOKED": {"keys"},
    "KEY_WINDOW": {"key", "not_before_ms", "not_after_ms", "created_ms", "now_ms"},
    "KIND": {"path"},
    "ROLLBACK": {"actual", "expected"},
    "SEQUENCE_JUMP": {"actual", "expected"},
    "THRESHOLD": {"actual", "expected"},
    "TRUST_CHAIN": set(),
    "TRUST_EXPIRED": {"trust_version", "expires_ms", "now_ms"},
    "WRONG_ROOT": {"actual", "expected"},
}
"""What machines are told with an error, by its code."""


def says_something(error: HuracanError) -> None:
    """An error is a sentence with its facts: none of them is missing, or what Python calls nothing."""
    assert str(error) not in {"", "None"}, f"{error!r} says nothing"
    assert FACTS.get(error.code, set()) <= error.facts.keys(), f"{error.code} without {FACTS[error.code]}"
    empty = [name for name, fact in error.facts.items() if fact is None or fact == "None"]
    assert not empty, f"{error!r}: nothing is known of {empty}"
