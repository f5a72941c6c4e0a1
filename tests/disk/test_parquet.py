"""A parquet gives way only when it is proved to be damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from huracan_sync.disk import parquet
from huracan_sync.disk.parquet import check_whole, is_damaged
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged, LocalFailure
from huracan_sync.tree.paths import RelPath

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def whole(folder: Path) -> bytes:
    pq.write_table(pa.table({"ts": list(range(1000))}), folder / "made")
    return (folder / "made").read_bytes()


def damaged(folder: Path, content: bytes, name: str = "x.parquet") -> bool:
    (folder / name).write_bytes(content)
    with StableRead(folder, RelPath(name)) as reading:
        return is_damaged(reading)


def test_every_prefix_is_damaged_and_the_whole_is_not(tmp_path: Path) -> None:
    content = whole(tmp_path)
    assert not damaged(tmp_path, content)
    for size in (0, 4, 11, 12, 100, len(content) // 2, len(content) - 1):
        assert damaged(tmp_path, content[:size]), size


def test_what_is_proved(tmp_path: Path) -> None:
    content = whole(tmp_path)
    length = int.from_bytes(content[-8:-4], "little")
    assert damaged(tmp_path, content[: -length - 8] + os.urandom(length) + content[-8:])
    assert damaged(tmp_path, content[:-8] + (len(content)).to_bytes(4, "little") + b"PAR1")
    assert damaged(tmp_path, b"PARE" + content[4:])  # the ends contradict each other


@pytest.mark.parametrize("size", [24, 5000])
def test_an_encrypted_footer_cannot_be_judged(tmp_path: Path, size: int) -> None:
    assert not damaged(tmp_path, b"PARE" + os.urandom(size) + (8).to_bytes(4, "little") + b"PARE")
    assert damaged(tmp_path, b"PARE" + os.urandom(size))


def test_a_footer_too_large_to_read_cannot_be_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_FOOTER", 10)
    content = whole(tmp_path)
    length = int.from_bytes(content[-8:-4], "little")
    assert not damaged(tmp_path, content[: -length - 8] + os.urandom(length) + content[-8:])


@pytest.mark.slow
def test_a_footer_of_more_entries_than_pyarrow_reads_unasked_is_whole(tmp_path: Path) -> None:
    table = pa.table({"ts": [1]})
    with pq.ParquetWriter(tmp_path / "made", table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({str(n): "" for n in range(parquet.MOST_ELEMENTS + 1)})
    content = (tmp_path / "made").read_bytes()
    with pytest.raises(OSError, match="size limit"):
        pq.read_metadata(tmp_path / "made")
    assert not damaged(tmp_path, content)
    length = int.from_bytes(content[-8:-4], "little")
    assert damaged(tmp_path, content[: -length - 8] + bytes(length) + content[-8:])


@pytest.mark.parametrize("error", ["ArrowNotImplementedError", "ArrowMemoryError"])
def test_what_pyarrow_cannot_do_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    def fail(_: object) -> None:
        raise getattr(pa.lib, error)("not by this one")

    monkeypatch.setattr(pq, "read_metadata", fail)
    assert not damaged(tmp_path, whole(tmp_path))


def test_other_files_are_never_judged(tmp_path: Path) -> None:
    assert not damaged(tmp_path, b"", name="x.csv")


def test_what_cannot_be_read_or_changes_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(whole(tmp_path))

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with StableRead(tmp_path, RelPath("x.parquet")) as reading:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(LocalFailure) as caught:
            is_damaged(reading)
        assert not isinstance(caught.value, FileChanged)
        monkeypatch.undo()
        os.truncate(tmp_path / "x.parquet", 5)
        with pytest.raises(FileChanged) as changed:
            is_damaged(reading)
        assert changed.value.code != "HALF_WRITTEN"


def test_why_a_file_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 half")
    with StableRead(tmp_path, RelPath("x.parquet")) as reading, pytest.raises(FileChanged) as caught:
        check_whole(reading)
    assert caught.value.code == "HALF_WRITTEN"
