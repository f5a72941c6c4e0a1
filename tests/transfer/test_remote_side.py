"""What Dropbox says of a folder, page by page, while somebody else is at work in it."""

import sqlite3

from transfer_world import ROOT, local_tree


def meddle(remote, at, act):
    """Have `act` done after the `at`-th page of a listing."""
    rpc, pages = remote.rpc, []

    def meddled(route, arg, result, **options):
        answer = rpc(route, arg, result, **options)
        if route.startswith("files/list_folder"):
            pages.append(route)
            if len(pages) == at:
                act()
        return answer

    remote.rpc = meddled


def forget_the_cursor(world, cursor=None):
    with sqlite3.connect(world.home / "journal.db") as db:
        db.execute("UPDATE pairs SET cursor=?", (cursor,))
    db.close()


def test_a_folder_deleted_while_it_is_listed_is_gone_with_all_that_was_in_it(world):
    world.write({f"{folder}/{n}": 10 for folder in "ab" for n in range(4)})
    world.push()
    forget_the_cursor(world)
    world.dropbox.config(page_size=3)
    meddle(world.remote, 3, lambda: world.foreign_delete("a"))
    assert world.push().uploaded == 4
    assert set(world.there()) == set(local_tree(world.src))


def test_a_folder_replaced_by_a_file_while_it_is_listed_is_gone(world):
    world.write({f"{folder}/{n}": 10 for folder in "ab" for n in range(4)})
    world.push()
    forget_the_cursor(world)
    world.dropbox.config(page_size=3)

    def replace():
        world.foreign_delete("a")
        world.foreign_write("a", b"a file")

    meddle(world.remote, 3, replace)
    assert {failure.path for failure in world.push().failed} == {f"a/{n}" for n in range(4)}


def test_a_file_alone_says_that_the_folder_it_replaces_is_gone(world):
    """As the specification of list_folder has it: what lies at the path of a file is replaced with all its children."""
    world.write({"a/x": 10, "a/y": 10, "b": 10})
    world.push()
    world.push()
    rpc = world.remote.rpc

    def without_deletions(route, arg, result, **options):
        answer = rpc(route, arg, result, **options)
        return type(answer)(bytes(answer).replace(b'".tag": "deleted"', b'".tag": "unheard_of"'))

    world.foreign_delete("a")
    world.foreign_write("a", b"a file")
    world.remote.rpc = without_deletions
    assert {failure.path for failure in world.push().failed} == {"a/x", "a/y"}


def test_a_cursor_that_dropbox_cannot_read_means_a_new_listing(world):
    world.write({"x": 10})
    world.push()
    forget_the_cursor(world, "of another app, or damaged")
    world.foreign_write("x", b"theirs")
    assert [failure.path for failure in world.push().failed] == ["x"]


def test_a_hostile_name_is_reported_by_every_restore_until_it_is_gone(world):
    world.write({"good": 10})
    world.push()
    for path in ("bad\u200b1", "sub/bad\u200b2", "sub/inner/bad\u200b3"):
        world.foreign_write(path, b"1")
    assert len(world.restore().failed) == 3
    assert len(world.restore().failed) == 3
    world.foreign("files/delete_v2", {"path": f"{ROOT}/bad\u200b1"})
    world.foreign_delete("sub/inner")
    (failure,) = world.restore().failed
    assert "sub/bad" in failure.path
    forget_the_cursor(world)
    assert len(world.restore().failed) == 1
    world.foreign_delete("sub")
    assert world.restore().failed == []


def test_a_listing_that_lost_a_page_is_not_believed_by_the_next_run_either(world):
    world.write({f"f{n:02}": 10 for n in range(20)})
    world.push()
    for _ in range(2):
        world.restore()
    forget_the_cursor(world)
    world.dropbox.config(page_size=5)
    world.dropbox.faults({"route": "files/list_folder/continue", "nth": 2, "fault": "pages", "form": "missing"})
    assert world.restore(delete=True).deleted == 0
    world.dropbox.faults()
    assert world.restore(delete=True).skipped == 20
    assert local_tree(world.dst) == local_tree(world.src)
