"""Every module that decides something has tests of its own: a test that imports it, or that comes in by its endpoint.

A module counts as tested when a test file imports it or something from it; what a package hands on counts for the
module it comes from. A verb of the command line counts when a test runs it by its name, and a module of the emulator's
routes when a test or a scenario calls each of its routes. What is left is listed below, by what proves it instead.
"""

import ast
import functools
from collections import Counter

import pytest
from package_source import NAME, ROOT, of_today, spelled, walked

PACKAGE = of_today()
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Match, ast.Try, ast.BoolOp, ast.comprehension, ast.Assert)

PROVED_ELSEWHERE = {"tests/emulator/test_command.py, as a process": "emulator.__main__"}
"""What proves them -> modules that decide nothing. Whatever decides something has tests of its own."""


def without_a_branch(module):
    return not any(isinstance(node, BRANCHES) for node in module.nodes)


def of_a_test(text):
    """The names that a test file imports, and every text in it."""
    names, texts = set(), set()
    for node in walked(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant):
            texts.add(node.value)
    return names, texts


@functools.cache
def of_the_tests():
    files = [path for path in (ROOT / "tests").rglob("*.py") if "house" not in path.parts]
    return [of_a_test(path.read_text(encoding="utf-8")) for path in files]


def imported(package, tests):
    """The names that tests import, and where packages have them from."""
    names = set().union(*(names for names, _ in tests))
    for _ in range(3):  # a package hands on what another one hands on
        for name, module in package.modules.items():
            if module.path.name == "__init__.py":
                for source, taken in module.imports:
                    full = f"{NAME}.{name}.{taken}" if name else f"{NAME}.{taken}"
                    if taken and full in names:
                        names |= {source, f"{source}.{taken}"}
    front = package._front
    names |= {f"{NAME}.{module}" for name, module in front.items() if f"{NAME}.{name}" in names}
    return names


def spoken(tests):
    """Every text in the tests, and in the scenarios of the emulator."""
    texts = set().union(*(texts for _, texts in tests))
    scenarios = (ROOT / "tests" / "contract" / "conformance" / "scenarios").glob("*.json")
    return texts, "\n".join(path.read_text(encoding="utf-8") for path in scenarios)


def by_its_endpoint(module, texts, scenarios):
    if module.name.startswith("cli."):
        return module.name.rpartition(".")[2].replace("_", "-") in texts
    if module.name.startswith("emulator.routes."):
        routes = [
            decorator.args[0].value
            for node in module.nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for decorator in node.decorator_list
            if isinstance(decorator, ast.Call) and spelled(decorator.func) == "route"
            if isinstance(decorator.args[0], ast.Constant)
        ]
        return bool(routes) and all(route in texts or f'"{route}"' in scenarios for route in routes)
    return False


def untested(package, tests):
    names = imported(package, tests)
    texts, scenarios = spoken(tests)
    return {
        name
        for name, module in package.modules.items()
        if f"{NAME}.{name}" not in names
        and not without_a_branch(module)
        and not by_its_endpoint(module, texts, scenarios)
    }


LISTED = {name for names in PROVED_ELSEWHERE.values() for name in names.split()}


@pytest.mark.wide
def test_every_module_is_tested_or_says_by_what():
    missing = untested(PACKAGE, of_the_tests()) - LISTED - {""}
    assert missing == set(), "give it tests of its own"


@pytest.mark.wide
def test_what_is_tested_is_not_listed():
    assert LISTED - untested(PACKAGE, of_the_tests()) == set(), "it has tests of its own now: strike it off"


@pytest.mark.parametrize("reason", PROVED_ELSEWHERE)
def test_what_proves_it_is_there(reason):
    for word in reason.replace(",", "").split():
        if word.startswith("tests/"):
            assert (ROOT / word).exists(), word


def twice(paths):
    return {name for name, count in Counter(path.name for path in paths).items() if count > 1} - {"conftest.py"}


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by their names alone, and takes the second for the first."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if "__pycache__" not in path.parts]
    assert twice(paths) == set()
    assert twice([*paths, ROOT / "tests" / "elsewhere" / "test_sizes.py"]) == {"test_sizes.py"}


@pytest.mark.slow
def test_a_new_module_without_tests_is_told():
    package = PACKAGE.with_added("disk/thing.py", "def f(x):\n    return 1 if x else 2")
    assert "disk.thing" in untested(package, of_the_tests())
    tested = [of_a_test("from huracan_sync.disk.thing import f")]
    assert "disk.thing" not in untested(package, [*of_the_tests(), *tested])
    assert "disk.thing" not in untested(PACKAGE.with_added("disk/thing.py", "X = 1"), of_the_tests())
