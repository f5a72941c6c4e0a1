"""scripts/live.py against an emulator that was made to differ: every planted difference is found, and nothing else."""

import importlib.util
import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from canaries import SHORTEST, found_in
from cassette_flows import FLOWS, Stage
from cassette_tools import load, recorder, secrets_in
from emulator_client import client
from scenario_player import SCENARIOS

from huracan_sync import secret

BY_NAME = {flow.__name__: flow for flow in FLOWS}
SCRIPT = Path(__file__).parents[2] / "scripts" / "live.py"


@pytest.fixture(scope="module")
def live():
    spec = importlib.util.spec_from_file_location("live", SCRIPT)
    module = sys.modules["live"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(live, dropbox, tmp_path, monkeypatch):
    """Run the command; its exit code and report."""
    monkeypatch.setenv("HURACAN_SYNC_API", dropbox.url)

    def consent(_why, url):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        names = ("code_challenge", "code_challenge_method", "scope", "token_access_type")
        fields = {name: asked[name] for name in names}
        return dropbox.control("code", {"app_key": asked["client_id"], **fields})["code"]

    def started(*arguments, folder="/Scratch"):
        report = tmp_path / "report.md"
        given = ["--app-key", dropbox.app_key, "--folder", folder, "--report", str(report)]
        code = live.main([*given, "--cassettes", str(tmp_path / "cassettes"), *arguments], ask=consent)
        return code, report.read_text(encoding="utf-8") if report.exists() else ""

    return started


def paths(me):
    return {entry["path_display"] for entry in me.ls(recursive=True)[0]}


@pytest.mark.slow
def test_no_difference_where_nothing_differs(run, dropbox, caplog):
    caplog.set_level("INFO", "urllib3")  # a scenario gives its token in the URL, which urllib3 logs
    me = client(dropbox)
    me.upload("/Mine/private.txt", b"x")
    code, report = run("--no-cassettes")
    assert (code, [line for line in report.splitlines() if line.startswith("## ")]) == (0, ["## Skipped"])
    assert int(report.split(" as expected")[0].rpartition(" ")[2]) > 180
    assert paths(me) == {"/Mine", "/Mine/private.txt"}
    assert "private.txt" not in report
    ours = ("/scratch", "//scratch", "id:", "rev:", "ns:", "/mine")
    outside = [each for each in dropbox.log()["recent"] if not (each["path"] or "/mine").lower().startswith(ours)]
    assert [each for each in outside if each["status"] not in {400, 401, 409, 422}] == []


def test_planted_differences_are_reported_without_secrets(run, dropbox):
    me = client(dropbox)
    dropbox.config(case_rename="conflict")
    dropbox.faults({"route": "files/get_metadata", "fault": "server_error", "status": 400, "nth": 1})
    code, report = run("--no-cassettes", "--only", "*metadata*")
    headings = [line.removeprefix("## ") for line in report.splitlines() if line.startswith("## ")]
    assert code == 1
    assert headings == ["metadata-by-id"]
    assert "status 400 instead of 200" in report
    assert "HTTP 400" in report
    assert "<title>Dropbox - 400</title>" in report
    assert secrets_in(report) == []
    account = me.rpc("users/get_current_account", None)[1]
    for personal in (account["account_id"], account["email"], dropbox.app_key):
        assert personal not in report
    assert paths(me) == set()


def test_an_answer_that_tells_of_the_account_is_blackened(run, dropbox, monkeypatch):
    account = client(dropbox).rpc("users/get_current_account", None)[1]
    monkeypatch.setattr("scenario_player.differences", lambda step, _: ["planted"] if "users/" in step["call"] else [])
    code, report = run("--no-cassettes", "--only", "users-*")
    assert code == 1
    assert '"account_id"' in report
    for personal in (account["account_id"], account["email"], account["name"]["display_name"], dropbox.app_key):
        assert personal not in report


@pytest.mark.slow
def test_cassettes_are_recorded_compared_and_can_be_replayed(run, dropbox, tmp_path, monkeypatch):
    quick = ("login", "refresh", "errors", "misfortune", "follow")
    monkeypatch.setattr("cassette_flows.FLOWS", [BY_NAME[name] for name in quick])
    of_others = set(secret._known)  # other tests of this process replay cassettes, whose fillers pass for secrets
    code, report = run("--only", "no such scenario")
    assert code == 0, report
    assert report.count(": the same") == 4
    assert paths(client(dropbox)) == set()
    kept = sorted((tmp_path / "cassettes").glob("*.yaml"))
    assert len(kept) == 4
    canaries = {value for value in set(secret._known) - of_others if len(value) >= SHORTEST}
    for path in kept:
        assert secrets_in(path.read_text(encoding="utf-8")) == []
        assert found_in(path.read_bytes(), canaries) == []
        path.chmod(0o400)  # from here on its fillers pass for secrets
        cassette = load(path)
        assert cassette["facts"]["root"] == f"/Scratch/cassettes/{path.stem}"
        place = tmp_path / path.stem
        place.mkdir()
        with recorder("none").use_cassette(str(path)) as played:
            assert BY_NAME[path.stem](Stage(place, cassette["facts"])) == cassette["came"]
        assert played.all_played


def test_a_folder_with_something_in_it_is_left_alone(run, dropbox, capsys):
    me = client(dropbox)
    me.upload("/Scratch/mine.txt", b"x")
    code, report = run()
    assert (code, report) == (64, "")
    assert "is there already" in capsys.readouterr().err
    assert paths(me) == {"/Scratch", "/Scratch/mine.txt"}


def test_an_empty_folder_stays(run, dropbox):
    me = client(dropbox)
    me.rpc("files/create_folder_v2", {"path": "/Scratch"})
    assert run("--no-cassettes", "--only", "list-*")[0] == 0
    assert paths(me) == {"/Scratch"}


def test_the_logins_are_withdrawn(run, dropbox):
    run("--no-cassettes", "--only", "list-empty-folder")
    assert dropbox.log()["requests"]["auth/token/revoke"] == 1


@pytest.mark.parametrize("folder", ["", "/", "//", "/a//b"])
def test_the_root_is_no_scratch_folder(run, folder):
    with pytest.raises(SystemExit):
        run(folder=folder)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"call": "files/delete_v2", "arg": {"path": ""}, "expect": {"status": 400}}, "would write at ''"),
        (
            {"call": "files/delete_batch", "arg": {"entries": [{"path": "/a"}]}, "expect": {"status": 400}},
            "write at '/a'",
        ),
        ({"call": "files/move_v2", "arg": {"from_path": "${dir}/a", "to_path": "/b"}}, "would write at '/b'"),
        ({"call": "files/create_folder_batch", "arg": {"paths": ["${dir}/a", "/c"]}}, "would write at '/c'"),
        ({"call": "files/list_folder", "arg": {"path": ""}}, "would look at ''"),
        ({"call": "files/list_folder", "arg": {"path": "ns:123/a"}}, "would look at 'ns:123/a'"),
        ({"call": "files/list_folder", "raw_body": '{"path": "/a"}'}, "would look at '/a'"),
        ({"call": "files/upload", "raw_arg": '{"path": "/a"}', "expect": {"status": 409}}, "would write at '/a'"),
        ({"call": "file_requests/count", "arg": None}, "needs the scope file_requests.read"),
        ({"control": ["config", {}]}, "needs the emulator's control endpoints"),
        ({"call": "files/list_folder", "arg": {"path": ""}, "expect": {"status": 401}}, ""),
        ({"call": "files/list_folder", "arg": {"path": "/${dir}"}}, ""),
        ({"call": "files/list_folder", "arg": {"path": "ns:${home}${dir}"}}, ""),
        ({"call": "files/copy_v2", "arg": {"from_path": "${id}", "to_path": "${dir}/b"}}, ""),
        ({"call": "files/upload", "raw_arg": "{path: /a}", "expect": {"status": 400}}, ""),
    ],
)
def test_what_is_not_played_against_somebodys_account(live, step, reason):
    said = live.why_not({"steps": [step]}, {})
    assert reason in said
    assert bool(reason) == bool(said)


def test_most_scenarios_can_be_played(live):
    values = dict.fromkeys(("app_key", "refresh_token", "read_only_token", "api", "web"), "x")
    scenarios = [json.loads(path.read_text(encoding="utf-8")) for path in SCENARIOS.glob("*.json")]
    skipped = [each["name"] for each in scenarios if live.why_not(each, values)]
    assert len(skipped) < 45
    assert len(scenarios) - len(skipped) > 180


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "server_error", "status": 503},
        {"fault": "server_error", "status": 400, "body": "html"},
        {"fault": "rate_limited", "retry_after": 0},
        {"fault": "close"},
    ],
    ids=["503", "a stray 400", "429", "no answer"],
)
@pytest.mark.parametrize(
    "route", ["files/create_folder_v2", "files/delete_v2", "users/get_current_account", "auth/token/revoke"]
)
def test_a_hiccup_does_not_spoil_the_calls_of_the_kit_itself(run, dropbox, route, fault):
    dropbox.faults({"route": route, "nth": 1, **fault})
    code, report = run("--no-cassettes", "--only", "check-user-echo")
    assert code == 0
    assert "Scenarios: 1 as expected, 0 different" in report
    assert paths(client(dropbox)) == set()
    assert dropbox.log()["requests"][route] > 1


def test_what_could_not_be_cleaned_up_is_said(run, dropbox, capsys):
    refused = {"fault": "error", "tags": ["path_write", "no_write_permission"]}
    dropbox.faults(
        {"route": "files/delete_v2", "path": "/Scratch", **refused},
        {"route": "auth/token/revoke", "fault": "server_error", "status": 400},
    )
    code, report = run("--no-cassettes", "--only", "list-empty-folder")
    assert code == 1
    assert "0 different" in report
    said = capsys.readouterr().err
    assert "/Scratch could not be removed: " in said
    assert "the login could not be withdrawn: " in said


def test_a_login_without_the_scopes_is_not_taken_for_a_folder_that_is_there(run, dropbox, capsys):
    dropbox.faults({"route": "files/create_folder_v2", "fault": "missing_scope"})
    assert run() == (77, "")
    assert "files.content.write" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_said_before_anything_is_done(run, dropbox, tmp_path, capsys):
    assert run("--report", str(tmp_path / "none" / "report.md"))[0] == 64
    assert "no report can be written to" in capsys.readouterr().err
    assert "files/list_folder" not in dropbox.log()["requests"]
