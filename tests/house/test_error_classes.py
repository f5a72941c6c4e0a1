"""A class of error is there because somebody acts differently on it; what distinguishes cases within it is a code.

Somebody: an `except`, a question of its type, a table of classes, or another answer to whether trying again may help.
"""

import ast

import pytest
from package_source import of_today

from huracan_sync import errors

PACKAGE = of_today()
MOST = 36


def classes(package):
    """{name of a class of error: name of its parent} of the package."""
    bases = {
        node.name: [(module.real(base) or "").rpartition(".")[2] for base in node.bases]
        for module in package
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
    }
    found = {"HuracanError": "Exception"}
    while new := {
        name: next(base for base in parents if base in found)
        for name, parents in bases.items()
        if name not in found and not name.startswith("_") and set(parents) & found.keys()
    }:
        found |= new
    return found


def told_apart(package):
    """The classes that some code asks for: named otherwise than to raise one, to derive from it, or to annotate."""
    found = set()
    for module in package:
        other = {id(node.func) for node in module.nodes if isinstance(node, ast.Call)}
        other |= {id(base) for node in module.nodes if isinstance(node, ast.ClassDef) for base in node.bases}
        found |= {name.rpartition(".")[2] for node, name in module.uses if id(node) not in other}
    return found


def untold(package):
    told = told_apart(package)
    return {
        name for name, parent in classes(package).items() if name not in told and not _answers_otherwise(name, parent)
    }


def _answers_otherwise(name, parent):
    """Whether trying again may help with the one and not with the other."""
    one, other = getattr(errors, name, None), getattr(errors, parent, None)
    return one is not None and one.retryable is not other.retryable


def test_every_class_is_told_apart_by_somebody():
    assert untold(PACKAGE) == set(), "make it a code of its parent"


def test_there_are_few():
    assert len(classes(PACKAGE)) <= MOST


@pytest.mark.slow
def test_one_that_nobody_asks_for_is_told():
    package = PACKAGE.with_added(
        "disk/scan.py", "class Torn(LocalFailure):\n    pass\ndef f() -> Torn:\n    raise Torn('x')"
    )
    assert "Torn" in untold(package)
    aliased = PACKAGE.with_added(
        "disk/scan.py", "from huracan_sync import errors as e\nclass Torn(e.Refused):\n    pass"
    )
    assert "Torn" in untold(aliased)
    asked = PACKAGE.with_added("disk/scan.py", "class Torn(LocalFailure):\n    pass\nHOPELESS = (Torn, ValueError)")
    assert "Torn" not in untold(asked)
