"""With `--json`, whatever happens, stdout holds JSON documents of the contract and nothing else.

Every verb, in every situation that ends it early: misspelled, without a login, without a network, with a broken state,
with nothing to do.
"""

import json
import os

import command_line
import msgspec
import pytest
from sampled import slow

from huracan_sync.cli import VERBS, documents
from huracan_sync.cli.document_parts import Error

R = "/Engine/d"
WORDS = [
    *("authorize --app-key KEY --no-browser", "logout", "status", "status --forget", "doctor", "doctor --scan src"),
    *("token", f"push src {R}", f"push src {R} -n", f"push src/a {R}", f"restore {R} to", f"restore {R} to -n"),
    *(f"restore {R} to --channel d", "ls", f"ls -lR {R}", f"get {R}/a to", f"put src/a {R}/b", f"cat {R}/a"),
    *(f"diff src {R}", "publish src", "publish src -n", "publish --rollback 1", "publish --heartbeat", "run --once"),
    *("migrate", "migrate -n", f"verify {R}", f"verify {R} --channel d", "verify --history --channel d", "verify src"),
    *("follow --once", "keys init", "keys init --key-only", "keys show", "keys trust", "keys trust hz2:x:y"),
    *("keys rotate", "keys revoke SHA256:x", "keys recover --channel d", "keys export-sshsig d"),
    *("outbox", "outbox retry", "outbox drop --all", "outbox drop nope", "help push", "help --man", "help nope"),
    *("completion bash", "completion nope"),
]
"""At least one of every verb."""
PRINTS_MANY = {"follow"}
BROKEN = {
    "misspelled": (["--no-such-option"], {}),
    "no login": ([], {"HURACAN_REFRESH_TOKEN_FILE": None, "HURACAN_APP_KEY": None}),
    "a login that is gone": ([], {"HURACAN_REFRESH_TOKEN_FILE": "/nowhere"}),
    "no network": ([], {"HURACAN_SYNC_API": "http://127.0.0.1:1"}),
    "no such profile": (["--profile", "../x"], {}),
    "no config": (["--config", "nowhere.toml"], {}),
    "a broken config": (["--config", "broken.toml"], {}),
    "no log": (["--log-file", "/nowhere/log"], {}),
    "a state folder that is a file": ([], {"HURACAN_SYNC_HOME": "broken.toml"}),
    "a damaged journal": ([], {"HURACAN_SYNC_HOME": "damaged"}),
    "nothing at all": ([], {}),
    "quiet": (["-q"], {}),
    "asked for help": (["--help"], {}),
    "talkative": (["-vvv"], {}),
}
OFTEN = {"nothing at all", "a damaged journal", "no config"}


def held(words, code, out, err):
    """What is wrong with an answer; empty when it is as the contract says."""
    verb = words[0]
    lines = out.splitlines()
    if not lines or (len(lines) > 1 and verb not in PRINTS_MANY):
        return f"{words}: {len(lines)} lines on stdout, exit {code}: {out[:300]!r} {err[-300:]!r}"
    for line in lines:
        try:
            document = json.loads(line)
            documents.of_verb(verb, line)
        except (ValueError, msgspec.ValidationError) as error:
            return f"{words}: {error}"
        if document["schema_version"] != documents.SCHEMA:
            return f"{words}: no version in {line}"
    if code == 0 and "error" in document:
        return f"{words}: exit 0, and an error: {line}"
    if code in {0, 1} or (document.get("restored") == 0 and document["failed"]):  # of `run --once`
        return ""
    try:
        last = msgspec.json.decode(lines[-1], type=Error)
    except msgspec.ValidationError:
        return f"{words}: exit {code} without an error: {lines[-1]}"
    return "" if last.message and last.hint and last.error != "Bug" else f"{words}: nobody foresaw {last}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("a")
    (tmp_path / "broken.toml").write_text("x = [")
    (tmp_path / "damaged").mkdir(mode=0o700)
    (tmp_path / "damaged" / "journal.db").write_bytes(b"no database" * 1000)
    return tmp_path


@pytest.fixture
def env(dropbox, folder):
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(dropbox.token()["refresh_token"])
    token.chmod(0o400)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HURACAN", "DROPBOX"))}
    login = {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.app_key}
    return plain | dropbox.env(folder / "home") | login | {"HURACAN_APP_FOLDER": "Engine"}


def test_every_verb_is_among_them():
    assert {words.split()[0] for words in WORDS} == VERBS.keys() - {"emulator"}


@pytest.mark.every_case
@pytest.mark.parametrize(
    "situation",
    [each if each in OFTEN else slow(each) for each in BROKEN],
)
def test_whatever_happens_stdout_is_json(env, folder, situation):
    options, changed = BROKEN[situation]
    env = {name: value for name, value in (env | changed).items() if value is not None}
    wrong = []
    for command in WORDS:
        words = [*command.split(), *options, "--json"]
        try:
            answer = command_line.run(words, env=env, cwd=folder)
        except msgspec.MsgspecError as error:  # it holds every document to the contract
            wrong.append(f"{words}: {error}")
            continue
        wrong.append(held(words, *answer))
        assert "Traceback" not in answer[2], words
    assert [each for each in wrong if each] == []


@pytest.mark.parametrize("words", [[], ["nope"], ["-q"], ["emulator", "--port", "x"], ["--nope"], ["--profile"]])
def test_without_a_verb_that_is_one_it_is_json_too(env, words):
    code, out, err = command_line.run([*words, "--json"], env=env)
    (line,) = out.splitlines()
    assert (code, msgspec.json.decode(line, type=Error).error) == (2, "UsageError"), err


@pytest.mark.slow
def test_quiet_verbs_say_nothing_on_success_anywhere(env, folder):
    """As cron sees it: what is printed is mailed."""
    said = {}
    command_line.run(["push", "src", R], env=env, cwd=folder)
    for command in ["keys init", "publish src", *WORDS]:
        code, out, err = command_line.run([*command.split(), "-q"], env=env, cwd=folder)
        if code == 0 and (out or err):
            said[command] = out + err
        assert code == 0 or out + err, command
    assert said.keys() == {"token", f"cat {R}/a", "help push"}  # their output is all they are for
