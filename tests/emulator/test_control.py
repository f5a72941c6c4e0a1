"""The control endpoints: for this machine only, exact about what they take, and complete in what they tell."""

import json
import re
from urllib.parse import urlsplit

import pytest
from emulator_client import HTTP, Client, client, post_form

from huracan_sync.emulator.state.settings import Settings

pytestmark = pytest.mark.every_case  # a few milliseconds each


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "api.dropboxapi.com"},
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "localhost:"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/emulator", "/emulator/token", "/emulator/log"])
def test_strangers_do_not_get_in(dropbox, headers, path):
    given = {name: value.format(port=urlsplit(dropbox.url).port) for name, value in headers.items()}
    response = HTTP.request("POST" if "token" in path else "GET", dropbox.url + path, headers=given, body=b"{}")
    assert response.status == 403
    assert response.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:{port}"},
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:{port}"},
        {"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:1"},
        {"Host": "www.dropbox.com", "Origin": "http://evil.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "path", ["/2/check/user", "/oauth2/token", "/oauth2/authorize", "/cd/0/get/x/file", "/nothing"]
)
def test_nor_at_the_clients_endpoints(dropbox, headers, path):
    given = {name: value.format(port=urlsplit(dropbox.url).port) for name, value in headers.items()}
    assert HTTP.request("POST", dropbox.url + path, headers=given).status == 403
    assert dropbox.log()["total"] == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_does(dropbox, host):
    authority = f"{host}:{urlsplit(dropbox.url).port}"
    for more in ({}, {"Origin": f"http://{authority}"}):
        assert HTTP.request("GET", f"{dropbox.url}/emulator", headers={"Host": authority, **more}).status == 200
        assert HTTP.request("POST", f"{dropbox.url}/emulator/token", headers={"Host": authority, **more}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "config?page_size=3",
        "clock?advance_s=60",
        "faults?fault=reset",
        "token?expires_in=9",
        "reset",
        "log/reset",
        "apps?name=x",
    ],
)
def test_following_a_link_changes_nothing(dropbox, path):
    client(dropbox).upload("/a", b"x")
    before = [dropbox.control(place) for place in ("", "config", "faults", "log")]
    response = HTTP.request("GET", f"{dropbox.url}/emulator/{path}")
    assert response.status in {200, 400, 405}
    assert response.status == 405 or response.headers["X-Content-Type-Options"] == "nosniff"
    after = [dropbox.control(place) for place in ("", "config", "faults", "log")]
    before[0].pop("time"), after[0].pop("time")
    assert after == before


def test_a_temporary_link_is_no_page_of_the_emulator(dropbox):
    me = client(dropbox)
    me.upload("/evil.html", b"<script>fetch('/emulator/token', {method: 'POST'})</script>")
    link = me.rpc("files/get_temporary_link", {"path": "/evil.html"})[1]["link"]
    response = HTTP.request("GET", link)
    assert response.status == 200
    assert response.headers["Content-Security-Policy"].startswith("sandbox;")
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_cannot_be_framed(dropbox):
    for path in ("/", "/oauth2/authorize"):
        headers = HTTP.request("GET", dropbox.url + path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"


def test_tokens_say_that_they_are_the_emulators(dropbox):
    tokens = dropbox.token()
    assert tokens["access_token"].startswith("sl.emulator.")
    assert tokens["refresh_token"].startswith("emulator-")
    assert (len(tokens["access_token"]), len(tokens["refresh_token"])) == (140, 64)


def test_the_real_hosts_names_serve_clients(dropbox):
    me = client(dropbox)
    for host in ("api.dropboxapi.com", "content.dropboxapi.com", "127.0.0.1:1"):  # the last: by a proxy
        assert me.raw_rpc("check/user", {"query": host}, Host=host).json() == {"result": host}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("token", {"scope": ["x"]}, "no field is called 'scope'; there are app_key, scopes, expires_in, account_id"),
        ("token", {"scopes": ["files.everything"]}, "does not have the scopes files.everything"),
        ("token", {"app_key": "nobody"}, "no app has the key 'nobody'"),
        ("token", {"account_id": "nobody"}, "no account has the id 'nobody'"),
        ("token", {"expires_in": "soon"}, "Expected `float | null`"),
        ("code", {"redirect_uri": "http://elsewhere/"}, "Invalid redirect_uri"),
        ("config", {"pagesize": 3}, "no setting is called 'pagesize'; the nearest is 'page_size'"),
        ("config", {"page_size": 0}, "Expected `int` >= 1"),
        ("config", {"rename_order": "sideways"}, "Invalid enum value 'sideways'"),
        ("clock", {"advance_s": 1e12}, "the clock cannot be 1e+12 seconds off"),
        ("clock", {"advance_s": float("nan")}, "seconds off"),
        ("apps", {"name": "a/b"}, "cannot be empty or hold a slash"),
        ("reset", {"hard": True}, "no field is called 'hard'"),
        ("reset", [], "an object is expected"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_a_reason(dropbox, path, body, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        dropbox.control(path, body)


def test_broken_json_is_refused(dropbox):
    for body in (b"{", b"[" * 100_000, b"\xff"):
        assert HTTP.request("POST", f"{dropbox.url}/emulator/token", body=body).status == 400


def test_config_tells_every_knob(dropbox):
    assert set(dropbox.config()) == set(Settings.__struct_fields__)
    assert dropbox.config(page_size=7, longpoll_cap_s=1)["page_size"] == 7
    assert dropbox.config()["page_size"] == 7
    dropbox.reset()
    assert dropbox.config()["page_size"] is None


def test_the_log_counts_clients_and_their_bytes(dropbox):
    me = client(dropbox)
    me.upload("/a", b"x" * 1000)
    me.download("/a")
    me.rpc("files/get_metadata", {"path": "/none"})
    log = dropbox.log()
    assert log["requests"] == {"files/download": 1, "files/get_metadata": 1, "files/upload": 1}
    assert (log["total"], log["uploaded_bytes"], log["downloaded_bytes"]) == (3, 1000, 1000)
    assert log["bytes_in"] == 1000 + len(json.dumps({"path": "/none"}))
    assert log["refusals"] == {"files/get_metadata": {"409 path/not_found": 1}}
    assert [(each["route"], each["status"], each["path"]) for each in log["recent"]] == [
        ("files/upload", 200, "/a"),
        ("files/download", 200, "/a"),
        ("files/get_metadata", 409, "/none"),
    ]
    assert all(each["account_id"] == dropbox.account_id for each in log["recent"])
    dropbox.control("log/reset", {})
    assert dropbox.log()["total"] == 0


def test_no_token_is_told_anywhere(dropbox):
    tokens = dropbox.token()
    Client(dropbox.url, tokens["access_token"]).rpc("check/user", {})
    HTTP.request("POST", f"{dropbox.url}/2/check/user", headers={"Authorization": tokens["access_token"]}, body=b"{}")
    told = json.dumps([dropbox.log(), dropbox.control("")]) + HTTP.request("GET", dropbox.url).data.decode()
    for secret in (tokens["access_token"], tokens["refresh_token"]):
        assert secret[:16] not in told


def test_two_apps_see_one_account(dropbox):
    client(dropbox).upload("/a", b"x")
    reader = client(dropbox, app_key=dropbox.read_only_app_key)
    assert reader.download("/a").data == b"x"
    assert reader.upload("/b", b"x")[0] == 400


def test_accounts_are_strangers_to_each_other(dropbox):
    mine = client(dropbox)
    _, file = mine.upload("/a", b"secret")
    _, session = mine.content("files/upload_session/start", {}, b"x")
    cursor = mine.ls()[1]
    other = dropbox.control("account", {"given_name": "Eve", "surname": "Other"})
    theirs = client(dropbox, account_id=other["account_id"])
    assert theirs.ls()[0] == []
    assert theirs.download(file["id"]).status == 409
    assert theirs.download("rev:" + file["rev"]).status == 409
    assert theirs.rpc("files/list_folder/continue", {"cursor": cursor})[0] == 400
    arg = {"cursor": {"session_id": session["session_id"], "offset": 1}}
    assert theirs.content("files/upload_session/append_v2", arg, b"y")[1]["error"][".tag"] == "not_found"


def test_suspend_and_unlink(dropbox):
    me = client(dropbox)
    dropbox.control("account", {"account_id": dropbox.account_id, "suspended": True})
    assert me.rpc("check/user", {})[1]["error"] == {".tag": "user_suspended"}
    dropbox.control("account", {"account_id": dropbox.account_id, "suspended": False})
    assert me.rpc("check/user", {})[0] == 200
    assert dropbox.control("revoke", {})["revoked"] >= 1
    assert me.rpc("check/user", {})[1]["error"] == {".tag": "invalid_access_token"}


def test_an_app_can_be_changed(dropbox):
    made = dropbox.control("apps", {"name": "Mine", "scopes": ["files.metadata.read"], "secret": True})
    assert made["app_secret"]
    assert made["scopes"] == ["account_info.read", "files.metadata.read"]
    before = client(dropbox, app_key=made["app_key"])
    dropbox.control("apps", {"app_key": made["app_key"], "scopes": ["files.metadata.read", "files.content.write"]})
    # A scope that the app gains counts for tokens issued afterwards.
    assert before.upload("/a", b"x")[1]["error"] == {".tag": "missing_scope", "required_scope": "files.content.write"}
    assert client(dropbox, app_key=made["app_key"]).upload("/a", b"x")[0] == 200


def test_refresh_tokens_rotate(dropbox):
    dropbox.config(rotate_refresh_tokens=True)
    first = dropbox.token()["refresh_token"]

    def refresh(token):
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": dropbox.app_key}
        return post_form(f"{dropbox.url}/oauth2/token", form).json()

    second = refresh(first)["refresh_token"]
    again = refresh(first)["refresh_token"]  # the answer was lost: the old one still works, and brings another
    assert refresh(second)["error"] == "invalid_grant"
    third = refresh(again)["refresh_token"]
    assert refresh(first)["error"] == "invalid_grant"  # the new one is in use
    assert "refresh_token" in refresh(third)


def test_the_page_shows_tree_requests_and_apps(dropbox):
    me = client(dropbox)
    me.upload("/folder/<i>über</i>", b"x")
    me.rpc("files/get_metadata", {"path": "/none"})
    html = HTTP.request("GET", dropbox.url).data.decode()
    for shown in ("folder/", "&lt;i&gt;über&lt;", "files/get_metadata", "path/not_found", dropbox.read_only_app_key):
        assert shown in html
    assert not re.search(r'(?:src|href)="(?!data:)', html)


def test_the_page_pages_through_all_requests(dropbox):
    me = client(dropbox)
    for number in range(1, 151):
        me.rpc("files/get_metadata", {"path": f"/n{number}"})
    pages, address = [], "/"
    while address:
        html = HTTP.request("GET", dropbox.url + address).data.decode()
        pages.append([int(number) for number in re.findall(r"/n(\d+)<", html)])
        older = re.search(r'href="([^"]+)">older', html)
        address = older and older[1]
    assert [len(page) for page in pages] == [60, 60, 30]
    assert [number for page in pages for number in page] == list(range(150, 0, -1))
    html = HTTP.request("GET", dropbox.url + "/?before=31").data.decode()
    assert re.findall(r'href="(/[^"]*)">(\w+)<', html) == [("/", "latest"), ("/?before=91", "newer")]
    for odd in ("0", "1", "-3", "x", "9" * 30, "999999"):
        assert HTTP.request("GET", f"{dropbox.url}/?before={odd}").status == 200


def test_the_handle_is_fresh_for_every_test(dropbox, dropbox_emulator):
    assert dropbox is dropbox_emulator
    assert dropbox.log()["total"] == 0
    assert client(dropbox).ls()[0] == []


def test_the_environment_for_the_command(dropbox, tmp_path):
    env = dropbox.env(tmp_path)
    assert env == {"HURACAN_SYNC_API": dropbox.url, "HURACAN_SYNC_HOME": str(tmp_path)}
    assert urlsplit(dropbox.url).hostname == "127.0.0.1"
