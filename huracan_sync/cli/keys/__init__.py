"""`keys`: who signs, and whom this machine trusts."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from huracan_sync.cli.invocation import Invocation
from huracan_sync.cli.keys import export_sshsig, init, next_version, show, trust
from huracan_sync.cli.keys.asked import Asked
from huracan_sync.cli.login_options import add_arguments as add_secrets
from huracan_sync.cli.parser import add_global_options

_WHAT = {
    "init": "make a signing key and the trust file that says what it may sign; one person, one command",
    "show": "the pin for readers, what each key may do and until when, and a line for OpenSSH's allowed-signers file",
    "trust": "believe what the root keys of this pin have signed for its root folder (on Hamilton's machine)",
    "rotate": "begin the next version of the trust file: more time, another key, a channel's own rules",
    "revoke": "make a key count nowhere any more, and everything it has signed",
    "recover": "start a new epoch of a channel where its head cannot be gone on from, such as one from the future",
    "export-sshsig": "write a channel's head out for `ssh-keygen -Y verify`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.epilog = (
        "The private key lies in the OS keyring or the vault, or in the file that HURACAN_SIGNING_KEY_FILE names "
        "(made by `keys init`, mode 0400). Hamilton's machine has none: there only `keys trust` is needed."
    )
    inner = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, what in _WHAT.items():
        each = inner.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        add_global_options(each, inner=True)
        each.add_argument("--root", metavar="REMOTE", help="another root folder than the profile's")
        add_secrets(each, inner=True)
        _VERBS[name][0](each)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`keys WHAT`."""
    return _VERBS[options.what][1](Asked(options, invocation))


_VERBS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[Asked], int]]] = {
    "init": (init.add_arguments, init.run),
    "show": (lambda _: None, show.run),
    "trust": (trust.add_arguments, trust.run),
    "rotate": (next_version.add_rotate_arguments, next_version.rotate),
    "revoke": (next_version.add_revoke_arguments, next_version.revoke),
    "recover": (next_version.add_recover_arguments, next_version.recover),
    "export-sshsig": (export_sshsig.add_arguments, export_sshsig.run),
}
