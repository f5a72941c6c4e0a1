"""Codes of errors: each one that is raised is known to its class, and each known one is raised somewhere."""

from __future__ import annotations

import ast
import functools
import inspect
import pickle

from package_source import of_today

from huracan_sync import errors
from huracan_sync.errors import ConfigError, HuracanError, Refused
from huracan_sync.manifest.refusals import HINTS, refused

ALL = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HuracanError)}
MOST_CLASSES = 37
"""A class is for what callers handle in a way of its own; anything less is a code."""


@functools.cache
def calls():
    return [
        (module.path.name, node.func.id, node)
        for module in of_today()
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


def test_codes_of_classes():
    raised = {
        (name, word.value.value)
        for _, name, node in calls()
        for word in node.keywords
        if name in ALL and word.arg == "code" and isinstance(word.value, ast.Constant)
    }
    known = {(name, code) for name, kind in ALL.items() for code in vars(kind).get("codes", ())}
    assert raised == known


def test_codes_of_refusals():
    raised = {
        node.args[0].value for _, name, node in calls() if name == "refused" and isinstance(node.args[0], ast.Constant)
    }
    forms = {"HEAD_FORMAT", "TRUST_FORMAT", "BODY_FORMAT"}  # given to whoever decodes
    assert raised | forms == set(HINTS)


def test_every_error_names_a_next_step():
    """By its own hint, or that of its code or class."""
    without = [
        f"{file}:{node.lineno} {name}"
        for file, name, node in calls()
        if (name in ALL or name.removesuffix("Error") in ALL) and name not in {"HuracanError", "Verdict"}
        for kind in [ALL.get(name) or ALL[name.removesuffix("Error")]]
        for words in [{word.arg: word.value for word in node.keywords}]
        if not isinstance(words.get("code"), ast.Constant) or not kind.codes.get(words["code"].value)
        if ("hint" not in words and not kind.default_hint)
        or (isinstance(words.get("hint"), ast.Constant) and not words["hint"].value)
    ]
    assert without == []


def test_few_classes():
    defined = {
        node.name
        for module in of_today().modules.values()
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split(".")[-1] in ALL for base in node.bases)
    }
    assert len(defined | ALL.keys()) <= MOST_CLASSES


def test_a_code_brings_its_hint():
    assert ConfigError("x", code="PORT_TAKEN").hint == ConfigError.codes["PORT_TAKEN"]
    assert refused("ROLLBACK", "x").as_dict() | {"facts": None} == {
        "error": "Refused",
        "code": "ROLLBACK",
        "message": "x",
        "hint": HINTS["ROLLBACK"],
        "retryable": False,
        "facts": None,
    }
    assert (Refused("x").code, "code" in errors.NotFound("x").as_dict()) == ("REFUSED", False)


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(refused("FORK", "two heads", epoch=1)))  # noqa: S301 - our own bytes
    assert (str(error), error.code, error.hint, error.facts) == ("two heads", "FORK", HINTS["FORK"], {"epoch": 1})
