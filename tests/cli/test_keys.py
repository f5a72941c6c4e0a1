"""`keys` as processes: words, documents, exit codes."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import warm
from machines import READ, Commands


@pytest.fixture
def reader(dropbox, tmp_path):
    return Commands(dropbox, tmp_path / "reader", scopes=READ, app_key=dropbox.read_only_app_key, profile="hamilton")


def test_from_init_to_revoke(commands, reader, tmp_path):
    assert commands.run("keys", "show", code=78)["error"] == "SecretMissing"
    made = commands.run("keys", "init")
    assert (made["made"], made["trust_version"], made["in_dropbox"], made["root"]) == (True, 1, True, "/Runpodhuracan")
    first = made["fingerprint"]
    assert commands.key.stat().st_mode & 0o777 == 0o400

    assert reader.run("keys", "trust", code=2)["error"] == "UsageError"
    bare = reader.run("keys", "trust", first, code=2)
    assert (bare["error"], "keys show" in bare["hint"]) == ("UsageError", True)
    pin = made["pin"]
    assert reader.run("keys", "trust", pin[:-43] + "A" * 43, code=65)["code"] == "TRUST_PIN"
    assert reader.run("keys", "trust", f"hz2:{'a' * 26}:{first}", code=65)["code"] == "WRONG_ROOT"
    assert reader.run("keys", "trust", pin)["trusted"] == [first]
    shown = reader.run("keys", "show")
    assert (shown["fingerprint"], shown["pinned"], shown["keys"][0]["here"]) == (first, [pin], False)
    assert reader.run("keys", "rotate", code=78)["error"] == "NoSigningKey"

    assert commands.run("keys", "rotate")["trust_version"] == 2
    following = tmp_path / "next.key"
    assert commands.run("keys", "rotate", "--new-key", code=78)["error"] == "NoSigningKey"
    second = commands.run("keys", "rotate", "--new-key", "--key-file", following)["fingerprint"]
    commands.env["HURACAN_SIGNING_KEY_FILE"] = str(following)
    revoked = commands.run("keys", "revoke", first, "--reason", "found on a train")
    assert (revoked["trust_version"], revoked["roots"]) == (4, [second])
    assert {each["epoch"] for each in revoked["channels"]} == {2}
    shown = commands.run("keys", "show")
    assert {key["fingerprint"]: key["revoked"] for key in shown["keys"]} == {first: True, second: False}
    out, _ = commands.say("keys", "show")
    assert "REVOKED" in out
    assert commands.run("keys", "revoke", first, code=2)["error"] == "UsageError"


def test_the_only_key_is_revoked(commands, tmp_path):
    first = commands.run("keys", "init")["fingerprint"]
    assert commands.run("keys", "revoke", first, code=78)["error"] == "NoSigningKey"
    done = commands.run("keys", "revoke", first, "--key-file", tmp_path / "next.key")
    assert first not in done["roots"]


def test_a_channel_and_its_signers(commands, dropbox, tmp_path):
    commands.run("keys", "init")
    pod = Commands(dropbox, tmp_path / "pod", key="pod.key")
    line = pod.run("keys", "init", "--key-only")["public"]
    own = commands.run("keys", "show")["keys"][0]["public"]
    options = ["--channel", "models/pod-a", "--max-age", "3h", "--signer", f"{line} pod a", "--signer", own]
    done = commands.run("keys", "rotate", *options, "--kind", "pickle", "--prefix", "/models/pod-a/")
    row = next(each for each in done["channels"] if each["channel"] == "models/pod-a")
    assert (row["max_age_s"], row["path_prefix"], 30 in row["kinds"]) == (10_800, "models/pod-a", True)
    again = commands.run("keys", "rotate", "--channel", "models/pod-a", "--no-kind", "pickle", "--new-epoch")
    row = next(each for each in again["channels"] if each["channel"] == "models/pod-a")
    assert (row["epoch"], 30 in row["kinds"], row["max_age_s"]) == (2, False, 10_800)
    labels = {key["label"]: key["channels"] for key in commands.run("keys", "show")["keys"]}
    assert labels["pod-a"] == ["models/pod-a"]


@pytest.mark.parametrize(
    "options",
    [
        ["--max-age", "2h"],
        ["--channel", "a", "--max-age", "soon"],
        ["--channel", "a", "--kind", "exe"],
        ["--channel", "a", "--signer", "ssh-rsa AAAA"],
        ["--channel", "a", "--signer", "ssh-ed25519 %%%"],
    ],
)
def test_words_that_say_nothing(options, commands):
    assert commands.run("keys", "rotate", *options, code=2)["error"] == "UsageError"


def test_rules_that_no_reader_accepts(commands):
    commands.run("keys", "init")
    assert commands.run("keys", "rotate", "--channel", "a", "--max-age", "60d", code=65)["code"] == "TRUST_FORMAT"
    assert commands.run("keys", "rotate", "--channel", "A", "--max-age", "6d", code=65)["code"] == "TRUST_FORMAT"
    assert commands.run("keys", "rotate", "--channel", "a", "--threshold", "2", code=65)["code"] == "TRUST_FORMAT"


def test_nobody_is_logged_in(commands):
    for name in ("HURACAN_REFRESH_TOKEN_FILE", "HURACAN_APP_KEY"):
        commands.env.pop(name)
    done = commands.run("keys", "init")
    assert (done["in_dropbox"], done["trust_version"]) == (False, 1)
    assert "nobody has logged in" in done["why_not"]
    assert commands.run("keys", "show")["trust_version"] == 1
    assert commands.run("keys", "trust", done["pin"], code=77)["error"] == "NoCredentials"


def test_lost_state_needs_a_word(commands, reader):
    first = commands.run("keys", "init")["pin"]
    reader.run("keys", "trust", first)
    (found,) = reader.home.glob("trust/*/seen.db")
    found.write_bytes(b"damaged")
    assert reader.run("keys", "show", code=78)["error"] == "StateMissing"
    assert reader.run("keys", "trust", first, code=78)["error"] == "StateMissing"
    assert reader.run("keys", "trust", "--at-least", "0", code=2)["error"] == "UsageError"
    assert reader.run("keys", "trust", "--at-least", "7")["at_least"] == {"champions": 7}
    assert reader.run("keys", "show")["pinned"] == [first]
    assert reader.run("keys", "trust", "--at-least", "3", code=78)["error"] == "ConfigError"
    assert reader.run("keys", "trust", "--at-least", "3", "--channel", "candles")["at_least"] == {"candles": 3}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 78)])
def test_trust_on_first_use_only_at_a_terminal(answer, code, commands, reader):
    first = commands.run("keys", "init")["fingerprint"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "huracan_sync", "keys", "trust", "--profile", "hamilton"]
    with warm.Popen(
        command, env=reader.env, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        _, err = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert first in err
    assert "trust on first use" in err


def test_the_lifetime_of_a_trust_file_is_a_persons_choice(commands):
    def days(document):
        left = datetime.fromisoformat(document["expires"]) - datetime.now(UTC)
        return round(left.total_seconds() / 86_400)

    for wrong in ("soon", "1h", "5000d"):
        commands.say("keys", "init", "--root-lifetime", wrong, code=2)
    assert days(commands.run("keys", "init", "--root-lifetime", "90d")) == 90
    assert days(commands.run("keys", "rotate")) == 90
