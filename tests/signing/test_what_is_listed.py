"""What a signed list names of a folder, who reads it, and whom he trusts."""

from types import SimpleNamespace

import pytest
from expecting import raises
from machines import READ, Machine
from manifest_world import item

from huracan_sync.errors import Conflict, NoTrust
from huracan_sync.manifest.file_kinds import Kind, by_name
from huracan_sync.manifest.leaves import pay
from huracan_sync.manifest.scope import Scope
from huracan_sync.signing import pair_manifest
from huracan_sync.signing.fetch_manifest import Again, Listed, fetch_manifest, signed_files
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.transfer.journal import ListedFile
from huracan_sync.transfer.journal.signed_state import Proof
from huracan_sync.tree.content_hash import BLOCK_SIZE

PARQUET = 512 * 1024 * 1024  # large enough that a table of leaves pays


def listed(path, size=1, kind=None, blocks=b"", leaves=b"", mtime_ms=5):
    return ListedFile(path, size, bytes(32), "rev", mtime_ms, 1, kind, blocks, leaves)


def items_of(*files, left_out=frozenset()):
    states = SimpleNamespace(listed=lambda in_order=False: iter(files))
    return pair_manifest._Items(states, Scope("/Engine", "data").path, left_out)


# -- what is listed --------------------------------------------------------------------------------------------------


def test_items_are_called_as_the_root_folder_sees_them():
    items = items_of(listed("A/x.json", mtime_ms=-1), listed("b"), left_out=frozenset({"a/x.json"}))
    assert [each.path for each in items] == ["data/b"]
    items = items_of(listed("A/x.json", mtime_ms=-1))
    assert [(each.path, each.mtime_ms, each.kind) for each in items] == [("data/A/x.json", 0, by_name("x.json"))]
    assert next(iter(items)) in items
    assert item("data/c", b"") not in items


def test_a_proof_says_more_than_the_journal_and_a_kind_that_was_looked_at_more_than_both():
    items = items_of(listed("x.bin", BLOCK_SIZE + 1, kind=int(Kind.OPAQUE)))
    items.proofs = {"x.bin": Proof("x.bin", bytes(32), int(Kind.JSON), b"b" * 64, b"t" * 32)}
    (found,) = items
    assert (found.kind, found.blocks, bool(found.leaves)) == (int(Kind.JSON), b"b" * 64, True)
    items.kinds = {"x.bin": int(Kind.CSV)}
    assert [each.kind for each in items] == [int(Kind.CSV)]
    items.unproved = frozenset({"x.bin"})
    assert list(items) == []


@pytest.mark.parametrize(
    ("file", "lacks"),
    [
        (listed("x", BLOCK_SIZE), False),
        (listed("x", BLOCK_SIZE + 1), True),
        (listed("x", BLOCK_SIZE + 1, blocks=b"b"), False),
    ],
)
def test_a_file_of_more_than_a_block_is_listed_with_its_blocks(file, lacks):
    assert pair_manifest._lacks_blocks(file) is lacks


def test_leaves_are_wanted_where_they_pay():
    large = listed("x.parquet", PARQUET)
    assert pair_manifest._lacks_leaves(large) is pay(by_name("x.parquet"), PARQUET) is True
    assert not pair_manifest._lacks_leaves(large._replace(leaves=b"l"))
    assert not pair_manifest._lacks_leaves(large._replace(size=1))
    assert not pair_manifest._lacks_leaves(large._replace(kind=int(Kind.OPAQUE)))


def test_only_tables_that_a_list_names_are_sent():
    tables = {b"a": b"1", b"b": b"2"}
    assert pair_manifest._named(tables, items_of(listed("x", leaves=b"a"))) == {b"a": b"1"}
    assert pair_manifest._named({}, items_of(listed("x", leaves=b"a"))) == {}


def test_what_somebody_else_published_is_a_conflict_with_a_way_out():
    failure = pair_manifest._superseded("data/x")
    assert isinstance(failure.error, Conflict)
    assert "--overwrite" in failure.error.hint


def test_a_list_is_made_anew_each_time():
    begun = []
    again = Again(lambda: begun.append(1) or iter("ab"))
    assert (list(again), list(again), len(begun)) == (["a", "b"], ["a", "b"], 2)


@pytest.mark.parametrize(("prefix", "paths"), [("", ["a/x", "a/b/y", "ab"]), ("a", ["x", "b/y"]), ("a/b", ["y"])])
def test_a_folder_sees_what_lies_below_it(prefix, paths):
    files = [item(path, b"") for path in ("a/x", "a/b/y", "ab")]
    made = Listed(
        Scope("/Engine", prefix), lambda below: [f for f in files if not below or f.path.startswith(f"{below}/")]
    )
    assert [each.path for each in made] == [each.path for each in made.entries()] == paths


# -- who reads -------------------------------------------------------------------------------------------------------


def test_an_earlier_list_is_read_again_and_none_is_no_error(dropbox, publisher, tmp_path):
    publisher.write({"a.json": b"{}"})
    first = publisher.push().sequence
    publisher.write({"b.json": b"{}"})
    second = publisher.push().sequence
    context, scope = publisher.context(), Scope("/Engine", "data")
    for at, paths in ((first, ["a.json"]), (second, ["a.json", "b.json"]), (None, ["a.json", "b.json"])):
        fetched = fetch_manifest(context, "/Engine/data", "data", at=at)
        assert [each.path for each in fetched.items] == paths
        assert fetched.sequence == (at or second)
    found = signed_files(context, Scope("/Engine", "data"), "another")
    assert ([each.path for each in found.items], found.channels, found.sequence) == (["a.json", "b.json"], ["data"], 0)
    assert signed_files(context, Scope("/Engine", "nowhere"), "another") is None
    stranger = Machine(dropbox, tmp_path / "stranger", scopes=READ)
    assert signed_files(stranger.context(), scope, "data") is None


def test_whom_a_machine_trusts(dropbox, publisher, tmp_path):
    """What a person pinned; else the pin of the environment; else its own key; else nobody."""
    pin = publisher.pin()
    delivered = Machine(dropbox, tmp_path / "delivered", scopes=READ, env={"HURACAN_ROOT_PIN": pin})
    assert reader_at(delivered.context(), "/Engine").trust().version == 1
    own = Machine(dropbox, tmp_path / "again", key="sign.key")
    own.take_key_of(publisher)
    assert reader_at(own.context(), "/Engine").trust().version == 1
    with raises(NoTrust):
        reader_at(Machine(dropbox, tmp_path / "nobody", scopes=READ).context(), "/Engine")
