"""One list out of ours and theirs, row by row."""

import pytest

from huracan_sync.manifest.entries import Item
from huracan_sync.signing.merge import LOOKED_FOR, Change, change_of, displaced, doubtful, merge
from huracan_sync.transfer.journal import SignedState


def item(path, rev):
    return Item(path, 1, rev.rjust(32).encode(), rev)


def tree(text):
    """`a1 b2`: the file a in revision 1, b in revision 2."""
    return [item(word[0], word[1:]) for word in text.split()]


def shown(items):
    return " ".join(f"{each.path}{each.rev}" for each in sorted(items, key=lambda each: each.path))


def settled(theirs, mine, changed="", gone="", current=""):
    lost = {word[0]: word[1:] for word in gone.split()}
    change = Change(tree(mine), frozenset(changed.split()), lost)
    there = {word[0]: word[1:] or None for word in current.split()}
    asked = doubtful(tree(theirs), change)
    assert set(asked) == set(there), "exactly these are asked for"
    merged = merge(tree(theirs), change, there)
    return shown(merged.items), " ".join(merged.superseded), merged.shared


ROWS = {
    # theirs, mine, changed, gone, current -> list, superseded, shared
    "nothing changed": (("a1 b1", "a1 b1"), ("a1 b1", "", False)),
    "ours is new": (("a1", "a1 b1", "b", "", "b1"), ("a1 b1", "", False)),
    "ours is newer": (("a1", "a2", "a", "", "a2"), ("a2", "", False)),
    "theirs stays": (("a1 b1", "a1"), ("a1 b1", "", True)),
    "theirs is newer, ours did not change": (("a2", "a1"), ("a2", "", True)),
    "both changed it, ours lies there": (("a2", "a3", "a", "", "a3"), ("a3", "", False)),
    "both changed it, theirs lies there": (("a3", "a2", "a", "", "a3"), ("a3", "a", True)),
    "both changed it, neither lies there": (("a2", "a3", "a", "", "a4"), ("a2", "a", True)),
    "both changed it, nothing lies there": (("a2", "a3", "a", "", "a"), ("a2", "a", True)),
    "they took it out": (("b1", "a1 b1"), ("b1", "", True)),
    "they took out what we changed": (("b1", "a2 b1", "a", "", "a"), ("b1", "a", True)),
    "we took it out": (("a1 b1", "b1", "", "a1"), ("b1", "", False)),
    "we took out what they have changed": (("a2 b1", "b1", "", "a1", "a2"), ("a2 b1", "", True)),
    "we took out a newer one than is signed": (("a1 b1", "b1", "", "a2", "a"), ("b1", "", False)),
    "we are about to take out a newer one than is signed": (("a1 b1", "b1", "", "a2", "a2"), ("b1", "", False)),
    "both took it out": (("b1", "b1", "", "a1"), ("b1", "", False)),
    "both have the same": (("a1 b2", "a1 b2", "a b"), ("a1 b2", "", False)),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name):
    given, expected = ROWS[name]
    assert settled(*given) == expected


def test_names_are_compared_as_dropbox_compares_them():
    theirs = [item("Data/\u00c9.bin", "1")]
    change = Change([item("data/\u00e9.bin", "2")], None, {})
    assert doubtful(theirs, change) == ["data/\u00e9.bin"]
    merged = merge(theirs, change, {"data/\u00e9.bin": "2"})
    assert [each.path for each in merged.items] == ["data/\u00e9.bin"]


def test_every_displaced_file_of_others_has_its_turn():
    theirs = [item(f"data/{n:02}", "1") for n in range(2 * LOOKED_FOR + 5)] + [item("elsewhere", "1")]
    mine = item("data/mine", "1")
    merged = merge(theirs, Change([mine, item("data/00", "2")], None, {}), {"data/mine": "1", "data/00": "2"})
    lying = {"data/mine": "1", "data/00": "2", "data/01": "1", "data/02": "3"}
    turns = [displaced(theirs, merged, lambda _: lying, "Data", turn) for turn in range(3)]
    assert {len(asked) for asked in turns} == {LOOKED_FOR}
    assert {each.path for asked in turns for each in asked} == {f"data/{n:02}" for n in range(2, 2 * LOOKED_FOR + 5)}
    assert len(displaced(theirs, merged, lambda _: lying, "", 0)) == LOOKED_FOR
    assert displaced(theirs, merged, lambda _: lying | {each.path: "1" for each in theirs}, "data", 7) == ()


def test_where_nothing_of_others_is_restated_nobody_asks_what_lies_there():
    theirs = [item("data/a", "1"), item("elsewhere", "1")]
    merged = merge(theirs, Change([item("data/a", "1")], None, {}), {})
    assert displaced(theirs, merged, lambda _: pytest.fail("asked"), "data", 0) == ()


def test_of_the_last_manifest_only_what_changed_is_asked_for():
    """It may list a million files; a machine that changed ten holds ten of them."""
    asked = []
    items = [item("a", "1"), item("b", "2")]
    changed = Change(items, frozenset({"b"}), {"c": "1"}).knowing({}, lambda paths: asked.append(paths) or items)
    assert changed.is_as_before("b", item("b", "2"))
    all_of_it = Change(items, None, {}).knowing({}, lambda paths: asked.append(paths) or items)
    assert all_of_it.is_as_before("a", item("a", "1"))
    assert asked == [{"b", "c"}, None]


def sealed(digest, changes, *, shared=False):
    return SignedState(1, 1, digest, 0, (), changes, shared)


def test_what_has_changed_is_told_by_counts():
    items = tree("a1 b1")
    counts = {"a": 3, "b": 7}
    assert change_of(items, counts, {}, last=None, following=None).changed is None
    assert change_of(items, counts, {}, last=sealed(b"d", 5), following=None).changed == {"b"}
    assert change_of(items, counts, {}, last=sealed(b"d", 5), following=None, overwrite=True).changed is None


def test_only_lists_that_are_ours_alone_need_not_be_read():
    two = change_of([], {}, {}, last=sealed(b"d", 1), following=sealed(b"e", 2))
    assert two.last == {b"d", b"e"}
    assert change_of([], {}, {}, last=sealed(b"d", 1, shared=True), following=None).last == frozenset()


@pytest.mark.parametrize(
    ("theirs", "mine", "changed", "kept"),
    [
        ("d/_metadata:1 d/a.parquet:1", "d/a.parquet:2", "d/a.parquet", False),
        ("d/_metadata:1 d/a.parquet:1", "d/e/b.parquet:1", "d/e/b.parquet", False),
        ("_metadata:1 d/a.parquet:1", "d/a.parquet:2", "d/a.parquet", False),
        ("d/_metadata:1 d/a.parquet:1", "d/_metadata:2 d/a.parquet:2", "d/_metadata d/a.parquet", True),
        ("d/_metadata:1 d/a.parquet:1", "e/a.parquet:1", "e/a.parquet", True),
        ("d/_metadata:1 d/a.parquet:1", "d/a.txt:1", "d/a.txt", True),
    ],
)
def test_what_describes_files_as_they_were_goes_with_them(theirs, mine, changed, kept):
    def items(text):
        return [item(*word.split(":")) for word in text.split()]

    before = {each.path: each for each in items(theirs)}
    change = Change(items(mine), frozenset(changed.split()), {}, before=lambda: before)
    merged = merge(items(theirs), change, {})
    assert any(each.path.endswith("_metadata") for each in merged.items) == kept
