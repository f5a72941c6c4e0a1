"""Strike a push or a restore at the first, a middle or the last of its files."""

import contextlib
import errno
import itertools
import os
import resource
from pathlib import Path
from unittest import mock

from fault_calls import anew, check_met
from fault_jobs import MIB, Files, content, fresh, hashes
from fault_table import BATCH, DISK, NAMES, WAYS
from root_powers import without_root_powers
from transfer_world import Watching, local_tree

from huracan_sync import errors
from huracan_sync.tree.paths import PART_SUFFIX

FOLDERS = 5
PLACE = {"first": 0, "middle": FOLDERS // 2, "last": FOLDERS - 1}


# --- names that Dropbox does not take, and what lies in the way there -----------------------------------------------


def strike_name(dropbox, folder, cell):
    """A file whose place is taken between the look and the commit, or whose name is not allowed."""
    _, way, row, place = cell
    world, number = fresh(dropbox, folder / "struck"), PLACE[place]
    size = 5 * MIB if way == WAYS[2] else 300
    refused = row == "name Dropbox does not take"
    dropbox.config(astral_names=not refused)
    name = "f\U0001f600" if refused else "f"
    victim = f"d{number}/{name}"
    world.write({victim: size})
    if way == BATCH:
        world.write({f"d{n}/f": 300 + n for n in range(FOLDERS) if n != number})
    anew(world)
    theirs = set() if refused else _in_the_way(world, row, way, victim)
    report = world.push(transfer={"whole_up_to": 4 * MIB})
    assert [failure.path for failure in report.failed] == [victim]
    error = report.failed[0].error
    check_met([error], NAMES[row])
    others = {path: digest for path, digest in hashes(world).items() if path != victim}
    there = world.there()
    assert {path: there.get(path) for path in others} == others
    assert set(there) == {*others, *theirs}  # no other name, and theirs is still there
    if theirs:
        world.foreign_delete(row_place(row, victim))
    else:
        (world.src / victim).rename(world.src / victim.replace(name, "f"))
    assert anew(world).push(transfer={"whole_up_to": 4 * MIB}).failed == []
    assert world.there() == hashes(world)
    return True


def row_place(row, victim):
    return victim.split("/")[0] if row.endswith("its folder") else victim


def _in_the_way(world, row, way, victim):
    """Somebody puts something there just before the first commit; the paths of it."""
    commits = BATCH if way != WAYS[0] else way
    path = f"{victim}/inner" if row.endswith("a folder") else row_place(row, victim)
    open_, calls = world.remote.wire.open, itertools.count()

    def opened(url, **options):
        if url.endswith(f"/{commits}") and next(calls) == 0:
            world.foreign_write(path, b"somebody else's")
        return open_(url, **options)

    world.remote.wire.open = opened
    return {path}


# --- the disk -------------------------------------------------------------------------------------------------------


class Struck(Watching):
    """Strikes when the files are known and none of them was touched yet."""

    def __init__(self, act=lambda: None):
        super().__init__()
        self._act = act

    def planned(self, files, size):
        super().planned(files, size)
        self._act()


def strike_disk(dropbox, folder, cell):
    """A file of a push (reading) or of a restore (writing)."""
    _, way, row, place = cell
    world, works = fresh(dropbox, folder / "struck"), Files("first" if way == "reading" else "restore")
    old, new = ({f"d{n}/f": content(age, 3000 + n) for n in range(FOLDERS)} for age in ("old", "new"))
    world.write(old)
    works.run(world) if way == "reading" else (world.push(), world.restore())
    world.write(new)
    if way == "writing":
        world.push()
    anew(world)
    side, outside = world.src if way == "reading" else world.dst, folder / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"of somebody else")
    number = PLACE[place]
    with ROWS[row](side, side / f"d{number}/f", number, outside) as monitor:
        try:
            made = world.push(monitor=monitor) if way == "reading" else world.restore(monitor=monitor)
            met = [failure.error for failure in made.failed]
        except errors.HuracanError as error:
            met = [error]
    assert met
    check_met(met, DISK[way][row])
    assert local_tree(outside) == {"f": b"of somebody else"}
    both = {path: {old[path], new[path]} for path in old}
    for path, data in local_tree(world.dst).items():
        assert path.endswith(PART_SUFFIX) or data in both[path]
    assert set(world.there()) == set(old)
    (side / f"d{number}/f").exists() or world.write({f"d{number}/f": new[f"d{number}/f"]})
    anew(world)
    made = world.push() if way == "reading" else world.restore(overwrite=True)
    assert made.failed == []
    assert world.there() == hashes(world)
    assert way == "reading" or local_tree(world.dst) == new
    return True


@contextlib.contextmanager
def _rights(path, mode):
    before = path.stat().st_mode
    path.chmod(mode)
    with without_root_powers():
        yield Watching()
    path.chmod(before)


@contextlib.contextmanager
def _vanishes(_, victim, *__):
    yield Struck(victim.unlink)


@contextlib.contextmanager
def _link(side, victim, number, outside):
    aside = side.parent / "aside"

    def act():
        victim.parent.rename(aside)
        victim.parent.symlink_to(outside)

    yield Struck(act)
    victim.parent.unlink()
    aside.rename(victim.parent)


@contextlib.contextmanager
def _too_many_open(_, victim, number, __):
    """The limit of open files is reached when the n-th file is opened, and stays."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    real, opened = os.open, itertools.count()

    def open_(path, flags, *rest, dir_fd=None, **more):
        one_of_ours = dir_fd is not None and (path == victim.name or path.endswith(PART_SUFFIX))
        if one_of_ours and next(opened) == number:
            free = real(os.devnull, os.O_RDONLY)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        return real(path, flags, *rest, dir_fd=dir_fd, **more)

    try:
        with mock.patch("os.open", open_):
            yield Watching()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def _refused_by_kernel(name, code, number, *, is_ours):
    """From the n-th call on the kernel says `code`: no quota and no read-only disk can be made under a running test."""
    real, calls = getattr(os, name), itertools.count()

    def act(path, *rest, **more):
        if is_ours(path, *rest) and next(calls) >= number:
            raise OSError(code, os.strerror(code))
        return real(path, *rest, **more)

    with mock.patch(f"os.{name}", act):
        yield Watching()


def _name_of(descriptor):
    return Path(f"/proc/self/fd/{descriptor}").readlink().name


ROWS = {
    "unreadable file": lambda _side, victim, *_: _rights(victim, 0),
    "unreadable folder": lambda _side, victim, *_: _rights(victim.parent, 0),
    "read-only folder": lambda _side, victim, *_: _rights(victim.parent, 0o500),
    "vanished file": _vanishes,
    "folder becomes a link": _link,
    "too many open files": _too_many_open,
    "quota": lambda _side, _victim, number, _: _refused_by_kernel(
        "pwrite", errno.EDQUOT, number, is_ours=lambda fd, *_: _name_of(fd).endswith(PART_SUFFIX)
    ),
    "read-only disk": lambda _side, _victim, number, _: _refused_by_kernel(
        "open", errno.EROFS, number, is_ours=lambda path, *_: str(path).endswith(PART_SUFFIX)
    ),
}
