"""A real disk of 8 MiB (tmpfs), full at every file in turn: nothing half in place, and the next run carries on."""

import os
import shutil
import subprocess

import pytest
from transfer_world import MIB, local_tree

from huracan_sync.disk.lock import hold
from huracan_sync.errors import DiskFull

FILES = {f"d{n % 3}/f{n}": 350_000 for n in range(8)}


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or not mount:
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=8M", "tmpfs", place], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place, leave):
    """Fill the disk but for `leave` bytes; the file that does it."""
    ballast = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with ballast.open("wb") as file:
        file.write(b"\1" * max(0, free - leave))
    return ballast


def is_a_part_of(tree, whole):
    """Every file in place is right; only our own half-written ones may lie beside them."""
    return all(whole[path] == data for path, data in tree.items() if not path.endswith(".part"))


@pytest.mark.parametrize("zipped", [True, False])
def test_full_at_every_file(world, small_disk, zipped):
    world.write(FILES)
    world.push()
    whole = local_tree(world.src)
    target = small_disk / "target"
    target.mkdir()
    if not zipped:
        world.dropbox.faults({"route": "files/download_zip", "fault": "error", "tags": ["too_large"]})
    for number in range(len(FILES)):
        ballast = fill(small_disk, leave=180_000)  # room for half of the next file
        with pytest.raises(DiskFull) as caught:
            world.restore(to=target)
        assert caught.value.hint
        assert is_a_part_of(local_tree(target), whole)
        ballast.unlink()
        done = sorted(whole)[: number + 1]
        assert world.restore(to=target, wanted=lambda path, done=done: path in done).failed == []
        assert {path for path in local_tree(target) if not path.endswith(".part")} == set(done)
    assert world.restore(to=target).failed == []
    assert local_tree(target) == whole


def test_full_in_the_middle_of_a_large_file(world, small_disk):
    world.write({"x": 7 * MIB})
    world.push()
    ballast = fill(small_disk, leave=3 * MIB)
    (small_disk / "x").write_bytes(b"old")
    with pytest.raises(DiskFull):
        world.restore(to=small_disk, overwrite=True, wanted=lambda path: path == "x")
    assert (small_disk / "x").read_bytes() == b"old"
    ballast.unlink()
    world.restore(to=small_disk, overwrite=True, wanted=lambda path: path == "x")
    assert (small_disk / "x").read_bytes() == (world.src / "x").read_bytes()


@pytest.mark.slow
def test_no_room_for_a_zip_beside_the_journal(world, small_disk):
    """Only while it is unpacked does it need room there; one by one the files need none."""
    world.write({f"{n}": 2_000_000 for n in range(10)})
    world.push()
    assert world.restore(home=small_disk / "home").downloaded == 10
    assert local_tree(world.dst) == local_tree(world.src)


def test_no_room_for_the_journal(world, small_disk):
    world.write({"x": b"1"})
    world.home = small_disk / "home"
    world.push()
    fill(small_disk, leave=0)
    world.write({f"f{n}": 1000 for n in range(5)})
    with pytest.raises(DiskFull):
        world.push()
    (small_disk / "ballast").unlink()
    assert world.push().failed == []
    assert len(world.there()) == 6


def test_a_full_disk_keeps_nobody_from_a_lock(small_disk):
    fill(small_disk, leave=0)
    with hold(small_disk / "lock", what="it"):
        assert (small_disk / "lock").read_bytes() == b""  # nobody could write who holds it
