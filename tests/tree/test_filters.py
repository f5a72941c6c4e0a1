"""Include and exclude rules: a table of globs against paths, and what they mean together."""

import subprocess

import pytest

from huracan_sync.errors import UsageError
from huracan_sync.tree.filters import Filters, Rule, parse_rules

FILES = [
    "a.tmp",
    "a.parquet",
    "cache/x.bin",
    "deep/cache/y.bin",
    "deep/a.tmp",
    "deep/er/Größe.csv",
    "logs/engine.log",
    "logs/engine.log.gz",
    "#notes",
    "!bang",
]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.tmp", {"a.tmp", "deep/a.tmp"}),
        ("/*.tmp", {"a.tmp"}),
        ("deep/*.tmp", {"deep/a.tmp"}),
        ("cache", {"cache/x.bin", "deep/cache/y.bin"}),
        ("cache/", {"cache/x.bin", "deep/cache/y.bin"}),
        ("/cache/", {"cache/x.bin"}),
        ("/cache", {"cache/x.bin"}),
        ("cache/*.bin", {"cache/x.bin", "deep/cache/y.bin"}),
        ("/cache/*.bin", {"cache/x.bin"}),
        ("cache/**", {"cache/x.bin", "deep/cache/y.bin"}),
        ("/deep/**", {"deep/cache/y.bin", "deep/a.tmp", "deep/er/Größe.csv"}),
        ("/deep/*/y.bin", {"deep/cache/y.bin"}),
        ("**/y.bin", {"deep/cache/y.bin"}),
        ("*.log{,.gz}", {"logs/engine.log", "logs/engine.log.gz"}),
        ("{a.tmp,er}", {"a.tmp", "deep/a.tmp", "deep/er/Größe.csv"}),
        ("?.parquet", {"a.parquet"}),
        ("[a-c].parquet", {"a.parquet"}),
        ("[!a].parquet", set()),
        ("Größe.*", {"deep/er/Größe.csv"}),
        ("a.{t{mp,xt},parquet}", {"a.tmp", "deep/a.tmp", "a.parquet"}),
        ("[{a].{tmp,parquet}", {"a.tmp", "deep/a.tmp", "a.parquet"}),
        (r"\{a.tmp,er\}", set()),
        ("#notes", {"#notes"}),
        ("*", set(FILES)),
        ("nothing", set()),
    ],
)
def test_a_pattern_and_what_it_matches(pattern, matched):
    exclude, include = Filters([Rule(False, pattern)]), Filters([Rule(True, pattern)])
    assert {path for path in FILES if not exclude(path)} == matched
    assert {path for path in FILES if include(path)} == matched
    assert exclude.left_out == matched
    assert include.left_out == set(FILES) - matched


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ([], set(FILES)),
        (["+ /cache/", "- *.bin"], set(FILES) - {"deep/cache/y.bin"}),
        (["- *.bin", "+ /cache/"], set(FILES) - {"cache/x.bin", "deep/cache/y.bin"}),
        (["+ *.tmp", "+ *.parquet"], {"a.tmp", "deep/a.tmp", "a.parquet"}),
        (["+ *.tmp", "- *"], {"a.tmp", "deep/a.tmp"}),
    ],
)
def test_the_first_rule_that_matches_decides(rules, taken):
    filters = Filters(parse_rules("\n".join(rules), source="test"))
    assert {path for path in FILES if filters(path)} == taken


def test_the_ignore_file_is_read_as_git_reads_one(tmp_path):
    ignore = "# comment\n*.bin\n!x.bin\n/logs\ndeep/er/\n"
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".gitignore").write_text(ignore)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    command = [
        "git",
        "-C",
        str(tmp_path),
        "-c",
        "core.quotepath=off",
        "ls-files",
        "--others",
        "--exclude-standard",
        "-z",
    ]
    listed = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")) & set(FILES)
    filters = Filters(ignore=ignore)
    assert {path for path in FILES if filters(path)} == listed
    assert "cache/x.bin" in listed
    assert "logs/engine.log" not in listed


def test_a_rule_goes_before_the_ignore_file():
    filters = Filters([Rule(True, "/logs/keep.log"), Rule(False, "*.tmp")], ignore="logs/\n")
    assert filters("logs/keep.log")
    assert not filters("logs/other.log")
    assert not filters("a.tmp")
    assert filters("a.csv")


@pytest.mark.parametrize("text", ["*.tmp", "-*.tmp", "+", "- ", "? x"])
def test_a_line_that_is_no_rule(text):
    with pytest.raises(UsageError, match="line 2"):
        parse_rules(f"# ok\n{text}\n", source="filters")


@pytest.mark.parametrize("pattern", ["", "/", "!x", "[", "a[bc", "*.{tmp,bin", "[z-a]", "[[:alpha:]]*", "*.tmp\\"])
def test_a_pattern_that_is_none(pattern):
    """One that could match nothing is refused: who typed it meant something."""
    with pytest.raises(UsageError):
        Filters([Rule(True, pattern)])


def test_a_line_of_the_ignore_file_that_is_none():
    with pytest.raises(UsageError, match="huracanignore"):
        Filters(ignore="*.bin\n[z-a]\n")


@pytest.mark.parametrize(("pattern", "name"), [(r"a\{b", "a{b"), (r"a\[b", "a[b"), (r"{a\,b,c}", "a,b"), ("a]", "a]")])
def test_what_is_escaped_means_itself(pattern, name):
    assert not Filters([Rule(False, pattern)])(name)
