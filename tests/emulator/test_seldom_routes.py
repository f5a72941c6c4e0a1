"""Routes that few clients call: the first search, the alpha form of metadata, other people's accounts."""

import pytest
from emulator_client import client

pytestmark = pytest.mark.every_case  # a few milliseconds each


@pytest.fixture
def me(dropbox):
    me = client(dropbox)
    for name in ("report one.txt", "report two.txt", "other.txt"):
        me.upload(f"/a/{name}", b"x")
    return me


# argument of files/search -> names found, whether there is more, where the next page starts
SEARCHES = [
    ({"query": "report"}, ["report one.txt", "report two.txt"], False, 2),
    ({"query": "report", "max_results": 1}, ["report one.txt"], True, 1),
    ({"query": "report", "start": 1}, ["report two.txt"], False, 2),
    ({"query": "report", "start": 9}, [], False, 2),
    ({"query": "rep two"}, [], False, 0),
    ({"query": "two rep"}, ["report two.txt"], False, 1),
    ({"query": "nothing"}, [], False, 0),
    ({"query": "other", "mode": "deleted_filename"}, [], False, 0),
]


@pytest.mark.parametrize(("arg", "names", "more", "start"), SEARCHES, ids=str)
def test_the_first_search(me, arg, names, more, start):
    status, answer = me.rpc("files/search", {"path": "/a", **arg})
    assert status == 200
    assert sorted(match["metadata"]["name"] for match in answer["matches"]) == names
    assert (answer["more"], answer["start"]) == (more, start)


# argument -> the tags of its refusal
REFUSED = [({"path": "/a", "query": " "}, "invalid_argument/"), ({"path": "/b", "query": "x"}, "path/not_found/")]


@pytest.mark.parametrize(("arg", "summary"), REFUSED, ids=str)
def test_a_search_that_cannot_be(me, arg, summary):
    status, answer = me.rpc("files/search", arg)
    assert (status, answer["error_summary"].rstrip(".")) == (409, summary)


def test_metadata_in_its_alpha_form(me):
    plain, alpha = (me.rpc(f"files/{form}get_metadata", {"path": "/a/other.txt"})[1] for form in ("", "alpha/"))
    assert alpha == plain
    route = "files/alpha/get_metadata"
    assert me.rpc(route, {"path": "/a/other.txt", "include_property_templates": []})[0] == 200
    assert me.rpc("files/get_metadata", {"path": "/a", "include_property_templates": []})[0] == 400


def test_an_account_by_its_id(dropbox, me):
    mine = me.rpc("users/get_current_account", None)[1]
    status, answer = me.rpc("users/get_account", {"account_id": dropbox.account_id})
    assert (status, answer["account_id"], answer["name"]) == (200, mine["account_id"], mine["name"])
    status, answer = me.rpc("users/get_account", {"account_id": "dbid:" + "A" * 35})
    assert (status, answer["error_summary"].rstrip(".")) == (409, "no_account/")
