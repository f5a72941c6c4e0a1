"""One spelling per trading symbol, and where the champion set lies: the engine publishes there, Hamilton reads."""

from __future__ import annotations

import re

from huracan_sync.errors import UsageError

CHAMPIONS = "champions"
"""The channel of what Hamilton trades on."""

MODELS = "models/champions/latest"
ROSTER = "hamilton/roster.json"
CONFIGS = "hamilton/configs"
ACTIVE = "hamilton/active"

_SYMBOL = re.compile(r"[A-Z0-9]{1,32}")
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "BTC", "ETH", "BNB")


def symbol(text: str) -> str:
    """The canonical spelling of a trading symbol: `ETH-USDT`, `eth/usdt`, `ETH_USDT` -> `ETHUSDT`.

    A perpetual (`BTC/USDT:USDT`) is another instrument and is kept apart: `BTCUSDT_PERP`.
    """
    scope, colon, settle = text.strip().upper().partition(":")
    perpetual = bool(colon)
    if scope.endswith("_PERP") and not colon:
        scope, perpetual = scope[: -len("_PERP")], True
    key = re.sub(r"[/_-]", "", scope)
    # Upper-casing could make ASCII of what was none (sharp s becomes SS): the text itself must be ASCII.
    if not text.isascii() or not _SYMBOL.fullmatch(key) or (colon and not _SYMBOL.fullmatch(settle)):
        raise UsageError(
            f"{text!r} is not a trading symbol",
            hint="write it like BTCUSDT, BTC/USDT or BTC-USDT (a perpetual: BTC/USDT:USDT)",
            symbol=text,
        )
    return f"{key}_PERP" if perpetual else key


def symbol_spellings(text: str) -> tuple[str, ...]:
    """The canonical spelling of a symbol, then those under which earlier writers filed it. For readers."""
    key = symbol(text)
    plain = key.removesuffix("_PERP")
    dashed = [f"{plain.removesuffix(quote)}-{quote}" for quote in QUOTES if plain.endswith(quote) and plain != quote]
    written = text.strip().upper().replace("/", "-")
    return tuple(dict.fromkeys((key, written, *(dashed if key == plain else ()))))
