"""`get` of either filesystem onto a disk that folds further than Dropbox: no file of another name is overwritten."""

import pytest
from folding_disk import folding
from transfer_world import local_tree


def test_two_files_that_are_one_here_are_refused_before_either_is_written(dropbox_fs, tmp_path):
    for name in ("Maße.csv", "Masse.csv", "c.csv"):
        dropbox_fs.pipe(f"/r/{name}", name.encode())
    with folding(tmp_path / "d"):
        with pytest.raises(OSError, match="one to this disk"):
            dropbox_fs.get("/r", str(tmp_path / "d/r"), recursive=True)
        assert local_tree(tmp_path / "d") == {}


def test_a_file_or_folder_of_another_name_stays(dropbox_fs, tmp_path):
    dropbox_fs.pipe("/r/Maße.csv", b"new")
    dropbox_fs.pipe("/r/straße/b.csv", b"new")
    here = tmp_path / "d"
    with folding(here):
        (here / "strasse").mkdir()
        (here / "Masse.csv").write_bytes(b"mine")
        for there in ("Maße.csv", "straße/b.csv"):
            with pytest.raises(OSError, match="one to this disk"):
                dropbox_fs.get(f"/r/{there}", str(here / there))
        dropbox_fs.get("/r/Maße.csv", str(here / "MASSE.csv"))  # the same name in another case: what was asked for
        assert [*local_tree(here).values()] == [b"new"]  # under either spelling
