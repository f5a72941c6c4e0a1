"""What a reader tells of what it cannot give: the class, the words, the facts, and what to do next."""

import hashlib
import pickle

import msgspec
import pytest
from expecting import raises
from manifest_world import BACKUP, FILES, HOUR, NOW, ROOT, following, make_trust, pin_of
from reader_world import PIN, RULES, World

from huracan_sync.errors import (
    Busy,
    ConfigError,
    ContentMismatch,
    NotFound,
    NoTrust,
    StateMissing,
    Unreachable,
    UsageError,
)
from huracan_sync.manifest import locations, signed_files, trust
from huracan_sync.manifest.checks import Freshness

ROSTER = "hamilton/roster.json"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.publish()
    return world


def unpinned(world):
    world.home = world.home / "other"
    return world.new_reader()


def state(world):
    return next(world.home.rglob("seen.db"))


def head_gone(world):
    world.reader.latest("champions")
    world.peer.delete(locations.head("champions"))
    world.reader.latest("champions")


def body_gone(world):
    sha256 = world.engine.made.sha256
    world.peer.delete(locations.body(sha256))
    world.reader.latest("champions")


def another_pin_delivered(world):
    world.new_reader(pin=str(pin_of(BACKUP))).latest("champions")


def trust_files_gone(world):
    world.peer.delete(".huracan")
    unpinned(world).pin(PIN)


def state_gone(world):
    state(world).unlink()
    world.reader.trust()


def state_empty(world):
    state(world).write_bytes(b"")
    world.reader.trust()


def damage(world):
    world.keywords["keep_set"] = 0
    reader = world.new_reader()
    snapshot = reader.latest("champions")
    for rev, data in world.peer.revs.items():
        if data == FILES[ROSTER]:
            world.peer.revs[rev] = bytes(len(data))
    snapshot.read(ROSTER)


def moved_all_the_time(world):
    """Another process moves the mark at every look; nothing that was good lies here."""
    fetch = world.peer.fetch
    other = world.new_reader()

    def racing(place, limit):
        data = fetch(place, limit)
        if place == locations.head("champions"):
            world.peer.fetch = fetch
            other.latest("champions")
            world.engine.beat()
            world.peer.fetch = racing
        return data

    world.peer.fetch = racing
    world.reader._instead = lambda channel, problem, **_: refuse(problem)
    world.reader.latest("champions")


def refuse(problem):
    raise problem


def by_hand(world, *changes):
    """Trust files that a person brought, the version before them left out."""
    v2 = following(world.engine.trust, created_ms=world.engine.trust.created_ms + 1)
    v3 = following(v2, created_ms=v2.created_ms + 1)
    world.reader.pin_file(signed_files.sign_trust(v3, [ROOT]))


def another_by_hand(world):
    other = msgspec.structs.replace(world.engine.trust, created_ms=world.engine.trust.created_ms + 1)
    world.reader.pin_file(signed_files.sign_trust(other, [ROOT]))


def of_another_root_by_hand(world):
    world.reader.pin_file(signed_files.sign_trust(make_trust(root_id=bytes(16), channels=RULES), [ROOT]))


def floor_lowered(world):
    world.reader.latest("champions")
    world.engine.beat()
    world.reader.latest("champions")
    world.reader.raise_floor("champions", 1)


# what is done -> the class or code, words of the sentence, words of the hint, and names of the facts
TOLD = {
    "nothing is pinned": (
        lambda w: unpinned(w).trust(),
        NoTrust,
        "no root key is pinned on this machine",
        "",
        {"place"},
    ),
    "there is no trust file": (
        trust_files_gone,
        NotFound,
        "there is no trust file in this root folder",
        "keys init",
        set(),
    ),
    "another root is pinned": (
        lambda w: w.reader.pin(str(pin_of(BACKUP))),
        ConfigError,
        "another root is pinned on this machine already",
        "--reset",
        {"actual", "expected"},
    ),
    "another root was delivered": (
        another_pin_delivered,
        ConfigError,
        "than the one that HURACAN_ROOT_PIN names",
        "`huracan-sync keys trust --reset PIN` forgets",
        {"actual", "expected"},
    ),
    "what was seen is gone": (state_gone, StateMissing, "seen.db: it is gone", "", {"path"}),
    "what was seen is empty": (state_empty, StateMissing, "it is empty, no file, or another user's", "", {"path"}),
    "nothing was published": (
        lambda w: w.reader.latest("logs"),
        NotFound,
        "nothing was ever published in logs",
        "huracan-sync publish",
        {"channel"},
    ),
    "nothing was read": (
        lambda w: w.reader.last_good("logs"),
        NotFound,
        "nothing of logs was ever read on this machine",
        "",
        {"channel"},
    ),
    "the head is gone": (head_gone, "HEAD_MISSING", "the head of champions is gone", "", {"channel"}),
    "the body is gone": (body_gone, "BODY_MISSING", "the body of sequence 1 is not there", "", {"sha256"}),
    "it is moved all the time": (
        moved_all_the_time,
        Busy,
        "another process keeps moving what was seen of champions",
        "",
        {"channel"},
    ),
    "a version is missing by hand": (by_hand, "TRUST_CHAIN", "version 2 of the trust file is needed", "2.hzt", set()),
    "another one by hand": (another_by_hand, "TRUST_CHAIN", "another version 1 of the trust file is known", "", set()),
    "another root by hand": (
        of_another_root_by_hand,
        "WRONG_ROOT",
        "version 1 of the trust file is of another root folder",
        "",
        {"actual", "expected"},
    ),
    "a floor is lowered": (
        floor_lowered,
        ConfigError,
        "champions was already seen at 1-2, above the floor",
        "nothing older will be accepted",
        {"channel"},
    ),
    "no such file": (
        lambda w: w.reader.latest("champions").read("nothing.json"),
        NotFound,
        "'nothing.json' is not in sequence 1 of champions",
        "iterate over the snapshot",
        {"path", "sequence"},
    ),
    "no such bytes": (
        lambda w: w.reader.latest("champions").read_range(ROSTER, 5, -2),
        UsageError,
        "there are no bytes 5 to 3",
        "",
        {"path"},
    ),
    "other bytes": (
        damage,
        ContentMismatch,
        "is not what was signed: block 0 of it",
        "publish it again",
        {"path", "expected"},
    ),
    "a snapshot that is sent away": (
        lambda w: pickle.dumps(w.reader.latest("champions")),
        UsageError,
        "a snapshot of champions cannot be sent to another process",
        "Hamilton.open(...).latest('champions'); this is sequence 1",
        set(),
    ),
}


@pytest.mark.parametrize(("do", "kind", "words", "hint", "facts"), TOLD.values(), ids=TOLD)
def test_what_is_told(world, do, kind, words, hint, facts):
    with raises(kind) as caught:
        do(world)
    assert words in str(caught.value)
    assert hint in caught.value.hint
    assert facts <= caught.value.facts.keys()


# ---- and what is given instead ----------------------------------------------------------------------------------


def test_with_stale_ones_allowed_what_was_good_is_given_for_what_is_refused(world):
    world.reader.latest("champions")
    world.peer.put(locations.head("champions"), b"garbage")
    world.clock.now_ms += 3 * HOUR
    with raises("HEAD_FORMAT"):
        world.reader.latest("champions")
    snapshot = world.reader.latest("champions", allow_stale=True)
    assert (snapshot.sequence, snapshot.status, snapshot.problem.code) == (1, Freshness.STALE, "HEAD_FORMAT")


def test_with_no_network_a_stale_one_is_given_only_where_it_is_allowed(world):
    world.reader.latest("champions")
    world.clock.now_ms += 3 * HOUR
    world.peer.down = True
    with raises(Unreachable):
        world.reader.latest("champions")
    assert world.reader.latest("champions", allow_stale=True).status is Freshness.STALE


def test_what_was_last_known_good_takes_no_request(world):
    world.reader.latest("champions")
    world.publish(FILES | {ROSTER: b"{}"})
    world.reader.latest("champions")
    sha256 = world.engine.made.sha256
    next(world.home.rglob(f"{sha256.hex()}.hzm")).unlink()
    world.peer.requests()
    fresh = world.new_reader()
    assert fresh.trust() == world.engine.trust
    with raises("BODY_MISSING"):
        fresh.last_good("champions")
    before = fresh.last_good("champions", allow_stale=True)
    assert (before.sequence, before.superseded, world.peer.requests()) == (1, True, 0)


def test_a_snapshot_says_which_head_it_is(world):
    snapshot = world.reader.latest("champions")
    assert snapshot.head_file == world.peer.get(locations.head("champions"))
    assert snapshot.digest == world.engine.prev
    assert (snapshot.problem, snapshot.superseded) == (None, False)


# seconds until it is no longer fresh, the longest wait that is asked for -> how long the next wait is
WAITS = [
    (3_600, 60, 60),
    (3_600, 480, 480),
    (59.5, 480, 60),
    (45, 480, 46),
    (10, 480, 30),
    (0.5, 480, 30),
    (-1, 480, 480),
    (-1.5, 60, 60),
]


@pytest.mark.parametrize(("left_s", "poll_s", "expected"), WAITS)
def test_the_next_wait_ends_when_it_gets_too_old(world, left_s, poll_s, expected):
    snapshot = world.reader.latest("champions")
    world.clock.now_ms = snapshot.head.expires_ms - int(left_s * 1000)
    assert world.reader._until(snapshot, poll_s) == expected


def test_files_by_hand_begin_anew_where_a_person_says_so(world):
    files = [signed_files.sign_trust(world.engine.trust, [ROOT])]
    world.reader.latest("champions")
    assert world.reader.pin_file(*files, at_least={"logs": 7}) == world.engine.trust
    assert world.reader._trust_store.load().channels["logs"].mark.sequence == 7
    assert world.reader.last_good("champions").sequence == 1, "nothing is forgotten"
    world.reader.pin_file(*files, reset=True, at_least={"champions": 5})
    assert world.reader._trust_store.load().channels["champions"].mark == (1, 5, b"")
    with raises("ROLLBACK"):
        world.reader.latest("champions")


def test_files_by_hand_of_another_root_take_a_person_who_says_so(world):
    world.reader.latest("champions")
    other = make_trust(root_id=bytes(16))
    with raises("WRONG_ROOT"):
        world.reader.pin_file(signed_files.sign_trust(other, [ROOT]))
    assert world.reader.pin_file(signed_files.sign_trust(other, [ROOT]), reset=True) == other
    assert world.reader._trust_store.load().channels == {}


def test_several_versions_at_once_are_all_remembered(world):
    made = world.engine.trust
    for _ in range(2):
        made = following(made, created_ms=made.created_ms + 1)
        world.engine.say_whom_to_trust(made)
    world.reader.latest("champions")
    assert trust.open(world.reader._trust_store.load().trust) == made


def test_on_a_fresh_machine_each_version_must_follow_the_one_before(world):
    """The root key alone is not enough: a version that names another one before it is none of this chain."""
    world.engine.say_whom_to_trust(following(world.engine.trust, prev=hashlib.sha256(b"another").digest()))
    with raises("TRUST_CHAIN"):
        unpinned(world).pin(PIN)


def test_several_files_by_hand_on_a_fresh_machine(world):
    v2 = following(world.engine.trust, created_ms=world.engine.trust.created_ms + 1)
    files = [signed_files.sign_trust(made, [ROOT]) for made in (v2, world.engine.trust)]
    fresh = unpinned(world)
    assert fresh.pin_file(*files) == v2
    assert fresh.trust() == v2


def test_lost_state_is_begun_again_by_hand_only_with_a_floor(world):
    world.reader.latest("champions")
    state(world).unlink()
    data = signed_files.sign_trust(world.engine.trust, [ROOT])
    with raises(StateMissing):
        world.reader.pin_file(data)
    assert world.reader.pin_file(data, at_least={"champions": 1}) == world.engine.trust
    assert world.reader.latest("champions").sequence == 1


def test_following_gives_stale_ones_where_they_are_allowed(world):
    world.clock.now_ms += 3 * HOUR
    problems = []
    reader = world.new_reader()
    following_ = reader.follow("champions", allow_stale=True, observe=problems.append)
    assert next(following_).status is Freshness.STALE
    assert problems == []


def test_following_waits_from_where_the_last_look_was(world):
    ends = iter([False, False, True])
    for _ in world.reader.follow("champions", stop=lambda: next(ends)):
        pass
    (wait,) = [call for call in world.peer.calls if call[0] == "wait"]
    assert wait[1] == world.reader._trust_store.load().channels["champions"].cursor != ""


def test_a_body_in_memory_is_read_no_second_time(world):
    world.reader.latest("champions")
    world.engine.beat()
    for file in world.home.rglob("*.hzm"):
        file.unlink()
    world.peer.requests()
    assert world.reader.latest("champions").sequence == 2
    sha256 = world.engine.made.sha256
    assert ("fetch", locations.body(sha256)) not in world.peer.calls
    assert world.reader.kept("champions")[1] == {}, "nothing was written either"


def test_a_heartbeat_leaves_the_generation_before_as_it_was(world):
    first = world.peer.get(locations.head("champions"))
    world.reader.latest("champions")
    world.publish(FILES | {ROSTER: b"{}"})
    world.reader.latest("champions")
    world.engine.beat()
    world.reader.latest("champions")
    held = world.reader._trust_store.load().channels["champions"]
    assert held.previous == first
    assert held.previous_parts
    assert held.links
    assert held.parts == (world.engine.made.sha256,)


def test_a_set_of_exactly_the_size_is_kept(tmp_path):
    size = sum(map(len, FILES.values()))
    for keep, kept in ((size, len(FILES)), (size - 1, 0)):
        world = World(tmp_path / str(keep), keep_set=keep)
        world.publish()
        world.reader.latest("champions")
        assert len(list(world.home.rglob("blobs/*"))) == kept


def test_only_what_is_fresh_moves_the_clock(world):
    store = world.reader._trust_store
    world.clock.now_ms += 3 * HOUR
    world.reader.latest("champions", allow_stale=True)
    assert store.load().clock_ms == 0
    world.publish()
    world.reader.latest("champions")
    assert store.load().clock_ms == NOW + 3 * HOUR


def test_hashes_name_what_is_kept(world):
    world.reader.latest("champions")
    (file,) = world.home.rglob("*.hzm")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == file.stem
