"""`put`: send one local file to one place in Dropbox."""

from __future__ import annotations

import argparse
from pathlib import Path

from huracan_sync.auth.connect import home_of
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.transfer_options import add_bandwidth, remote_of
from huracan_sync.engine.put import Sender
from huracan_sync.errors import Conflict, UsageError
from huracan_sync.tree.paths import remote_root
from huracan_sync.tree.units import size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("local", metavar="LOCAL", help="a file here")
    parser.add_argument("remote", metavar="REMOTE", help="its path in Dropbox, or a folder with a slash at the end")
    parser.add_argument("--overwrite", action="store_true", help="replace other content (Dropbox keeps the revision)")
    add_bandwidth(parser)
    parser.epilog = "`put` signs nothing; `push` and `publish` do."


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`put LOCAL REMOTE`."""
    local = Path(options.local)
    if local.is_dir():
        raise UsageError(f"{local} is a folder", hint="`huracan-sync push LOCAL REMOTE` sends a folder")
    if not local.exists():
        raise UsageError(f"there is no file {local}", hint="check the spelling and where you are")
    folder = remote_root(options.remote)
    path = f"{folder}/{local.name}" if options.remote.endswith("/") or not folder else folder
    with invocation.output.progress("put") as monitor:
        remote = remote_of(options, invocation, monitor)
        put = Sender(remote, home_of(invocation.env)).put_file(local, path, overwrite=options.overwrite)
        requests = remote.wire.meter.read().requests
    if put.differs:
        hint = "look at it with `huracan-sync cat`; --overwrite replaces it"
        raise Conflict(f"{path} has other content in Dropbox", hint=hint, path=path, remote_rev=put.there.rev)
    document = {"path": path, "sent": put.sent, "size": put.there.size, "rev": put.there.rev, "requests": requests}
    what = f"sent, {size_in_words(put.there.size)}" if put.sent else "already there"
    invocation.output.document(document, [f"{path}: {what}"])
    return DONE
