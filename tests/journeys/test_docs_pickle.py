"""docs/pickle.md: every example runs, in the order of the page, where the library it is about is installed."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from machines import READ, Commands

import huracan_sync
from huracan_sync.manifest import file_kinds

PAGE = (Path(huracan_sync.__file__).parent / "docs" / "pickle.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^```(python|console)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FORMATS = {"onnx": b"\x08\x07\x12\x07pytorch\x3a\x00"}


def lacking(text):
    """Libraries at the top of an example that are not installed here."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return sorted(name for name in found if importlib.util.find_spec(name) is None)


@pytest.fixture
def machines(dropbox, tmp_path):
    publisher = Commands(dropbox, tmp_path / "engine", key="sign.key")
    pin = publisher.run("keys", "init")["pin"]
    hamilton = Commands(
        dropbox, tmp_path / "hamilton", scopes=READ, app_key=dropbox.read_only_app_key, profile="hamilton"
    )
    hamilton.run("keys", "trust", pin)
    return publisher, hamilton


@pytest.mark.slow
def test_the_page_from_top_to_bottom(machines, tmp_path):
    publisher, hamilton = machines
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "huracan-sync").write_text(f'#!/bin/sh\nexec {sys.executable} -m huracan_sync "$@"\n')
    (tmp_path / "huracan-sync").chmod(0o755)
    (work / "BTCUSDT.onnx").write_bytes(FORMATS["onnx"])
    ran, passed_over = 0, set()
    for kind, text in STEPS:
        if kind == "console":
            commands = "\n".join(line.removeprefix("$ ") for line in text.splitlines())
            env = publisher.env | {"PATH": f"{tmp_path}:{publisher.env['PATH']}"}
            command = ["bash", "-ec", commands]
        else:
            missing = lacking(text)
            if missing:
                passed_over.update(missing)
                continue
            env, command = (hamilton if "Hamilton" in text else publisher).env, [sys.executable, "-c", text]
        run = warm.run if command[0] == sys.executable else subprocess.run
        done = run(command, cwd=work, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        ran += 1
    assert ran >= len(STEPS) - 5
    assert passed_over <= {"xgboost", "lightgbm", "numpy", "onnxruntime", "skl2onnx", "sklearn", "safetensors"}


def test_the_names_it_recommends_are_of_the_kinds_it_says():
    table = dict(re.findall(r"^\| .* \| ([\w' ]+)(?:, [^|]*)? \| `(.+?)` \|", PAGE, re.MULTILINE))
    assert {file_kinds.by_name(name).name for name in table.values()} == {
        "XGBOOST",
        "LIGHTGBM",
        "ONNX",
        "SAFETENSORS",
        "JSON",
        "PARQUET",
    }
