"""A user's typed code, checked from outside the package, as the user's own type checker sees it."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import huracan_sync

NAME = huracan_sync.__name__
HERE = Path(__file__).parent
ROOT = HERE.parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture
def outside(tmp_path):
    """A folder of the user's, with code that is right and code that is wrong."""
    source = (HERE / "consumer.py").read_text(encoding="utf-8")
    (tmp_path / "right.py").write_text(source)
    (tmp_path / "wrong.py").write_text("from huracan_sync import connect, push\npush(1, 2, remote=connect(3)).upload\n")
    return tmp_path


def check(command, folder, file):
    env = os.environ | {"PYTHONPATH": str(ROOT), "MYPYPATH": ""}
    return subprocess.run([*command, file], cwd=folder, env=env, capture_output=True, text=True, check=False)


def holds(command, folder):
    right, wrong = check(command, folder, "right.py"), check(command, folder, "wrong.py")
    assert right.returncode == 0, right.stdout + right.stderr
    assert wrong.returncode == 1
    assert "upload" in wrong.stdout


def test_the_user_s_code_takes_every_public_name():
    tree = ast.parse((HERE / "consumer.py").read_text(encoding="utf-8"))
    taken = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == NAME for a in n.names}
    used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assert taken == set(huracan_sync.__all__) == taken.intersection(used)


def test_mypy_strict(outside):
    holds([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(outside / "cache")], outside)


def test_pyright_strict(outside):
    pyright = os.environ.get("HURACAN_PYRIGHT") or shutil.which("basedpyright") or shutil.which("pyright")
    if pyright is None:
        pytest.skip("needs pyright: python -m pip install --require-hashes -r requirements/typing.txt")
    (outside / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "pythonVersion": "3.11"}')
    holds([pyright, "--pythonpath", sys.executable], outside)
