"""Who may call the emulator: every rule of the guard."""

import html

import pytest
from emulator_client import HTTP, Client

from huracan_sync.emulator.serving.guard import Guard, refusal

ME = "127.0.0.1"
OURS = "127.0.0.1:8080"

# scheme, Host, Origin, peer, for control -> whether it is let through
CALLS = {
    "a client": ("http", OURS, None, ME, False, True),
    "a client by name": ("http", "localhost:8080", None, ME, False, True),
    "a client by the long address": ("http", "[::1]:8080", None, ME, False, True),
    "a client by another port, behind a proxy": ("http", "localhost:9", None, ME, False, True),
    "a client by Dropbox's name": ("https", "api.dropboxapi.com", None, ME, False, True),
    "a client without a Host": ("http", "", None, ME, False, True),
    "a client by a foreign name": ("http", "evil.example:8080", None, ME, False, False),
    "a client by a name that ends alike": ("http", "evil-localhost:8080", None, ME, False, False),
    "a client from elsewhere": ("http", OURS, None, "10.0.0.7", False, True),
    "control": ("http", OURS, None, ME, True, True),
    "control in capital letters": ("http", "LOCALHOST:8080", None, ME, True, True),
    "control from elsewhere": ("http", OURS, None, "10.0.0.7", True, False),
    "control from nowhere": ("http", OURS, None, "", True, False),
    "control by another port": ("http", "127.0.0.1:9", None, ME, True, False),
    "control without a port": ("http", "127.0.0.1", None, ME, True, False),
    "control by Dropbox's name": ("https", "api.dropboxapi.com", None, ME, True, False),
    "control without a Host": ("http", "", None, ME, True, False),
    "a page of ours": ("http", OURS, f"http://{OURS}", ME, True, True),
    "a page of another site": ("http", OURS, "https://evil.example", ME, True, False),
    "a page of another port": ("http", OURS, "http://127.0.0.1:9", ME, True, False),
    "a page of another scheme": ("http", OURS, f"https://{OURS}", ME, True, False),
    "a page of nowhere": ("http", OURS, "null", ME, False, False),
    "a foreign name that leads here": ("http", "evil.example:8080", "http://evil.example:8080", ME, False, False),
    "a browser by another port": ("http", "127.0.0.1:9", "http://127.0.0.1:9", ME, False, False),
}


@pytest.mark.parametrize(("scheme", "host", "origin", "peer", "control", "passes"), CALLS.values(), ids=CALLS)
def test_who_may_call(scheme, host, origin, peer, control, passes):
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    reason = Guard(8080).refuse(scheme, headers, peer, control=control)
    assert (reason is None) is passes, reason


@pytest.mark.parametrize(("scheme", "port", "passes"), [("http", 80, True), ("https", 443, True), ("http", 443, False)])
def test_the_usual_port_is_not_said(scheme, port, passes):
    assert (Guard(port).refuse(scheme, {"host": "localhost"}, ME, control=True) is None) is passes


def test_one_that_listens_beyond_this_machine_asks_for_the_origin_alone():
    guard = Guard(8080, open_to_all=True)
    assert guard.refuse("http", {"host": "box.lan:8080"}, "10.0.0.7", control=True) is None
    assert guard.refuse("http", {"host": "box.lan:8080", "origin": "http://evil.example"}, "10.0.0.7", control=False)


def test_a_refusal_is_json_that_says_why():
    answer = refusal("because")
    assert (answer.status, answer.body) == (403, b'{"error": "because"}')


@pytest.mark.parametrize(
    "name", ["<script>alert(1)<", "'\" onmouseover='alert(1)", "<img src=x onerror=alert(1)>", "&lt;b&gt;"]
)
def test_a_name_is_text_and_nothing_else_on_the_page(dropbox, name):
    """Whoever can put a file there could else run programs in the developer's browser, which may reset all."""
    client = Client(dropbox.url, dropbox.token()["access_token"])
    assert client.upload(f"/{name}/{name}", b"1")[0] == 200
    dropbox.control("account", {"account_id": dropbox.account_id, "given_name": name})
    dropbox.control("apps", {"app_key": "hostile", "name": name, "redirect_uris": [f"http://localhost/{name}"]})
    client.rpc("files/get_metadata", {"path": f"/{name}/none"})
    page = HTTP.request("GET", dropbox.url + "/").data.decode()
    for part in ("<script>alert", "<img src=x", "'\" onmouseover"):
        assert part not in page
    assert html.escape(name) in page
