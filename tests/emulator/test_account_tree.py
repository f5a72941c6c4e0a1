"""An account's files without a server: what each change leaves in the tree, the order of changes, and the ledger."""

import pytest

from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state import metadata
from huracan_sync.emulator.state.ledger import Ledger
from huracan_sync.emulator.state.records import App, Blob, Person, Place, Revision, Tombstone
from huracan_sync.emulator.state.tree import Account, Moment
from huracan_sync.emulator.state.view import LONGEST_PATH, View, aimed

NOW = Moment(1.0, "2026-01-01T00:00:00Z")
PERSON = Person("dbid:1", "1", "7", b"prefix00", "id:root", "A", "B", "a@b.c", 1 << 30)
FULL = App("k", "Engine", None, app_folder=False, scopes=[], redirect_uris=[])
OWN_FOLDER = App("k", "Engine", None, app_folder=True, scopes=[], redirect_uris=[])


def blob(size=1):
    return Blob(f"{size:064x}", size, [])


@pytest.fixture
def account():
    return Account(PERSON, Ledger(None))


def filled(account):
    """a/one (1 byte), a/b/two (2), three (3)."""
    a = account.add_folder(account.root, "a")
    b = account.add_folder(a, "b")
    account.add_file(a, "one", blob(1), NOW.stamp, NOW)
    account.add_file(b, "two", blob(2), NOW.stamp, NOW)
    account.add_file(account.root, "three", blob(3), NOW.stamp, NOW)
    return account


def paths(account):
    return sorted(node.path() for node in account.root.walk() if node is not account.root)


def changed(account, after=0):
    return [path for _, path in account.changes(after)]


def test_each_path_has_one_latest_change_and_a_parent_comes_before_its_children(account):
    filled(account)
    assert changed(account) == ["/a", "/a/b", "/a/one", "/a/b/two", "/three"]
    account.write(View(account, account.root).find("/a/one"), blob(9), NOW.stamp, NOW, name="ONE")
    assert changed(account) == ["/a", "/a/b", "/a/b/two", "/three", "/a/one"]
    assert (account.used, paths(account)[-2:]) == (9 + 2 + 3, ["/a/b/two", "/three"])
    assert changed(account, after=account.seq) == []


def test_deleting_a_folder_leaves_a_tombstone_of_each_path(account):
    filled(account)
    before = account.seq
    account.remove(View(account, account.root).find("/A"), NOW)
    assert paths(account) == ["/three"]
    assert changed(account, before) == ["/a", "/a/b", "/a/b/two", "/a/one"]
    assert (set(account.tombstones), account.used) == ({"/a", "/a/b", "/a/b/two", "/a/one"}, 3)
    account.add_folder(account.root, "a")
    assert "/a" not in account.tombstones, "something lies there again"


def test_a_move_keeps_ids_and_gives_new_revisions(account):
    view = View(filled(account), account.root)
    node, two = view.find("/a"), view.find("/a/b/two")
    old = two.revision.rev
    account.move(node, account.root, "Moved", NOW)
    assert paths(account) == ["/Moved", "/Moved/b", "/Moved/b/two", "/Moved/one", "/three"]
    assert (view.find("/moved/B/TWO").node_id, view.find("/moved/b/two").revision.rev > old) == (two.node_id, True)
    assert (account.used, view.revision(old).path) == (6, "/a/b/two")
    assert set(account.tombstones) == {"/a", "/a/b", "/a/b/two", "/a/one"}


def test_a_move_to_another_case_leaves_no_tombstone_where_something_lies(account):
    view = View(filled(account), account.root)
    account.move(view.find("/a"), account.root, "A", NOW, deleted_first=False)
    assert (paths(account)[0], account.tombstones) == ("/A", {})


def test_a_copy_has_ids_of_its_own_and_the_same_content(account):
    view = View(filled(account), account.root)
    twin = account.copy(view.find("/a"), account.root, "twin", NOW)
    assert (account.used, twin.path()) == (9, "/twin")
    one, other = view.find("/a/one"), view.find("/twin/one")
    assert one.node_id != other.node_id
    assert one.revision.content_hash == other.revision.content_hash


def test_what_was_deleted_comes_back_with_its_id(account):
    view = View(filled(account), account.root)
    node, revision = view.file("/three")
    account.remove(node, NOW)
    back = account.revive(account.root, "three", revision, NOW)
    assert (back.node_id, back.revision.rev != revision.rev, account.used) == (node.node_id, True, 6)


def test_an_account_comes_back_from_its_records_as_it_was(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.load()
    account = filled(Account(PERSON, ledger))
    account.remove(View(account, account.root).find("/a/b"), NOW)
    ledger.close()
    again = Ledger(tmp_path)
    records = again.load().values()
    kinds = [[each for each in records if isinstance(each, kind)] for kind in (Place, Tombstone, Revision)]
    restored = Account(PERSON, again)
    restored.restore(*kinds)
    assert (paths(restored), changed(restored), restored.seq) == (paths(account), changed(account), account.seq)
    assert (restored.used, set(restored.tombstones)) == (account.used, {"/a/b", "/a/b/two"})
    again.close()


def test_a_batch_that_was_cut_off_is_dropped_and_those_before_it_are_kept(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.load()
    for size in (1, 2):
        ledger.keep(blob(size))
        ledger.flush()
    ledger.keep(blob(1))
    ledger.forget(blob(2))
    ledger.close()
    file = tmp_path / "ledger"
    whole = file.read_bytes()

    def loaded(data):
        file.write_bytes(data)
        ledger = Ledger(tmp_path)
        found = sorted(record.size for record in ledger.load().values())
        ledger.close()
        return found

    assert loaded(whole) == [1]
    assert loaded(whole[:-1]) == [1, 2]
    assert loaded(whole[:-1] + bytes([whole[-1] ^ 1])) == [1, 2]
    assert loaded(b"") == []


def test_two_emulators_do_not_share_a_folder(tmp_path):
    first = Ledger(tmp_path)
    with pytest.raises(OSError, match="another emulator keeps its data in"):
        Ledger(tmp_path)
    first.close()
    Ledger(tmp_path).close()


# what a path leads to: in the view, and the tag of the failure
LOOKED_UP = {
    "/a/one": "/a/one",
    "/A/ONE": "/a/one",
    "": "",
    "ns:7/three": "/three",
    "/zz": "not_found",
    "/a/one/below": "not_found",
    "ns:8/three": "not_found",
    "id:nobody": "not_found",
    "/a\\b": "malformed_path",
    "/" + "x" * LONGEST_PATH: "malformed_path",
}


@pytest.mark.parametrize("path", LOOKED_UP, ids=lambda path: path[:12] or "the root")
def test_a_path_leads_somewhere_or_fails_by_a_tag(account, path):
    view = View(filled(account), account.root)
    try:
        result = view.find(path).path()
    except Failure as failure:
        (result,) = failure.tags
    assert result == LOOKED_UP[path]


def test_an_app_folder_is_all_that_its_app_sees(account):
    whole = View.of(filled(account), FULL)
    view = View.of(account, OWN_FOLDER)
    view.make(target := aimed(view, "/x/y/file", arguments.WRITE_PATH_OR_ID))
    node = account.add_file(target.parent, target.name, blob(), NOW.stamp, NOW)
    assert (node.path(), node.path(view.root)) == ("/Apps/Engine/x/y/file", "/x/y/file")
    assert metadata.of(view, node)["path_display"] == "/x/y/file"
    assert metadata.of(whole, node, tagged=False)["path_display"] == "/Apps/Engine/x/y/file"
    assert ".tag" not in metadata.of_revision(view, node.revision)
    for path in ("/three", "ns:7/x/y/file", whole.find("/three").node_id):
        with pytest.raises(Failure, match="not_found"):
            view.find(path)
    with pytest.raises(Failure):
        view.revision(whole.find("/three").revision.rev)
    assert View.of(account, OWN_FOLDER).root is view.root, "it is made once"


# where a write goes: the path, and the folders that it makes or the tags of its failure
AIMED = {
    "/new": [],
    "/a/new": [],
    "/n/m/new": ["n", "m"],
    "/a/one/new": ("conflict", "file_ancestor"),
    "": ("conflict", "folder"),
    "/a/.dropbox": ("disallowed_name",),
    "id:nobody": ("malformed_path",),
    "ns:8/x": ("no_write_permission",),
}


@pytest.mark.parametrize("path", AIMED, ids=lambda path: path or "the root")
def test_where_a_write_goes(account, path):
    view = View(filled(account), account.root)
    for _ in range(2):  # the second time the folder is known
        try:
            result = aimed(view, path, arguments.WRITE_PATH_OR_ID).missing
        except Failure as failure:
            result = failure.tags
        assert result == AIMED[path]


def test_deleted_things_say_what_they_were(account):
    view = View(filled(account), account.root)
    account.remove(view.find("/a/one"), NOW)
    tombstone = account.tombstones["/a/one"]
    said = metadata.of_tombstone(view, tombstone)
    assert said == {".tag": "deleted", "name": "one", "path_lower": "/a/one", "path_display": "/a/one"}
    assert metadata.of_tombstone(view, tombstone, restorable=True)["is_restorable"] is True
    assert (tombstone.was_folder, metadata.of(view, view.find("/a"))[".tag"]) == (False, "folder")
