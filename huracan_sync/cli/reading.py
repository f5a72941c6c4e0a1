"""What `get` and `cat` share: one remote file, verified where it is signed."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from huracan_sync.cli.invocation import Invocation
from huracan_sync.errors import NotFound, NoTrust
from huracan_sync.operations.browse import find_signed
from huracan_sync.reader import Snapshot
from huracan_sync.remote.listing import FileMetadata, FolderMetadata
from huracan_sync.remote.stat import metadata
from huracan_sync.signing.context import Context
from huracan_sync.tree.paths import remote_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about what counts as the truth."""
    parser.add_argument("--channel", metavar="C", help="the signed channel that must list it (default: looked for)")
    parser.add_argument("--unsigned", action="store_true", help="take what is in Dropbox now, without verifying it")


class Signed(NamedTuple):
    """A file that a snapshot lists."""

    snapshot: Snapshot
    path: str
    """What the snapshot calls it."""


def find(
    options: argparse.Namespace, invocation: Invocation, context: Context
) -> Signed | FileMetadata | FolderMetadata:
    """The file as it was signed; else as Dropbox describes it now, which is said on stderr.

    Raises:
        NotFound: nothing lies there.
        Refused: a channel that may list it does not stand up.
    """
    path = remote_root(options.remote)
    if not options.unsigned:
        try:
            if signed := find_signed(context, path, channel=options.channel):
                snapshot, name = signed
                if snapshot.problem is not None:
                    last = f"sequence {snapshot.sequence} of {snapshot.channel}, which was last known good"
                    invocation.output.say(f"note: {path} is taken from {last}: {snapshot.problem}")
                return Signed(snapshot, name)
            why = "no channel lists it"
        except NoTrust as error:
            if options.channel:
                raise
            why = str(error)
        except NotFound:  # a channel was named; it may list what lies below a folder
            if isinstance(folder := metadata(context.remote, path), FolderMetadata):
                return folder
            raise
    found = metadata(context.remote, path) if path else FolderMetadata("", "/", "/")
    if found is None:
        raise NotFound(f"{path} does not exist in Dropbox", path=path, hint="`huracan-sync ls` shows what does")
    if not options.unsigned and isinstance(found, FileMetadata):
        invocation.output.say(f"note: {path} is not verified: {why}")
    return found
