"""The one atomic write: whole or not at all, with the rights that were asked for, and nothing left behind."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from huracan_sync.disk import atomic_write
from huracan_sync.disk.atomic_write import remove_temporaries, replace_file, write_file
from huracan_sync.errors import DiskFull, HuracanError, LocalFailure


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644])
def test_the_mode_is_what_was_asked_for(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "state", b"one", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == mode


def test_pieces_replace_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "státe"
    write_file(file, b"old")
    write_file(file, [b"he", b"", b"llo"])
    assert file.read_bytes() == b"hello"
    assert names(file.parent) == [file.name]
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / "state").symlink_to("elsewhere")
    write_file(tmp_path / "state", b"ours")
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert not (tmp_path / "state").is_symlink()


def test_nothing_is_replaced_unless_that_is_wanted(tmp_path: Path) -> None:
    write_file(tmp_path / "key", b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "key", b"second", replace=False)
    assert (tmp_path / "key").read_bytes() == b"first"
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("step", ["fsync", "rename", "fchmod"])
@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, LocalFailure)]
)
def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, kind: type[HuracanError]
) -> None:
    write_file(tmp_path / "state", b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic_write.os, step, fail)
    with pytest.raises(kind, match="the outbox cannot be written"):
        write_file(tmp_path / "state", b"new", name="the outbox")
    monkeypatch.undo()
    assert (tmp_path / "state").read_bytes() == b"old"
    assert names(tmp_path) == ["state"]


def test_the_bytes_and_then_the_name_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(file: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    def renamed(*args: object, **kwargs: object) -> None:
        steps.append("rename")
        rename(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(atomic_write.os, "fsync", synced)
    monkeypatch.setattr(atomic_write.os, "rename", renamed)
    write_file(tmp_path / "state", b"x")
    (tmp_path / "db.new").write_bytes(b"db")
    replace_file(tmp_path / "db.new", tmp_path / "db")
    write_file(tmp_path / "status", b"x", durable=False)
    assert steps == ["file", "rename", "folder"] * 2 + ["rename"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    for name in (".vault.0a1b2c3d4e5f.new", ".vault.1", "vault", ".other.0a1b2c3d4e5f.new"):
        (tmp_path / name).write_bytes(b"x")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_temporaries(folder, "vault")
    finally:
        os.close(folder)
    assert names(tmp_path) == [".other.0a1b2c3d4e5f.new", ".vault.1", "vault"]
