"""Sizes and spans of time as people read them."""

import pytest

from huracan_sync.tree.units import size_in_words, span_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (-2048, "-2.0 KiB"),
     (3 << 30, "3.0 GiB"), (5000 << 30, "5000.0 GiB")],
)  # fmt: skip
def test_sizes(size: float, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (172_800, "2.0 d")],
)
def test_spans(seconds: float, words: str) -> None:
    assert span_in_words(seconds) == words
