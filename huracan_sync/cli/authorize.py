"""`authorize`: log in once."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from typing import Any

from huracan_sync.auth import pkce
from huracan_sync.auth.credentials import Login
from huracan_sync.auth.login_flow import Identity, Wanted, log_in, log_in_for_elsewhere
from huracan_sync.auth.scopes import WHAT_FOR
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.cli.output import Output
from huracan_sync.errors import HuracanError, NotAuthorized, UsageError
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.secret import Secret


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    add = parser.add_argument
    add("--app-key", metavar="K", help="the key of your Dropbox app (App Console, Settings)")
    add("--read-only", action="store_true", help="a login that cannot write: for Hamilton")
    add("--no-browser", action="store_true", help="print the URL and ask for the code it shows")
    add("--port", type=int, metavar="N", help=f"where the answer comes (default: one of {_ports()})")
    add("--expect-account", metavar="ID", help="the account that must answer; nobody is asked then")
    add("--account-info", action="store_true", help="also ask to see name and quota of the account")
    add(
        "--timeout",
        type=float,
        default=pkce.ANSWER_S,
        metavar="S",
        help=f"seconds to wait for the browser's answer ({pkce.ANSWER_S:.0f}, which is the most)",
    )
    add(
        "--hand-over",
        action="store_true",
        help="print the refresh token for another machine's secret store (HURACAN_REFRESH_TOKEN_FILE there), keep "
        "nothing here; stdout must not be a terminal",
    )
    parser.set_defaults(interrupted="no login was stored or changed")


def _ports() -> str:
    return ", ".join(map(str, pkce.PORTS))


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`authorize`."""
    if options.port is not None and not 1 <= options.port <= 65535:
        raise UsageError(f"--port {options.port} is no port")
    if not 0 < options.timeout <= pkce.ANSWER_S:
        raise UsageError(f"--timeout {options.timeout:g} is not within 0 and {pkce.ANSWER_S:.0f} seconds")
    if options.hand_over and sys.stdout.isatty():
        hint = "pipe it into the other machine's secret store: a terminal keeps what it showed"
        raise UsageError("--hand-over does not print a token on a terminal", hint=hint)
    login_of = credentials(options, invocation, read_only=options.read_only, app_key=options.app_key)
    wanted = Wanted(
        browser=not options.no_browser,
        port=options.port,
        expect_account=options.expect_account,
        account_info=options.account_info,
        answer_s=options.timeout,
    )
    wire = Wire(Endpoint.from_environment(invocation.env))
    if options.hand_over:
        person = _Terminal(invocation, "Print a login to this account?")
        log_in_for_elsewhere(login_of, wire, person, wanted, lambda login, token: _hand_over(invocation, login, token))
        return DONE
    person = _Terminal(invocation, f"Store this login as profile {login_of.profile.name}?")
    login = log_in(login_of, wire, person, wanted)
    place = login_of.store.kept_in(login.refresh_token) or ""
    words = [
        f"logged in: profile {login.profile}, account {login.account_id}",
        *([] if person.has_seen_scopes else _allowed(login.scopes)),
        f"the refresh token is kept in the {place}; access tokens renew themselves",
    ]
    invocation.output.document({**_as_dict(login), "kept_in": place}, words)
    with contextlib.suppress(HuracanError):
        if (goes_before := login_of.load()).login is None:
            invocation.output.say(
                f"note: a token is delivered here too ({goes_before.source}), and goes before this login"
            )
    return DONE


def _as_dict(login: Login) -> dict[str, Any]:
    return {
        "profile": login.profile,
        "account_id": login.account_id,
        "app_key": login.app_key,
        "scopes": list(login.scopes),
        "read_only": login.read_only,
    }


def _allowed(scopes: tuple[str, ...]) -> list[str]:
    width = max(map(len, scopes))
    return [f"  {scope.ljust(width)}  {WHAT_FOR.get(scope, '')}".rstrip() for scope in scopes]


def _hand_over(invocation: Invocation, login: Login, token: Secret) -> None:
    """The one time a refresh token is printed: it was asked for by name, and belongs to no machine yet."""
    invocation.output.secret({**_as_dict(login), "refresh_token": token.reveal()}, token.reveal())
    invocation.output.say(
        f"account {login.account_id}; over there, set HURACAN_APP_KEY={login.app_key} and HURACAN_REFRESH_TOKEN_FILE "
        "to the file that your platform makes of this secret"
    )


class _Terminal:
    """The person at the terminal. Everything that is asked goes to stderr, so that stdout stays the answer."""

    def __init__(self, invocation: Invocation, question: str) -> None:
        self._output: Output = invocation.output
        self._env = invocation.env
        self._question = question
        self._browser: subprocess.Popen[bytes] | None = None
        self.has_seen_scopes = False
        """Whether what the login allows was listed before it was confirmed."""

    def show(self, url: str, *, opens: bool) -> None:
        """Show the consent page's address, and open it where there is a browser."""
        if not opens:
            self._show("Open this page in any browser, on any machine, and choose Allow:", url)
        elif self._has_browser():
            self._show("Opening the consent page; choose Allow there. If no browser opens, use this address:", url)
            self._open(url)
        else:
            what = (
                "There is no browser here. End this with Ctrl-C and add --no-browser, or, if the port in this address "
                "is forwarded to this machine (ssh -L), open it where you sit:"
            )
            self._show(what, url)

    def _show(self, what: str, url: str) -> None:
        self._output.show(what, f"  {url}\n")

    def _has_browser(self) -> bool:
        wanted = self._env.get("BROWSER") or self._env.get("DISPLAY") or self._env.get("WAYLAND_DISPLAY")
        return bool(wanted) or sys.platform in {"darwin", "win32"}

    def _open(self, url: str) -> None:
        # As a process of its own: some browsers return when they are closed, and some talk on our stdout.
        # -I: the folder one happens to be in must not decide which module `webbrowser` is.
        null, command = subprocess.DEVNULL, [sys.executable, "-I", "-m", "webbrowser", url]
        self._browser = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stdin=null, stdout=null, stderr=null, start_new_session=True
        )

    def paste(self) -> str:
        """The code that the page shows."""
        return self._ask("Paste the code it shows: ")

    def confirm(self, identity: Identity) -> bool:
        """Whether this is the right account."""
        if identity.pinned:
            return True  # it was confirmed at the first login, and it is the same
        name = f" ({identity.name})" if identity.name else ""
        self._output.say(f"Dropbox account {identity.account_id}{name} allows:")
        for line in _allowed(identity.scopes):
            self._output.say(line)
        self.has_seen_scopes = not self._output.quiet
        if not name:
            self._output.say("(The browser's page says whose account it is; with --account-info, so does this.)")
        return self._ask(f"{self._question} [y/N] ").strip().lower() in {"y", "yes"}

    def _ask(self, question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            sys.stderr.write("\n")
            raise NotAuthorized(
                "nobody is here to answer",
                code="NO_CONSENT",
                hint="run it at a terminal, or add --expect-account ID; with --no-browser, pipe the code in as well",
                reason="no terminal",
            )
        return answer
