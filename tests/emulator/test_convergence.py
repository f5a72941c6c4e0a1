"""A client that applies the entries of list_folder and continue as the specification tells it arrives at the truth.

Whatever changes meanwhile, however small the pages, whichever order renames are reported in, and whether or not the
children of a deleted folder are reported too.
"""

import random

import pytest
from emulator_client import client

NAMES = ["a", "B", "ü", "c.txt", "D d"]


class Replica:
    """What a client knows of a folder: an entry for every path, kept up to date page by page."""

    def __init__(self, me, folder, chance):
        self.me, self.folder, self.chance = me, folder, chance
        self.entries = {}
        self.cursor = None

    def page(self):
        """Take one page. Returns whether there is more."""
        if self.cursor is None:
            arg = {"path": self.folder, "recursive": True, "limit": self.chance.randint(1, 5)}
            status, page = self.me.rpc("files/list_folder", arg)
        else:
            status, page = self.me.rpc("files/list_folder/continue", {"cursor": self.cursor})
        assert status == 200, page
        for entry in page["entries"]:
            self.apply(entry)
        self.cursor = page["cursor"]
        return page["has_more"]

    def apply(self, entry):
        path = entry["path_lower"]
        if entry[".tag"] != "folder":
            self.entries = {known: each for known, each in self.entries.items() if not known.startswith(path + "/")}
        if entry[".tag"] == "deleted":
            self.entries.pop(path, None)
        else:
            self.entries[path] = (entry[".tag"], entry["id"], entry.get("rev"))

    def catch_up(self):
        while self.page():
            pass


def somewhere(chance, paths):
    """A path: mostly one that is there, else one next to or below it."""
    base = chance.choice([*paths, "/Root"])
    return base if chance.random() < 0.5 else f"{base}/{chance.choice(NAMES)}"


def change(me, chance, paths, revs):
    """One change, which may be refused."""
    kind = chance.choice(
        ["upload"] * 4 + ["overwrite", "delete", "delete", "move", "move", "copy", "folder", "restore"]
    )
    one, other = somewhere(chance, paths), somewhere(chance, paths)
    if kind in {"upload", "overwrite"}:
        data = str(chance.randint(0, 9)).encode()
        mode = "overwrite" if kind == "overwrite" else "add"
        status, answer = me.upload(one, data, mode=mode, autorename=chance.random() < 0.2)
        revs += [(answer["path_display"], answer["rev"])] if status == 200 else []
    elif kind == "delete" and one not in {"/Root", ""}:
        me.rpc("files/delete_v2", {"path": one})
    elif kind in {"move", "copy"} and one != "/Root":
        me.rpc(f"files/{kind}_v2", {"from_path": one, "to_path": other, "autorename": chance.random() < 0.3})
    elif kind == "folder":
        me.rpc("files/create_folder_v2", {"path": one})
    elif kind == "restore" and revs:
        path, rev = chance.choice(revs)
        me.rpc("files/restore", {"path": path, "rev": rev})


@pytest.mark.parametrize("seed", range(4))
def test_a_replica_converges(dropbox, seed):
    chance = random.Random(seed)
    me = client(dropbox)
    dropbox.config(rename_order="random", deleted_children=chance.random() < 0.3)
    me.rpc("files/create_folder_v2", {"path": "/Root"})
    replicas = [Replica(me, folder, chance) for folder in ("", "/Root", "/root")]
    revs = []
    for _ in range(4):
        paths = [entry["path_display"] for entry in me.ls("/Root", recursive=True)[0]]
        for _ in range(20):
            change(me, chance, paths, revs)
            if chance.random() < 0.3:
                chance.choice(replicas).page()
        fresh = Replica(me, "/Root", chance)
        for replica in (*replicas, fresh):
            replica.catch_up()
            truth = {each["path_lower"]: each for each in me.ls(replica.folder, recursive=True, limit=2000)[0]}
            seen = {path: (each[".tag"], each["id"], each.get("rev")) for path, each in truth.items()}
            # A change of the folder itself is only seen from above it; that it is there is known anyway.
            assert {**replica.entries, "/root": seen["/root"]} == seen, replica.folder


def test_a_deletion_is_told_though_the_folder_above_is_made_anew_before_its_own_is(dropbox):
    """What lay in a folder is gone with it: that may be left unsaid only after the folder has been told gone."""
    me = client(dropbox)
    me.upload("/Root/a/b/gone", b"1")
    me.upload("/Root/a/other", b"1")
    replica = Replica(me, "/Root", random.Random(1))
    replica.chance.randint = lambda *_: 1  # one entry a page
    replica.catch_up()
    me.rpc("files/delete_v2", {"path": "/Root/a/b"})
    me.upload("/Root/c", b"1")
    me.rpc("files/delete_v2", {"path": "/Root/a"})
    replica.page()
    me.upload("/Root/a/new", b"1")
    replica.catch_up()
    assert set(replica.entries) == {"/root", "/root/a", "/root/a/new", "/root/c"}
