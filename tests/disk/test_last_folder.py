"""Of many files in one folder, that folder is opened once."""

import os
from pathlib import Path

import pytest

from huracan_sync.disk.files import open_folder
from huracan_sync.disk.last_folder import LastFolder


def counting(opened: list[str]):
    def open_it(root: Path, path: str) -> int:
        opened.append(path)
        return open_folder(root, path)

    return open_it


def test_it_is_opened_when_the_folder_is_another(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    opened: list[str] = []
    with LastFolder() as last:
        for path in ("a/1", "a/2", "3", "a/4"):
            folder = last.open(tmp_path, path, counting(opened))
            expected = tmp_path / "a" if "/" in path else tmp_path
            assert os.fstat(folder).st_ino == expected.stat().st_ino
    assert opened == ["a/1", "3", "a/4"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(folder)


def test_one_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    with LastFolder() as last:
        with pytest.raises(FileNotFoundError):
            last.open(tmp_path, "a/1", open_folder)
        (tmp_path / "a").mkdir()
        assert last.open(tmp_path, "a/1", open_folder) >= 0
