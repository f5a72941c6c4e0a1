"""A log that is rotated while it is read is another file, however fast it grows."""

import pytest

from huracan_sync.disk.stable_read import StableRead
from huracan_sync.errors import FileChanged
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.paths import RelPath

OLD = b"".join(b"old %06d\n" % n for n in range(5000))
NEW = b"".join(b"new %06d\n" % n for n in range(9000))


def opened(folder):
    return StableRead(folder, RelPath("x.log"), prefix_only=True)


def test_a_log_that_grows_is_a_consistent_prefix(tmp_path):
    (tmp_path / "x.log").write_bytes(OLD)
    with opened(tmp_path) as reading, (tmp_path / "x.log").open("ab") as log:
        log.write(NEW)
        log.flush()
        assert reading.read(0, len(OLD)) == OLD
        reading.check_unchanged()


@pytest.mark.parametrize("new", [NEW, OLD[: len(OLD) // 2] + NEW, b"x" + OLD + NEW], ids=["other", "half", "shifted"])
def test_a_log_that_was_truncated_and_written_anew_has_changed(tmp_path, new):
    (tmp_path / "x.log").write_bytes(OLD)
    with opened(tmp_path) as reading:
        reading.read(0, 100)
        (tmp_path / "x.log").write_bytes(new)  # the same inode, and longer than before
        with pytest.raises(FileChanged):
            reading.check_unchanged()


@pytest.mark.parametrize("more", [b"", b"old and more\n"], ids=["as long", "longer"])
def test_what_was_written_anew_between_equal_ends_is_noticed_when_all_was_read(tmp_path, more):
    half = len(OLD) // 2
    (tmp_path / "x.log").write_bytes(OLD)
    with opened(tmp_path) as reading:
        mixed = reading.read(0, half)
        (tmp_path / "x.log").write_bytes(OLD[:5000] + b"n" + OLD[5001:] + more)
        mixed += reading.read(half, half)
        with pytest.raises(FileChanged):
            reading.check_unchanged(lambda: content_hash(mixed))
        again = reading.read(0, len(OLD))
        reading.check_unchanged(lambda: content_hash(again))
