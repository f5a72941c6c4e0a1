"""Does an answer look as a scenario says? Objects are compared by the keys that are listed, lists item by item.

{"$absent": true}      the key is not there             {"$optional": M}     not there, or like M
{"$any": true}         anything                         {"$type": "string"}  of that JSON type
{"$regex": "..."}      a string in which it is found    {"$not": M}          not like M
{"$oneof": [M, ...]}   like one of them                 {"$ge": n} {"$le": n} {"$len": n}
{"$distinct": true}    a list without repetition        {"$each": M}         a list of which every item is like M
{"$unordered": [...]}  these items in any order         {"$contains": [...]} these items and perhaps others
"""

import json
import re

MISSING = object()
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None)}


def of_type(name, value):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


SIMPLE = {
    "$any": lambda *_: True,
    "$type": of_type,
    "$regex": lambda pattern, value: isinstance(value, str) and re.search(pattern, value, re.DOTALL) is not None,
    "$not": lambda matcher, value: bool(unlike(matcher, value)),
    "$oneof": lambda matchers, value: any(not unlike(matcher, value) for matcher in matchers),
    "$ge": lambda bound, value: isinstance(value, int | float) and value >= bound,
    "$le": lambda bound, value: isinstance(value, int | float) and value <= bound,
    "$len": lambda length, value: isinstance(value, str | list | dict) and len(value) == length,
    "$distinct": lambda _, value: isinstance(value, list) and len({json.dumps(item) for item in value}) == len(value),
}


def shown(value):
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) < 400 else text[:400] + "..."


def unlike(matcher, value, where=""):
    """Where a value departs from a matcher: readable lines, none if it does not."""
    if isinstance(matcher, dict) and any(name.startswith("$") for name in matcher):
        return _by_operators(matcher, value, where)
    if isinstance(matcher, dict) and isinstance(value, dict):
        return [
            line
            for name, inner in matcher.items()
            for line in unlike(inner, value.get(name, MISSING), f"{where}/{name}")
        ]
    if isinstance(matcher, list) and isinstance(value, list) and len(matcher) == len(value):
        pairs = enumerate(zip(matcher, value, strict=True))
        return [line for index, (inner, item) in pairs for line in unlike(inner, item, f"{where}/{index}")]
    same = type(matcher) is type(value) and matcher == value and not isinstance(matcher, dict | list)
    return [] if same else [f"{where}: {shown(value)} instead of {shown(matcher)}"]


def _by_operators(matcher, value, where):
    if "$absent" in matcher:
        return [] if value is MISSING else [f"{where}: {shown(value)} instead of nothing"]
    if "$optional" in matcher:
        return [] if value is MISSING else unlike(matcher["$optional"], value, where)
    if value is MISSING:
        return [f"{where}: nothing instead of {shown(matcher)}"]
    lines = []
    for name, argument in matcher.items():
        if name == "$each":
            lines += [line for index, item in enumerate(value) for line in unlike(argument, item, f"{where}/{index}")]
        elif name in {"$unordered", "$contains"}:
            lines += _as_set(argument, value, where, others=name == "$contains")
        elif not SIMPLE[name](argument, value):
            lines.append(f"{where}: {shown(value)} is not {name} {shown(argument)}")
    return lines


def _as_set(matchers, value, where, *, others):
    left, lines = list(value) if isinstance(value, list) else [], []
    for matcher in matchers:
        found = next((item for item in left if not unlike(matcher, item)), None)
        if found is None:
            lines.append(f"{where}: no item is like {shown(matcher)} among {shown(value)}")
        else:
            left.remove(found)
    return lines if others or lines or not left else [f"{where}: unexpected {shown(left)}"]
