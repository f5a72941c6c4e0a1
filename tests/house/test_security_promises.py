"""Every promise of SECURITY.md names the tests that hold it, and they exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISED = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
PROMISES = re.split(r"\n(?=\d+\. \*\*)", PROMISED)[1:]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.partition(".")[0])
def test_a_promise_names_tests_that_exist(promise):
    named = re.findall(r"`(tests/[^`]+)`", promise)
    assert named, promise
    for path in named:
        module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert any(isinstance(each, ast.FunctionDef) and each.name.startswith("test_") for each in module.body), path


def test_the_page_says_what_a_reporter_and_an_operator_need():
    assert len(PROMISES) >= 13
    for needed in (
        "## The threat model",
        "## What is not promised",
        "30 days by default, 90 where the root key is kept apart",
        "## Supported versions",
        "private security advisory",
        "vault",
        "One key per machine",
        "--unsigned",
        "Loopback pages",
    ):
        assert needed in PAGE
