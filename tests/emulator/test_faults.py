"""Every kind of scripted fault does what it says, when it says, and leaves the account in the state it promises."""

import re
import time
from email.utils import parsedate_to_datetime

import pytest
from emulator_client import Client, client, parsed, post_form

from huracan_sync.emulator.state.faults import KINDS

pytestmark = pytest.mark.every_case  # a few milliseconds each


def names(me):
    return [entry["name"] for entry in me.ls()[0]]


def start(me, data=b"abc", **arg):
    return me.content("files/upload_session/start", arg, data)[1]["session_id"]


def append(me, session, offset, data):
    return me.content("files/upload_session/append_v2", {"cursor": {"session_id": session, "offset": offset}}, data)


# -- when it strikes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        ({"nth": 3}, [3]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"every": 2}, [2, 4, 6]),
        ({"every": 2, "times": 1}, [2]),
        ({"times": 2}, [1, 2]),
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 1, "route": "files/upload"}, []),
        ({"nth": 2, "route": "users/*"}, [2]),
    ],
    ids=str,
)
def test_a_rule_strikes_when_it_says(dropbox, when, struck):
    me = client(dropbox)
    dropbox.faults({"route": "users/get_space_usage", "fault": "server_error", **when})
    seen = [number for number in range(1, 7) if me.rpc("users/get_space_usage", None)[0] == 503]
    assert seen == struck


def test_a_rate_is_repeatable_by_its_seed(dropbox):
    def drawn(seed):
        dropbox.faults()
        dropbox.faults({"route": "*", "fault": "server_error", "rate": 0.3, "seed": seed})
        return [me.rpc("check/user", {})[0] for _ in range(40)]

    me = client(dropbox)
    first = drawn(7)
    assert first == drawn(7)
    assert first != drawn(8)
    assert 3 < first.count(503) < 25


def test_the_rules_can_be_read_and_cleared(dropbox):
    me = client(dropbox)
    dropbox.faults({"route": "check/*", "fault": "server_error", "nth": 2})
    me.rpc("check/user", {})
    report = dropbox.control("faults")
    assert [(rule["fault"], rule["seen"], rule["struck"]) for rule in report["faults"]] == [("server_error", 1, 0)]
    assert set(report["kinds"]) == set(KINDS)
    dropbox.faults()
    assert me.rpc("check/user", {})[0] == 200
    assert dropbox.control("faults")["faults"] == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"fault": "rset"}, "no fault is called 'rset'; the nearest is 'reset'; there are "),
        ({"fault": "reset", "nht": 3}, "unknown field `nht`"),
        ({"fault": "reset", "nth": 0}, "`int` >= 1"),
        ({"fault": "error"}, "error needs `tags`"),
        ({"fault": "rate_limited", "form": "pigeon"}, "rate_limited has no form 'pigeon'"),
        ({}, "missing required field `fault`"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(dropbox, rule, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        dropbox.faults(rule)


# -- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "header", "body"),
    [
        ("json", "15", {"reason": {".tag": "too_many_requests"}, "retry_after": 15}),
        ("body", None, {"reason": {".tag": "too_many_requests"}, "retry_after": 15}),
        ("none", None, {"reason": {".tag": "too_many_requests"}}),
        ("text", "15", None),
        ("date", "date", {"reason": {".tag": "too_many_requests"}, "retry_after": 15}),
    ],
)
def test_rate_limited_in_every_form(dropbox, form, header, body):
    dropbox.faults({"route": "files/*", "fault": "rate_limited", "form": form, "retry_after": 15})
    response = client(dropbox).raw_rpc("files/list_folder", {"path": ""})
    assert response.status == 429
    given = response.headers.get("Retry-After")
    if header == "date":
        assert 10 < parsedate_to_datetime(given).timestamp() - time.time() < 16
    else:
        assert given == header
    assert (parsed(response)[1]["error"] if body else None) == body


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("html", "text/html; charset=utf-8"),
        ("empty", None),
        ("octet_stream", "application/octet-stream"),
        ("grpc", "application/grpc"),
        ("json", "application/json"),
    ],
)
def test_server_errors(dropbox, status, body, kind):
    dropbox.faults({"route": "files/upload", "fault": "server_error", "status": status, "body": body})
    me = client(dropbox)
    response = me.raw_content("files/upload", {"path": "/a"}, b"x" * 3_000_000)
    assert response.status == status
    assert response.headers.get("Content-Type") == kind
    assert (b"<title>Dropbox - " in response.data) == (body == "html")
    assert "Retry-After" not in response.headers
    assert response.headers["X-Dropbox-Request-Id"]
    assert names(me) == []


def test_after_means_that_it_happened(dropbox):
    dropbox.faults({"route": "files/upload", "fault": "server_error", "when": "after", "nth": 1})
    me = client(dropbox)
    assert me.upload("/a", b"x")[0] == 503
    assert names(me) == ["a"]


def test_a_captive_portal_says_200(dropbox):
    dropbox.faults({"route": "files/get_metadata", "fault": "captive_portal"})
    response = client(dropbox).raw_rpc("files/get_metadata", {"path": "/a"})
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("route", "tags", "error"),
    [
        ("files/upload", ["path", "no_write_permission"], {".tag": "path", "reason": {".tag": "no_write_permission"}}),
        ("files/delete_v2", ["too_many_write_operations"], {".tag": "too_many_write_operations"}),
        ("files/move_v2", ["internal_error"], {".tag": "internal_error"}),
    ],
)
def test_any_error_of_a_route(dropbox, route, tags, error):
    dropbox.faults({"route": route, "fault": "error", "tags": tags})
    me = client(dropbox)
    arg = {"path": "/a"} if route != "files/move_v2" else {"from_path": "/a", "to_path": "/b"}
    status, body = me.upload("/a", b"x") if route == "files/upload" else me.rpc(route, arg)
    assert status == 409
    body["error"].pop("upload_session_id", None)
    assert body["error"] == error
    assert body["error_summary"].rstrip(".") == "/".join(tags) + "/"


def test_fields_lie_beside_the_innermost_tag(dropbox):
    rule = {"fault": "error", "tags": ["lookup_failed", "incorrect_offset"], "fields": {"correct_offset": 7}}
    dropbox.faults({"route": "files/upload_session/finish", **rule})
    me = client(dropbox)
    arg = {"cursor": {"session_id": start(me), "offset": 3}, "commit": {"path": "/a"}}
    _, body = me.content("files/upload_session/finish", arg, b"")
    assert body["error"]["lookup_failed"] == {".tag": "incorrect_offset", "correct_offset": 7}


@pytest.mark.parametrize("fault", ["expired_access_token", "invalid_access_token"])
def test_a_token_that_ends_stays_ended(dropbox, fault):
    dropbox.faults({"route": "files/upload_session/append_v2", "fault": fault, "nth": 1})
    tokens = dropbox.token()
    me = Client(dropbox.url, tokens["access_token"])
    session = start(me)
    status, body = append(me, session, 3, b"def")
    assert (status, body["error"][".tag"]) == (401, fault)
    assert append(me, session, 3, b"def")[0] == 401
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": dropbox.app_key}
    response = post_form(f"{dropbox.url}/oauth2/token", form)
    if fault == "invalid_access_token":
        assert response.json()["error"] == "invalid_grant"
    else:
        fresh = Client(dropbox.url, response.json()["access_token"])
        assert append(fresh, session, 3, b"def")[0] == 200  # the session goes on under the new token


def test_other_refusals(dropbox):
    me = client(dropbox)
    dropbox.faults({"route": "files/list_folder", "fault": "missing_scope", "nth": 1})
    dropbox.faults({"route": "files/list_folder", "fault": "user_suspended", "nth": 2})
    status, body = me.rpc("files/list_folder", {"path": ""})
    assert (status, body["error"]) == (401, {".tag": "missing_scope", "required_scope": "files.metadata.read"})
    assert me.rpc("files/list_folder", {"path": ""})[1]["error"] == {".tag": "user_suspended"}
    assert me.rpc("files/list_folder", {"path": ""})[0] == 200


@pytest.mark.parametrize("tag", ["invalid_select_user", "invalid_select_admin", "route_access_denied"])
def test_rarer_refusals(dropbox, tag):
    dropbox.faults({"route": "files/list_folder", "fault": tag})
    status, body = client(dropbox).rpc("files/list_folder", {"path": ""})
    assert (status, body["error"]) == (401, {".tag": tag})


def test_access_denied_is_a_403(dropbox):
    dropbox.faults(
        {"route": "files/list_folder", "fault": "access_denied", "tags": ["invalid_account_type", "feature"]}
    )
    response = client(dropbox).raw_rpc("files/list_folder", {"path": ""})
    assert (response.status, response.headers["Content-Type"]) == (403, "application/json")
    error = {".tag": "invalid_account_type", "invalid_account_type": {".tag": "feature"}}
    assert response.json()["error"] == error


@pytest.mark.parametrize("route", ["files/upload", "files/create_folder_v2"])
def test_an_id_takes_time_to_settle(dropbox, route):
    me = client(dropbox)
    _, made = me.rpc("files/create_folder_v2", {"path": "/new"})
    path = made["metadata"]["id"] + "/x"
    dropbox.faults({"route": route, "fault": "unsettled_id", "nth": 1})

    def write():
        return me.upload(path, b"x") if route == "files/upload" else me.rpc(route, {"path": path})

    status, said = write()
    assert status == 400
    assert re.search(rf"path: '{path}' did not match pattern '", said)
    assert write()[0] == 200


@pytest.mark.parametrize("scope", [["account_info.read"], ["account_info.read", "files.content.write", "team.admin"]])
def test_another_scope_is_granted_than_asked(dropbox, scope):
    tokens = dropbox.token()
    dropbox.faults({"route": "oauth2/token", "fault": "scope", "scope": scope})
    form = {
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
        "client_id": dropbox.app_key,
        "scope": "files.metadata.read",
    }
    answer = post_form(f"{dropbox.url}/oauth2/token", form).json()
    assert answer["scope"] == " ".join(sorted(scope))
    me = Client(dropbox.url, answer["access_token"])
    assert me.rpc("files/list_folder", {"path": ""})[1]["error"][".tag"] == "missing_scope"
    assert me.rpc("check/user", {})[0] == 200


def test_token_errors(dropbox):
    dropbox.faults({"route": "oauth2/token", "fault": "token_error", "tags": ["invalid_grant", "it was revoked"]})
    response = post_form(f"{dropbox.url}/oauth2/token", {"grant_type": "x"})
    assert response.status == 400
    assert response.json() == {"error": "invalid_grant", "error_description": "it was revoked"}


def test_insufficient_space_in_the_shape_of_the_route(dropbox):
    dropbox.faults({"route": "*", "fault": "insufficient_space"})
    me = client(dropbox)
    status, body = me.upload("/a", b"x")
    assert (status, body["error"]["reason"]) == (409, {".tag": "insufficient_space"})
    status, body = me.content(
        "files/upload_session/finish", {"cursor": {"session_id": "x", "offset": 0}, "commit": {"path": "/a"}}, b""
    )
    assert body["error"] == {".tag": "path", "path": {".tag": "insufficient_space"}}
    assert me.rpc("files/copy_v2", {"from_path": "/a", "to_path": "/b"})[1]["error"] == {".tag": "insufficient_quota"}


def test_too_many_write_operations_for_some_entries(dropbox):
    dropbox.faults({"route": "*finish_batch_v2", "fault": "too_many_write_operations", "entries": [1], "nth": 1})
    me = client(dropbox)
    sessions = [start(me, b"x", close=True) for _ in range(3)]
    entries = [
        {"cursor": {"session_id": session, "offset": 1}, "commit": {"path": f"/{n}"}}
        for n, session in enumerate(sessions)
    ]
    _, body = me.rpc("files/upload_session/finish_batch_v2", {"entries": entries})
    assert body["entries"], body
    assert [entry[".tag"] for entry in body["entries"]] == ["success", "failure", "success"]
    assert body["entries"][1]["failure"] == {".tag": "too_many_write_operations"}
    _, body = me.rpc("files/upload_session/finish_batch_v2", {"entries": entries[1:2]})
    assert body["entries"][0][".tag"] == "success"


# -- quirks -------------------------------------------------------------------------------------------------------


def test_a_session_vanishes(dropbox):
    dropbox.faults({"route": "*append_v2", "fault": "session_lost", "nth": 2})
    me = client(dropbox)
    session = start(me)
    assert append(me, session, 3, b"def")[0] == 200
    assert append(me, session, 6, b"ghi")[1]["error"] == {".tag": "not_found"}
    assert append(me, session, 6, b"ghi")[1]["error"] == {".tag": "not_found"}


def test_a_session_forgets_its_end(dropbox):
    dropbox.faults({"route": "*append_v2", "fault": "incorrect_offset", "offset": 4, "nth": 2})
    me = client(dropbox)
    session = start(me, b"abcd")
    assert append(me, session, 4, b"efgh")[0] == 200
    assert append(me, session, 8, b"ijkl")[1]["error"] == {".tag": "incorrect_offset", "correct_offset": 4}
    assert append(me, session, 4, b"EFGH")[0] == 200
    arg = {"cursor": {"session_id": session, "offset": 8}, "commit": {"path": "/a"}}
    assert me.content("files/upload_session/finish", arg, b"")[0] == 200
    assert me.download("/a").data == b"abcdEFGH"


def test_a_lost_answer_looks_like_an_incorrect_offset(dropbox):
    dropbox.faults({"route": "*append_v2", "fault": "server_error", "when": "after", "nth": 1})
    me = client(dropbox)
    session = start(me)
    assert append(me, session, 3, b"def")[0] == 503
    assert append(me, session, 3, b"def")[1]["error"] == {".tag": "incorrect_offset", "correct_offset": 6}


def test_cursors_are_reset(dropbox):
    dropbox.faults({"route": "files/list_folder/continue", "fault": "cursor_reset", "nth": 2})
    me = client(dropbox)
    _, cursor = me.ls()
    assert me.since(cursor)[0] == []
    assert me.rpc("files/list_folder/continue", {"cursor": cursor})[1]["error"] == {".tag": "reset"}
    assert me.rpc("files/list_folder/continue", {"cursor": cursor})[1]["error"] == {".tag": "reset"}
    assert me.since(me.ls()[1])[0] == []


def test_a_range_is_not_looked_at(dropbox):
    dropbox.faults({"route": "files/download", "fault": "ignore_range", "nth": 1})
    me = client(dropbox)
    me.upload("/a", b"0123456789")
    first, second = (me.download("/a", Range="bytes=5-") for _ in range(2))
    assert (first.status, first.data) == (200, b"0123456789")
    assert (second.status, second.data) == (206, b"56789")


def test_a_range_behind_the_end_is_refused_as_the_official_sdks_expect(dropbox):
    me = client(dropbox)
    me.upload("/empty", b"")
    me.upload("/a", b"0123456789")
    for path, asked in (("/empty", "bytes=0-0"), ("/a", "bytes=10-")):
        answer = me.download(path, Range=asked)
        assert answer.status == 409
        assert answer.json()["error_summary"].startswith("range/not_satisfiable/")
        assert answer.json()["error"] == {".tag": "range", "range": {".tag": "not_satisfiable"}}


def test_pages_that_are_off(dropbox):
    me = client(dropbox)
    for n in range(6):
        me.upload(f"/{n}", b"x")

    def seen(form, **rule):
        dropbox.faults()
        dropbox.faults({"route": "files/list_folder*", "fault": "pages", "form": form, **rule})
        return "".join(entry["name"] for entry in me.ls(limit=2)[0])

    assert seen("duplicate", nth=2) == "01232345"
    assert seen("missing", nth=2) == "0145"
    assert seen("reorder") == "103254"
    assert seen("empty", nth=1) == "012345"
    dropbox.faults()
    dropbox.faults({"route": "files/list_folder", "fault": "page_size", "size": 1})
    assert len(me.rpc("files/list_folder", {"path": ""})[1]["entries"]) == 1


def test_a_job_fails(dropbox):
    dropbox.faults({"route": "files/delete_batch", "fault": "job_failed"})
    me = client(dropbox)
    _, job = me.rpc("files/delete_batch", {"entries": [{"path": "/a"}]})
    status, body = 200, {".tag": "in_progress"}
    while body.get(".tag") == "in_progress":
        status, body = me.rpc("files/delete_batch/check", {"async_job_id": job["async_job_id"]})
    assert (status, body["error"]) == (409, {".tag": "internal_error"})


# -- single paths -------------------------------------------------------------------------------------------------


def test_restricted_content_is_refused_while_its_neighbours_download(dropbox):
    me = client(dropbox)
    for name in ("good", "Bad"):
        me.upload(f"/Data/{name}.csv", b"x")
    dropbox.faults({"fault": "restricted_content", "path": "/data/bad*"})
    file_id = me.rpc("files/get_metadata", {"path": "/data/bad.csv"})[1]["id"]
    for path in ("/Data/Bad.csv", "/data/BAD.csv", file_id):
        status, answer = parsed(me.download(path))
        assert (status, answer["error"]) == (409, {".tag": "path", "path": {".tag": "restricted_content"}})
    assert me.download("/Data/good.csv").data == b"x"
    assert (
        me.rpc("files/get_temporary_link", {"path": "/Data/Bad.csv"})[1]["error"]["path"][".tag"]
        == "restricted_content"
    )
    zipped = me._send("files/download_zip", {"Dropbox-API-Arg": '{"path": "/Data"}'}, b"")
    assert parsed(zipped)[1]["error"]["path"][".tag"] == "restricted_content"
    assert dropbox.log()["faults"] == {"restricted_content": 5}


def outcomes(me, route, arg, check):
    """The tags of the entries of a batch that is a job."""
    job = {"async_job_id": me.rpc(route, arg)[1]["async_job_id"]}
    answer = {".tag": "in_progress"}
    while answer[".tag"] == "in_progress":
        answer = me.rpc(check, job)[1]
    return [entry[".tag"] for entry in answer["entries"]]


def test_an_error_for_one_path_is_one_entry_of_a_batch(dropbox):
    me = client(dropbox)
    sessions = [me.content("files/upload_session/start", {"close": True}, b"x")[1]["session_id"] for _ in "ab"]
    entries = [
        {"cursor": {"session_id": session, "offset": 1}, "commit": {"path": f"/{name}"}}
        for session, name in zip(sessions, "ab", strict=True)
    ]
    tags = ["path", "no_write_permission"]
    dropbox.faults({"fault": "error", "route": "files/upload_session/*", "path": "/b", "tags": tags, "times": 1})
    answer = me.rpc("files/upload_session/finish_batch_v2", {"entries": entries})[1]["entries"]
    assert [entry[".tag"] for entry in answer] == ["success", "failure"]
    assert answer[1]["failure"] == {".tag": "path", "path": {".tag": "no_write_permission"}}
    assert me.upload("/b", b"x")[0] == 200

    dropbox.faults({"fault": "error", "route": "files/delete*", "path": "/b", "tags": ["path_write", "team_folder"]})
    paths = {"entries": [{"path": "/a"}, {"path": "/b"}]}
    assert outcomes(me, "files/delete_batch", paths, "files/delete_batch/check") == ["success", "failure"]
    assert me.rpc("files/delete_v2", {"path": "/b"})[0] == 409

    dropbox.faults({"fault": "error", "route": "files/move*", "path": "/b", "tags": ["from_write", "team_folder"]})
    me.upload("/c", b"x")
    paths = {"entries": [{"from_path": f"/{name}", "to_path": f"/moved/{name}"} for name in "cb"]}
    assert outcomes(me, "files/move_batch_v2", paths, "files/move_batch/check_v2") == ["success", "failure"]


@pytest.mark.parametrize(
    ("route", "arg", "tags"),
    [
        ("files/move_v2", {"from_path": "/a", "to_path": "/b"}, "from_write/too_many_write_operations/"),
        ("files/copy_v2", {"from_path": "/a", "to_path": "/b"}, "from_write/too_many_write_operations/"),
        ("files/delete_v2", {"path": "/a"}, "path_write/too_many_write_operations/"),
        ("files/create_folder_v2", {"path": "/f"}, "path/too_many_write_operations/"),
    ],
)
def test_contention_as_a_conflict(dropbox, route, arg, tags):
    me = client(dropbox)
    me.upload("/a", b"x")
    dropbox.faults({"route": route, "fault": "too_many_write_operations", "form": "conflict", "nth": 1})
    status, answer = me.rpc(route, arg)
    assert (status, answer["error_summary"].rstrip(".")) == (409, tags)
    assert me.rpc(route, arg)[0] == 200


def test_a_page_instead_of_an_answer(dropbox):
    dropbox.faults(
        {"route": "files/get_metadata", "fault": "server_error", "status": 400, "nth": 1},
        {"route": "files/get_metadata", "fault": "rate_limited", "form": "html", "nth": 2},
    )
    me = client(dropbox)
    for status in (400, 429):
        response = me.raw_rpc("files/get_metadata", {"path": "/a"})
        assert (response.status, response.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert "Retry-After" not in response.headers


def test_a_long_poll_with_noise(dropbox):
    me = client(dropbox)
    cursor = me.ls()[1]
    dropbox.config(longpoll_cap_s=0.05)
    dropbox.faults({"route": "files/list_folder/longpoll", "fault": "longpoll_noise", "nth": 1})
    poll = {"Authorization": None}
    assert me.rpc("files/list_folder/longpoll", {"cursor": cursor}, **poll) == (200, {"changes": True})
    assert me.since(cursor)[0] == []
    assert me.rpc("files/list_folder/longpoll", {"cursor": cursor}, **poll) == (200, {"changes": False})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"route": "files/uplaod", "fault": "reset"},
            "'files/uplaod'; the nearest is 'files/upload'",
        ),
        ({"route": "file/*", "fault": "reset"}, "no route is called 'file/*'"),
        ({"path": "/a", "fault": "reset"}, "reset cannot be limited to a `path`"),
        ({"fault": "restricted_content"}, "restricted_content needs a `path`"),
        (
            {"route": "files/upload", "fault": "longpoll_noise"},
            "longpoll_noise makes no difference to 'files/upload', only to files/list_folder/longpoll",
        ),
        ({"route": "files/list*", "fault": "scope"}, "only to oauth2/token"),
        ({"route": "files/upload_session/start*", "fault": "session_lost"}, "only to files/upload_session/append, "),
    ],
)
def test_a_rule_that_could_never_strike_is_refused(dropbox, rule, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        dropbox.faults(rule)
    assert dropbox.control("faults")["faults"] == []
