"""The options that say which files take part, in the order in which they are given."""

import argparse

import pytest
from expecting import raises

from huracan_sync.cli.filter_options import add_arguments, filters_of, left_out
from huracan_sync.errors import UsageError


def filters(folder, *arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return filters_of(parser.parse_args(arguments), folder)


# options -> of a.json, a.tmp and logs/x.tmp, which take part
CASES = {
    "nothing": ([], None),
    "only what is included": (["--include", "*.json"], ["a.json"]),
    "all but what is excluded": (["--exclude", "*.tmp"], ["a.json"]),
    "the first that matches decides": (["--include", "a.*", "--exclude", "*.tmp"], ["a.json", "a.tmp"]),
    "also the other way round": (["--exclude", "*.tmp", "--include", "a.*"], ["a.json"]),
    "a folder": (["--exclude", "/logs/"], ["a.json", "a.tmp"]),
    "rules of a file": (["--filter-from", "RULES"], ["a.tmp"]),
    "rules of a file come in their place": (["--exclude", "a.tmp", "--filter-from", "RULES"], []),
}
PATHS = ["a.json", "a.tmp", "logs/x.tmp"]


@pytest.mark.parametrize(("arguments", "expected"), CASES.values(), ids=CASES)
def test_which_files_take_part(tmp_path, arguments, expected):
    rules = tmp_path / "RULES"
    rules.write_text("# comments and empty lines count nothing\n\n- *.json\n- /logs/\n+ *.tmp\n", encoding="utf-8")
    made = filters(tmp_path, *(str(rules) if word == "RULES" else word for word in arguments))
    if expected is None:
        assert (made, left_out(made)) == (None, 0)
    else:
        assert [path for path in PATHS if made(path)] == expected
        assert left_out(made) == len(PATHS) - len(expected)


def test_the_ignore_file_of_the_folder_counts_last(tmp_path):
    (tmp_path / ".huracanignore").write_text("*.tmp\n!keep.tmp\n", encoding="utf-8")
    assert [path for path in [*PATHS, "keep.tmp"] if filters(tmp_path)(path)] == ["a.json", "keep.tmp"]
    made = filters(tmp_path, "--include", "a.tmp", "--exclude", "nothing")
    assert [path for path in PATHS if made(path)] == ["a.json", "a.tmp"]


# what lies where the rules should be -> what is said of it
WRONG = {
    "no file": (None, "cannot be read: No such file"),
    "no text": (b"\xff\xfe", "is not UTF-8 text"),
    "no rule": (b"+ *.a\n*.b\n", "line 2: '*.b' is no filter rule"),
    "a rule of nothing": (b"+ \n", "is no filter rule"),
}


@pytest.mark.parametrize(("data", "said"), WRONG.values(), ids=WRONG)
def test_rules_that_cannot_be_read(tmp_path, data, said):
    if data is not None:
        (tmp_path / "RULES").write_bytes(data)
    with raises(UsageError) as caught:
        filters(tmp_path, "--filter-from", str(tmp_path / "RULES"))
    assert said in str(caught.value)
