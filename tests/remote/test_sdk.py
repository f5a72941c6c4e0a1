"""The official SDK's client over our tokens: what it may see, and whom it asks."""

import logging
import pickle
from types import SimpleNamespace

import pytest

from huracan_sync.remote.http import Endpoint
from huracan_sync.remote.sdk import SdkClient
from huracan_sync.secret import Secret

CANARY = "sl.token-canary-token-canary"


class Tokens:
    def __init__(self):
        self.rejected = []

    def token(self):
        return Secret(CANARY)

    def renew(self, rejected):
        self.rejected.append(rejected)
        return Secret(f"{CANARY}-2")


@pytest.fixture
def client():
    wire = SimpleNamespace(endpoint=Endpoint("https://a.test", "https://c.test", "https://n.test"))
    return SdkClient(SimpleNamespace(wire=wire, tokens=Tokens(), place="dropbox/dbid:1"))


def test_it_shows_no_token_and_is_not_pickled(client, caplog):
    client.check_and_refresh_access_token()
    logging.getLogger().debug("%r", client)
    assert repr(client) == "<Dropbox client of dropbox/dbid:1>"
    with pytest.raises(TypeError, match="pass the profile's name"):
        pickle.dumps(client)


def test_a_rejected_token_is_the_one_that_is_renewed(client):
    client.check_and_refresh_access_token()
    sent = client._oauth2_access_token
    client.refresh_access_token()
    (rejected,) = client._remote.tokens.rejected
    assert rejected.reveal() == sent
    assert client._oauth2_access_token == f"{CANARY}-2"


def test_it_asks_our_hosts_and_takes_nothing_from_the_environment(client, monkeypatch):
    assert client._get_route_url(client._host_map["content"], "files/download") == "https://c.test/2/files/download"
    assert client._session.trust_env is False


@pytest.mark.parametrize(
    ("status", "kind", "asked", "comes"),
    [(400, "text/html", True, 502), (400, "text/plain", False, 400), (200, "text/html", False, 200)],
)
def test_a_page_of_a_front_end_is_asked_again_and_is_no_word_of_dropbox(
    client, monkeypatch, status, kind, asked, comes
):
    import requests

    from huracan_sync.remote.errors import PAGE_ATTEMPTS

    made = []

    def request(self, *args, **kwargs):
        response = requests.Response()
        response.status_code, response._content = status, b"<html>" if "html" in kind else b"Error in call"
        response.headers["Content-Type"] = kind
        made.append(response)
        return response

    monkeypatch.setattr(requests.Session, "request", request)
    response = client._session.request("POST", "https://a.test/2/files/upload")
    assert (response.status_code, len(made)) == (comes, PAGE_ATTEMPTS if asked else 1)
