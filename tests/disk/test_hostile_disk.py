"""Below a root nothing leads out of it, nothing of others is written into, and one bad folder costs only itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from root_powers import without_root_powers

from huracan_sync.disk.files import stamp_of, sync_folders
from huracan_sync.disk.part_file import PartFile
from huracan_sync.disk.remove import remove, sweep
from huracan_sync.disk.scan import LINK, NEVER, SPECIAL, scan
from huracan_sync.disk.stable_read import StableRead
from huracan_sync.engine.outbox import Outbox, QueuedWrite
from huracan_sync.errors import ConfigError, HostilePath, HuracanError
from huracan_sync.fs.local_files import Below
from huracan_sync.tree.paths import RelPath, check

TOKEN = "0123456789abcdef" * 2
TRIES = 100
"""100,000 by name: `pytest -m long -k race_of_a_hundred_thousand`."""
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it


def placed(root: Path, path: str, content: bytes = b"new") -> None:
    with PartFile(root, RelPath(path), token=TOKEN) as part:
        part.write(0, content)
        part.commit(size=len(content), replaces=stamp_of(root, RelPath(path)))


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o444, 0o640])
def test_the_rights_of_a_replaced_file_survive(tmp_path: Path, mode: int) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(mode)
    placed(tmp_path, "x")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_new_file_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    placed(tmp_path, "x")
    (tmp_path / "y").write_bytes(b"")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode
    with PartFile(tmp_path, RelPath("z"), token="f" * 32) as part:
        assert stat.S_IMODE((tmp_path / part.part_name).stat().st_mode) == 0o600  # nobody reads what is not whole


def _plant_link(part: Path, outside: Path) -> None:
    part.symlink_to(outside)


def _plant_hard_link(part: Path, outside: Path) -> None:
    os.link(outside, part)
    outside.chmod(0o600)


def _plant_open(part: Path, _: Path) -> None:
    part.write_bytes(b"planted")
    part.chmod(0o666)


def _plant_pipe(part: Path, _: Path) -> None:
    os.mkfifo(part, 0o600)


@pytest.mark.parametrize("plant", [_plant_link, _plant_hard_link, _plant_open, _plant_pipe])
def test_a_part_of_others_is_never_written_into(tmp_path: Path, plant) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.write_bytes(b"theirs")
    with PartFile(root, RelPath("x"), token=TOKEN) as part:
        name = part.part_name
        part.discard()
    plant(root / name, outside)
    with PartFile(root, RelPath("x"), token=TOKEN) as part:
        assert part.size == 0
        part.write(0, b"ours")
        part.commit(size=4, replaces=None)
    assert (root / "x").read_bytes() == b"ours"
    assert outside.read_bytes() == b"theirs"
    assert [path.name for path in root.iterdir()] == ["x"]


def test_a_part_of_our_own_is_gone_on_with(tmp_path: Path) -> None:
    with PartFile(tmp_path, RelPath("x"), token=TOKEN) as part:
        part.write(0, b"half")
    with PartFile(tmp_path, RelPath("x"), token=TOKEN) as part:
        assert part.read(0, 10) == b"half"


# ---- what a scan leaves out, and says so ----------------------------------------------------------------------------


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_everything_that_is_left_out_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a", "sub/.DS_Store", ".dropbox.cache/x", "~$book.xlsx", ".~lock", "~save.tmp", "~kept", "x.tmp")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder link").symlink_to("sub")
    os.mkfifo(tmp_path / "sub/pipe")
    result = scan(tmp_path)
    assert set(result.files) == {"a", "~kept", "x.tmp"}
    assert result.left_out == {
        "link": LINK, "folder link": LINK, "sub/pipe": SPECIAL, "sub/.DS_Store": NEVER, ".dropbox.cache": NEVER,
        "~$book.xlsx": NEVER, ".~lock": NEVER, "~save.tmp": NEVER,
    }  # fmt: skip
    assert result.problems == []
    assert sorted(result.others) == ["folder link", "link", "sub/pipe"]


def test_what_is_left_out_is_named_whatever_is_wanted(tmp_path: Path) -> None:
    make(tmp_path, "volume/a.bin")
    root = tmp_path / "models"
    root.mkdir()
    (root / "big").symlink_to(tmp_path / "volume")
    (root / "note").symlink_to("nowhere")
    make(root, "readme.md", ".DS_Store", "a.bin")
    (root / "a link.bin").symlink_to("a.bin")
    result = scan(root, wanted=lambda path: path.endswith(".bin"))
    assert set(result.files) == {"a.bin"}
    assert result.left_out == {
        "big": LINK, "note": LINK, "a link.bin": LINK, ".DS_Store": NEVER,
    }  # fmt: skip
    assert result.declined == ["readme.md"]
    assert scan(root, wanted=lambda path: path == "a.bin", is_flat=True).left_out == {}


@pytest.mark.parametrize("name", ["bad\nname", "back\\slash", "ends ", "e\u0301", "C:x", "n" * 0 + "a\u200bb"])
def test_a_badly_named_folder_is_one_failure(tmp_path: Path, name: str) -> None:
    make(tmp_path, "good", *(f"{name}/{number}/x" for number in range(20)))
    result = scan(tmp_path)
    assert set(result.files) == {"good"}
    (problem,) = result.problems
    assert problem.path == name
    assert isinstance(problem.error, HostilePath)
    assert problem.error.hint == "rename the folder" or "convmv --nfc" in problem.error.hint


@pytest.mark.parametrize(("wanted", "told"), [(".log", 0), ("x", 1)])
def test_a_badly_named_folder_without_a_wanted_file_is_none(tmp_path: Path, wanted: str, told: int) -> None:
    make(tmp_path, "good", "bad /x")
    (tmp_path / "empty ").mkdir()
    assert len(scan(tmp_path, wanted=lambda path: path.endswith(wanted)).problems) == told


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A tree of 1,200 levels, made and removed step by step: no path to its end is short enough."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("a", dir_fd=here)
        inner = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    yield tmp_path
    for _ in range(1200):
        with contextlib.suppress(FileNotFoundError):
            os.unlink("deep.txt", dir_fd=here)
        outer = os.open("..", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = outer
        os.rmdir("a", dir_fd=here)
    os.close(here)


def test_a_tree_too_deep_is_reported_and_the_rest_is_taken(deep: Path) -> None:
    make(deep, "top.txt", "b/c.txt", "a/a/a/near.txt")
    result = scan(deep)
    assert set(result.files) == {"top.txt", "b/c.txt", "a/a/a/near.txt"}
    (problem,) = result.problems
    assert problem.path == "/".join(["a"] * 32)
    assert "32 levels" in str(problem.error)
    (deep / "a/a/a/near.txt").unlink()


def test_a_name_that_cannot_even_be_asked_about_is_reported(deep: Path) -> None:
    make(deep, "top.txt", "bad.txt ")

    def wanted(path: str) -> bool:
        return bool(check(path))

    result = scan(deep, wanted=wanted)
    assert (set(result.files), len(result.problems)) == ({"top.txt"}, 2)


def test_the_deepest_file_that_is_allowed_is_taken(tmp_path: Path) -> None:
    path = "/".join(["d"] * 31 + ["x"])
    make(tmp_path, path)
    result = scan(tmp_path)
    assert (list(result.files), result.problems) == ([path], [])


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c/x", "bad /b/x", "shut/x")
    (tmp_path / "shut").chmod(0)
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    with without_root_powers():
        scan(tmp_path)

        def fail(_: str) -> bool:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            scan(tmp_path, wanted=fail)
    (tmp_path / "shut").chmod(0o700)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(("encoding", "refused"), [("iso8859-1", True), ("ascii", True), ("utf-8", False)])
def test_names_are_utf8_or_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, *, refused: bool
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    with pytest.raises(ConfigError, match=r"de_DE\.ISO-8859-1") if refused else contextlib.nullcontext():
        scan(tmp_path)


def test_no_name_is_written_in_another_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    placed(tmp_path, "plain.csv")
    with pytest.raises(ConfigError, match="Dropbox in UTF-8"):
        placed(tmp_path, "caf\u00e9/x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["plain.csv"]


# ---- a folder that is exchanged for a link, again and again ---------------------------------------------------------


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder on no disk that makes anybody wait."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def flipping(quick: Path) -> Iterator[tuple[Path, Path]]:
    """A root whose folder `real` is a link to a folder outside half of the time."""
    yield from flipped(quick)


def flipped(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    outside, root = tmp_path / "outside", tmp_path / "root"
    make(outside, "secret", "inner/secret")
    make(root, "real/mine", "real/inner/mine")
    stop = threading.Event()

    def flip() -> None:
        real, aside = root / "real", root / "aside"
        while not stop.is_set():
            with contextlib.suppress(OSError):
                real.rename(aside)
                real.symlink_to(outside)
            with contextlib.suppress(OSError):
                real.unlink()
            with contextlib.suppress(OSError):
                aside.rename(real)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield root, outside
    finally:
        stop.set()
        thread.join()
        shutil.rmtree(root, ignore_errors=True)


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.wide
def test_no_race_leads_outside(flipping: tuple[Path, Path]) -> None:
    race(*flipping, tries=TRIES)


@pytest.mark.long
@pytest.mark.parametrize("share", range(20))
def test_no_race_of_a_hundred_thousand_leads_outside(flipping: tuple[Path, Path], share: int) -> None:
    race(*flipping, tries=100_000 // 20)


def race(root: Path, outside: Path, *, tries: int) -> None:
    """Scan (push), read, place (restore and `fs.get`), remove, sync and sweep below a folder that is exchanged."""
    before = below(outside)
    got = Below(root)
    for number in range(tries):
        files = scan(root).files
        assert not [path for path in files if path.endswith("secret")]
        with contextlib.suppress(HuracanError), StableRead(root, RelPath("real/inner/mine")) as reading:
            assert reading.read(0, 99) == b"real/inner/mine"
        for path in ("real/secret", "real/inner/secret"):
            assert stamp_of(root, RelPath(path)) is None
        stamp = stamp_of(outside, RelPath("secret"))
        with contextlib.suppress(HuracanError):
            remove(root, RelPath("real/secret"), stamp=stamp)
        name = f"real/inner/f{number}"
        with contextlib.suppress(HuracanError):
            placed(root, name)
            remove(root, RelPath(name), stamp=stamp_of(root, RelPath(name)))
        with contextlib.suppress(HuracanError, OSError):
            got.make_folder(str(root / "real/inner/made"))
            placed(*got.locate(str(root / "real/inner/made/got")))
            remove(root, RelPath("real/inner/made/got"), stamp=stamp_of(root, RelPath("real/inner/made/got")))
        with contextlib.suppress(OSError):
            sync_folders(root, [RelPath("real/inner/mine")])
        sweep(root, ["real/secret", "real/inner/secret"])
    assert below(outside) == before
    assert sorted(path.name for path in (outside / "inner").iterdir()) == ["secret"]


@pytest.mark.wide
def test_an_outbox_that_is_exchanged_for_a_link_is_not_read(quick: Path) -> None:
    exchange_outbox(quick, tries=TRIES)


@pytest.mark.long
@pytest.mark.parametrize("share", range(20))
def test_nor_is_it_in_a_hundred_thousand_tries(quick: Path, share: int) -> None:
    exchange_outbox(quick, tries=100_000 // 20)


def exchange_outbox(tmp_path: Path, *, tries: int) -> None:
    """Read and drop in an outbox whose folder is a link to another's half of the time."""
    planted = Outbox(tmp_path / "planted")
    planted.put(QueuedWrite(remote="/evil", service="emulator", queued=1.0), b"evil")
    outbox = Outbox(tmp_path / "home")
    mine = QueuedWrite(remote="/mine", service="emulator", queued=1.0)
    outbox.put(mine, b"mine")
    aside = outbox.folder.with_name("aside")
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            outbox.folder.rename(aside)
            outbox.folder.symlink_to(planted.folder)
            outbox.folder.unlink()
            aside.rename(outbox.folder)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        for _ in range(tries):
            with contextlib.suppress(HuracanError):
                assert [each.remote for each in outbox.queued_writes()] in ([], ["/mine"])
            with contextlib.suppress(HuracanError):
                outbox.drop(QueuedWrite(remote="/evil", service="emulator", queued=2.0))
    finally:
        stop.set()
        thread.join()
    assert [each.remote for each in planted.queued_writes()] == ["/evil"]
    assert [each.remote for each in outbox.queued_writes()] == ["/mine"]


@pytest.mark.parametrize("plant", ["a pipe", "a link", "a folder"])
def test_nothing_hangs_on_what_lies_in_the_outbox(tmp_path: Path, plant: str) -> None:
    outbox = Outbox(tmp_path)
    mine = QueuedWrite(remote="/mine", service="emulator", queued=1.0)
    outbox.put(mine, b"mine")
    here = outbox.folder / f"{'0' * 32}.letter"
    {"a pipe": lambda: os.mkfifo(here), "a link": lambda: here.symlink_to("/etc/passwd"), "a folder": here.mkdir}[
        plant
    ]()
    assert [each.remote for each in outbox.queued_writes()] == ["/mine"]
    assert outbox.content(outbox.queued_writes()[0]) == b"mine"
