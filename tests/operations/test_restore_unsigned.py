"""Which files that nobody has signed a restore leaves in Dropbox."""

import pytest

from huracan_sync.errors import HostilePath
from huracan_sync.operations.restore_unsigned import without_strangers
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import fold
from huracan_sync.tree.plan import Copy, Plan


def entry(path, data=b"1"):
    return Entry(path, len(data), content_hash(data), 0)


def kept(there, signed=(), *, active_names=False):
    """The paths that stay in the plan, and why the others left it."""
    entries = [each if isinstance(each, Entry) else entry(each) for each in there]
    changes = ChangeSet({}, {}, {fold(e.path): e for e in entries}, {}, {}, {}, 0, False, [], [])
    changes.signed = {fold(path): entry(path) for path in signed}
    steps = without_strangers(Plan(copies=tuple(map(Copy, entries))), changes, active_names=active_names)
    return [step.path for step in steps.copies], {error.facts["path"]: error for error in changes.refused}


def test_where_all_is_signed_nothing_leaves():
    assert kept(["a", ".git/hooks/x"], ["a", ".git/hooks/x"]) == (["a", ".git/hooks/x"], {})


def test_what_only_lies_there_is_restored_too():
    assert kept(["a", "b"], ["a"]) == (["a", "b"], {})


@pytest.mark.parametrize("path", ["M", "m/b/c"])
def test_what_is_in_the_way_of_a_signed_file_is_not(path):
    """A file where a signed one needs a folder, and a file below a signed one."""
    paths, refused = kept([path], ["m/a", "M/b"])
    assert paths == []
    assert refused[path].code == "CONTRADICTED"


def test_names_that_programs_act_on_are_left_unless_asked_for():
    paths, refused = kept(["a", ".bashrc"])
    assert paths == ["a"]
    assert isinstance(refused[".bashrc"], HostilePath)
    assert kept(["a", ".bashrc"], active_names=True)[0] == ["a", ".bashrc"]


def test_a_signed_path_with_other_content_is_nobodys():
    paths, refused = kept([entry(".bashrc", b"by a thief")], [".bashrc"])
    assert paths == []
    assert list(refused) == [".bashrc"]


def test_in_a_signed_folder_a_stranger_does_not_say_what_a_push_ignores():
    assert list(kept([".huracanignore"], ["a"])[1]) == [".huracanignore"]
    assert kept([".huracanignore"]) == ([".huracanignore"], {})
