"""`--parquet-metadata`: the dataset's `_metadata` says what both sides hold, and is signed with it."""

import hashlib
import os
import shutil

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from machines import Machine

from huracan_sync.errors import UsageError
from huracan_sync.remote import files
from huracan_sync.tree.folder_view import FolderView
from huracan_sync.tree.paths import check

NAME = "_metadata"


def table(start, rows=100, **more):
    return pa.table({"ts": range(start, start + rows), "close": [float(n) for n in range(rows)], **more})


@pytest.fixture
def src(publisher):
    """A dataset of six files in two folders."""
    for n in range(6):
        file = publisher.src / f"C{n % 2}" / f"{n}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(table(1000 * n), file)
    return publisher.src


def rows(folder):
    return ds.parquet_dataset(folder / NAME).count_rows()


def there(publisher, path=NAME):
    return files.fetch(publisher.remote, f"/Engine/data/{path}", limit=1 << 24)[1]


def push(publisher, **options):
    return publisher.push(parquet_metadata=True, **options)


def test_it_is_written_sent_and_signed(publisher, hamilton, src):
    report = push(publisher)
    assert (report.uploaded, report.failed, report.not_in_metadata) == (7, [], {})
    data = (src / NAME).read_bytes()
    assert there(publisher) == data
    metadata = pq.read_metadata(src / NAME)
    assert metadata.num_rows == rows(src) == 600
    assert metadata.row_group(0).column(0).file_path == "C0/0.parquet"
    assert hamilton.reader().latest("data").read(f"data/{NAME}") == data
    assert (src / NAME).stat().st_mode == (src / "C0/0.parquet").stat().st_mode


def test_again_it_costs_nothing_and_a_change_costs_one_request(publisher, src):
    push(publisher)
    plain, _ = publisher.counted(publisher.push)
    again, report = publisher.counted(lambda: push(publisher))
    assert (again, report.uploaded) == (plain, 0)
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    changed, report = publisher.counted(lambda: push(publisher))
    assert report.uploaded == 2
    assert rows(src) == pq.read_metadata(pa.BufferReader(there(publisher))).num_rows == 550
    pq.write_table(table(9000, 60), src / "C0/0.parquet")
    without, _ = publisher.counted(publisher.push)
    assert changed <= without + 2  # the file, and the place where it was


def test_it_follows_files_that_come_and_go(publisher, src):
    push(publisher)
    (src / "C0/0.parquet").unlink()
    (src / "C1/1.parquet").rename(src / "C1/renamed.parquet")
    pq.write_table(table(0, 7), src / "new.parquet")
    push(publisher, delete=True)
    assert rows(src) == 4 * 100 + 100 + 7
    read = ds.parquet_dataset(src / NAME).to_table(columns=["ts"])
    assert sorted(read["ts"].to_pylist()) == sorted(ds.dataset(src, format="parquet").to_table()["ts"].to_pylist())


def test_one_broken_and_one_foreign_file_stop_nobody_and_are_said(publisher, src):
    pq.write_table(table(0, other=["x"] * 100), src / "foreign.parquet")
    (src / "broken.parquet").write_bytes(b"PAR1" + bytes(100))
    notes = Notes()
    report = push(publisher, monitor=notes)
    assert report.not_in_metadata == {"foreign.parquet": "its schema is another than that of most files"}
    assert [failure.path for failure in report.failed] == ["broken.parquet"]
    assert rows(src) == 600
    assert any("_metadata leaves out 1 file" in note for note in notes.notes)
    assert report.as_dict()["not_in_metadata"][0]["path"] == "foreign.parquet"
    assert push(publisher).not_in_metadata == report.not_in_metadata, "said again"


def test_a_file_that_differs_there_is_left_out(publisher, src):
    push(publisher)
    files.put(publisher.remote, "/Engine/data/C0/0.parquet", b"somebody else's")
    pq.write_table(table(1, 10), src / "C0/0.parquet")
    report = push(publisher)
    assert [failure.path for failure in report.failed] == ["C0/0.parquet"]
    assert pq.read_metadata(pa.BufferReader(there(publisher))).num_rows == 500
    push(publisher, overwrite=True)
    assert pq.read_metadata(pa.BufferReader(there(publisher))).num_rows == 510


@pytest.mark.parametrize("where", ["here", "there", "both"])
def test_what_somebody_put_in_its_place_is_replaced(publisher, src, where):
    push(publisher)
    good = (src / NAME).read_bytes()
    if where != "there":
        (src / NAME).write_bytes(b"another tool's")
    if where != "here":
        files.put(publisher.remote, f"/Engine/data/{NAME}", b"another tool's")
    report = push(publisher)
    assert report.failed == []
    assert (src / NAME).read_bytes() == there(publisher) == good


def test_a_filter_does_not_take_it_away(publisher, src):
    (src / "notes.txt").write_text("x")
    report = push(publisher, wanted=lambda path: path.endswith(".parquet"))
    assert report.uploaded == 7
    assert push(publisher, wanted=lambda path: path.endswith(".parquet")).uploaded == 0


def test_a_folder_without_parquet_and_a_disk_that_is_full(publisher, src, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("a")
    assert publisher.push_folder(other, "/Engine/other", parquet_metadata=True).uploaded == 1
    assert not (other / NAME).exists()
    push(publisher)
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    real = os.fsync
    monkeypatch.setattr("huracan_sync.operations.parquet_metadata.write_file", full)
    report = push(publisher)
    assert [failure.path for failure in report.failed] == [NAME]
    monkeypatch.undo()
    assert real is os.fsync
    assert push(publisher).failed == []
    assert rows(src) == 550


def full(*_, **__):
    from huracan_sync.errors import DiskFull

    raise DiskFull("no room")


def test_a_single_file_is_no_dataset(publisher, src):
    view = FolderView(src, "file", check, check, is_flat=True)
    with pytest.raises(UsageError, match="no dataset"):
        publisher.push_folder(view, "/Engine/data", parquet_metadata=True)


def test_a_set_has_it_too(publisher, hamilton, src):
    report = publisher.publish(parquet_metadata=True)
    assert (report.files, report.uploaded) == (7, 7)
    assert hamilton.reader().latest("champions").read(NAME) == (src / NAME).read_bytes()
    assert publisher.publish(parquet_metadata=True).made is False


def test_a_file_that_changes_while_it_is_pushed_is_left_out(publisher, src):
    """What it says of a file is true of the content that was sent."""
    target = src / "C0/0.parquet"
    old = hashlib.sha256(target.read_bytes()).digest()

    class Changing(Notes):
        def finished(self, path, size):
            if path == "C0/0.parquet":
                pq.write_table(table(5, 5), target)

    report = push(publisher, monitor=Changing())
    assert hashlib.sha256(there(publisher, "C0/0.parquet")).digest() == old
    assert list(report.not_in_metadata) == ["C0/0.parquet"]
    assert rows(src) == 500
    push(publisher)
    assert rows(src) == 505


def test_two_machines_that_keep_one(publisher, src, dropbox, tmp_path):
    push(publisher)
    second = Machine(dropbox, tmp_path / "second", clock=publisher.clock)
    copy = tmp_path / "copy"
    for file in src.rglob("*.parquet"):
        target = copy / file.relative_to(src)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    assert second.push_folder(copy, "/Engine/data", parquet_metadata=True).failed == []
    assert (copy / NAME).read_bytes() == there(publisher)


from huracan_sync.transfer.progress import Monitor  # noqa: E402


class Notes(Monitor):
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def signed_rows(machine, channel="data"):
    """What a reader of the newest snapshot counts by `_metadata`, and file by file; None where it is not listed."""
    snapshot = machine.reader().latest(channel)
    paths = [entry.path for entry in snapshot.iter("data")]
    files = sum(pq.read_metadata(pa.BufferReader(snapshot.read(p))).num_rows for p in paths if p.endswith(".parquet"))
    if f"data/{NAME}" not in paths:
        return None, files
    return pq.read_metadata(pa.BufferReader(snapshot.read(f"data/{NAME}"))).num_rows, files


def rows_there(publisher):
    return pq.read_metadata(pa.BufferReader(there(publisher))).num_rows


def test_a_push_that_does_not_ask_for_it_renews_it(publisher, hamilton, src):
    push(publisher)
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    (src / "C1/1.parquet").unlink()
    report = publisher.push(delete=True)
    assert (report.uploaded, report.failed, report.not_in_metadata) == (2, [], {})
    assert rows(src) == rows_there(publisher) == 450
    assert signed_rows(hamilton) == (450, 450)
    assert publisher.push().uploaded == 0


def test_a_filter_that_passes_over_it_renews_it_too(publisher, hamilton, src):
    push(publisher)
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    report = publisher.push(wanted=lambda path: path.startswith("C0"))
    assert (report.uploaded, report.not_in_metadata) == (2, {})
    assert rows_there(publisher) == 550
    assert signed_rows(hamilton) == (550, 550)


def test_another_machine_that_has_restored_it_renews_it(publisher, hamilton, src, dropbox, tmp_path):
    push(publisher)
    second = Machine(dropbox, tmp_path / "second", clock=publisher.clock)
    copy = tmp_path / "copy"
    second.restore("/Engine/data", copy)
    pq.write_table(table(9000, 50), copy / "C0/0.parquet")
    report = second.push_folder(copy, "/Engine/data")
    assert (report.uploaded, report.failed, report.not_in_metadata) == (2, [], {})
    assert rows_there(publisher) == 550


def test_a_pair_above_renews_it_in_its_folder(publisher, src, tmp_path):
    top = tmp_path / "top"
    shutil.copytree(src, top / "data")
    publisher.push_folder(top / "data", "/Engine/data", parquet_metadata=True)
    assert publisher.push_folder(top, "/Engine").failed == []
    pq.write_table(table(9000, 50), top / "data/C0/0.parquet")
    report = publisher.push_folder(top, "/Engine")
    assert (report.failed, report.not_in_metadata) == ([], {})
    assert rows(top / "data") == rows_there(publisher) == 550
    assert pq.read_metadata(top / "data" / NAME).row_group(0).column(0).file_path == "C0/0.parquet"


def test_very_many_new_files_that_are_sent_as_they_are_found_are_in_it(publisher, hamilton, src, monkeypatch):
    push(publisher)
    for n in range(9):
        pq.write_table(table(0, 10), src / f"C0/new{n}.parquet")
    monkeypatch.setattr("huracan_sync.transfer.compare.NEW_AT_ONCE", 3)
    report = publisher.push()
    assert (report.failed, report.not_in_metadata) == ([], {})
    assert rows(src) == rows_there(publisher) == 690
    assert signed_rows(hamilton) == (690, 690)


def test_one_that_cannot_be_renewed_is_signed_no_more(publisher, hamilton, src, monkeypatch):
    push(publisher)
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    monkeypatch.setattr("huracan_sync.operations.parquet_metadata.write_file", full)
    assert [failure.path for failure in publisher.push().failed] == [NAME]
    assert signed_rows(hamilton) == (None, 550)
    assert [failure.path for failure in publisher.push().failed] == [NAME], "said again"
    assert signed_rows(hamilton) == (None, 550)
    monkeypatch.undo()
    assert publisher.push().failed == []
    assert rows_there(publisher) == 550
    assert signed_rows(hamilton) == (550, 550)


def test_a_machine_without_it_says_which_files_it_describes_wrongly(publisher, src, dropbox, tmp_path):
    push(publisher)
    second = Machine(dropbox, tmp_path / "second", clock=publisher.clock)
    copy = tmp_path / "copy"
    second.restore("/Engine/data", copy, wanted=lambda path: path.startswith("C0"))
    pq.write_table(table(9000, 50), copy / "C0/0.parquet")
    notes = Notes()
    report = second.push_folder(copy, "/Engine/data", monitor=notes)
    assert (report.uploaded, list(report.not_in_metadata)) == (1, ["C0/0.parquet"])
    assert "is older" in report.not_in_metadata["C0/0.parquet"]
    assert any("_metadata leaves out 1 file" in note for note in notes.notes)
    assert second.push_folder(copy, "/Engine/data").not_in_metadata == {}


def test_what_lies_in_dropbox_alone_is_named(publisher, src):
    push(publisher)
    (src / "C0/0.parquet").unlink()
    files.put(publisher.remote, "/Engine/data/C9/new.parquet", (src / "C0/2.parquet").read_bytes())
    report = push(publisher)
    assert report.not_in_metadata == {
        "C0/0.parquet": "it lies in Dropbox and not on this disk",
        "C9/new.parquet": "it lies in Dropbox and not on this disk",
    }
    assert rows_there(publisher) == 500


def test_that_of_another_program_is_left_as_it_is(publisher, src):
    """Who writes a `_metadata` writes it again; it is said where only the files beside it have changed."""
    publisher.push()
    pq.write_metadata(table(0).schema, src / NAME)
    before = (src / NAME).read_bytes()
    assert publisher.push().not_in_metadata == {}
    pq.write_table(table(9000, 50), src / "C0/0.parquet")
    report = publisher.push()
    assert list(report.not_in_metadata) == ["C0/0.parquet"]
    assert (src / NAME).read_bytes() == there(publisher) == before


def test_who_publishes_beside_it_takes_it_out_of_the_signed_list(publisher, hamilton, src, tmp_path):
    """From another folder, as workers' commits are, which holds none to renew."""
    push(publisher)
    assert signed_rows(hamilton) == (600, 600)
    pq.write_table(table(9000, 50), make_folder(tmp_path / "beside/C7") / "0.parquet")
    report = publisher.push_folder(tmp_path / "beside", "/Engine/data")
    assert list(report.not_in_metadata) == ["C7/0.parquet"]
    assert signed_rows(hamilton) == (None, 650)
    report = push(publisher)
    assert report.not_in_metadata == {"C7/0.parquet": "it lies in Dropbox and not on this disk"}
    (tmp_path / "beside/notes.txt").write_text("no data")
    push(publisher)
    publisher.push_folder(tmp_path / "beside", "/Engine/data")
    assert signed_rows(hamilton) == (None, 650)


@pytest.mark.slow
def test_what_nobody_has_signed_is_no_part_of_it(publisher, hamilton, src, tmp_path):
    """Who can write to Dropbox, and sign nothing, adds no rows to what is signed."""
    push(publisher)
    stranger = make_folder(tmp_path / "strange") / "thief.parquet"
    pq.write_table(table(9000, 50), stranger)
    files.put(publisher.remote, "/Engine/data/C0/thief.parquet", stranger.read_bytes())
    publisher.restore("/Engine/data", src, unsigned=True)
    assert (src / "C0/thief.parquet").exists()
    report = push(publisher)
    assert (report.not_in_metadata, rows_there(publisher)) == ({}, 650)
    assert sorted(report.unsigned_files) == ["data/C0/thief.parquet", "data/_metadata"]
    assert signed_rows(hamilton) == (600, 600), "the one that was signed last is still true of what is"
    assert push(publisher).unsigned == 2
    pq.write_table(table(9000, 70), src / "C0/0.parquet")
    push(publisher)
    assert signed_rows(hamilton) == (None, 570)
    report = push(publisher, vouch=("C0/thief.parquet",))
    assert (report.vouched, report.not_in_metadata) == (["C0/thief.parquet"], {})
    assert signed_rows(hamilton) == (620, 620)


def make_folder(path):
    path.mkdir(parents=True)
    return path
