"""One spelling per file: what is accepted, what is refused and why, and when two names are one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huracan_sync.emulator.state import names
from huracan_sync.errors import HostilePath
from huracan_sync.tree.entry import Entry, tree
from huracan_sync.tree.never_synced import never_synced
from huracan_sync.tree.paths import (
    below,
    check,
    check_all,
    fold,
    fold_all,
    join,
    parents,
    remote_root,
)

GOOD = [
    "a",
    "BTC/BTC-USDT:USDT_1m_20250101_20250601.parquet",
    "A/A-USDT_1d_20221112_20251111.parquet",
    "learning/2025-11-12/größe.json",
    "日本/ローソク足.parquet",
    "emoji/📈.json",
    " inside is fine/x".strip(),
    "a'b\"c*d<e>f|g?h;i#j%k&l=m~n@o{p}q[r]s+t,u^v$w!.txt",
    "x" * 255,
    "/".join(["d"] * 32),
]
HOSTILE = {
    "": "not a name",
    "/a": "not a name",
    "a/": "not a name",
    "a//b": "not a name",
    ".": "not a name",
    "..": "not a name",
    "a/../b": "not a name",
    "~": "not a name",
    "~/x": "not a name",
    "a\\b": "backslash",
    "a\x00b": "control",
    "a\nb": "control",
    "a\x7fb": "control",
    "a\x85b": "control",
    "a /b": "space",
    "a./b": "dot",
    " a": "space",
    "C:": "drive",
    "c:/windows": "drive",
    "a\u200bb": "invisible",
    "a\u202eb": "invisible",
    "\ufeffa": "invisible",
    "e\u0301": "composed",
    "a\udc80b": "not valid text",
    "ö" * 128: "255 bytes",
    "x" * 256: "255 bytes",
    "/".join(["d" * 100] * 11): "1024 bytes",
    "/".join(["d"] * 33): "33 levels",
}


@pytest.mark.parametrize("path", GOOD)
def test_accepted_as_it_is(path):
    assert check(path) == path


@pytest.mark.parametrize(("path", "reason"), HOSTILE.items(), ids=ascii)
def test_refused_with_its_reason(path, reason):
    with pytest.raises(HostilePath, match=reason) as caught:
        check(path)
    assert caught.value.hint
    assert str(caught.value).isascii()  # a hostile name is not passed on to a terminal


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text):
    try:
        accepted = check(text)
    except HostilePath:
        return
    assert unicodedata.is_normalized("NFC", accepted)
    assert ".." not in accepted.split("/")
    assert fold(fold(accepted)) == fold(accepted)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Case.TXT", "case.txt"),
        ("\u212a.txt", "k.txt"),  # the Kelvin sign
        ("gr\u00f6\u00dfe", "GR\u00d6\u00dfE"),
        ("\u03c3\u03c3", "\u03a3\u03a3"),
        ("\u0130.txt", "i.txt"),
        ("\u00e9", "e\u0301"),
    ],
)
def test_twins_have_one_identity(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ma\u00dfe.csv", "Masse.csv"),  # sharp s
        ("stra\u1e9ee", "stra\u00dfe"),  # its capital came after Dropbox's tables
        ("\u03c2", "\u03c3"),  # final sigma
        ("\ufb01", "fi"),  # a ligature
        ("\u0131", "i"),  # the i without a dot
        ("\u0149", "\u02bcn"),
        ("\u017f", "s"),  # long s
        ("\u13a0", "\uab70"),  # Cherokee
        ("\u2c60", "\u2c61"),
    ],
)
def test_what_are_two_files_to_dropbox_are_two_here(one, other):
    assert fold(one) != fold(other)
    assert list(tree([entry(one), entry(other)])) == [fold(one), fold(other)]


@given(st.text(max_size=20) | st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"]))
def test_the_fold_is_the_path_lower_of_the_emulator(text):
    """Both are written from what is recorded of the service, and neither from the other."""
    assert fold(text) == names.lower(names.compose(text))


def entry(path):
    return Entry(path, 0, bytes(32))


@pytest.mark.parametrize(
    ("given_root", "root"), [("", ""), ("/", ""), ("/a/b", "/a/b"), ("/a/b/", "/a/b"), ("a/b", "/a/b")]
)
def test_remote_roots_have_one_spelling(given_root, root):
    assert remote_root(given_root) == root


def test_remote_root_refuses_what_check_refuses():
    with pytest.raises(HostilePath):
        remote_root("/a/../b")


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/a/b", "a/b"),
        ("/A", "/a/B", "B"),
        ("/A", "/A", ""),
        ("/APP", "/APPX/b", None),
        ("/Größe/x", "/GRÖßE/X/y/z", "y/z"),
        ("/a/b", "/a", None),
    ],
)
def test_below(root, path, expected):
    assert below(root, path) == expected


def test_join_is_the_inverse_of_below():
    assert below("/r/s", join("/r/s", "t/u")) == "t/u"
    assert join("", "") == ""


def test_names_dropbox_refuses_everywhere():
    assert never_synced(".DS_Store")
    assert never_synced("Thumbs.DB")
    assert not never_synced("store")


ANY_PATHS = st.lists(
    st.one_of(
        st.sampled_from([*GOOD, *HOSTILE]),
        st.text(alphabet="aZ0./ ~:\\\n\u00e9", max_size=8),
        st.text(alphabet="ab/", min_size=60, max_size=300),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@pytest.mark.wide
@given(ANY_PATHS)
def test_many_paths_are_judged_as_each_alone(paths):
    def refused(judge):
        try:
            judge()
        except HostilePath as error:
            return str(error)
        return ""

    # Which of several hostile ones is named may differ only when each is asked in turn: the first then.
    alone = [refused(lambda path=path: check(path)) for path in paths]
    together = refused(lambda: check_all(paths))
    assert bool(together) == any(alone)
    if not together:
        assert check_all(paths) == {path.rpartition("/")[0] for path in paths}
        assert fold_all(paths) == [fold(path) for path in paths]


def test_folders_and_all_they_lie_in():
    assert parents(["a/b/c", "a/d", ""]) == {"a", "a/b", "a/b/c", "a/d"}
