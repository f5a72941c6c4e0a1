"""`authorize`, `logout` and `token`."""

from __future__ import annotations

import argparse
import sys
import webbrowser

from huracan_sync.auth import pkce
from huracan_sync.auth.access import AccessTokens
from huracan_sync.auth.login import Identity, Wanted, log_in, log_out
from huracan_sync.auth.profiles import spelled
from huracan_sync.cli.output import Output
from huracan_sync.cli.running import DONE, Context
from huracan_sync.connect import credentials_of, home_of
from huracan_sync.errors import NoConsent, UsageError
from huracan_sync.wire import Endpoint, Wire


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    if verb == "authorize":
        parser.add_argument("--app-key", metavar="K", help="the key of your Dropbox app (App Console, Settings)")
        parser.add_argument("--read-only", action="store_true", help="a login that cannot write: for Hamilton")
        parser.add_argument("--no-browser", action="store_true", help="print the URL and ask for the code it shows")
        parser.add_argument(
            "--port", type=int, metavar="N", help=f"where the answer comes (default: one of {_ports()})"
        )
        parser.add_argument("--expect-account", metavar="ID", help="the account that must answer; nobody is asked then")
        parser.add_argument("--account-info", action="store_true", help="also ask to see the quota (for `doctor`)")
        parser.set_defaults(run=run_authorize)
    elif verb == "logout":
        parser.set_defaults(run=run_logout)
    else:
        parser.add_argument(
            "--export", action="store_true", help='as a line for `eval "$(huracan-sync token --export)"`'
        )
        parser.set_defaults(run=run_token)


def _ports() -> str:
    return ", ".join(map(str, pkce.PORTS))


def run_authorize(options: argparse.Namespace, context: Context) -> int:
    """`authorize`."""
    if options.port is not None and not 1 <= options.port <= 65535:
        raise UsageError(f"--port {options.port} is no port")
    home = home_of(context.env)
    credentials = credentials_of(
        options.profile, env=context.env, home=home, read_only=options.read_only, app_key=options.app_key
    )
    wanted = Wanted(
        browser=not options.no_browser,
        port=options.port,
        expect_account=options.expect_account,
        account_info=options.account_info,
    )
    with_terminal = _Terminal(context.output)
    wire = Wire(Endpoint.from_environment(context.env))
    login = log_in(credentials, wire, with_terminal, wanted)
    place = credentials.store.kept_in(login.refresh_token) or ""
    document = {
        "profile": login.profile,
        "account_id": login.account_id,
        "app_key": login.app_key,
        "scopes": list(login.scopes),
        "read_only": login.read_only,
        "kept_in": place,
    }
    words = [
        f"logged in: profile {login.profile}, account {login.account_id}",
        f"may: {spelled(login.scopes)}",
        f"the refresh token is kept in the {place}; access tokens renew themselves from now on",
    ]
    context.output.document(document, words)
    return DONE


class _Terminal:
    """The person at the terminal. Everything that is asked goes to stderr, so that stdout stays the answer."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, url: str, *, opens: bool) -> None:
        """Show the consent page's address, and open it where there is a browser."""
        if not opens:
            self._output.say(f"Open this page in any browser, on any machine, and choose Allow:\n\n  {url}\n")
            return
        self._output.say(
            f"Opening the consent page; choose Allow there. If no browser opens, use this address:\n\n  {url}\n"
        )
        webbrowser.open(url)

    def paste(self) -> str:
        """The code that the page shows."""
        return self._ask("Paste the code it shows: ")

    def confirm(self, identity: Identity) -> bool:
        """Whether this is the right account."""
        if identity.pinned:
            return True  # it was confirmed at the first login, and it is the same
        self._output.say(f"Account {identity.account_id} allowed: {spelled(identity.scopes)}")
        return self._ask(f"Store this login as profile {identity.profile}? [y/N] ").strip().lower() in {"y", "yes"}

    def _ask(self, question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            raise NoConsent(
                "nobody is here to answer",
                hint="run it at a terminal, or say --expect-account ID (and pipe the code in with --no-browser)",
                reason="no terminal",
            )
        return answer


def run_logout(options: argparse.Namespace, context: Context) -> int:
    """`logout`."""
    credentials = credentials_of(options.profile, env=context.env, home=home_of(context.env))
    wire = Wire(Endpoint.from_environment(context.env))
    result = log_out(credentials, wire)
    if result is None:
        words = [f"nobody was logged in under profile {credentials.profile.name}"]
        context.output.document({"profile": credentials.profile.name, "revoked": False, "forgotten": False}, words)
        return DONE
    document = {"profile": result.profile, "revoked": result.revoked, "forgotten": True, "why": result.why_not}
    revoked = (
        "revoked at Dropbox and forgotten here" if result.revoked else f"forgotten here; not revoked: {result.why_not}"
    )
    context.output.document(document, [f"profile {result.profile}: {revoked}"])
    return DONE


def run_token(options: argparse.Namespace, context: Context) -> int:
    """`token`: the one place where a secret is printed, because it is asked for by name."""
    credentials = credentials_of(options.profile, env=context.env, home=home_of(context.env))
    token = AccessTokens(credentials, Wire(Endpoint.from_environment(context.env))).token()
    if context.output.as_json:
        print(f'{{"access_token":"{token.reveal()}"}}')
    elif options.export:
        print(f"export DROPBOX_ACCESS_TOKEN={token.reveal()}")
    else:
        print(token.reveal())
    return DONE
