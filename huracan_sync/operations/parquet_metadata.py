"""The `_metadata` file of a parquet dataset: all footers in one file, as Spark, pyarrow and Dask know it.

Who opens the dataset by it reads no footer of any file: counting rows costs nothing more, statistics leave out files,
a column costs one request a file. It is made of what both sides hold alike after a push, so that what it says of a
file is true of that very content; a file that cannot be described, or has another schema than most, is left out of it
and said, and stops nobody.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from huracan_sync.disk.atomic_write import write_file
from huracan_sync.disk.files import Root, Stamp, located, stamp_of
from huracan_sync.disk.parquet import read_footer
from huracan_sync.disk.private_folder import Folder
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, HuracanError
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.pair import Pair, PairPlan
from huracan_sync.tree.content_hash import DIGEST_SIZE, content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.paths import RelPath, fold
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.units import counted

NAME = RelPath("_metadata")
KEPT = "parquet-metadata"
"""The folder, below the state folder, that says what the last one of each pair was made of."""
OTHER_CONTENT = "Dropbox holds other content"
OTHER_SCHEMA = "its schema is another than that of most files"


class Described(NamedTuple):
    """A dataset's footers in one file."""

    content: bytes
    """Empty where there is nothing to describe."""
    left_out: dict[str, str]
    """Which files it does not describe, and why."""


def without(plan: PairPlan) -> PairPlan:
    """The plan without the `_metadata` file, which is made again when the others are in their place."""
    steps = plan.steps
    return plan.with_steps(
        copies=tuple(step for step in steps.copies if step.path != NAME),
        conflicts=tuple(each for each in steps.conflicts if each.path != NAME),
        deletes=tuple(step for step in steps.deletes if step.path != NAME),
    )


def bring(
    pair: Pair, plan: PairPlan, wanted: Callable[[str], bool] | None, send: Callable[[Sequence[Copy]], object]
) -> dict[str, str]:
    """Have a `_metadata` file here and in Dropbox that says what both sides hold.

    Args:
        pair: the folder; every other file of the plan was sent.
        plan: what was found at the beginning.
        wanted: which files take part; None: all.
        send: uploads.

    Returns:
        Which parquet files it does not describe, and why.

    Raises:
        HuracanError: it could not be written or sent.
    """
    synced, elsewhere = pair.journal.synced(pair.id), pair.journal.remote_changes(pair.id)
    files = [each for key, each in sorted(synced.items()) if _is_parquet(each) and _lies_here(plan, wanted, key, each)]
    alike = [each for each in files if fold(each.entry.path) not in elsewhere]
    left_out: dict[str, str] = {each.entry.path: OTHER_CONTENT for each in files if fold(each.entry.path) in elsewhere}
    known, before = synced.get(NAME), stamp_of(pair.disk, NAME)
    there = elsewhere.get(NAME, known.entry if known else None)
    lying = known.entry.content_hash if known and known.stamp == before and NAME not in elsewhere else None
    kept, mark = Folder(pair.journal.home / KEPT), _mark(alike)
    if lying and not left_out and kept.read(str(pair.id), most=2 * DIGEST_SIZE) == mark + lying:
        return {}
    described = describe(pair.disk, alike)
    left_out |= described.left_out
    digest = content_hash(described.content)
    if described.content and digest != lying:
        send([Copy(_written(pair.disk, described.content, like=alike[0].entry.path), there)])
    if not left_out:
        kept.write(str(pair.id), mark + digest)
    return dict(sorted(left_out.items()))


def counted_apart(pair: Pair, plan: PairPlan) -> int:
    """1 where the file has come since the plan was made, so that the plan has not counted it; else 0."""
    changes = plan.changes
    was_here = NAME in changes.here or (NAME in changes.synced and NAME not in changes.base)
    return int(not was_here and pair.journal.known(pair.id, NAME) is not None)


def describe(root: Root, files: Iterable[Synced]) -> Described:
    """The footers of files of one schema, that of most of them, in one file."""
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
        footer.set_file_path(path)
        alike = next((group for group in by_schema if group[0].schema.equals(footer.schema)), None)
        if alike is None:
            by_schema.append([footer])
        else:
            alike.append(footer)
    if not by_schema:
        return Described(b"", left_out)
    most = max(by_schema, key=len)
    for footer in (each for group in by_schema if group is not most for each in group):
        left_out[_path_of(footer)] = OTHER_SCHEMA
    for footer in most[1:]:
        try:
            most[0].append_row_groups(footer)
        except RuntimeError:  # alike by all that pyarrow shows, and yet not
            left_out[_path_of(footer)] = OTHER_SCHEMA
    content = io.BytesIO()
    most[0].write_metadata_file(content)
    return Described(content.getvalue(), left_out)


def in_words(left_out: dict[str, str]) -> str:
    """What a person is told of files that `_metadata` does not describe."""
    first = ", ".join(f"{path!a} ({why})" for path, why in list(left_out.items())[:3])
    return f"{NAME} leaves out {counted(len(left_out), 'file')}: {first}{', ...' if len(left_out) > 3 else ''}"


def _lies_here(plan: PairPlan, wanted: Callable[[str], bool] | None, key: str, each: Synced) -> bool:
    is_gone = key in plan.changes.base and key not in plan.changes.here
    return not is_gone and (wanted is None or wanted(each.entry.path))


def _is_parquet(each: Synced) -> bool:
    return each.entry.path.lower().endswith(".parquet")


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


def _mark(files: Sequence[Synced]) -> bytes:
    """What tells one state of the dataset on this disk from another."""
    return hashlib.sha256(msgspec.msgpack.encode([(each.entry, each.stamp) for each in files])).digest()


def _written(root: Root, content: bytes, *, like: RelPath) -> Entry:
    """Put it beside the data, readable for whoever may read that."""
    folder, inner = located(root, NAME)
    data_folder, data = located(root, like)
    write_file(folder / inner, content, mode=(data_folder / data).stat().st_mode & 0o666)
    stamp = stamp_of(root, NAME)
    mtime_ms = stamp.mtime_ns // 1_000_000 if stamp else 0
    return Entry(NAME, len(content), content_hash(content), "", mtime_ms)
