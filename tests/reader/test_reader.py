"""Reading a channel: what is given, what it costs, what is remembered."""

import concurrent.futures

import pytest
from expecting import raises
from manifest_world import BACKUP, CANDLES, ENGINE, PROMOTER, ROOT, THIEF, key
from reader_world import FILES, HOUR, PIN, RULES, Publisher, World, change, following, item, make_trust, pin_of, policy

from huracan_sync.errors import Busy, ConfigError, NotFound, NoTrust, Revoked, StateMissing, Unreachable
from huracan_sync.manifest import locations, signed_files
from huracan_sync.manifest.checks import Freshness
from huracan_sync.manifest.file_kinds import Kind

ROSTER = "hamilton/roster.json"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def contents(snapshot):
    return {entry.path: snapshot.read(entry.path) for entry in snapshot}


def test_a_set_is_read(world):
    world.publish()
    snapshot = world.reader.latest("champions")
    assert contents(snapshot) == FILES
    assert (snapshot.channel, snapshot.sequence, snapshot.status) == ("champions", 1, Freshness.FRESH)
    assert (len(snapshot), snapshot.size) == (len(FILES), sum(map(len, FILES.values())))
    assert snapshot.problem is None
    assert snapshot.head.publisher == "engine"


def test_what_it_costs(world):
    world.publish()
    world.reader.latest("champions")
    assert world.peer.requests() == 3 + len(FILES)  # what lies there, head, body, each file
    world.reader.latest("champions")
    assert world.peer.requests() == 1
    world.new_reader().latest("champions")
    assert world.peer.requests() == 1, "after a restart, unchanged is one request too"
    world.engine.beat()
    world.reader.latest("champions")
    assert world.peer.requests() == 2, "a heartbeat is the news and the head"
    world.publish(FILES | {ROSTER: b"[]"})
    snapshot = world.reader.latest("champions")
    assert world.peer.requests() == 4, "one changed file is the news, the head, the body and the file"
    contents(snapshot)
    assert world.peer.requests() == 0


def test_news_of_other_channels_is_no_news(world):
    world.publish()
    world.reader.latest("champions")
    other = type(world.engine)(world.peer, world.clock, "logs")
    other.publish({"logs/a.json": b"{}"})
    world.peer.requests()
    world.reader.latest("champions")
    assert world.peer.requests() == 1
    world.reader.latest("champions")
    assert world.peer.calls == [("changed", ".huracan", str(len(world.peer.moved)))]
    assert contents(world.reader.latest("logs")) == {"logs/a.json": b"{}"}


def test_a_cursor_that_dropbox_forgot_costs_a_whole_look(world):
    world.publish()
    world.reader.latest("champions")
    world.peer.reset = True
    world.peer.requests()
    assert contents(world.reader.latest("champions")) == FILES
    assert world.peer.requests() == 2  # changed, what lies there
    world.peer.reset = True
    world.publish(FILES | {ROSTER: b"[]"})
    assert contents(world.reader.latest("champions"))[ROSTER] == b"[]"


def test_more_than_one_answer_holds_is_looked_at_piece_by_piece(world):
    world.publish()
    world.peer.page = 1
    assert contents(world.reader.latest("champions")) == FILES
    assert world.peer.requests() == 5 + len(FILES)  # what lies there, cursor, no newer trust file, head, body, files
    world.reader.latest("champions")
    assert world.peer.requests() == 1


@pytest.mark.parametrize("page", [1, 2000])
def test_where_the_last_look_is_not_known_everything_that_moved_is_news(world, page):
    world.publish()
    world.reader.latest("champions")
    world.peer.page, world.peer.reset = page, True
    fresh = make_trust(version=2, channels=RULES, after=world.engine.trust)
    world.engine.say_whom_to_trust(fresh)
    assert world.reader.latest("champions").sequence == 1
    assert world.reader.trust().version == 2
    world.peer.reset = True
    world.peer.delete(locations.head("champions"))
    with raises("HEAD_MISSING"):
        world.reader.latest("champions")


def test_a_publish_in_progress_tears_nothing(world):
    world.keywords["keep_set"] = 0
    world.reader = world.new_reader()
    world.publish()
    snapshot = world.reader.latest("champions")
    for path in FILES:
        world.peer.put(path, b"of the next set")
    assert contents(snapshot) == FILES


def test_a_file_whose_revision_is_gone_is_read_by_its_path(world):
    world.keywords["keep_set"] = 0
    world.reader = world.new_reader()
    items = [item(path, data, "0000000000000000000ff") for path, data in FILES.items()]
    for path, data in FILES.items():
        world.peer.put(path, data)
    world.engine.publish_items([change(items[0], rev=""), *items[1:]])
    assert contents(world.reader.latest("champions")) == FILES


def test_a_snapshot_is_asked_for_its_files(world):
    world.publish()
    snapshot = world.reader.latest("champions")
    assert ROSTER in snapshot
    assert "hamilton" not in snapshot
    assert 1 not in snapshot
    assert [entry.path for entry in snapshot.iter("models/champions/latest")] == [
        "models/champions/latest/BTCUSDT.bin",
        "models/champions/latest/ETHUSDT.bin",
    ]
    assert list(snapshot.iter("nothing")) == []
    assert snapshot.entry(ROSTER).size == len(FILES[ROSTER])
    assert snapshot.item(ROSTER).kind == 2
    assert repr(snapshot) == "Snapshot(champions 1-1, 6 files, fresh)"
    for ask in (snapshot.read, snapshot.entry, snapshot.open, snapshot.path, snapshot.item):
        with raises(NotFound):
            ask("hamilton/nothing.json")


def test_an_empty_set(world):
    world.publish({})
    assert list(world.reader.latest("champions")) == []


def test_an_empty_file(world):
    world.publish({"empty.txt": b""})
    snapshot = world.reader.latest("champions")
    assert snapshot.read("empty.txt") == b""
    with snapshot.open("empty.txt") as file:
        assert file.read() == b""
    assert snapshot.path("empty.txt").read_bytes() == b""


# --- whom to trust


def test_nothing_is_read_before_a_key_is_pinned(tmp_path):
    world = World(tmp_path, pinned=False)
    world.publish()
    for ask in (world.reader.latest, world.reader.last_good):
        with raises(NoTrust):
            ask("champions")
    with raises(NoTrust):
        world.reader.trust()


def test_a_key_is_pinned_and_its_successors_found(tmp_path):
    world = World(tmp_path, pinned=False)
    v1 = world.engine.trust
    v2 = following(v1, created_ms=v1.created_ms + 1)
    world.engine.say_whom_to_trust(v2)
    assert world.reader.pin(PIN) == v2
    assert world.reader.trust() == v2
    assert world.reader.pin(PIN) == v2, "pinning the same again changes nothing"


def test_the_pinned_key_may_come_in_a_later_version(tmp_path):
    """A machine set up after the root was replaced knows only the new one."""
    world = World(tmp_path, pinned=False)
    v2 = make_trust(
        version=2,
        roots=[BACKUP],
        channels=RULES,
        created=world.engine.trust.created_ms + 1,
        after=world.engine.trust,
    )
    world.engine.say_whom_to_trust(v2, ROOT, BACKUP)
    assert world.reader.pin(str(pin_of(BACKUP))) == v2


def test_a_key_nobody_signed_with(tmp_path):
    world = World(tmp_path, pinned=False)
    with raises("TRUST_PIN"):
        world.reader.pin(str(pin_of(BACKUP)))
    world.peer.delete(".huracan/trust")
    with raises(NotFound):
        world.reader.pin(PIN)


def test_a_break_in_the_chain_stops_the_pinning(tmp_path):
    world = World(tmp_path, pinned=False)
    world.peer.put(locations.trust(2), b"HZTRST1\n")
    with raises("TRUST_FORMAT"):
        world.reader.pin(PIN)


def test_a_trust_file_may_be_brought_by_hand(tmp_path):
    world = World(tmp_path, pinned=False)
    data = signed_files.sign_trust(world.engine.trust, [ROOT])
    assert world.reader.pin_file(data) == world.engine.trust
    world.publish()
    assert contents(world.reader.latest("champions")) == FILES
    assert world.reader.pin_file(data) == world.engine.trust
    assert world.reader.pin(PIN) == world.engine.trust, "the pin is in the file"


def test_other_keys_are_pinned_only_when_a_person_says_anew(world):
    world.publish()
    world.reader.latest("champions")
    with raises(ConfigError):
        world.reader.pin(str(pin_of(BACKUP)))
    world.reader.pin(PIN, reset=True)
    with raises(NotFound):
        world.reader.last_good("champions")


def test_an_expired_trust_file_pins_nothing_and_reads_nothing(world, tmp_path):
    world.publish()
    world.reader.latest("champions")
    world.clock.now_ms = world.engine.trust.expires_ms
    for ask in (world.reader.latest, world.reader.last_good):
        with raises("TRUST_EXPIRED"):
            ask("champions")
    with raises("TRUST_EXPIRED"):
        World.new_reader(world).pin(PIN, reset=True)


def test_a_channel_nobody_published_in(world):
    world.publish()
    with raises(NotFound):
        world.reader.latest("logs")
    with raises("CHANNEL_NAME"):
        world.reader.latest("../logs")


def test_nothing_was_ever_published(world):
    world.peer.delete(".huracan")
    with raises(NotFound):
        world.reader.latest("champions")


# --- keys come and go


def next_trust(world, **changes):
    old = world.engine.trust
    return make_trust(version=old.version + 1, created=old.created_ms + 1, after=old, **changes)


def test_a_new_key_is_learned_when_it_is_first_used(world):
    world.publish()
    world.reader.latest("champions")
    both = [key(ENGINE), key(PROMOTER)]
    world.engine.say_whom_to_trust(next_trust(world, keys=both, channels=[policy("champions", ENGINE, PROMOTER)]))
    world.engine.who = PROMOTER
    world.publish(FILES | {ROSTER: b"{}"})
    assert world.reader.latest("champions").read(ROSTER) == b"{}"
    assert world.reader.trust().version == 2


def test_a_trust_file_that_comes_while_we_look_is_looked_for_once_more(world):
    world.publish()
    world.reader.latest("champions")
    keys = [key(ENGINE), key(PROMOTER)]
    made = next_trust(world, keys=keys, channels=[policy("champions", PROMOTER)])

    def rotated():
        world.engine.say_whom_to_trust(made)
        world.engine.who = PROMOTER
        world.engine.beat()

    world.engine.beat()  # the news says only that the head moved
    world.peer.before[locations.head("champions")] = rotated
    assert world.reader.latest("champions").sequence == 3


def test_a_revoked_key_halts_what_was_good(world):
    world.publish()
    world.reader.latest("champions")
    keys = [key(ENGINE), key(PROMOTER)]
    world.engine.say_whom_to_trust(
        next_trust(world, keys=keys, channels=[policy("champions", PROMOTER, epoch=2)], revoked=[ENGINE])
    )
    for allow_stale in (True, False):
        with raises("KEY_REVOKED"):
            world.reader.latest("champions", allow_stale=allow_stale)
        with raises("KEY_REVOKED"):
            world.reader.last_good("champions", allow_stale=allow_stale)
    world.engine.who, world.engine.epoch, world.engine.seq = PROMOTER, 2, 0
    world.publish()
    assert world.reader.latest("champions").head.epoch == 2


def test_after_a_theft_the_next_epoch_begins_at_one(world):
    """The thief went to the last number there is; that head was refused, and the epoch after it begins anew."""
    world.publish()
    world.reader.latest("champions")
    world.engine.seq = 2**63 - 2
    world.engine.beat()
    with raises("SEQUENCE_JUMP"):
        world.reader.latest("champions")
    keys = [key(ENGINE), key(PROMOTER)]
    world.engine.say_whom_to_trust(
        next_trust(world, keys=keys, channels=[policy("champions", PROMOTER, epoch=2)], revoked=[ENGINE])
    )
    world.engine.who, world.engine.epoch, world.engine.seq = PROMOTER, 2, 0
    world.publish()
    assert world.reader.latest("champions").sequence == 1


def test_a_new_policy_is_asked_of_what_was_read_before(world):
    world.publish()
    world.reader.latest("champions")
    keys = [key(ENGINE), key(CANDLES)]
    world.engine.say_whom_to_trust(next_trust(world, keys=keys, channels=[policy(kinds=(2,))]))
    with raises("KIND"):
        world.reader.latest("champions")


def test_a_kind_that_the_policy_has_not_is_refused_in_a_new_list_as_in_an_old_one(world):
    world.publish()
    world.reader.latest("champions")
    pickled = b"\x80\x04N."
    world.engine.publish_items([item("m.pkl", pickled, world.peer.put("m.pkl", pickled), kind=int(Kind.PICKLE))])
    with raises("KIND"):
        world.reader.latest("champions")
    assert world.reader.last_good("champions").sequence == 1


def test_what_is_not_remembered_is_a_whole_snapshot_all_the_same(tmp_path):
    world = World(tmp_path, keep_set=0)
    world.publish()
    for path in FILES:
        world.reader.latest("champions").read(path)
    world.publish(FILES | {ROSTER: b"2"})
    passing = world.reader.latest("champions", remember=False)
    assert (passing.sequence, passing.read(ROSTER), len(passing)) == (2, b"2", len(FILES))
    assert world.reader.last_good("champions").sequence == 1


def test_a_channel_that_was_seen_and_has_no_head_is_told_otherwise_than_one_that_never_was(world):
    world.publish()
    world.reader.latest("champions")
    for path in list(world.peer.files):
        world.peer.delete(path)
    with raises("HEAD_MISSING"):
        world.reader.latest("champions")
    with raises(NotFound, match="nothing was ever published in candles"):
        world.reader.latest("candles")


# --- time


def test_fresh_stale_and_dead_to_the_second(world):
    world.publish()
    snapshot = world.reader.latest("champions")
    allowed = world.reader.latest("champions", allow_stale=True)
    start = world.clock.now_ms
    for offline in (False, True):
        world.peer.down = offline
        world.clock.now_ms = start + 2 * HOUR - 1
        assert world.reader.latest("champions").status is Freshness.FRESH
        assert snapshot.read(ROSTER)
        world.clock.now_ms = start + 2 * HOUR
        assert snapshot.status is Freshness.STALE
        for ask in (lambda: world.reader.latest("champions"), lambda: world.reader.last_good("champions")):
            with raises(("STALE", Unreachable)):
                ask()
        for ask in (snapshot.read, snapshot.open, snapshot.path, lambda path: snapshot.read_range(path, 0, 1)):
            with raises("STALE"):
                ask(ROSTER)
        assert allowed.read(ROSTER)
        world.clock.now_ms = start + 26 * HOUR - 1
        stale = world.reader.latest("champions", allow_stale=True)
        assert (stale.status, stale.read(ROSTER)) == (Freshness.STALE, FILES[ROSTER])
        world.clock.now_ms = start + 26 * HOUR
        assert stale.status is Freshness.DEAD
        for ask in (stale.read, allowed.read):
            with raises("DEAD"):
                ask(ROSTER)
        with raises(("DEAD", Unreachable)):
            world.reader.latest("champions", allow_stale=True)
        with raises("DEAD"):
            world.reader.last_good("champions", allow_stale=True)


def test_a_stale_head_may_still_be_read_and_is_remembered(world):
    world.publish()
    world.clock.now_ms += 3 * HOUR
    with raises("STALE"):
        world.reader.latest("champions")
    assert world.reader.latest("champions", allow_stale=True).status is Freshness.STALE
    world.clock.now_ms -= 3 * HOUR
    assert world.reader.latest("champions").status is Freshness.FRESH, "a stale head moves no clock forward"


def test_a_clock_that_fell_back(world):
    world.publish()
    world.reader.latest("champions")
    world.clock.now_ms -= 301_000
    with raises("CLOCK"):
        world.reader.latest("champions")
    kept = world.reader.latest("champions", allow_stale=True)
    assert kept.problem.code == "CLOCK"
    assert contents(kept) == FILES
    assert kept.status is Freshness.FRESH


# --- no network


def test_with_no_network_what_was_last_known_good_is_given(world):
    world.publish()
    world.reader.latest("champions")
    world.peer.down = True
    for reader in (world.reader, world.new_reader()):
        snapshot = reader.latest("champions")
        assert isinstance(snapshot.problem, Unreachable)
        assert contents(snapshot) == FILES
        assert contents(reader.last_good("champions")) == FILES


def test_a_withdrawn_login_leaves_what_was_good_until_it_is_stale(world):
    world.publish()
    world.reader.latest("champions")
    world.peer.revoked = True
    snapshot = world.reader.latest("champions")
    assert isinstance(snapshot.problem, Revoked)
    assert contents(snapshot) == FILES
    world.clock.now_ms += 2 * HOUR
    with raises(Revoked):
        world.reader.latest("champions")


def test_with_no_network_and_nothing_here(world):
    world.publish()
    world.peer.down = True
    with raises(Unreachable):
        world.reader.latest("champions")
    with raises(NotFound):
        world.reader.last_good("champions")


def test_what_the_disk_lost_is_fetched_again(world):
    world.publish()
    world.reader.latest("champions")
    for file in world.home.rglob("*"):
        if file.parent.name in {"bodies", "blobs"}:
            file.chmod(0o600)
            file.write_bytes(bytes(len(file.read_bytes())))
    world.peer.requests()
    fresh = world.new_reader()
    assert contents(fresh.latest("champions")) == FILES
    assert world.peer.requests() == 2 + len(FILES)  # the news, the body, each file
    world.peer.down = True
    assert contents(world.new_reader().latest("champions")) == FILES


def test_of_a_damaged_generation_the_one_before_is_given_as_stale(world):
    world.publish()
    world.reader.latest("champions")
    world.publish(FILES | {ROSTER: b"{}"})
    world.reader.latest("champions")
    (
        world.home / next(world.home.rglob("kept")) / "champions" / "bodies" / f"{world.engine.made.sha256.hex()}.hzm"
    ).unlink()
    world.peer.down = True
    offline = world.new_reader()
    with raises("BODY_MISSING"):
        offline.last_good("champions")
    before = offline.last_good("champions", allow_stale=True)
    assert (before.sequence, before.status) == (1, Freshness.STALE)
    assert before.problem.code == "BODY_MISSING"
    assert contents(before) == FILES


def test_only_two_generations_are_kept(world):
    for number in range(4):
        world.publish({"a.bin": b"same", "b.bin": b"%d" % number})
        world.reader.latest("champions")
        world.engine.beat()
        world.reader.latest("champions")
    kept = [file for file in world.home.rglob("*") if file.parent.name in {"bodies", "blobs"}]
    assert sorted(file.parent.name for file in kept) == ["blobs"] * 3 + ["bodies"] * 2
    (kept[0].parent / ".huracan-left.part").write_bytes(b"by a process that died")
    world.publish({"a.bin": b"same", "b.bin": b"new"})
    world.reader.latest("champions")
    assert not list(world.home.rglob("*.part"))


def test_what_cannot_be_read_again_is_not_kept(world):
    world.publish({"a.bin": b"1"})
    world.reader.latest("champions")
    for file in world.home.rglob("*.hzm"):
        file.write_bytes(b"rot")
    world.publish({"a.bin": b"2"})
    world.reader.latest("champions")
    assert len(list(world.home.rglob("*.hzm"))) == 2
    assert len([file for file in world.home.rglob("*") if file.parent.name == "blobs"]) == 1


# --- what was seen


def test_lost_state_stops_everything_until_a_person_says_where_to_go_on(world):
    for _ in range(3):
        world.publish()
    world.reader.latest("champions")
    next(world.home.rglob("seen.db")).unlink()
    fresh = world.new_reader()
    for ask in (fresh.latest, fresh.last_good, lambda _: fresh.trust(), lambda _: fresh.pin(PIN)):
        with raises(StateMissing):
            ask("champions")
    fresh.pin(PIN, at_least={"champions": 4})
    with raises("ROLLBACK"):
        fresh.latest("champions")
    world.publish()
    assert fresh.latest("champions").sequence == 4


def test_a_floor_is_raised_and_never_lowered(world):
    world.publish()
    world.reader.latest("champions")
    world.reader.raise_floor("champions", 1)
    assert world.reader.last_good("champions").sequence == 1
    world.reader.pin(PIN, at_least={"champions": 3, "logs": 2})
    for ask in (lambda: world.reader.latest("champions"), lambda: world.reader.latest("champions", allow_stale=True)):
        with raises("ROLLBACK"):
            ask()
    world.engine.seq = 2
    world.publish()
    assert world.reader.latest("champions").sequence == 3
    with raises(ConfigError):
        world.reader.raise_floor("champions", 2)


def test_what_is_refused_is_not_remembered(world):
    good = world.publish()
    world.reader.latest("champions")
    world.publish(FILES | {ROSTER: b"{}"})
    world.peer.put(world.engine.made.parts().__next__().path, b"damage")
    for _ in range(2):
        with raises("BODY_HASH"):
            world.reader.latest("champions")
    world.peer.put(locations.head("champions"), good)
    assert world.reader.latest("champions").sequence == 1


def test_another_process_moves_the_mark_while_we_look(world):
    world.publish()
    world.reader.latest("champions")
    other = world.new_reader()
    world.publish(FILES | {ROSTER: b"2"})

    def meanwhile():
        world.publish(FILES | {ROSTER: b"3"})
        assert other.latest("champions").sequence == 3

    world.peer.before[f"rev:{world.peer.files[ROSTER]}"] = meanwhile
    snapshot = world.reader.latest("champions")
    assert (snapshot.sequence, snapshot.read(ROSTER)) == (3, b"3")


def test_another_process_that_never_stops_moving_it(world):
    world.publish()
    world.reader.latest("champions")
    other = world.new_reader()
    world.engine.beat()

    fetch = world.peer.fetch

    def racing(place, limit):
        data = fetch(place, limit)
        if place == locations.head("champions"):
            world.peer.fetch = fetch
            assert other.latest("champions").sequence == world.engine.seq
            world.engine.beat()
            world.peer.fetch = racing
        return data

    world.peer.fetch = racing
    snapshot = world.reader.latest("champions")
    assert isinstance(snapshot.problem, Busy)
    assert contents(snapshot) == FILES


def test_several_files_at_once(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        world = World(tmp_path, each=pool.map)
        world.publish({f"{n}.bin": b"%d" % n for n in range(50)})
        snapshot = world.reader.latest("champions")
        world.peer.down = True
        assert contents(snapshot) == {f"{n}.bin": b"%d" % n for n in range(50)}


def test_two_root_folders_on_one_machine_know_nothing_of_each_other(world):
    world.publish()
    world.reader.latest("champions")
    other = world.new_reader(place="another account")
    with raises(NoTrust):
        other.latest("champions")
    other.pin(PIN)
    assert other.latest("champions").sequence == 1


def test_who_keeps_no_sets_takes_none_from_who_does(world):
    world.publish()
    world.reader.latest("champions")
    passing = world.new_reader(keep_set=0)
    world.publish(FILES | {ROSTER: b"2"})
    world.peer.requests()
    told = passing.latest("champions", remember=False)
    assert (told.sequence, world.peer.requests()) == (2, 3)  # the news, the head, the body
    world.peer.down = True
    assert contents(world.new_reader().latest("champions")) == FILES
    world.peer.down = False
    assert passing.latest("champions").sequence == 2
    world.peer.down = True
    offline = world.new_reader().latest("champions")
    assert (offline.sequence, contents(offline)[ROSTER]) == (2, b"2")


def test_where_no_set_is_kept_none_is_brought(world):
    passing = world.new_reader(keep_set=0)
    world.publish()
    for remember in (False, True):
        world.peer.requests()
        passing.latest("champions", remember=remember)
        assert "stream" not in [call[0] for call in world.peer.calls]
    world.publish(FILES | {ROSTER: b"2"})
    assert passing.latest("champions", remember=False).sequence == 2
    world.peer.requests()
    passing.latest("champions", remember=False)
    assert world.peer.requests() == 1, "it was remembered"


def test_a_set_whose_key_was_revoked_is_no_longer_kept_for_anybody(world):
    world.publish()
    world.reader.latest("champions")
    rules = [policy("champions", PROMOTER, epoch=2)]
    world.engine.say_whom_to_trust(
        next_trust(world, keys=[key(ENGINE), key(PROMOTER)], channels=rules, revoked=[ENGINE])
    )
    world.engine.who, world.engine.epoch, world.engine.seq = PROMOTER, 2, 0
    world.publish(FILES | {ROSTER: b"2"})
    world.new_reader(keep_set=0).latest("champions", remember=False)
    assert world.reader.last_good("champions").head.epoch == 2


# --- a step in history


def missed(world, count):
    """Heads that were published while nobody looked."""
    for _ in range(count):
        world.engine.beat()


@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 1), (30, 9), (300, 20)])
def test_what_was_missed_must_lead_back_and_costs_little(world, count, most):
    world.publish()
    missed(world, 3)
    world.reader.latest("champions")
    missed(world, count)
    world.peer.requests()
    assert world.reader.latest("champions").sequence == 4 + count
    reads = [call for call in world.peer.calls if call[0] == "fetch" and "/log/" in call[1]]
    assert len(reads) <= most


def test_a_history_that_cannot_be_followed_is_refused_and_what_was_good_stays(world):
    world.publish()
    world.reader.latest("champions")
    missed(world, 20)
    world.peer.delete(locations.LOG)
    with raises("GAP") as caught:
        world.reader.latest("champions")
    assert "--at-least" in caught.value.hint
    kept = world.reader.latest("champions", allow_stale=True)
    assert (kept.sequence, kept.problem.code) == (1, "GAP")


def test_a_longer_history_that_branched_off_below_never_overtakes(world):
    """Its heads are signed properly: by a publisher that was shown an older head and went on from there."""
    world.publish()
    branch = Publisher(world.peer, world.clock)
    branch.epoch, branch.seq, branch.prev, branch.made = 1, 1, world.engine.prev, world.engine.made
    branch.digests = dict(world.engine.digests)
    missed(world, 5)
    assert world.reader.latest("champions").sequence == 6
    for _ in range(12):
        branch.beat(publisher="pod")
    with raises("GAP"):
        world.reader.latest("champions")


def test_a_person_says_where_to_go_on(world):
    world.publish()
    world.reader.latest("champions")
    missed(world, 20)
    world.peer.delete(locations.LOG)
    world.reader.pin(PIN, at_least={"champions": 21})
    assert world.reader.latest("champions").sequence == 21


# --- trust files and pins that are carried


def test_a_newer_trust_file_by_hand_forgets_nothing(world):
    """The thief withholds it in Dropbox; a person carries it."""
    world.publish()
    missed(world, 2)
    world.reader.latest("champions")
    keys = [key(ENGINE), key(PROMOTER)]
    v2 = next_trust(world, keys=keys, channels=[policy("champions", PROMOTER, epoch=2)], revoked=[ENGINE])
    v3 = following(v2, created_ms=v2.created_ms + 1)
    assert world.reader.pin_file(signed_files.sign_trust(v2, [ROOT])) == v2
    assert world.reader._trust_store.load().channels["champions"].mark.sequence == 3
    with raises("KEY_REVOKED"):
        world.reader.latest("champions")
    assert world.reader.pin_file(signed_files.sign_trust(v2, [ROOT]), signed_files.sign_trust(v3, [ROOT])) == v3
    assert world.reader.pin_file(signed_files.sign_trust(v2, [ROOT])) == v3, "an older one changes nothing"


def test_a_trust_file_by_hand_must_lead_on(world):
    v2 = next_trust(world, channels=RULES)
    v3 = following(v2, created_ms=v2.created_ms + 1)
    with raises("TRUST_CHAIN") as caught:
        world.reader.pin_file(signed_files.sign_trust(v3, [ROOT]))
    assert "2.hzt" in caught.value.hint
    world.peer.put(locations.trust(2), signed_files.sign_trust(v2, [ROOT]))
    assert world.reader.pin_file(signed_files.sign_trust(v3, [ROOT])) == v3, "the one between lies in Dropbox"
    with raises("TRUST_CHAIN"):
        world.reader.pin_file(signed_files.sign_trust(change(v3, created_ms=v3.created_ms + 1), [ROOT]))
    with raises("WRONG_ROOT"):
        world.reader.pin_file(signed_files.sign_trust(make_trust(root_id=bytes(16)), [ROOT]))
    with raises("TRUST_SIGNATURES"):
        world.reader.pin_file(signed_files.sign_trust(following(v3, roots=(THIEF.public,)), [THIEF]))


def test_a_pin_that_was_delivered_to_the_machine(tmp_path):
    world = World(tmp_path, pinned=False, pin=PIN)
    world.publish()
    assert contents(world.reader.latest("champions")) == FILES
    other = world.new_reader(pin=str(pin_of(BACKUP)))
    with raises(ConfigError, match="HURACAN_ROOT_PIN"):
        other.latest("champions")
