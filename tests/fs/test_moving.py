"""Moving, copying and other spellings: nothing is lost, whatever is asked for."""

import contextlib
import errno

import pytest


@pytest.fixture
def tree(dropbox_fs):
    dropbox_fs.pipe({"/a/x": b"x", "/a/sub/y": b"y", "/a/sub/deep/z": b"z"})
    return dropbox_fs


def contents(fs):
    return {path: fs.cat_file(path) for path in fs.find("/")}


WHOLE = {"/a/x": b"x", "/a/sub/y": b"y", "/a/sub/deep/z": b"z"}


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize(
    ("source", "target"),
    [("/a", "/a"), ("/a", "/a/"), ("/a/", "/a"), ("/a/x", "/a/x"), ("dropbox://a/x", "/a/x"), ("/a/sub", "/a/")],
)
def test_a_move_onto_itself_changes_nothing(tree, source, target, recursive):
    with contextlib.suppress(OSError):
        tree.mv(source, target, recursive=recursive)
    assert contents(tree) == WHOLE


@pytest.mark.parametrize("target", ["/a/sub", "/a/sub/", "/A/sub/new", "/a/sub/deep"])
@pytest.mark.parametrize("source", ["/a", "/a/", "/a/*", ["/a/x", "/a/sub"]], ids=str)
def test_a_folder_is_not_moved_into_itself(tree, source, target):
    """Others copy some of it and then remove the source: what was copied is gone with it."""
    with pytest.raises(OSError, match="into itself") as caught:
        tree.mv(source, target, recursive=True)
    assert caught.value.errno == errno.EINVAL
    assert contents(tree) == WHOLE


def test_what_lies_in_a_folder_is_moved_further_down(tree):
    tree.mv("/a/*", "/a/new/", recursive=True)
    assert contents(tree) == {f"/a/new{path[2:]}": data for path, data in WHOLE.items()}
    assert tree.ls("/a", detail=False) == ["/a/new"]


def test_what_came_to_a_folder_meanwhile_stays(tree, dropbox, environment, monkeypatch):
    from huracan_sync.fs import DropboxFileSystem, relocation

    other = DropboxFileSystem(token=dropbox.token()["access_token"], skip_instance_cache=True)
    real = relocation.relocate

    def relocate(*arguments, **named):
        result = real(*arguments, **named)
        other.pipe("/a/sub/late", b"late")
        return result

    monkeypatch.setattr(relocation, "relocate", relocate)
    tree.mkdir("/b")
    tree.mv("/a", "/b", recursive=True)
    assert tree.cat("/a/sub/late") == b"late"


def test_a_copy_into_itself_copies_what_was_there(tree):
    tree.cp("/a", "/a/sub/copy", recursive=True)
    assert contents(tree) == {**WHOLE, **{f"/a/sub/copy{path[2:]}": data for path, data in WHOLE.items()}}


def test_another_spelling_of_itself(tree):
    tree.mv("/a/x", "/a/X")
    assert sorted(contents(tree)) == ["/a/X", "/a/sub/deep/z", "/a/sub/y"]
    tree.mv("/a", "/A", recursive=True)
    assert tree.ls("/", detail=False) == ["/A"]
    assert contents(tree) == {f"/A{path[2:].replace('x', 'X')}": data for path, data in WHOLE.items()}
    with pytest.raises(FileExistsError, match="spelled 'A'"):
        tree.cp("/A", "/a", recursive=True)
    with pytest.raises(FileExistsError, match="spelled 'X'"):
        tree.cp("/A/X", "/A/x")
    assert len(contents(tree)) == 3


@pytest.mark.parametrize("way", ["pipe", "dict", "open", "put", "transaction", "touch", "cp", "mv"])
@pytest.mark.parametrize("known", [True, False])
def test_a_write_under_another_spelling_is_a_write_to_the_same_file(dropbox_fs, tmp_path, way, known):
    """Dropbox knows no case: it is one file, found under the spelling it was written with last."""
    fs = dropbox_fs
    fs.pipe("/Data/File.bin", b"old")
    fs.pipe("/other", b"new")
    (tmp_path / "f").write_bytes(b"new")
    if not known:
        fs.account.metadata.renew_in_child()
    path = "/Data/FILE.bin"
    if way == "pipe":
        fs.pipe(path, b"new")
    elif way == "dict":
        fs.pipe({path: b"new", "/third": b"3", "/fourth": b"4"})
    elif way == "open":
        with fs.open(path, "wb") as file:
            file.write(b"new")
    elif way == "put":
        fs.put(str(tmp_path / "f"), path)
    elif way == "touch":
        fs.touch(path)
    elif way == "transaction":
        with fs.transaction:
            fs.pipe(path, b"new")
    else:
        getattr(fs, way)("/other", path)
    for _ in range(2):
        assert fs.cat(path) == (b"" if way == "touch" else b"new")
        assert fs.ls("/Data", detail=False) == [path]
        assert not fs.exists("/Data/File.bin")
        fs.account.metadata.renew_in_child()


def test_a_service_that_keeps_the_older_spelling_makes_no_difference(dropbox_fs, monkeypatch):
    from huracan_sync.remote import files

    real = files.put

    def keeping(remote, path, content, **named):
        return real(remote, path.replace("FILE", "File"), content, **named)

    dropbox_fs.pipe("/Data/File.bin", b"old")
    monkeypatch.setattr(files, "put", keeping)
    dropbox_fs.pipe("/Data/FILE.bin", b"new")
    for _ in range(2):
        assert dropbox_fs.ls("/Data", detail=False) == ["/Data/FILE.bin"]
        assert dropbox_fs.cat("/Data/FILE.bin") == b"new"
        dropbox_fs.account.metadata.renew_in_child()


@pytest.mark.parametrize("way", ["dict", "put", "transaction"])
def test_two_files_that_dropbox_cannot_hold_side_by_side_are_refused(dropbox_fs, tmp_path, way):
    names = ("File.bin", "FILE.bin", "third", "fourth")
    for name in names:
        (tmp_path / name).write_bytes(name.encode())

    def write():
        if way == "dict":
            dropbox_fs.pipe({f"/two/{name}": name.encode() for name in names})
        elif way == "put":
            dropbox_fs.put(f"{tmp_path}/", "/two", recursive=True)
        else:
            with dropbox_fs.transaction:
                for name in names:
                    dropbox_fs.pipe(f"/two/{name}", name.encode())

    with pytest.raises(FileExistsError, match="differ only in case"):
        write()
    assert dropbox_fs.find("/two") == []


def test_a_folder_is_moved_with_few_requests(tree, requests):
    tree.account.metadata.renew_in_child()
    with requests() as count:
        tree.mv("/a", "/b", recursive=True)
    assert count.total <= 2, count.by_route
    assert contents(tree) == {f"/b{path[2:]}": data for path, data in WHOLE.items()}
    tree.mkdir("/c")
    tree.mv("/b", "/c", recursive=True)
    assert sorted(contents(tree)) == [f"/c/b{path[2:]}" for path in sorted(WHOLE)]
    with pytest.raises(FileNotFoundError):
        tree.mv("/none", "/d", recursive=True)
