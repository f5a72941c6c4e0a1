"""A terminal of 80 columns as tmux draws it, and what a person sees on it."""

import contextlib
import os
import shlex
import subprocess
import time
from pathlib import Path

COLUMNS = 80


class Screen:
    """One shell in one terminal. `run` types a command and gives back the rows that it left."""

    def __init__(self, folder, env):
        self._socket, self._folder, self._count = folder / "tmux.sock", folder, 0
        lines = [f"export {name}={shlex.quote(str(value))}" for name, value in env.items()]
        (folder / "rc").write_text("\n".join([*lines, f"cd {shlex.quote(str(folder))}", "PS1='$ '\n"]))
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", "200", "bash --noprofile --norc -i"
        )
        self._type(f"HISTFILE= && . {folder / 'rc'} && clear")

    def _tmux(self, *words):
        command = ["tmux", "-S", str(self._socket), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def _type(self, line):
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def rows(self, *, joined=False):
        """What is on the screen; joined: rows that the terminal had to break are one again."""
        shown = self._tmux("capture-pane", "-p", *(["-J"] if joined else []))
        return [row.rstrip() for row in shown.rstrip().splitlines()]

    def run(self, line, *, watch=None):
        """The rows that a command leaves, without those typed.

        Args:
            line: as it is typed.
            watch: told of the rows again and again while it runs.
        """
        self._count += 1
        done = self._folder / f"done-{self._count}"
        self._tmux("send-keys", "-R")
        self._tmux("clear-history")
        script = self._folder / f"step-{self._count}"
        script.write_text(f"{line}\n")
        self._type(f"clear; . {script}; touch {done}")
        until = time.monotonic() + 60
        while not Path(done).exists():
            assert time.monotonic() < until, self.rows()
            if watch is not None:
                watch(self.rows())
            time.sleep(0.05)
        rows = self.rows(joined=True)
        return [row for row in rows if row not in {"$", ""} and f"touch {done}" not in row]

    def close(self):
        """End the server and its shell, and wait until both are gone."""
        pids = [int(pid) for pid in self._tmux("display-message", "-p", "#{pid} #{pane_pid}").split()]
        self._tmux("kill-server")
        until = time.monotonic() + 30
        while any(map(_is_there, pids)):
            assert time.monotonic() < until, pids
            time.sleep(0.02)


def _is_there(pid):
    with contextlib.suppress(ChildProcessError):  # orphans may have become children of this process
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()
