"""A large folder is listed folder by folder at once: the same comes out as page by page, whatever changes meanwhile."""

import contextlib
import random
import threading
import time
from collections import Counter

import pytest
from machines import Tokens

from huracan_sync.errors import HuracanError, NotFound
from huracan_sync.remote import parallel_listing
from huracan_sync.remote.client import Remote
from huracan_sync.remote.contents import contents_of, everything
from huracan_sync.remote.files import OVERWRITE, Commit
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.listing import changes, listing
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.transfer import staging
from huracan_sync.transfer.staging import Placing
from huracan_sync.transfer.worker_pool import background

ROOT = "/Root"
LIST = "files/list_folder"


class Watched(Remote):
    """A login that counts its calls by route, notes how many are under way, and lets somebody act before each."""

    calls: Counter
    most = 0
    before = staticmethod(lambda _: None)

    def rpc(self, route, arg, result, **more):
        with self.lock:
            self.calls[route] += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.before(self)
        try:
            return super().rpc(route, arg, result, **more)
        finally:
            with self.lock:
                self.under_way -= 1

    def reset(self, before=lambda _: None):
        self.calls, self.under_way, self.most, self.before = Counter(), 0, 0, before


@pytest.fixture
def connected(dropbox, tmp_path):
    def make(kind):
        scopes = ["files.metadata.read", "files.content.read", "files.content.write"]
        wire = Wire(Endpoint.from_environment(dropbox.env(tmp_path)))
        return kind(wire, Tokens(dropbox, scopes), root=ROOT, pacing=Pacing(sleep=lambda _: None))

    return make


@pytest.fixture
def remote(connected):
    made = connected(Watched)
    made.lock = threading.RLock()
    made.reset()
    return made


@pytest.fixture
def other(connected):
    return connected(Remote)


def put(remote, paths):
    """Small files, each with its own content, in few requests."""
    with background(2, "test") as threads:
        staged = staging.stage_contents(remote, threads, [f"{path} {random.random()}".encode() for path in paths])
    commits = [Commit(f"{ROOT}/{path}", OVERWRITE, "2026-01-01T00:00:00Z") for path in paths]
    return staging.commit(remote, [Placing(*pair) for pair in zip(staged, commits, strict=True)])


def found(contents):
    return {key: (entry.rev, entry.size) for key, entry in contents.files.items()}


def page_by_page(remote):
    return found(contents_of(listing(remote, ROOT), lambda entry: entry))


def up_to_now(remote, contents):
    """What a listing said, with what its cursor tells: nothing may lie between them."""
    for page in changes(remote, ROOT, contents.cursor):
        contents.add(page)
    return found(contents)


def test_folders_are_listed_at_once(dropbox, remote):
    put(remote, [f"{folder}/{number}" for folder in "abcdef" for number in range(30)] + ["alone", "g"])
    dropbox.config(page_size=10)
    remote.reset()
    contents = everything(remote, ROOT, lambda entry: entry)
    assert remote.most > 3
    # five pages until it is a large folder; a cursor, what lies in the root folder, four pages for each of the others
    # (31 entries, itself among them), and what changed meanwhile
    assert remote.calls == {LIST: 1 + 1 + 6, f"{LIST}/continue": 4 + 6 * 3 + 1, f"{LIST}/get_latest_cursor": 1}
    assert len(contents.files) == 182
    assert found(contents) == page_by_page(remote)
    put(remote, ["h"])
    assert up_to_now(remote, contents) == page_by_page(remote)


@pytest.mark.parametrize(
    ("paths", "more"),
    [
        ([f"{folder}/{number}" for folder in "ab" for number in range(19)], 0),  # five pages
        ([str(number) for number in range(100)], 2),  # no folders: a cursor, and the first page that said so
        ([f"{number}/x" for number in range(60)], 2),  # more folders than are worth a request each
    ],
)
def test_page_by_page_where_that_is_as_well(dropbox, remote, paths, more):
    put(remote, paths)
    dropbox.config(page_size=10)
    remote.reset()
    page_by_page(remote)
    alone = remote.calls.total()
    remote.reset()
    assert found(everything(remote, ROOT, lambda entry: entry)) == page_by_page(remote)
    assert remote.calls.total() == 2 * alone + more


def test_the_folders_of_the_largest_folder_are_listed_at_once_too(dropbox, remote):
    put(remote, [f"only/deep/a{part}/{number}" for part in range(5) for number in range(40)] + ["only/b/1", "only/c"])
    dropbox.config(page_size=10)
    remote.reset()
    assert found(everything(remote, ROOT, lambda entry: entry)) == page_by_page(remote)
    assert remote.most > 2


NAMES = ["a", "B", "c", "Dd", "e"]


def path_of(chance):
    """A folder with much in it is often a folder with much in it."""
    depth = chance.choice([1, 2, 2, 3, 3, 3, 4])
    folders = [min(chance.choice(NAMES), chance.choice(NAMES)) for _ in range(depth - 1)]
    return "/".join([*folders, chance.choice("xyzuvw") + str(chance.randrange(12))])


def act(other, chance, lying):
    """Somebody does something."""
    path = path_of(chance)
    folder = path.rpartition("/")[0] or path
    with contextlib.suppress(HuracanError):  # there is nothing, or something else, by now
        match chance.randrange(7):
            case 0 | 1:
                put(other, [path])
            case 2:
                put(other, [chance.choice(lying)])
            case 3:
                other.rpc("files/delete_v2", {"path": f"{ROOT}/{chance.choice(lying)}"}, dict)
            case 4:
                other.rpc("files/delete_v2", {"path": f"{ROOT}/{folder}"}, dict)
            case 5:
                to = f"{ROOT}/{chance.choice(NAMES)}/moved{chance.randrange(3)}"
                other.rpc("files/move_v2", {"from_path": f"{ROOT}/{folder}", "to_path": to}, dict)
            case 6:  # a file in the place of a folder, or made and deleted again
                with_file = f"{ROOT}/{folder}"
                other.rpc("files/delete_v2", {"path": with_file}, dict)
                put(other, [folder])
                if chance.random() < 0.5:
                    other.rpc("files/delete_v2", {"path": with_file}, dict)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_changes_meanwhile(dropbox, remote, other, monkeypatch, seed):
    schedule(dropbox, remote, other, monkeypatch, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_whatever_changes_meanwhile_at_length(dropbox, remote, other, monkeypatch, seed):
    schedule(dropbox, remote, other, monkeypatch, seed)


def schedule(dropbox, remote, other, monkeypatch, seed):
    chance = random.Random(seed)
    lying = sorted({path_of(chance) for _ in range(chance.randrange(60, 200))})
    put(other, lying)
    dropbox.config(page_size=chance.randrange(2, 9))
    monkeypatch.setattr(parallel_listing, "MOST", chance.choice([3, 24]))
    for busy in (0.0, chance.choice([0.1, 0.4, 1.0])):
        remote.reset(lambda _, busy=busy: chance.random() < busy and act(other, chance, lying))
        contents = everything(remote, ROOT, lambda entry: entry)
        remote.reset()
        assert up_to_now(remote, contents) == page_by_page(other)


def test_a_folder_that_goes_while_it_is_listed(dropbox, remote, other):
    put(other, [f"{folder}/{number}" for folder in "abcd" for number in range(30)])
    dropbox.config(page_size=10)

    def go(remote):
        if remote.calls[f"{LIST}/get_latest_cursor"] and remote.calls[LIST] == 3:
            remote.before = lambda _: None
            other.rpc("files/delete_v2", {"path": f"{ROOT}/b"}, dict)
            put(other, ["b"])
            other.rpc("files/delete_v2", {"path": f"{ROOT}/c"}, dict)

    remote.reset(go)
    contents = everything(remote, ROOT, lambda entry: entry)
    assert up_to_now(remote, contents) == page_by_page(remote)
    assert {key[0] for key in contents.files} == {"a", "b", "d"}


def test_the_root_folder_goes_while_it_is_listed(dropbox, remote, other):
    put(other, [f"{folder}/{number}" for folder in "abcd" for number in range(30)])
    dropbox.config(page_size=10)

    def go(remote):
        if remote.calls[f"{LIST}/get_latest_cursor"]:
            remote.before = lambda _: None
            other.rpc("files/delete_v2", {"path": ROOT}, dict)

    remote.reset(go)
    with pytest.raises(NotFound):
        everything(remote, ROOT, lambda entry: entry)


def test_a_cursor_that_is_forgotten_begins_it_again(dropbox, remote):
    put(remote, [f"{folder}/{number}" for folder in "abcd" for number in range(30)])
    dropbox.config(page_size=10)
    dropbox.faults({"route": f"{LIST}/continue", "fault": "cursor_reset", "nth": 8, "times": 1})
    remote.reset()
    assert found(everything(remote, ROOT, lambda entry: entry)) == page_by_page(remote)


@pytest.mark.slow
def test_it_takes_fewer_seconds(dropbox, remote):
    put(remote, [f"{folder}/{number}" for folder in range(12) for number in range(90)])
    dropbox.config(page_size=20, latency_ms=100)
    remote.reset()
    seconds = []
    for work in (page_by_page, lambda remote: found(everything(remote, ROOT, lambda entry: entry))):
        began = time.monotonic()
        work(remote)
        seconds.append(time.monotonic() - began)
    assert seconds[1] < 0.6 * seconds[0]
