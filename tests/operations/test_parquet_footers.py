"""The `_metadata` of a dataset without a Dropbox: which files it describes, and what a push does about it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from huracan_sync.disk.files import stamp_of
from huracan_sync.operations.parquet_metadata import NAME, OTHER_SCHEMA, changing, describe, in_words, is_here, without
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.journal import Synced
from huracan_sync.transfer.pair import PairPlan
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.plan import Copy, Delete, Plan


def entry(path):
    return Entry(path, 1, bytes(32))


def plan_of(*steps, **sides):
    changes = ChangeSet({}, {}, {}, {}, {}, {}, 0, False, [], [])
    for name, value in sides.items():
        setattr(changes, name, value)
    copies = tuple(step for step in steps if isinstance(step, Copy))
    return PairPlan(changes, Plan(copies, tuple(step for step in steps if isinstance(step, Delete))))


@pytest.fixture
def dataset(tmp_path):
    """Files of a dataset, as a push has just brought them in step."""

    def write(path, columns):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        table = pa.table(columns)
        with pq.ParquetWriter(tmp_path / path, table.schema) as writer:
            if table.num_rows:  # else not even an empty group of rows
                writer.write_table(table)
        data = (tmp_path / path).read_bytes()
        return Synced(Entry(path, len(data), content_hash(data)), stamp_of(tmp_path, path))

    return write


def test_most_files_of_one_schema_are_described(tmp_path, dataset):
    files = [dataset(f"d/{name}.parquet", {"ts": [1, 2]}) for name in "ab"]
    files.append(dataset("d/empty.parquet", {"ts": pa.array([], pa.int64())}))
    files.append(dataset("d/other.parquet", {"close": [1.0]}))
    files.append(dataset("d/changed.parquet", {"ts": [3]}))
    (tmp_path / "d" / "changed.parquet").write_bytes(b"something else")
    described = describe(tmp_path, files, "d/")
    assert set(described.left_out) == {"d/other.parquet", "d/changed.parquet"}
    assert described.left_out["d/other.parquet"] == OTHER_SCHEMA
    (tmp_path / "d" / NAME).write_bytes(described.content)
    footer = pq.read_metadata(tmp_path / "d" / NAME)
    assert footer.num_rows == 4
    paths = {footer.row_group(at).column(0).file_path for at in range(footer.num_row_groups)}
    assert paths == {"a.parquet", "b.parquet"}


def test_nothing_to_describe_is_no_file(tmp_path, dataset):
    assert describe(tmp_path, []).content == b""
    assert describe(tmp_path, [dataset("x.parquet", {"ts": pa.array([], pa.int64())})]).content == b""


def test_the_file_is_made_when_the_others_are_in_their_place():
    steps = (Copy(entry(NAME)), Copy(entry("a.parquet")), Delete(entry(f"d/{NAME}")))
    plan = plan_of(*steps)
    assert without(plan, []) is plan
    assert [step.path for step in without(plan, [NAME, f"d/{NAME}"]).steps.copies] == ["a.parquet"]
    assert without(plan, [f"d/{NAME}"]).steps.deletes == ()
    assert changing(plan.steps) == {NAME, "a.parquet", f"d/{NAME}"}
    assert changing(plan_of(Copy(entry("notes.txt"))).steps) == frozenset()


@pytest.mark.parametrize(
    ("sides", "here"),
    [
        ({"here": {NAME: entry(NAME)}}, True),
        ({"synced": {NAME: entry(NAME)}}, True),
        ({"synced": {NAME: entry(NAME)}, "base": {NAME: entry(NAME)}}, False),
        ({}, False),
    ],
)
def test_whether_a_plan_has_counted_it(sides, here):
    assert is_here(plan_of(**sides)) is here


def test_three_files_are_named():
    left_out = {f"{name}.parquet": "why" for name in "abcd"}
    assert in_words(left_out) == (
        "_metadata leaves out 4 files: 'a.parquet' (why), 'b.parquet' (why), 'c.parquet' (why), ..."
    )
