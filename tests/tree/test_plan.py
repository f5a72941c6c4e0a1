"""The plan: every row of its laws, and what must hold for any three trees."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huracan_sync.tree.entry import Entry, tree
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.plan import Conflict, ConflictKind, Copy, Delete, Places, Plan, empties_the_tree, plan


def entry(path, content, rev=""):
    data = content.encode()
    return Entry(RelPath(path), len(data), hashlib.sha256(data).digest(), rev)


def of(**contents):
    """A tree of one file `x` (or none when its content is None)."""
    return tree(entry(path, content) for path, content in contents.items() if content is not None)


# base, source, target -> what happens without and with delete
LAWS = [
    ("a", "a", "a", "-", "-"),
    (None, "a", "a", "agree", "agree"),
    ("a", "b", "b", "agree", "agree"),
    (None, "a", None, "copy", "copy"),
    ("a", "b", "a", "copy", "copy"),
    ("a", "a", None, "copy", "copy"),
    ("a", "b", None, "copy", "copy"),
    ("a", "a", "b", "conflict", "conflict"),
    ("a", "b", "c", "conflict", "conflict"),
    (None, "a", "b", "conflict", "conflict"),
    ("a", None, "a", "-", "delete"),
    ("a", None, "b", "-", "conflict"),
    ("a", None, None, "agree", "agree"),
    (None, None, "a", "-", "-"),
]


def outcome(made):
    words = ["copy"] * len(made.copies) + ["delete"] * len(made.deletes)
    words += ["agree"] * len(made.agreements) + ["conflict"] * len(made.conflicts)
    return words[0] if words else "-"


@pytest.mark.parametrize(("base", "source", "target", "kept", "mirrored"), LAWS)
def test_the_laws(base, source, target, kept, mirrored):
    trees = [of(x=base), of(x=source), of(x=target)]
    assert outcome(plan(*trees)) == kept
    assert outcome(plan(*trees, delete=True)) == mirrored


@pytest.mark.parametrize(("base", "source", "target", "kept", "mirrored"), LAWS)
def test_overwrite_lets_the_source_win_and_nothing_else(base, source, target, kept, mirrored):
    made = outcome(plan(of(x=base), of(x=source), of(x=target), overwrite=True))
    assert made == ("copy" if kept == "conflict" else kept)


def test_a_copy_says_what_it_replaces():
    (step,) = plan(of(x="a"), of(x="b"), tree([entry("x", "a", rev="5d9")])).copies
    assert (step.entry.size, step.replaces.rev) == (1, "5d9")


def test_a_new_rev_of_the_same_content_is_learned():
    made = plan(tree([entry("x", "a", "1")]), of(x="a"), tree([entry("x", "a", "2")]))
    assert [(a.path, a.entry.rev) for a in made.agreements] == [("x", "2")]


def test_two_names_of_dropbox_are_never_matched():
    made = plan({}, tree([entry("Maße", "a")]), tree([entry("Masse", "b")]))
    assert ([step.path for step in made.copies], made.conflicts) == (["Maße"], ())


def test_case_is_no_difference():
    assert plan({}, tree([entry("Größe.JSON", "a")]), tree([entry("GRÖßE.json", "a")])).is_empty


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ({"a": "1"}, {"a/b": "2"}, "a folder of this name"),
        ({"a/b": "1"}, {"a": "2"}, "a file where the folder 'a' must be"),
        ({"a/b/c": "1"}, {"A": "2"}, "a file where the folder 'a' must be"),
    ],
)
def test_a_file_against_a_folder_is_a_conflict(source, target, why):
    made = plan({}, of(**source), of(**target))
    assert (len(made.copies), [why in c.why for c in made.conflicts]) == (0, [True])


# base, source, target -> the kind of the conflict, and what the sentence must say
CONFLICTS = [
    (None, "a", "b", ConflictKind.UNKNOWN, "no earlier sync says which is newer"),
    ("a", "a", "b", ConflictKind.CHANGED_THERE, "changed at the target"),
    ("a", "b", "c", ConflictKind.CHANGED_BOTH, "changed on both sides"),
    ("a", None, "b", ConflictKind.DELETED_HERE, "deleted at the source and changed at the target"),
]


@pytest.mark.parametrize(("base", "source", "target", "kind", "why"), CONFLICTS)
def test_a_conflict_names_its_kind_its_reason_and_both_sides(base, source, target, kind, why):
    trees = of(x=base), of(x=source), of(x=target)
    (conflict,) = plan(*trees, delete=True).conflicts
    assert (conflict.path, conflict.kind, why in conflict.why) == ("x", kind, True)
    assert (conflict.source, conflict.target) == (trees[1].get("x"), trees[2]["x"])


def test_a_blocked_file_names_both_sides_too():
    source, target = of(**{"a": "1", "b/c": "1"}), of(**{"a/b": "2", "b": "2"})
    conflicts = {conflict.path: conflict for conflict in plan({}, source, target).conflicts}
    assert {path: c.kind for path, c in conflicts.items()} == dict.fromkeys(("a", "b/c"), ConflictKind.BLOCKED)
    assert [(c.source, c.target) for c in conflicts.values()] == [(source["a"], None), (source["b/c"], None)]
    places = Places("here", "in Dropbox")
    assert [c.why for c in plan({}, source, target, places=places).conflicts] == [
        "in Dropbox lies a folder of this name",
        "in Dropbox lies a file where the folder 'b' must be",
    ]


# base, source, target, overwrite -> what a restore does, that does not complain of what was not pushed yet
LEADS = [
    ("a", "a", "b", False, "-"),
    ("a", "a", "a", False, "-"),
    ("a", "a", "b", True, "copy"),
    ("a", "a", None, False, "copy"),
    ("a", "b", "a", False, "copy"),
    ("a", "b", "c", False, "conflict"),
    (None, "a", "b", False, "conflict"),
    (None, "a", None, False, "copy"),
]


@pytest.mark.parametrize(("base", "source", "target", "overwrite", "expected"), LEADS)
def test_what_changed_only_at_a_leading_target_is_left(base, source, target, overwrite, expected):
    trees = of(x=base), of(x=source), of(x=target)
    assert outcome(plan(*trees, overwrite=overwrite, target_may_lead=True)) == expected


def test_one_leading_file_does_not_hide_the_others():
    names = [f"f{n}" for n in range(20)]
    base = of(**dict.fromkeys(names, "a"))
    target = of(**{name: "b" if n % 2 else "a" for n, name in enumerate(names)})
    source = of(**{name: "a" if n % 2 else "c" for n, name in enumerate(names)})
    assert [step.path for step in plan(base, source, target, target_may_lead=True).copies] == sorted(names[::2])


def test_a_lost_target_agrees_to_nothing():
    assert [(a.path, a.entry) for a in plan(of(x="a"), {}, {}).agreements] == [("x", None)]


def test_a_file_deep_below_a_file_is_blocked_by_the_one_above():
    assert "a file where the folder 'a' must be" in plan({}, of(**{"a/b": "1"}), of(a="2")).conflicts[0].why
    assert plan({}, of(**{"a/b": "1"}), of(**{"a/c": "2"})).conflicts == ()


def test_what_cannot_be_read_is_not_gone():
    base = of(**{"dir/x": "a", "dir/y": "a", "z": "a"})
    made = plan(base, {}, base, delete=True, unclear={"dir"})
    assert [step.path for step in made.deletes] == ["z"]
    assert plan(base, {}, base, delete=True, unclear={"dir/x", "z"}).deletes[0].path == "dir/y"


def test_steps_are_sorted_and_printable():
    made = plan(of(b="1"), of(c="22", a="1", d="x"), of(b="1", d="y"), delete=True)
    assert list(made.lines()) == [
        "copy      a  1 B",
        "delete    b",
        "copy      c  2 B",
        "conflict  d: both sides have it, with different content, and no earlier sync says which is newer",
    ]
    assert list(made.lines({"c": "b"}))[2] == "rename    c, from b"
    assert list(made.lines({"c": "old/c"}))[2] == "copy      c, from old/c", "the old name stays"
    assert made.bytes_to_copy == 3
    assert not made.is_empty


def test_the_guard_against_a_lost_disk():
    def guarded(deletes, base_count, *, empty=False):
        steps = tuple(Delete(entry(f"f{n}", "x")) for n in range(deletes))
        return empties_the_tree(Plan(deletes=steps), base_count=base_count, source_is_empty=empty)

    assert guarded(1, 1, empty=True)
    assert guarded(10, 10)  # another disk at its place
    assert not guarded(0, 10)
    assert not guarded(9, 10)
    assert not guarded(3, 3)  # today's reports for yesterday's


NAMES = ["a", "b", "c", "d/e", "d/f", "d", "g/h/i", "g/h"]


def random_tree(rng):
    chosen = [name for name in NAMES if rng.random() < 0.5]
    # A tree holds no file and folder of one name.
    files = [n for n in chosen if not any(other.startswith(n + "/") for other in chosen)]
    return tree(entry(name, rng.choice("123")) for name in files)


def apply(made, base, source, target):
    """What the trees are after the plan was carried out; asserts that no step touches what it may not."""
    base, after = dict(base), dict(target)
    for step in made.copies:
        key = step.path
        assert after.get(key) == step.replaces
        after[key] = base[key] = step.entry
    for step in made.deletes:
        assert base[step.path].content_hash == after[step.path].content_hash
        assert step.path not in source
        del after[step.path], base[step.path]
    for step in made.agreements:
        if step.entry is None:
            base.pop(step.path)
        else:
            base[step.path] = step.entry
    return base, after


def check_three_trees(seed):
    rng = random.Random(seed)
    base, source, target = (random_tree(rng) for _ in range(3))
    options = {"delete": rng.random() < 0.5, "overwrite": rng.random() < 0.3}
    made = plan(base, source, target, **options)
    new_base, after = apply(made, base, source, target)
    stuck = {step.path for step in made.conflicts}
    for key in source:
        assert key in stuck or after[key].content_hash == source[key].content_hash
    for key in target:
        if key not in after:  # deleted: it was synced, and unchanged since
            assert options["delete"]
            assert base[key].content_hash == target[key].content_hash
        elif after[key] != target[key]:  # replaced: by the source's content, over what was synced or on demand
            assert after[key].content_hash == source[key].content_hash
            assert options["overwrite"] or base[key].content_hash == target[key].content_hash
    # What stood in the way of a file may have been deleted just now: then, and only then, a second pass copies more.
    again = plan(new_base, source, after, **options)
    assert {step.path for step in again.copies} <= stuck
    assert not again.copies or made.deletes
    assert not again.deletes
    third = plan(*as_inputs(apply(again, new_base, source, after), source), **options)
    assert not third.copies
    assert not third.deletes
    assert {step.path for step in third.conflicts} <= stuck


def as_inputs(base_and_target, source):
    base, target = base_and_target
    return base, source, target


@pytest.mark.wide
def test_random_trees_converge_and_lose_nothing():
    for seed in range(1_500):
        check_three_trees(seed)


@pytest.mark.long
def test_100_000_random_trees_converge_and_lose_nothing():
    for seed in range(100_000):
        check_three_trees(seed)


@given(st.integers())
def test_any_seed(seed):
    check_three_trees(seed)


def test_steps_know_their_path():
    one = entry("x", "a")
    assert Copy(one).path == Delete(one).path == Conflict(one.path, ConflictKind.UNKNOWN, "").path
