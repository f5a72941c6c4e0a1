"""The `_metadata` file of a parquet dataset: all footers in one file, as Spark, pyarrow and Dask know it.

A reader that opens the dataset by it reads no footer of any file: counting rows costs nothing more, statistics leave
out files, a column costs one request a file. It is made of what both sides hold alike after a push, so that what it
says of a file is true of that very content; a file that cannot be described, or has another schema than most, is left
out of it and said, and stops nobody.

It begins with a mark that says which contents it was made of. So every push, on any machine, knows one that an earlier
push has made, and whether it is true still; it renews those that are not, asked to or not.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.disk.files import Root, Stamp, located, stamp_of
from huracan_sync.disk.parquet import MAGIC, read_footer
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError, UsageError
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.journal import Origin, Synced
from huracan_sync.transfer.journal.synced_files import SyncedFiles
from huracan_sync.transfer.pair import Options, Pair, PairPlan
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.parquet_dataset import SUMMARY, is_part
from huracan_sync.tree.paths import RelPath, ancestors, fold
from huracan_sync.tree.plan import Copy, Plan
from huracan_sync.tree.units import counted

NAME = RelPath(SUMMARY)
OTHER_CONTENT = "Dropbox holds other content"
OTHER_SCHEMA = "its schema is another than that of most files"
NOT_HERE = "it lies in Dropbox and not on this disk"
OLDER = "the _metadata in Dropbox is older; push with --parquet-metadata from where all files are"
AnyOptions = TypeVar("AnyOptions", bound=Options)
_MARK = re.compile(MAGIC + rb"huracan_sync ([0-9a-f]{64}) ([0-9]{10})\n")
"""It stands between the magic and the footer, where no reader of parquet looks."""
_MARK_LENGTH = 93


class Described(NamedTuple):
    """A dataset's footers in one file."""

    content: bytes
    """Empty where there is nothing to describe."""
    left_out: dict[str, str]
    """Which files it does not describe, and why."""


def wanting(options: AnyOptions, pair: Pair) -> AnyOptions:
    """The same options, whose filter takes the `_metadata` file too.

    Raises:
        UsageError: a single file is no dataset.
    """
    if isinstance(pair.disk, FolderView) and pair.disk.is_flat:
        raise UsageError("a single file is no dataset", hint="name the folder of the dataset to keep its _metadata")
    wanted = options.wanted
    return options if wanted is None else msgspec.structs.replace(options, wanted=lambda p: p == NAME or wanted(p))


def kept(pair: Pair, changes: ChangeSet, *, asked: bool) -> list[RelPath]:
    """The `_metadata` files that a push keeps true: the one it is asked for, and all here that pushes have made."""
    if isinstance(pair.disk, FolderView) and pair.disk.is_flat:
        return []
    lying = [*SyncedFiles(pair.journal, pair.id).called(NAME), *(each.path for each in changes.here.values())]
    found = {path for path in lying if path.rpartition("/")[2] == NAME and _mark_of(pair.disk, path)}
    return sorted({*found, NAME} if asked else found)


def without(plan: PairPlan, names: Sequence[RelPath]) -> PairPlan:
    """The plan without the `_metadata` files, which are made again when the others are in their place."""
    if not names:
        return plan
    steps = plan.steps
    return plan.with_steps(
        copies=tuple(step for step in steps.copies if step.path not in names),
        conflicts=tuple(each for each in steps.conflicts if each.path not in names),
        deletes=tuple(step for step in steps.deletes if step.path not in names),
    )


def bring(
    pair: Pair, plan: PairPlan, name: RelPath, send: Callable[[Sequence[Copy]], object], *, is_set: bool
) -> dict[str, str]:
    """Have a `_metadata` file here and in Dropbox that says what both sides hold in its folder.

    Args:
        pair: the folder; every other file of the plan was sent.
        plan: what was found at the beginning.
        name: the path of the file.
        send: uploads.
        is_set: what is not on this disk is no part of the dataset, though it lies in Dropbox.

    Returns:
        Which parquet files it does not describe, and why.

    Raises:
        HuracanError: it could not be written or sent.
    """
    folder, key = name[: -len(NAME)], fold(name)
    synced, elsewhere = pair.journal.synced(pair.id), pair.journal.remote_changes(pair.id)
    alike, left_out = _files_of(plan, folder, synced, elsewhere, is_set=is_set)
    known, before = synced.get(key), stamp_of(pair.disk, name)
    there = elsewhere.get(key, known.entry if known else None)
    lying = known.entry.content_hash if known and known.stamp == before and key not in elsewhere else None
    mark = _digest_of(alike)
    # What nobody has signed must not be signed by what is said of it.
    is_strange = any(each.origin is Origin.UNSIGNED for each in alike)
    is_settled = known is not None and (known.origin is Origin.UNSIGNED) == is_strange
    if lying and is_settled and not left_out and _mark_of(pair.disk, name) == (mark, 0):
        return {}
    described = describe(pair.disk, alike, folder)
    content = _marked(described, mark)
    if content and is_strange:
        pair.journal.note_unsigned([content_hash(content)])
    if content and content_hash(content) != lying:
        send([Copy(_written(pair.disk, name, content, like=alike[0].entry.path), there)])
    if not is_strange:
        pair.journal.note_origin(pair.id, [key], Origin.OURS)
    if not content or pair.journal.known(pair.id, name) != content_hash(content):
        forget(pair, name)
    return dict(sorted((left_out | described.left_out).items()))


def _files_of(
    plan: PairPlan,
    folder: str,
    synced: Mapping[str, Synced],
    elsewhere: Mapping[str, Entry | None],
    *,
    is_set: bool,
) -> tuple[list[Synced], dict[str, str]]:
    """What both sides hold of a dataset, and what else lies in Dropbox, with the reason why it is left out."""
    here = {key: each for key, each in sorted(synced.items()) if is_part(key, folder)}
    gone = {fold(step.path) for step in plan.steps.deletes}
    missing = {key for key in here if key in plan.changes.base and key not in plan.changes.here}
    alike = [each for key, each in here.items() if key not in {*elsewhere, *missing, *gone}]
    left_out: dict[str, str] = {
        here[key].entry.path: NOT_HERE for key in sorted(missing - elsewhere.keys() - gone) if not is_set
    }
    for key, entry in elsewhere.items():
        if entry and is_part(key, folder) and key not in gone:
            if key in here and key not in missing:
                left_out[here[key].entry.path] = OTHER_CONTENT
            elif not is_set:
                left_out[entry.path] = NOT_HERE
    return alike, left_out


def forget(pair: Pair, name: RelPath) -> None:
    """It could not be made true: it is no longer signed, and the next push looks at it again."""
    if pair.journal.known(pair.id, name) is not None:
        pair.journal.forget(pair.id, [name])
        pair.journal.distrust(pair.id)


def changing(steps: Plan) -> frozenset[str]:
    """What a plan sends or removes of datasets."""
    paths = (step.path for each in (steps.copies, steps.deletes) for step in each)
    return frozenset(path for path in paths if is_part(fold(path), "") or path.rpartition("/")[2] == NAME)


def outdated(pair: Pair, changed: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Files just sent or removed that a `_metadata` in Dropbox describes wrongly now: this push does not renew it.

    Args:
        pair: the folder.
        changed: what was sent and removed.
        names: the `_metadata` files that were kept true.
    """
    paths = [RelPath(path) for path in changed]
    current = {*map(fold, names), *(fold(path) for path in paths)}
    elsewhere = pair.journal.remote_changes(pair.id)

    def lies_there(key: str) -> bool:
        return elsewhere[key] is not None if key in elsewhere else pair.journal.known(pair.id, key) is not None

    old: dict[str, str] = {}
    is_old: dict[str, bool] = {}
    for path in paths:
        for folder in ("", *ancestors(fold(path))) if path.lower().endswith(".parquet") else ():
            key = f"{folder}/{NAME}" if folder else str(NAME)
            if key not in is_old:
                is_old[key] = key not in current and lies_there(key)
            if is_old[key]:
                old[path] = OLDER
    return dict(sorted(old.items()))


def is_here(plan: PairPlan) -> bool:
    """Whether the plan has counted the file. To be asked before anything is sent."""
    changes = plan.changes
    return NAME in changes.here or (NAME in changes.synced and NAME not in changes.base)


def describe(root: Root, files: Iterable[Synced], folder: str = "") -> Described:
    """The footers of files of one schema, that of most of them, in one file that lies in `folder` (`a/b/`)."""
    left_out: dict[str, str] = {}
    by_schema: list[list[Any]] = []
    for file in files:
        path = file.entry.path
        try:
            footer = _footer(root, path, file.stamp)
        except HuracanError as error:
            left_out[path] = str(error)
            continue
        if not footer.num_row_groups:
            continue  # nobody misses no rows
        footer.set_file_path(path[len(folder) :])
        alike = next((group for group in by_schema if group[0].schema.equals(footer.schema)), None)
        if alike is None:
            by_schema.append([footer])
        else:
            alike.append(footer)
    if not by_schema:
        return Described(b"", left_out)
    most = max(by_schema, key=len)
    for footer in (each for group in by_schema if group is not most for each in group):
        left_out[folder + _path_of(footer)] = OTHER_SCHEMA
    for footer in most[1:]:
        try:
            most[0].append_row_groups(footer)
        except RuntimeError:  # alike by all that pyarrow shows, and yet not
            left_out[folder + _path_of(footer)] = OTHER_SCHEMA
    content = io.BytesIO()
    most[0].write_metadata_file(content)
    return Described(content.getvalue(), left_out)


def in_words(left_out: dict[str, str]) -> str:
    """What a person is told of files that `_metadata` does not describe."""
    first = ", ".join(f"{path!a} ({why})" for path, why in list(left_out.items())[:3])
    return f"{NAME} leaves out {counted(len(left_out), 'file')}: {first}{', ...' if len(left_out) > 3 else ''}"


def _mark_of(root: Root, name: RelPath) -> tuple[bytes, int] | None:
    """Which contents the `_metadata` file on this disk was made of, and how many it leaves out.

    None where there is none, or another program has made it.
    """
    if stamp_of(root, name) is None:
        return None
    try:
        with StableRead(root, name) as reading:
            found = _MARK.match(reading.read(0, min(_MARK_LENGTH, reading.stamp.size)))
    except HuracanError:
        return None
    return (found[1], int(found[2])) if found else None


def _marked(described: Described, mark: bytes) -> bytes:
    """What is written; empty where there is nothing to describe."""
    if not described.content:
        return b""
    head = MAGIC + b"huracan_sync %s %010d\n" % (mark, len(described.left_out))
    return head + described.content.removeprefix(MAGIC)


def _footer(root: Root, path: RelPath, stamp: Stamp | None) -> Any:
    """The footer of the very content that was synced.

    Raises:
        FileChanged: it is another by now, or no whole parquet.
        LocalFailure: it cannot be read.
    """
    with StableRead(root, path) as reading:
        if stamp is None or reading.stamp != stamp:
            raise FileChanged("it changed since it was sent", path=path)
        footer = read_footer(reading)
        reading.check_unchanged()
    return footer


def _path_of(footer: Any) -> str:
    path: str = footer.row_group(0).column(0).file_path
    return path


def _digest_of(files: Sequence[Synced]) -> bytes:
    """What tells one state of a dataset from another, on whatever machine."""
    told = [(each.entry.path, each.entry.content_hash) for each in files]
    return hashlib.sha256(msgspec.msgpack.encode(told)).hexdigest().encode()


def _written(root: Root, name: RelPath, content: bytes, *, like: RelPath) -> Entry:
    """Put it beside the data, with the permissions of the data."""
    folder, inner = located(root, name)
    data_folder, data = located(root, like)
    write_file(folder / inner, content, mode=(data_folder / data).stat().st_mode & 0o666)
    stamp = stamp_of(root, name)
    mtime_ms = stamp.mtime_ns // 1_000_000 if stamp else 0
    return Entry(name, len(content), content_hash(content), "", mtime_ms)
