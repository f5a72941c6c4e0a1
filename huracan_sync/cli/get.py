"""`get`: fetch one remote file or folder, verified where it is signed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from huracan_sync.cli import reading
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import context_of
from huracan_sync.cli.transfer_options import add_wait, remote_of
from huracan_sync.errors import Conflict, UsageError
from huracan_sync.operations.restore import Restore, RestoreOptions, RestoreReport, Snapshot
from huracan_sync.remote.listing import FileMetadata, FolderMetadata, entry_of
from huracan_sync.signing.context import Context
from huracan_sync.transfer.compare import hash_of
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import RelPath, check, fold, remote_root
from huracan_sync.tree.units import counted, size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("remote", metavar="REMOTE", help="a file or folder in Dropbox")
    parser.add_argument("local", metavar="LOCAL", nargs="?", default=".", help="a folder or file name (default: here)")
    parser.add_argument("--overwrite", action="store_true", help="replace a local file with other content")
    reading.add_arguments(parser)
    add_wait(parser)


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`get REMOTE [LOCAL]`."""
    with invocation.output.progress("get") as monitor:
        context = context_of(options, invocation, remote_of(options, invocation, monitor), monitor)
        found = reading.find(options, invocation, context)
        verified = isinstance(found, reading.Signed)
        if isinstance(found, FolderMetadata):
            report, target = _folder(options, context)
            verified = bool(report.verified_by) and not report.unsigned
        else:
            report, target = _file(options, context, found)
    words = [f"{target}: {report.downloaded} downloaded ({size_in_words(report.bytes_received)})"]
    as_signed = verified and not (report.failed or report.kept)
    if report.kept:
        words[0] += f"; {counted(report.kept, 'file')} changed here since: kept, and not what Dropbox holds"
    elif not report.downloaded and not report.failed:
        words = [f"{target}: already there"]
    if as_signed:
        words[0] += f"; verified, sequence {report.sequence}"
    elif report.unsigned:
        words[0] += f"; not verified: no channel lists {counted(report.unsigned, 'file')}"
    elif not verified and not options.unsigned and isinstance(found, FolderMetadata):
        knows = context.keys.exists() or (context.home / "trust").is_dir()
        why = "no channel lists it" if knows else "no root key is pinned on this machine"
        invocation.output.say(f"note: {options.remote} is not verified: {why}")
    document = {**report.as_dict(), "local": str(target), "verified": as_signed}
    invocation.output.document(document, [*words, *invocation.output.failures(report.failed)])
    return FAILURES if report.failed else DONE


def _folder(options: argparse.Namespace, context: Context) -> tuple[RestoreReport, Path]:
    name = remote_root(options.remote).rpartition("/")[2]
    target = Path(options.local) / name if options.local == "." and name else Path(options.local)
    if target.is_file():
        raise UsageError(f"{target} is a file, and {options.remote} is a folder", hint="name a folder")
    chosen = RestoreOptions(
        overwrite=options.overwrite, wait_s=options.wait, unsigned=options.unsigned, missing_ok=False
    )
    with context.pair(target, options.remote) as pair:
        return Restore(context, pair, chosen, channel=options.channel).run(), target.absolute()


def _file(
    options: argparse.Namespace, context: Context, found: reading.Signed | FileMetadata
) -> tuple[RestoreReport, Path]:
    folder, _, name = remote_root(options.remote).rpartition("/")
    target = _target(options.local, name)
    entry, blocks, sequence = _entry(found, RelPath(name))
    here = RelPath(check(target.name))
    names = {here: RelPath(name), RelPath(name): here}  # should both lie here, they are told apart all the same
    view = FolderView(target.parent, "get", _renaming(names), _renaming(names), is_flat=True)
    chosen = RestoreOptions(
        overwrite=options.overwrite,
        force=True,
        wait_s=options.wait,
        wanted=lambda path: fold(path) == fold(name),
        snapshot=Snapshot(
            [entry], {fold(name): blocks} if blocks else {}, sequence, is_signed=isinstance(found, reading.Signed)
        ),
    )
    with context.pair(view, folder) as pair:
        report = Restore(context, pair, chosen).run()
    if not report.downloaded and not report.failed and hash_of(target.parent, here) != entry.content_hash:
        error = Conflict(f"{target} was changed here", hint="with --overwrite it is replaced", path=str(target))
        report.failed.append(Failure(str(target), error))
    return report, target


def _renaming(names: dict[RelPath, RelPath]) -> Callable[[str], RelPath]:
    return lambda path: names.get(RelPath(path)) or check(path)


def _target(local: str, name: str) -> Path:
    target = Path(local)
    return (target / name if target.is_dir() or local.endswith("/") else target).absolute()


def _entry(found: reading.Signed | FileMetadata, name: RelPath) -> tuple[Entry, bytes, int]:
    """The file, the digests of its blocks where they are signed, and the sequence of its snapshot."""
    if isinstance(found, reading.Signed):
        item = found.snapshot.item(found.path)
        entry = item.entry()
        named = Entry(name, entry.size, entry.content_hash, entry.rev, entry.mtime_ms)
        return named, item.blocks, found.snapshot.sequence
    return entry_of(name, found), b"", 0
