"""A file is read in one sitting, a function at one glance."""

import ast

import pytest
from package_source import of_today

PACKAGE = of_today()
LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 60
LONGER = {
    "reader.reader": 465,
}
"""Files that were longer before this was held. These numbers only go down."""


def long_files(package):
    return {name: module.lines for name, module in package.modules.items() if module.lines > LINES_OF_A_FILE}


def long_functions(package):
    return {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name, module in package.modules.items()
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= LINES_OF_A_FUNCTION
    }


def test_no_file_grows_too_long():
    assert {name: lines for name, lines in long_files(PACKAGE).items() if lines > LONGER.get(name, 0)} == {}


def test_what_is_short_now_is_not_listed():
    assert LONGER.keys() - long_files(PACKAGE).keys() == set(), "strike it off the list"


def test_no_function_grows_too_long():
    assert long_functions(PACKAGE) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n" * 451, (1, 0)),
        ("def f():\n" + "    x = 1\n" * 60, (0, 1)),
        ("class C:\n    async def f(self):\n" + "        x = 1\n" * 60, (0, 1)),
        ("def f():\n" + "    x = 1\n" * 59, (0, 0)),
    ],
    ids=["a long file", "a long function", "a long method", "as long as may be"],
)
def test_what_is_too_long_is_told(text, told):
    package = PACKAGE.with_added("disk/thing.py", text)
    found = [names.keys() - LONGER.keys() for names in (long_files(package), long_functions(package))]
    assert (len(found[0]), len(found[1])) == told
