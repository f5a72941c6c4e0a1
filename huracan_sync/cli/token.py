"""`token`: print a short-lived access token for other tools."""

from __future__ import annotations

import argparse
import shlex

from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.remote.http import Endpoint, Wire


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("--export", action="store_true", help='as a line for `eval "$(huracan-sync token --export)"`')


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`token`: prints a secret, because it was asked for by name. It is valid for four hours at most."""
    token = AccessTokens(credentials(options, invocation), Wire(Endpoint.from_environment(invocation.env))).token()
    text = token.reveal()
    words = f"export DROPBOX_ACCESS_TOKEN={shlex.quote(text)}" if options.export else text
    invocation.output.secret({"access_token": text}, words)
    return DONE
