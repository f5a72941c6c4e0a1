"""What the documents say is so: their Python runs, their settings load, their commands and names exist."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import huracan_sync
from huracan_sync import engine
from huracan_sync.cli import parser_of
from huracan_sync.engine.settings import PRESETS, load

HOUSE = Path(huracan_sync.__file__).parent
PAGES = [HOUSE / "docs" / name for name in ("engine.md", "migration.md", "runpod.md")]
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in HOUSE.rglob("*.py"))


def blocks(kind):
    pattern = re.compile(rf"^( *)```{kind}\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    for page in PAGES:
        for match in pattern.finditer(page.read_text(encoding="utf-8")):
            indent = len(match[1])
            yield page.name, "\n".join(line[indent:] for line in match[2].splitlines())


@pytest.mark.parametrize(("page", "text"), list(blocks("toml")))
def test_settings_in_the_documents_load(page, text):
    assert load(file=text.encode()).disabled() == ()


@pytest.mark.parametrize(("page", "text"), list(blocks("python")))
def test_python_in_the_documents_is_python_about_names_that_exist(page, text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("huracan_sync"):
            assert all(hasattr(engine, alias.name) for alias in node.names)


def test_the_presets_are_as_printed():
    text = PAGES[0].read_text(encoding="utf-8")
    for name, seconds in PRESETS.items():
        cells = " | ".join(f"{value:,} s" for value in seconds.values())
        assert f"| `{name}` | {cells} |" in text


def commands():
    for page, text in blocks("console"):
        for line in text.splitlines():
            if line.startswith("$ "):
                yield page, line[2:]


@pytest.mark.parametrize(("page", "line"), [c for c in commands() if "huracan-sync " in c[1]])
def test_commands_in_the_documents_are_as_the_command_line_takes_them(page, line):
    # That each does what it says is tested where it lives.
    words = shlex.split(re.sub(r".*\$\((.*)\).*", r"\1", line))
    assert words[0] == "huracan-sync"
    assert parser_of(words[1]).parse_args(words[1:]).verb == words[1]


def test_every_event_and_variable_that_is_named_exists():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for event in re.findall(r"`([a-z]+_[a-z_]+)`", text.split("## What the log says")[1].split("## Every knob")[0]):
        assert event in SOURCES or re.fullmatch("(learning|logs|models|data_cache)_sync_error", event), event
    for variable in set(re.findall(r"HURACAN_[A-Z_]+", text)) - {"HURACAN_SYNC_INTERVAL_LOGS_SECONDS"}:
        assert variable in SOURCES, variable


def test_pages_link_to_pages_that_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists()
