"""Completion as a person has it: each shell loads the script, and offers what can be typed."""

import os
import select
import shutil
import subprocess
import sys
import time

import pytest
import shtab
from terminal import AT_TERMINAL

from huracan_sync import cli

pytestmark = pytest.mark.slow


def needs(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"needs {shell}: apt-get install {shell}")


@pytest.fixture
def script(tmp_path):
    def written(shell, name):
        file = tmp_path / name
        file.write_text(shtab.complete(cli.parser_of(), shell=shell))
        return file

    return written


BASH = """
source "$1"
offers=$(complete -p huracan-sync | sed -n 's/.*-F \\([^ ]*\\) .*/\\1/p')
COMP_WORDS=("${@:2}"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
"$offers" huracan-sync "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
TYPED = [
    ("huracan-sync pu", {"push", "put", "publish"}),
    ("huracan-sync push --dr", {"--dry-run"}),
    ("huracan-sync keys r", {"rotate", "revoke", "recover"}),
]


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_bash(script, typed, offered):
    words = ["bash", "--norc", "-c", BASH, "bash", str(script("bash", "completion")), *typed.split()]
    assert set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()) == offered


@needs("fish")
@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_fish(script, typed, offered, tmp_path):
    words = ["fish", "--no-config", "-c", f'source {script("fish", "completion.fish")}; complete -C "{typed}"']
    done = subprocess.run(words, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == offered


@needs("zsh")
def test_zsh(script, tmp_path):
    """Only at a terminal does zsh complete."""
    folder = script("zsh", "_huracan-sync").parent
    terminal, theirs = os.openpty()
    words = [sys.executable, "-c", AT_TERMINAL, "zsh", "-f", "-i"]
    env = os.environ | {"TERM": "dumb", "PS1": "$ ", "HOME": str(tmp_path)}
    zsh = subprocess.Popen(words, env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""

    def until(*words):
        nonlocal shown
        end = time.monotonic() + 30
        while not all(word in shown for word in words):
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096)
        shown = b""

    try:
        begin = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -D -u; print RE'ADY'\n"
        os.write(terminal, begin.encode())
        until(b"READY")
        os.write(terminal, b"huracan-sync pu\t")
        until(b"publish", b"push", b"put")
        os.write(terminal, b"\x15huracan-sync push --dry\t")
        until(b"--dry-run")
        os.write(terminal, b"\x15exit\n")
    finally:
        os.close(terminal)
        zsh.kill()
        zsh.wait()
