"""The pin that a person carries to a reader."""

import pytest
from expecting import raises
from manifest_world import BACKUP, PIN, ROOT, ROOT_ID, THIEF, pin_of

from huracan_sync.errors import UsageError
from huracan_sync.manifest.trust import one_pin, parse_pin

TEXT = str(PIN)


def test_there_and_back():
    assert parse_pin(TEXT) == PIN
    assert TEXT.startswith("hz2:aaaqeayea")
    both = pin_of(ROOT, BACKUP)
    assert parse_pin(f" {both} ") == both
    assert parse_pin(TEXT).root_id == ROOT_ID


def test_several_texts_of_one_root():
    assert one_pin(TEXT) == one_pin([TEXT]) == PIN
    assert one_pin([TEXT, str(pin_of(BACKUP))]) == pin_of(ROOT, BACKUP)
    for wrong, what in (
        ([], "no root folder"),
        ([TEXT, str(pin_of(THIEF, root_id=bytes(16)))], "several root folders"),
    ):
        with raises(UsageError, match=f"these are pins of {what}") as caught:
            one_pin(wrong)
        assert caught.value.hint == "pin each root folder by itself"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hz2:",
        ROOT.fingerprint,
        TEXT.upper(),
        TEXT.replace("hz2", "hz1"),
        TEXT[:-1],
        f"{TEXT},",
        TEXT.replace("hz2:a", "hz2:"),
        f"{TEXT[:29]}b{TEXT[30:]}",  # bits that no byte has: a second spelling
    ],
)
def test_what_is_no_pin(text):
    with raises(UsageError) as caught:
        parse_pin(text)
    assert "keys show" in caught.value.hint or "second spelling" in str(caught.value)


def test_of_a_long_text_only_the_beginning_is_shown():
    for text in ("x" * 300, "SHA256:" + "x" * 300):
        with raises(UsageError) as caught:
            parse_pin(text)
        assert repr(text[:200]) in str(caught.value)
    assert "without the root folder" not in _said("no pin at all")


def _said(text):
    with raises(UsageError) as caught:
        parse_pin(text)
    return str(caught.value)


def test_a_fingerprint_alone_says_what_is_missing():
    with raises(UsageError, match="without the root folder it is for"):
        parse_pin(ROOT.fingerprint)
