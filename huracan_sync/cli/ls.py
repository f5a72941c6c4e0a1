"""`ls`: list a remote folder."""

from __future__ import annotations

import argparse

import msgspec

from huracan_sync.auth.connect import connect
from huracan_sync.cli.columns import Whole, ascii_path
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.operations.browse import Listed, list_folder
from huracan_sync.tree.units import size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("remote", metavar="REMOTE", nargs="?", help="a folder or file (default: the profile's root)")
    parser.add_argument("-l", "--long", action="store_true", help="also size and modification time (UTC)")
    parser.add_argument("-R", "--recursive", action="store_true", help="everything below it")


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`ls [REMOTE]`."""
    remote = connect(env=invocation.env, credentials=credentials(options, invocation))
    folder = remote.root if options.remote is None else options.remote
    entries = list_folder(remote, folder, recursive=options.recursive)
    words = [Whole(_long(entry) if options.long else _name(entry)) for entry in entries]
    document = {"folder": folder or "/", "entries": [msgspec.to_builtins(entry) for entry in entries]}
    invocation.output.document(document, words)
    return DONE


def _name(entry: Listed) -> str:
    return ascii_path(entry.path) + ("/" if entry.type == "folder" else "")


def _long(entry: Listed) -> str:
    size = size_in_words(entry.size) if entry.type == "file" else "-"
    moment = f"{entry.modified:%Y-%m-%d %H:%M:%S}" if entry.modified else "-"
    return f"{size:>10}  {moment:19}  {_name(entry)}"
