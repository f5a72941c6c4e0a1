"""The table of `routes.commits`: what becomes of a write, by what lies there, by its mode, and by how strict it is."""

from types import SimpleNamespace

import pytest

from huracan_sync.emulator.routes.commits import has_content, place, quota
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state.ledger import Ledger
from huracan_sync.emulator.state.records import Blob, Person
from huracan_sync.emulator.state.tree import Account, Moment
from huracan_sync.emulator.state.view import View

NOW = Moment(1.0, "2026-01-01T00:00:00Z")
OLD, NEW = Blob("1" * 64, 10, []), Blob("2" * 64, 20, [])


@pytest.fixture
def call():
    """What a handler knows of its call, without a server around it."""
    account = Account(Person("dbid:1", "1", "7", b"prefix00", "id:root", "Ada", "L", "", 100), Ledger(None))
    account.add_folder(account.root, "folder")
    account.add_file(account.root, "file.txt", OLD, NOW.stamp, NOW)
    settings = SimpleNamespace(quota_bytes=None)
    return SimpleNamespace(
        account=account, view=View(account, account.root), moment=NOW, world=SimpleNamespace(settings=settings)
    )


def info(path, mode=("add", None), *, strict=False, autorename=False, modified=None):
    return {
        "path": path,
        "mode": mode,
        "strict_conflict": strict,
        "autorename": autorename,
        "client_modified": modified,
    }


def becomes(call, *arguments, blob=NEW, **more):
    """The path that holds the content then and whether it is new, or the conflict."""
    before = call.account.seq
    try:
        node = place(call, info(*arguments, **more), blob)
    except Failure as failure:
        assert call.account.seq == before, "nothing was written"
        return failure.tags
    return node.path(), call.account.seq > before


CURRENT, EARLIER = "current", "000000000000"

# mode, strict, what lies there -> what it becomes, written or as it was
ROWS = [
    (("add", None), False, "/new", ("/new", True)),
    (("overwrite", None), False, "/new", ("/new", True)),
    (("update", EARLIER), False, "/new", ("/new", True)),
    (("update", EARLIER), True, "/new", ("conflict", "file")),
    (("add", None), False, "/folder", ("conflict", "folder")),
    (("overwrite", None), False, "/folder", ("conflict", "folder")),
    (("update", CURRENT), False, "/folder", ("conflict", "folder")),
    (("add", None), False, "/file.txt", ("conflict", "file")),
    (("overwrite", None), False, "/file.txt", ("/file.txt", True)),
    (("overwrite", None), False, "/FILE.TXT", ("/FILE.TXT", True)),
    (("update", CURRENT), False, "/file.txt", ("/file.txt", True)),
    (("update", EARLIER), False, "/file.txt", ("conflict", "file")),
    (("overwrite", None), False, "/file.txt/below", ("conflict", "file_ancestor")),
]


def mode_of(call, mode):
    name, rev = mode
    return name, call.view.find("/file.txt").revision.rev if rev == CURRENT else rev


@pytest.mark.parametrize(("mode", "strict", "path", "expected"), ROWS)
def test_what_becomes_of_other_content(call, mode, strict, path, expected):
    assert becomes(call, path, mode_of(call, mode), strict=strict) == expected


@pytest.mark.parametrize("mode", [("add", None), ("overwrite", None), ("update", CURRENT), ("update", EARLIER)])
def test_the_same_content_is_as_it_is_unless_strict(call, mode):
    assert has_content(call, info("/FILE.TXT", mode), OLD)
    assert becomes(call, "/FILE.TXT", mode_of(call, mode), blob=OLD) == ("/file.txt", False)
    strict = becomes(call, "/file.txt", mode_of(call, mode), blob=OLD, strict=True)
    is_free = mode == ("overwrite", None) or mode[1] == CURRENT
    assert strict == (("/file.txt", True) if is_free else ("conflict", "file"))
    assert not has_content(call, info("/folder", mode), OLD)
    assert not has_content(call, info("/none/below", mode), OLD)


def test_autorename_finds_a_name_beside(call):
    assert becomes(call, "/file.txt", autorename=True) == ("/file (1).txt", True)
    assert becomes(call, "/file.txt", autorename=True, blob=Blob("3" * 64, 1, [])) == ("/file (2).txt", True)
    first = becomes(call, "/file.txt", ("update", EARLIER), autorename=True)
    second = becomes(call, "/file.txt", ("update", EARLIER), autorename=True)
    assert "Ada L" in first[0]
    assert first[0] != second[0]


def test_what_does_not_fit_is_not_written(call):
    call.world.settings.quota_bytes = 19
    assert quota(call) == 19
    assert becomes(call, "/file.txt", ("overwrite", None)) == ("insufficient_space",)
    assert becomes(call, "/new", blob=Blob("3" * 64, 9, [])) == ("/new", True)
    call.world.settings.quota_bytes = None
    assert quota(call) == 100
    assert becomes(call, "/file.txt", ("overwrite", None)) == ("/file.txt", True)


def test_the_time_is_the_clients_or_now(call):
    assert place(call, info("/a", modified="2020-01-01T00:00:00Z"), NEW).revision.client_modified[:4] == "2020"
    assert place(call, info("/b"), NEW).revision.client_modified == NOW.stamp
