"""One event is one line, whatever is in it."""

from datetime import UTC, datetime

import pytest

from huracan_sync.cli.log_lines import line
from huracan_sync.secret import Secret

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# facts -> how they are shown
FACTS = {
    "none": ({}, ""),
    "a word": ({"path": "/a/b"}, " path=/a/b"),
    "several, in their order": ({"b": 1, "a": 2.5}, " b=1 a=2.5"),
    "spaces": ({"path": "/a b"}, ' path="/a b"'),
    "quotes": ({"why": 'a "b"'}, r' why="a \"b\""'),
    "a backslash within quotes": ({"why": "a \\ b"}, r' why="a \\ b"'),
    "what would look like a fact": ({"why": "a=b"}, ' why="a=b"'),
    "nothing": ({"why": ""}, ' why=""'),
    "None": ({"rev": None}, " rev=None"),
    "the traceback is for others": ({"exc_info": True, "a": 1}, " a=1"),
}


@pytest.mark.parametrize(("facts", "shown"), FACTS.values(), ids=FACTS)
def test_facts(facts, shown):
    assert line(THEN, "info", "sync_done", facts) == f"2026-01-02T03:04:05Z info    sync_done{shown}"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x1b[2J", "\u2028", "\ud800", "\u202e"])
def test_no_text_makes_a_second_line_or_moves_the_cursor(text):
    shown = line(THEN, "error", "x", {"path": text})
    assert shown.isascii()
    assert shown.isprintable()


def test_no_secret_is_shown():
    secret = Secret("a-secret-that-nobody-sees")
    shown = line(
        THEN, "error", "x", {"a": secret, "b": f"it is {secret.reveal()}", "c": "sl." + "ABCDEFGHIJKLMNOPQRSTU"}
    )
    assert "nobody" not in shown
    assert "ABCDEFG" not in shown
