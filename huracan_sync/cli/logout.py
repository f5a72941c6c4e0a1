"""`logout`: withdraw the login and forget it."""

from __future__ import annotations

import argparse

from huracan_sync.auth.login_flow import log_out
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.remote.http import Endpoint, Wire


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.set_defaults(interrupted="run it again to be sure that the login is withdrawn")


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`logout`."""
    login_of = credentials(options, invocation)
    wire = Wire(Endpoint.from_environment(invocation.env))
    result = log_out(login_of, wire)
    if result is None:
        words = [f"nobody was logged in under profile {login_of.profile.name}"]
        invocation.output.document({"profile": login_of.profile.name, "revoked": False, "forgotten": False}, words)
        return DONE
    document = {"profile": result.profile, "revoked": result.revoked, "forgotten": True, "why": result.why_not}
    revoked = (
        "revoked at Dropbox and forgotten here" if result.revoked else f"forgotten here; not revoked: {result.why_not}"
    )
    invocation.output.document(document, [f"profile {result.profile}: {revoked}"])
    return DONE
