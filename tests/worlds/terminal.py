"""A person at a terminal (a real pty), and a machine without anything on it but the command line."""

import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import command_line
import processes
import warm

from huracan_sync.auth.pkce import redirect_uri

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
CLICKS_ALLOW = f"{sys.executable} {_CHECKOUT / 'scripts' / 'click_allow.py'} %s"
"""A browser that opens the consent page and clicks Allow."""
OPENS_NOTHING = "true %s"
"""A browser that is closed before the page has come."""

# A terminal of its own: a passphrase is asked for at /dev/tty.
AT_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"


class Bare:
    """A machine without keyring, browser or login, and an emulator."""

    def __init__(self, dropbox, folder):
        self.dropbox, self.home = dropbox, folder / "home"
        plain = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
        self.env = {name: os.environ[name] for name in plain if name in os.environ}
        self.env |= {"HOME": str(folder), "TERM": "xterm"} | dropbox.env(self.home)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        for app_key in (dropbox.app_key, dropbox.read_only_app_key):
            dropbox.control("apps", {"app_key": app_key, "redirect_uris": [redirect_uri(self.port)]})

    def with_vault_key(self, folder):
        """Deliver a key for the vault, as a container's platform does."""
        path = folder / "vault-key"
        path.write_bytes(os.urandom(32))
        path.chmod(0o400)
        self.env["HURACAN_VAULT_KEY_FILE"] = str(path)

    def _words(self, words):
        words = [str(word) for word in words]
        if words[0] == "authorize" and "--no-browser" not in words and "--port" not in words:
            words += ["--port", str(self.port)]
        return words

    def command(self, *words):
        return [sys.executable, "-m", "huracan_sync", *self._words(words)]

    def run(self, *words, stdin="", **env):
        """As a script runs it, with no terminal: exit code, stdout, stderr."""
        if words[0] != "authorize":
            return command_line.run(self._words(words), env=self.env | env, stdin=stdin)
        done = warm.run(  # it opens a browser, which lives on
            self.command(*words),
            env=self.env | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        _until_browsers_are_closed()
        return done.returncode, done.stdout, done.stderr

    def start(self, *words, **env):
        """As `run`, but it is left running."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return warm.Popen(self.command(*words), env=self.env | env, **pipes)

    def at_terminal(self, *words, answers=(), **env):
        """As a person runs it; `answers` are (words to wait for, what to type). Exit code, and what the screen shows.

        An answer may be a function of the screen so far.
        """
        ours, theirs = os.openpty()
        try:
            command, streams = self.command(*words), dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
            if command[0] == sys.executable:
                process = warm.Popen(command, env=self.env | env, terminal=True, **streams)
            else:
                process = subprocess.Popen([sys.executable, "-c", AT_TERMINAL, *command], env=self.env | env, **streams)
        finally:
            os.close(theirs)
        try:
            screen = _converse(ours, list(answers))
        finally:
            os.close(ours)
            code = process.wait(120)
        _until_browsers_are_closed()
        return code, screen.replace("\r\n", "\n")

    def code_for(self, screen, **changes):
        """The code that the consent page shows after Allow, for the address that a screen shows."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address_on(screen)).query).items()}
        fields = {n: asked[n] for n in ("code_challenge", "code_challenge_method", "scope")} | changes
        return self.dropbox.control("code", {"app_key": asked["client_id"], **fields})["code"]

    def live_grants(self):
        """How many logins the service honours, which end by being counted."""
        return self.dropbox.control("revoke", {})["revoked"]


def _until_browsers_are_closed():
    """They were opened by a command that has ended, and end when they have read their last page."""
    while browsers := [p for p, words in processes.children().items() if "webbrowser" in words or "click_" in words]:
        for pid in browsers:
            os.waitpid(pid, 0)


def address_on(screen):
    """The consent page's address."""
    return re.findall(r"^ *(http://\S+/oauth2/authorize\?\S+)", screen, re.MULTILINE)[-1]


def _converse(terminal, answers):
    shown, until, seen = b"", time.monotonic() + 30, 0
    ready = select.poll()  # `select` itself knows no descriptor above 1023
    ready.register(terminal, select.POLLIN)
    while time.monotonic() < until:
        if ready.poll(500):
            try:
                more = os.read(terminal, 65536)
            except OSError:  # EIO: the other side has hung up
                break
            if not more:
                break
            shown += more
        if answers and answers[0][0].encode() in shown[seen:]:
            seen = len(shown)
            answer = answers.pop(0)[1]
            os.write(terminal, (answer(shown.decode()) if callable(answer) else answer).encode() + b"\n")
    else:
        raise AssertionError(f"it did not end; the screen shows:\n{shown.decode()}")
    assert not answers, f"it never asked {answers[0][0]!r}:\n{shown.decode()}"
    return shown.decode()
