"""`raises`: expect an error by its code, its class, or several of either."""

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
        return isinstance(error, classes) or (isinstance(error, HuracanError) and error.code in codes)

    return pytest.raises((HuracanError, *classes) if codes else classes, match=match, check=fits)
