"""Write the generated pages of huracan_sync/docs: json.md, errors.md, settings.md.

python scripts/generated_pages.py [--check]
"""

import ast
import inspect
import itertools
import re
import sys
import textwrap
import typing
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from huracan_sync import errors  # noqa: E402 - after the path
from huracan_sync.cli import VERBS, document_parts, documents  # noqa: E402
from huracan_sync.engine import settings  # noqa: E402
from huracan_sync.manifest import refusals  # noqa: E402
from huracan_sync.secret import Secret  # noqa: E402

DOCS = ROOT / "huracan_sync" / "docs"
HEAD = """\
# JSON for machines

Every verb takes `--json` and prints one JSON document on stdout (`follow`: one a line); progress and logs go to stderr.
`schema_version` is {schema}. Within a version fields are only added: ignore those you do not know. Moments are RFC 3339
in UTC, whole seconds (`2026-11-14T10:22:33Z`); sizes are bytes; a name ending in `_s` is seconds. The exit code says
whether it worked; a document with `error` goes with every code but 0 and 1 (`run --once` lists errors in `failed`).

This page is generated from `huracan_sync/cli/documents.py` by `scripts/generated_pages.py`. JSON Schema of a document:

```python
import msgspec
from huracan_sync.cli.documents import Push

print(msgspec.json.schema(Push))
```
"""


def json_page():
    parts = [HEAD.format(schema=documents.SCHEMA), "## Every verb, when it fails\n"]
    parts += [table(kind) for kind in documents.ANY]
    shared = {}
    for verb, kinds in documents.DOCUMENTS.items():
        parts.append(f"## {verb}\n\n{VERBS[verb][0].upper()}{VERBS[verb][1:]}.\n")
        parts += [table(kind) for kind in kinds]
        for kind in kinds:
            collect(kind, shared)
    for kind in documents.ANY:
        collect(kind, shared)
    parts.append("## Parts\n")
    parts += [f"### {name}\n\n{table(kind)}" for name, kind in sorted(shared.items())]
    return "\n".join(parts)


def table(kind):
    said = inspect.getdoc(kind)
    lines = [said, "", "| field | type | |", "| --- | --- | --- |"]
    described = field_docs(kind)
    for field in msgspec.structs.fields(kind):
        if field.name == "schema_version":
            continue
        optional = "" if field.required else " (optional)"
        lines.append(f"| `{field.name}` | {in_words(field.type)}{optional} | {described.get(field.name, '')} |")
    return "\n".join(lines) + "\n"


def field_docs(kind):
    """The strings below fields, those of the classes it extends among them."""
    above = field_docs(kind.__base__) if kind.__base__ is not msgspec.Struct else {}
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    pairs = itertools.pairwise(body)
    return above | {
        one.target.id: " ".join(two.value.value.split())
        for one, two in pairs
        if isinstance(one, ast.AnnAssign) and isinstance(two, ast.Expr) and isinstance(two.value, ast.Constant)
    }


def in_words(kind):
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if kind in names:
        return names[kind]
    if kind is Secret:
        return "string"
    if origin is typing.Literal:
        return " or ".join(f"`{str(value).lower() if value is True else value}`" for value in args)
    if origin in {list, tuple}:
        return f"list of {in_words(args[0])}"
    if origin is dict:
        return f"object of {in_words(args[1])}" if args[1] is not typing.Any else "object"
    if args:
        return " or ".join(in_words(each) for each in args)
    if getattr(kind, "__name__", "") == "datetime":
        return "moment"
    return f"[{kind.__name__}](#{kind.__name__.lower()})" if isinstance(kind, type) else "anything"


def collect(kind, found):
    for field in msgspec.structs.fields(kind):
        todo = [field.type]
        while todo:
            each = todo.pop()
            todo += typing.get_args(each)
            if isinstance(each, type) and issubclass(each, document_parts.Part) and each.__name__ not in found:
                found[each.__name__] = each
                collect(each, found)


EXIT_CODES = [
    (errors.UsageError, 2),
    (errors.ConfigError, 78),
    (errors.NotAuthorized, 77),
    (errors.Refused, 65),
    (errors.TryLater, 75),
    (errors.Unavailable, 69),
]

ERRORS = """\
# Errors

Every error is a class of `huracan_sync.errors`, has a `code` where a class has several cases, a `hint` that says what
to do next, and its facts. The command line prints the message and the hint; `--json` has all of it. Catch a class;
compare a code. This page is generated from the code by `scripts/generated_pages.py`.

| error | exit code | again? | what it means | what to do |
| --- | --- | --- | --- | --- |
"""

REFUSALS = """
## Refused

Untrusted or corrupt data: exit code 65. The check stops at the first reason; trying again cannot help.

| code | what to do |
| --- | --- |
"""


def errors_page():
    lines = [ERRORS]
    public = {kind for kind in all_below(errors.HuracanError) if kind.__module__ == errors.__name__}
    for kind in sorted(public, key=depth_first):
        said, cases = inspect.getdoc(kind).split("\n\n", 1)[0], kind.__dict__.get("codes", {})
        code = next((code for above, code in EXIT_CODES if issubclass(kind, above)), 1)
        again = "yes" if kind.retryable else "no"
        hint = kind.default_hint
        lines.append(f"| `{kind.__name__}` | {code} | {again} | {cell(said)} | {cell(hint)} |\n")
        explained = inspect.getdoc(kind)
        for case, what in cases.items():
            means = re.search(rf"`{case}`: (.*?)(?=\n`[A-Z]|\n\n|$)", explained, re.DOTALL)
            meaning = means[1] if means else ""
            lines.append(f"| `{case}` | {code} | {again} | {cell(meaning)} | {cell(what or hint)} |\n")
    lines.append(REFUSALS)
    lines += [f"| `{code}` | {cell(hint)} |\n" for code, hint in sorted(refusals.HINTS.items())]
    return "".join(lines)


def all_below(kind):
    return [below for child in kind.__subclasses__() for below in (child, *all_below(child))]


def depth_first(kind):
    return [above.__name__ for above in reversed(kind.__mro__[:-2])]


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


SETTINGS = """\
# Every setting

The settings of continuous sync (`run`, `migrate`, `DropboxSync`). An argument takes precedence over the environment,
then the file, then the default. In a TOML file (`--config FILE` or `HURACAN_CONFIG`) a setting has the name below; in
the environment it is `DROPBOX__NAME` or `HURACAN_NAME` in capitals; on the command line `run --set NAME=VALUE`. An
unknown name is an error that suggests the nearest. The other verbs take `profile` and `app_folder` from the same file.
This page is generated from the code by `scripts/generated_pages.py`.

| name | type | default | |
| --- | --- | --- | --- |
"""


def settings_page():
    described = field_docs(settings.Settings)
    lines = [SETTINGS]
    for field in msgspec.structs.fields(settings.Settings):
        if field.name == "origins":
            continue
        default = "" if field.default is None else f"`{field.default}`"
        if field.name.startswith("sync_interval_"):
            default = "of the preset"
        said = described.get(field.name, "")
        lines.append(f"| `{field.name}` | {in_words(field.type)} | {default} | {cell(said)} |\n")
    lines.append("\nThe intervals of each preset, in seconds:\n\n")
    kinds = list(next(iter(settings.PRESETS.values())))
    lines.append(f"| preset | {' | '.join(kinds)} |\n| --- |{' ---: |' * len(kinds)}\n")
    for name, seconds in settings.PRESETS.items():
        lines.append(f"| `{name}` | {' | '.join(f'{seconds[kind]:g}' for kind in kinds)} |\n")
    return "".join(lines)


PAGES = {"json.md": json_page, "errors.md": errors_page, "settings.md": settings_page}

if __name__ == "__main__":
    for name, write in PAGES.items():
        if "--check" in sys.argv and (DOCS / name).read_text(encoding="utf-8") != write():
            sys.exit(f"docs/{name} is not as the code says: run python scripts/generated_pages.py")
        (DOCS / name).write_text(write(), encoding="utf-8")
