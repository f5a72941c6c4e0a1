"""Every regular expression of the package takes a time that grows with the text, not with its square."""

import ast
import importlib
import re
import time

import pytest
from package_source import NAME, of_today, spelled

from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.schema import Kind, Text
from huracan_sync.tree import layout

PACKAGE = of_today()
LENGTH = 60_000
"""Characters: what takes the square of them takes seconds, what takes them once takes less than a millisecond."""
LONG_S = 0.15
"""Of the processor's time. A busy machine takes none of it."""


def patterns_in(value):
    """The compiled patterns in a value of a module."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (found for each in value.values() for found in patterns_in(each))
    elif isinstance(value, tuple | list | set | frozenset):
        yield from (found for each in value for found in patterns_in(each))
    elif isinstance(value, type) and value.__module__.startswith(NAME):
        yield from (each for each in vars(value).values() if isinstance(each, re.Pattern))


def written_in(nodes):
    """Those that are written where they are used: `re.sub("...", ...)`."""
    for node in nodes:
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str | bytes) and node.func.attr in WAYS:
                yield re.compile(first.value, re.DOTALL), node.func.attr


WAYS = ("search", "match", "fullmatch", "sub", "split", "findall", "finditer")


def ways(name, module, everything):
    """How a pattern is used: by its name, wherever that is called; one in a table, in any way that its module knows."""
    called = [
        ((spelled(node.func.value) or "").rpartition(".")[2], node.func.attr)
        for node in (everything if name else module.nodes)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WAYS
    ]
    by_name = {way for owner, way in called if name and owner == name}
    if not by_name and module.name == "manifest.file_kinds":
        return {"fullmatch"}  # the lines of a pickle, whole
    return by_name or {way for owner, way in called if owner != "re" and way not in {"sub", "split"}} or {"search"}


MADE = {"emulator.spec.schema.Text.__init__": "compiled", "tree.layout._readings": "pattern"}
"""Functions that make patterns, and what these are called where they are used."""


def makers():
    """The functions in which patterns are made."""
    found = set()
    for name, module in PACKAGE.modules.items():
        owners = [(name, node) for node in module.tree.body]
        while owners:
            owner, node = owners.pop()
            inner = f"{owner}.{node.name}" if isinstance(node, ast.ClassDef | ast.FunctionDef) else owner
            if isinstance(node, ast.FunctionDef) and any(is_made(each) for each in ast.walk(node)):
                found.add(inner)
            elif isinstance(node, ast.ClassDef):
                owners += [(inner, each) for each in node.body]
    return found


def is_made(node):
    return isinstance(node, ast.Call) and spelled(node.func) == "re.compile"


def texts_in(value):
    """The kinds of text in what arguments may be."""
    if isinstance(value, Text):
        yield value
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)
    elif isinstance(value, Kind):
        yield from texts_in(vars(value))


def made():
    """Each pattern that a function of the package makes, and the name of that."""
    kinds = texts_in(list(vars(arguments).values()))
    yield from ((each.compiled, "emulator.spec.schema.Text.__init__") for each in kinds if each.compiled)
    yield from ((pattern, "tree.layout._readings") for pattern, _ in layout._readings())


def all_patterns():
    """Each pattern with where it stands, and how it is used."""
    found = {}
    everything = [node for module in PACKAGE.modules.values() for node in module.nodes]
    for name, module in PACKAGE.modules.items():
        if name in {"__main__", "fs.ray"}:  # the one runs when it is imported, the other needs Ray
            assert not any(isinstance(node, ast.Name) and node.id == "re" for node in module.nodes)
            continue
        loaded = importlib.import_module(f"{NAME}.{name}" if name else NAME)
        for called, value in vars(loaded).items():
            for pattern in patterns_in(value):
                named = called if isinstance(value, re.Pattern) else ""
                found.setdefault(pattern, (name, ways(named, module, everything)))
        for pattern, way in written_in(module.nodes):
            found.setdefault(pattern, (name, {way}))
    for pattern, maker in made():
        name = max((each for each in PACKAGE.modules if maker.startswith(f"{each}.")), key=len)
        found.setdefault(pattern, (name, ways(MADE[maker], PACKAGE.modules[name], everything)))
    return found


def pieces(pattern):
    """What to repeat: characters that patterns like to repeat, and the literals of this one."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    literals = re.findall(r"\w[\w.:/' -]*", re.sub(r"\\.|\{[^}]*\}|\(\?[^:)]*", "?", text))
    return sorted({*"a1A_. :/'\"-=[](){},\\*?\n\t\x00\ud800", "0x", "1e", "a:", "a/", "a-", "ab.", "'a", *literals})


def texts(pattern):
    is_bytes = isinstance(pattern.pattern, bytes)
    every = pieces(pattern)
    begins = {piece for piece in every if len(piece) > 1} | {""}
    for piece in every:
        run = piece * (LENGTH // len(piece))
        for text in [run, f"{run}\x01", *(f"{begin}{run}\x01" for begin in sorted(begins)[:4])]:
            yield text.encode("utf-8", "surrogatepass") if is_bytes else text


def slow_on(pattern, used=("search",)):
    """The first text on which it takes long, if there is one. What replaces or splits goes through the text as well."""
    uses = {getattr(pattern, way) if way in {"search", "match", "fullmatch"} else pattern.findall for way in used}
    for text in texts(pattern):
        for use in uses:
            began = time.process_time()
            use(text)
            if time.process_time() - began > LONG_S:
                return text[:20]
    return None


def test_the_functions_that_make_patterns_are_known():
    assert makers() == MADE.keys()
    assert {maker for _, maker in made()} == MADE.keys()


@pytest.mark.slow
def test_every_pattern_takes_linear_time():
    found = all_patterns()
    assert len(found) > 70
    bounded = "tree.filters"  # its patterns are at most so long: see `test_a_pattern_is_no_longer_than_a_path`
    found = {pattern: where for pattern, where in found.items() if where[0] != bounded}
    slow = {(name, p.pattern, *used): text for p, (name, used) in found.items() if (text := slow_on(p, used))}
    assert slow == {}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [r"\w+:", r"x.*y", rb" +\n"])
def test_one_that_takes_the_square_is_found(pattern):
    assert slow_on(re.compile(pattern)) is not None


def test_the_literals_of_a_pattern_are_tried():
    assert "tree" in pieces(re.compile(rb"tree\r?\nversion="))
