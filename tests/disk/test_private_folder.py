"""Folders of our own state are for this user alone."""

import os

from huracan_sync.disk.atomic_write import make_private


def test_what_is_missing_above_a_folder_of_ours_is_private_too(tmp_path):
    before = os.umask(0)
    try:
        make_private(tmp_path / "share" / "state" / "locks")
    finally:
        os.umask(before)
    made = (tmp_path / "share", tmp_path / "share" / "state")
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700"] * 2
    make_private(tmp_path / "share")
