"""Include and exclude rules: a table of globs against paths, and what they mean together."""

import random
import subprocess
import time

import pathspec
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


SLOW = {
    "a*" * 12 + "b": "a" * 200,
    "*a" * 100 + "b": "a" * 255,
    "[!b]*" * 20 + "b": "a" * 200,
    "?*" * 40 + "b": "a" * 250,
    "**/a/" * 8 + "b": "a/" * 30 + "c",
    "**/*a*/" * 8 + "x": "a/" * 31 + "y",
    "*a*/" * 16 + "b": f"{'a' * 18}/" * 16 + "c",
}


@pytest.mark.parametrize("pattern", SLOW, ids=[pattern[:12] for pattern in SLOW])
def test_no_pattern_takes_long_whatever_the_name(pattern):
    """Each took years: a star tries every place again where what follows does not fit."""
    path = SLOW[pattern]
    began = time.process_time()
    assert Filters(ignore=pattern)(path)
    assert Filters([Rule(False, pattern)])(path)
    assert time.process_time() - began < 0.5


def test_patterns_mean_what_git_means():
    """The expressions are rewritten: on random patterns and paths they are to match as those of pathspec."""
    chance, tokens = (
        random.Random(5),
        ["a", "b", "*", "*", "?", "[ab]", "[a-c]", "/", "**", "/**/", "**/", "\\*", "ab", "."],
    )
    for _ in range(400):
        pattern = "".join(chance.choices(tokens, k=chance.randrange(1, 10)))
        try:
            plain = pathspec.GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            continue
        ours = Filters(ignore=pattern)
        for _ in range(8):
            path = "/".join(
                "".join(chance.choices("aab.c*", k=chance.randrange(1, 5))) for _ in range(chance.randrange(1, 6))
            )
            assert ours(path) is not plain.match_file(path), (pattern, path)


def test_a_class_takes_no_slash():
    assert not Filters(ignore="a[!b]c")("axc")
    assert Filters(ignore="/a[!b]c")("a/c")


@pytest.mark.parametrize(
    ("rules", "ignore"), [([Rule(False, "[" * 4097)], ""), ([], "*.tmp\n" + "[" * 1_000_000), ([], "a" * 4097)]
)
def test_a_pattern_is_no_longer_than_a_path(rules, ignore):
    with pytest.raises(UsageError, match=r"has \d+ characters"):
        Filters(rules, ignore=ignore)
    assert Filters([Rule(False, "a" * 4096)], ignore="b" * 4096)("x")


def test_braces_stand_for_a_thousand_patterns_at_most():
    with pytest.raises(UsageError, match="more than 1000 patterns"):
        Filters([Rule(False, "{a,b}" * 60)])
    assert not Filters([Rule(False, "{a,b}" * 9)])("ababababa")
