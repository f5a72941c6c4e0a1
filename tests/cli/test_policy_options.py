"""What the options of `keys rotate` do to a channel's rules."""

import argparse
import base64

import pytest
from expecting import raises
from manifest_world import CANDLES, ENGINE, PROMOTER, key, make_trust, policy

from huracan_sync.cli.policy_options import add_arguments, parse, seconds
from huracan_sync.errors import UsageError
from huracan_sync.manifest import sshsig
from huracan_sync.manifest.file_kinds import Kind


def changed(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    keys = [key(ENGINE, "engine"), key(CANDLES, "candles"), key(PROMOTER, "promoter")]
    return parse(parser.parse_args(arguments))(make_trust(keys=keys)).policy("champions")


# options -> the field of the channel's rules, and what it is then
CHANGES = [
    (["--max-age", "2h"], "max_age_s", 7_200),
    (["--max-age", "26h"], "max_age_s", 93_600),
    (["--stale-limit", "7d"], "stale_limit_s", 604_800),
    (["--stale-limit", "0"], "stale_limit_s", 0),
    (["--prefix", "/models/champions/"], "path_prefix", "models/champions"),
    (["--prefix", ""], "path_prefix", ""),
    (["--max-entries", "7"], "max_entries", 7),
    (["--new-epoch"], "epoch", 2),
    (["--threshold", "1"], "threshold", 1),
]


@pytest.mark.parametrize(
    ("arguments", "field", "value"), CHANGES, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_a_rule_is_changed_and_the_others_stay(arguments, field, value):
    before, after = policy(), changed("--channel", "champions", *arguments)
    differing = {name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert getattr(after, field) == value
    assert differing <= {field}


def test_kinds_are_added_and_taken_away():
    assert int(Kind.PICKLE) not in policy().kinds
    assert changed("--channel", "champions", "--kind", "pickle").kinds == tuple(
        sorted({*policy().kinds, int(Kind.PICKLE)})
    )
    assert int(Kind.JSON) not in changed("--channel", "champions", "--no-kind", "json").kinds


def line(who, name="a name"):
    return f"ssh-ed25519 {base64.b64encode(sshsig.public_blob(who.public)).decode()} {name}"


def test_all_that_may_sign_are_said():
    after = changed("--channel", "champions", "--signer", line(ENGINE), "--signer", line(PROMOTER), "--threshold", "2")
    assert set(after.key_ids) == {ENGINE.key_id, PROMOTER.key_id}
    assert after.threshold == 2


# options -> what is said of them
WRONG = [
    (["--channel", "c", "--max-age", "soon"], "--max-age 'soon' is no time"),
    (["--channel", "c", "--max-age=-2h"], "is no time"),
    (["--channel", "c", "--max-age", "h"], "is no time"),
    (["--channel", "c", "--max-age", ""], "is no time"),
    (["--channel", "c", "--kind", "program"], "'program' is no kind of file"),
    (["--channel", "c", "--no-kind", "program"], "'program' is no kind of file"),
    (["--channel", "c", "--signer", "ssh-rsa AAAA"], "is no public key"),
    (["--channel", "c", "--signer", ""], "is no public key"),
    (["--channel", "c", "--signer", "ssh-ed25519 !!!"], "is no public key"),
    (["--channel", "c", "--signer", line(ENGINE).replace("AAAA", "AAAB", 1)], "is no public key"),
    (["--max-age", "2h"], "a channel that was not said"),
    (["--new-epoch"], "a channel that was not said"),
    (["--kind", "json"], "a channel that was not said"),
    (["--signer", line(ENGINE)], "a channel that was not said"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "")
def test_what_cannot_be_meant(arguments, said):
    with raises(UsageError) as caught:
        changed(*arguments)
    assert said in str(caught.value)


def test_without_a_channel_nothing_changes():
    assert changed() == make_trust().policy("champions")


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("5s", 5), ("2m", 120), ("1h", 3_600), ("2d", 172_800)])
def test_spans_of_time(text, expected):
    assert seconds("--max-age", text) == expected
