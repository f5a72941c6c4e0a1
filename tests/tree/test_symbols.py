"""Trading symbols: one spelling each."""

import pytest

from huracan_sync.errors import UsageError
from huracan_sync.tree.symbols import symbol


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("ETH-USDT", "ETHUSDT"),
        ("ETH/USDT", "ETHUSDT"),
        ("eth/usdt", "ETHUSDT"),
        ("eth_usdt", "ETHUSDT"),
        (" 1000SATS/USDC ", "1000SATSUSDC"),
        ("BTC/USDT:USDT", "BTCUSDT_PERP"),
        ("BTCUSDT_PERP", "BTCUSDT_PERP"),
        ("0G-USDT", "0GUSDT"),
    ],
)
def test_symbols(text, canonical):
    assert symbol(text) == canonical
    assert symbol(canonical) == canonical


@pytest.mark.parametrize("text", ["", "/", "..", "BTC USDT", "BTC/USDT:", "BTC\x00", "../x", "B" * 40, "ß"])
def test_what_is_no_symbol(text):
    with pytest.raises(UsageError, match="not a trading symbol"):
        symbol(text)
