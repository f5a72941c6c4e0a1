"""A thief with full write access to the Dropbox folder, and what of it reaches Hamilton: nothing.

Each attack begins where Hamilton has read generation 2 of `champions`. It ends in one of two ways: the reading is
refused, with the reason that is expected, and what was last known good is still given; or it gives generation 2 as if
nothing had happened. The thief knows every file that ever lay there, has a key of his own and the stolen key of
another channel, but none that may sign champions.
"""

import itertools
import random

import msgspec
import pytest
from expecting import raises
from manifest_world import BACKUP, CANDLES, ENGINE, ROOT, THIEF, key
from reader_world import FILES, HOUR, PIN, RULES, World, change, following, item, make_trust, policy, sha256
from sampled import slow

from huracan_sync.errors import ContentMismatch, Refused
from huracan_sync.manifest import body_writer, head, locations, signed_files, sshsig, trust
from huracan_sync.manifest.body import MAGIC
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.head import FORM
from huracan_sync.manifest.signed_files import pack, seal

HEAD = locations.head("champions")
BTC = "models/champions/latest/BTCUSDT.bin"
EVIL = b"evil model"
SET_2 = FILES | {BTC: b"model of BTC, second generation"}


class Scene(World):
    """Where an attack begins."""

    def __init__(self, folder, **reader):
        super().__init__(folder, **reader)
        rules = [*RULES, policy("candles", CANDLES)]
        self.engine.say_whom_to_trust(make_trust(channels=rules, keys=[key(ENGINE), key(CANDLES)]))
        self.reader.pin(PIN, reset=True)
        self.head_1 = self.publish()
        self.body_1 = self.engine.made
        self.clock.now_ms += 60_000
        self.head_2 = self.publish(SET_2)
        self.body_2 = self.engine.made
        self.good = self.reader.latest("champions")
        self.clock.now_ms += 60_000
        self.evil = body_writer.encode("champions", [item(BTC, EVIL, self.peer.put("elsewhere", EVIL))])
        for part in self.evil.parts():
            self.peer.put(part.path, part.data)

    def put_head(self, data):
        self.peer.put(HEAD, data)

    def forge(self, *who, made=None, **changes):
        """A head over the evil body, signed by whomever the thief has the key of."""
        made = made or self.evil
        engine = self.engine
        fields = {
            "seq": engine.seq + 1,
            "prev": engine.prev,
            "body_sha256": made.sha256,
            "body_len": len(made.data),
            "raw_len": made.raw_len,
            "entry_count": made.entry_count,
        }
        said = unpack(FORM, engine.head()[0]).payload
        honest = msgspec.msgpack.decode(said, type=head.Head)
        self.put_head(signed_files.sign_head(change(honest, **fields | changes), who or (THIEF,)))

    def honest_but_bad(self, made=None, **changes):
        """A head that the engine's own key has signed, with something wrong in it: a bug, or a stolen key."""
        self.forge(ENGINE, made=made, **changes)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


ATTACKS = {}


def attack(expected):
    """Note an attack and the code it must be refused with; None: nothing may change."""

    def note(function):
        ATTACKS[function.__name__.replace("_", " ")] = (function, expected)
        return function

    return note


# --- the head


@attack("THRESHOLD")
def a_head_by_the_thief(s):
    s.forge(THIEF)


@attack("KEY_CHANNEL")
def a_head_by_the_key_of_another_channel(s):
    s.forge(CANDLES)


@attack("THRESHOLD")
def a_head_by_the_root_key(s):
    s.forge(ROOT)


@attack("BAD_SIGNATURE")
def a_signature_of_another_head(s):
    s.forge(ENGINE)
    payload = unpack(FORM, s.peer.get(HEAD)).payload
    s.put_head(pack(FORM, payload, unpack(FORM, s.head_2).signatures))


@attack("BAD_SIGNATURE")
def the_engine_s_name_under_the_thief_s_signature(s):
    payload = unpack(FORM, s.head_2).payload.replace(s.body_2.sha256, s.evil.sha256)
    s.put_head(pack(FORM, payload, {ENGINE.key_id: THIEF.sign(sshsig.HEAD, payload)}))


@attack("BAD_SIGNATURE")
def a_signature_for_another_purpose(s):
    s.engine.seq += 1
    payload = unpack(FORM, s.engine.head()[0]).payload
    s.put_head(pack(FORM, payload, {ENGINE.key_id: ENGINE.sign(sshsig.TRUST, payload)}))


@attack("THRESHOLD")
def the_thief_s_key_under_the_engine_s_id_is_not_known(s):
    payload = unpack(FORM, s.head_2).payload
    s.put_head(pack(FORM, payload, {THIEF.key_id: unpack(FORM, s.head_2).signatures[ENGINE.key_id]}))


@attack("ROLLBACK")
def the_head_before(s):
    s.put_head(s.head_1)


@attack("ROLLBACK")
def the_head_before_and_all_its_files(s):
    for path, data in FILES.items():
        s.peer.put(path, data)
    s.put_head(s.head_1)


@attack("FORK")
def another_head_in_the_same_place(s):
    s.honest_but_bad(s.body_2, seq=2, prev=bytes(32))


@attack("FORK")
def a_next_head_that_does_not_follow(s):
    s.honest_but_bad(s.body_2, prev=bytes(32))


@attack("SEQUENCE_JUMP")
def the_last_number_there_is(s):
    s.honest_but_bad(s.body_2, seq=2**63 - 1)


@attack("EPOCH")
def an_epoch_that_the_root_did_not_begin(s):
    s.honest_but_bad(s.body_2, epoch=2, seq=1)


@attack("TRUST_TOO_OLD")
def a_trust_file_that_does_not_exist(s):
    s.honest_but_bad(s.body_2, trust_version=2)


@attack("FUTURE")
def a_head_from_the_future(s):
    now = s.clock.now_ms
    s.honest_but_bad(s.body_2, created_ms=now + HOUR, expires_ms=now + 2 * HOUR)


@attack("LIFETIME")
def a_head_that_lives_for_ever(s):
    s.honest_but_bad(s.body_2, expires_ms=s.clock.now_ms + 30 * 24 * HOUR)


@attack("KEY_WINDOW")
def a_head_from_before_its_key(s):
    created = s.engine.trust.key(ENGINE.key_id).not_before_ms - 1
    s.honest_but_bad(s.body_2, created_ms=created, expires_ms=created + HOUR)


@attack("STALE")
def a_head_that_is_past_its_time(s):
    created = s.clock.now_ms - 3 * HOUR
    s.honest_but_bad(s.body_2, created_ms=created, expires_ms=created + HOUR)


@attack("DEAD")
def a_head_of_last_week(s):
    created = s.clock.now_ms - 7 * 24 * HOUR
    s.honest_but_bad(s.body_2, created_ms=created, expires_ms=created + HOUR)


@attack("WRONG_CHANNEL")
def the_head_of_another_channel(s):
    s.honest_but_bad(s.body_2, channel="logs")


@attack("HEAD_MISSING")
def the_head_taken_away(s):
    s.peer.delete(HEAD)


@attack("HEAD_MISSING")
def all_heads_taken_away(s):
    s.peer.delete(locations.HEADS)


@attack("HEAD_MISSING")
def everything_signed_taken_away(s):
    s.peer.delete(locations.HOME)


@attack("HEAD_FORMAT")
def an_empty_head(s):
    s.put_head(b"")


@attack("HEAD_FORMAT")
def a_head_cut_short(s):
    s.put_head(s.head_2[:-1])


@attack("HEAD_FORMAT")
def a_head_with_bytes_behind_it(s):
    s.put_head(s.head_2 + b"\0")


@attack("HEAD_FORMAT")
def a_head_of_a_gigabyte(s):
    s.put_head(s.head_2 + bytes(1 << 20))


@attack("HEAD_FORMAT")
def a_trust_file_for_a_head(s):
    s.put_head(s.peer.get(locations.trust(1)))


@attack("HEAD_FORMAT")
def a_page_of_html_for_a_head(s):
    s.put_head(b"<!doctype html><title>Sign in to the network</title>")


@attack("NOT_CANONICAL")
def a_head_spelled_otherwise(s):
    payload = unpack(FORM, s.engine.head()[0]).payload
    s.put_head(seal(FORM, payload[:1] + b"\xcc\x02" + payload[2:], [ENGINE]))


@attack("HEAD_FORMAT")
def a_head_with_nesting_without_end(s):
    s.put_head(seal(FORM, b"\x91" * 2_000, [ENGINE]))


@attack("LIMIT")
def a_head_that_names_a_terabyte(s):
    s.honest_but_bad(body_len=2**40)


@attack(None)
def the_same_head_again(s):
    s.put_head(s.head_2)


@attack(None)
def the_same_head_with_the_thief_s_signature_besides(s):
    payload = unpack(FORM, s.head_2).payload
    signatures = unpack(FORM, s.head_2).signatures | {THIEF.key_id: THIEF.sign(sshsig.HEAD, payload)}
    s.put_head(pack(FORM, payload, signatures))


# --- the body


@attack("BODY_MISSING")
def a_body_taken_away(s):
    s.engine.publish_items([item("a.bin", b"a", s.peer.put("a.bin", b"a"))])
    s.peer.delete(locations.body(s.engine.made.sha256))


def with_body(s, data):
    """An honest publish whose body the thief replaces at once."""
    s.engine.publish_items([item("a.bin", b"a", s.peer.put("a.bin", b"a"))])
    s.peer.put(locations.body(s.engine.made.sha256), data)


@attack("BODY_HASH")
def another_body_in_its_place(s):
    with_body(s, s.evil.data)


@attack("BODY_HASH")
def the_body_before_in_its_place(s):
    with_body(s, s.body_1.data)


@attack("BODY_HASH")
def an_empty_body(s):
    with_body(s, b"")


@attack("BODY_HASH")
def a_body_with_bytes_behind_it(s):
    with_body(s, s.evil.data + bytes(1 << 20))


@attack("BODY_HASH")
def a_bomb_for_a_body(s):
    with_body(s, MAGIC + body_writer.compress(bytes(64 << 20)))


def signed_body(s, raw, count=1, packed=None):
    """What the engine's key would sign if its program were wrong."""
    data = MAGIC + (body_writer.compress(raw) if packed is None else packed)
    made = body_writer.Body(len(raw), sha256(data), data, [], count)
    s.peer.put(locations.body(made.sha256), data)
    s.honest_but_bad(made)


def listing(*some, channel="champions"):
    return msgspec.msgpack.encode([1, channel, list(some)])


@attack("BODY_FORMAT")
def a_signed_body_that_is_no_frame(s):
    signed_body(s, b"raw", packed=b"raw")


@attack("BODY_FORMAT")
def a_signed_bomb(s):
    signed_body(s, bytes(100), packed=body_writer.compress(bytes(64 << 20)))


@attack("BODY_FORMAT")
def a_second_frame_behind_the_first(s):
    raw = listing(item("a.bin", b"a"))
    signed_body(s, raw, packed=body_writer.compress(raw) + body_writer.compress(raw))


@attack("BODY_FORMAT")
def an_array_of_four_thousand_million(s):
    signed_body(s, b"\x93\x01\xa9champions\xdd\xff\xff\xff\xff")


@attack("NOT_CANONICAL")
def a_body_spelled_otherwise(s):
    signed_body(s, listing(item("a.bin", b"a")).replace(b"\xa9champions", b"\xd9\x09champions"))


@attack("WRONG_CHANNEL")
def the_body_of_another_channel(s):
    signed_body(s, listing(item("a.bin", b"a"), channel="candles"))


@attack("ORDER")
def entries_out_of_order(s):
    signed_body(s, listing(item("b.bin", b"b"), item("a.bin", b"a")), 2)


@attack("ORDER")
def an_entry_twice(s):
    signed_body(s, listing(item("a.bin", b"a"), item("a.bin", b"b")), 2)


@attack("ENTRY_COUNT")
def an_entry_left_out(s):
    signed_body(s, listing(item("a.bin", b"a")), 2)


@attack("PATH")
def a_path_that_climbs_out(s):
    signed_body(s, listing(item("../../etc/passwd", b"x")))


@attack("PATH")
def an_absolute_path(s):
    signed_body(s, listing(item("/etc/passwd", b"x")))


@attack("PATH_PREFIX")
def a_path_among_the_signatures(s):
    signed_body(s, listing(item(".HURACAN/heads/champions.hzh", b"x")))


@attack("COLLISION")
def two_names_that_are_one(s):
    signed_body(s, listing(item("A.bin", b"a"), item("a.bin", b"b")), 2)


@attack("COLLISION")
def a_file_that_is_a_folder_too(s):
    signed_body(s, listing(item("a", b"a"), item("a/b", b"b")), 2)


@attack("KIND")
def a_pickle_that_says_so(s):
    signed_body(s, listing(item("a.pkl", b"x")))


@attack("KIND")
def a_joblib_file_that_says_so(s):
    signed_body(s, listing(item("a.joblib", b"x")))


@attack("BLOCKS")
def blocks_that_make_another_file(s):
    large = item("a.bin", bytes(5 << 20))
    signed_body(s, listing(change(large, content_hash=bytes(32))))


@attack("KIND")
def a_pickle_that_does_not_say_so(s):
    data = b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."
    s.engine.publish_items([item(BTC, data, s.peer.put(BTC, data))])


# --- the files


@attack("CONTENT")
def a_file_changed_while_it_is_published(s):
    rev = s.peer.put(BTC, EVIL)
    s.engine.publish_items([item(BTC, b"what was meant", rev)])


@attack("CONTENT")
def a_file_of_the_same_size(s):
    rev = s.peer.put(BTC, b"1234")
    s.engine.publish_items([item(BTC, b"4321", rev)])


@attack("CONTENT")
def a_file_cut_short(s):
    rev = s.peer.put(BTC, b"123")
    s.engine.publish_items([item(BTC, b"1234", rev)])


@attack("CONTENT")
def a_file_whose_revision_is_gone_with_another_in_its_place(s):
    s.peer.put(BTC, EVIL)
    s.engine.publish_items([item(BTC, b"what was meant", "0" * 21)])


@attack(None)
def files_overwritten_after_they_were_published(s):
    for path in SET_2:
        s.peer.put(path, EVIL)


@attack(None)
def files_taken_away_after_they_were_published(s):
    for path in SET_2:
        s.peer.delete(path)


# --- the trust file


@attack("TRUST_SIGNATURES")
def a_trust_file_by_the_thief(s):
    made = make_trust(version=2, roots=[THIEF], channels=[policy("champions", THIEF)], keys=[key(THIEF)])
    s.peer.put(locations.trust(2), signed_files.sign_trust(made, [THIEF]))


@attack("TRUST_SIGNATURES")
def a_trust_file_by_the_thief_in_the_root_s_name(s):
    made = make_trust(version=2, keys=[key(THIEF)], channels=[policy("champions", THIEF)])
    payload = signed_files.trust_payload(made)
    s.peer.put(locations.trust(2), pack(trust.FORM, payload, {ROOT.key_id: THIEF.sign(sshsig.TRUST, payload)}))


@attack("TRUST_SIGNATURES")
def a_root_that_only_the_old_one_has_signed(s):
    made = make_trust(version=2, roots=[BACKUP])
    s.peer.put(locations.trust(2), signed_files.sign_trust(made, [ROOT]))


@attack("TRUST_CHAIN")
def a_version_left_out(s):
    s.peer.put(locations.trust(2), signed_files.sign_trust(make_trust(version=3), [ROOT]))


@attack("TRUST_CHAIN")
def the_first_trust_file_again_as_the_second(s):
    s.peer.put(locations.trust(2), s.peer.get(locations.trust(1)))


@attack("TRUST_FORMAT")
def a_head_for_a_trust_file(s):
    s.peer.put(locations.trust(2), s.head_2)


@attack("TRUST_FORMAT")
def a_trust_file_of_a_megabyte(s):
    s.peer.put(locations.trust(2), s.peer.get(locations.trust(1)) + bytes(1 << 20))


@attack("TRUST_EXPIRED")
def an_expired_trust_file_by_the_root(s):
    """Not the thief's doing: the root's own, from a drawer. The newest version must be in its time."""
    old = s.engine.trust
    made = following(old, expires_ms=s.clock.now_ms)
    s.peer.put(locations.trust(2), signed_files.sign_trust(made, [ROOT]))


@attack(None)
def the_trust_file_overwritten_that_was_read_before(s):
    s.peer.put(locations.trust(1), b"")


def test_there_are_enough_of_them():
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name, tmp_path):
    ends_well(Scene(tmp_path), *ATTACKS[name])


@pytest.mark.slow
@pytest.mark.parametrize("page", [0, 2000])
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_where_dropbox_forgot_the_cursor(name, page, tmp_path):
    scene = Scene(tmp_path)
    scene.peer.page, scene.peer.forgets = page, True
    ends_well(scene, *ATTACKS[name])


def ends_well(scene, act, expected, *, looks=3):
    """The right refusal each time it is asked, or nothing amiss; and generation 2 in either case."""
    act(scene)
    unharmed = expected is None
    for reader in (scene.reader, scene.new_reader(), scene.reader)[:looks]:
        if unharmed:
            snapshot = reader.latest("champions")
            assert snapshot.problem is None
        else:
            with raises(Refused) as caught:
                reader.latest("champions")
            assert caught.value.code == expected, str(caught.value)
            assert caught.value.hint
            if expected == "TRUST_EXPIRED":
                continue
            if expected == "STALE":
                assert reader.last_good("champions").problem is None
                continue
            snapshot = reader.latest("champions", allow_stale=True)
            assert snapshot.problem.code == expected
        for kept in (snapshot, reader.last_good("champions")):
            assert kept.sequence == 2
            assert {entry.path: kept.read(entry.path) for entry in kept} == SET_2


@pytest.mark.slow
@pytest.mark.wide
def test_after_every_attack_an_honest_publish_is_read(tmp_path):
    scene = Scene(tmp_path)
    for name, (act, expected) in ATTACKS.items():
        if expected is None or expected.startswith("TRUST") or "everything" in name:
            continue
        seq, prev = scene.engine.seq, scene.engine.prev
        act(scene)
        with raises(Refused):
            scene.reader.latest("champions")
        scene.engine.seq, scene.engine.prev = seq, prev
        scene.publish(SET_2)
        assert scene.reader.latest("champions").sequence == scene.engine.seq, name


@pytest.mark.wide
@pytest.mark.parametrize("length", [150, slow(1_000)])
def test_every_earlier_head_of_a_long_history_is_a_rollback(scene, length):
    heads = [scene.head_1, scene.head_2]
    heads += [scene.engine.beat() for _ in range(length - 2)]
    newest = scene.reader.latest("champions").sequence
    order = heads[:-1]
    random.Random(3).shuffle(order)
    refused = 0
    for data in order:
        scene.put_head(data)
        with raises("ROLLBACK"):
            scene.reader.latest("champions")
        refused += 1
    scene.put_head(heads[-1])
    assert (refused, newest, scene.reader.latest("champions").sequence) == (length - 1, length, length)


def test_of_two_generations_no_mixture_is_accepted(tmp_path, monkeypatch):
    """Ten files, and every one of the 1,024 ways in which some of them are still the old ones."""
    monkeypatch.setattr("huracan_sync.reader.snapshot.KEEP_FILE", -1)
    scene = Scene(tmp_path, keep_set=0)
    paths = [f"{n}.bin" for n in range(10)]
    old = {path: b"old %s" % path.encode() for path in paths}
    new = {path: b"new %s" % path.encode() for path in paths}
    scene.publish(old)
    scene.engine.publish_items([item(path, data, "0" * 21) for path, data in new.items()])  # only paths lead to them
    snapshot = scene.reader.latest("champions")
    accepted = 0
    for kept in itertools.product([False, True], repeat=10):
        for path, is_old in zip(paths, kept, strict=True):
            scene.peer.put(path, (old if is_old else new)[path])
        try:
            got = {path: snapshot.read(path) for path in paths}
        except ContentMismatch:
            assert any(kept)
        else:
            accepted += 1
            assert got == new
    assert accepted == 1


def random_thief(scene, rounds):
    """Small changes to whatever lies there; what is read is generation 2, or nothing."""
    chance = random.Random(rounds)
    clean = dict(scene.peer.files)
    touched = [path for path in clean if path.startswith(".huracan")]
    given = 0
    for _ in range(rounds):
        scene.peer.files = dict(clean)
        for path in chance.sample(touched, chance.randint(1, 3)):
            data = bytearray(scene.peer.get(path))
            deed = chance.randrange(4)
            if deed == 0 and data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            elif deed == 1:
                del data[chance.randrange(len(data) + 1) :]
            elif deed == 2:
                data += chance.randbytes(3)
            else:
                data = bytearray(scene.peer.get(chance.choice(touched)))
            scene.peer.put(path, data)
        try:
            snapshot = scene.reader.latest("champions")
        except Refused:
            continue
        given += 1
        assert (snapshot.sequence, snapshot.head) == (2, scene.good.head)
    return given


@pytest.mark.wide
def test_a_random_thief_gets_nowhere(tmp_path):
    assert 25 < random_thief(Scene(tmp_path, keep_set=0), 150) < 125


@pytest.mark.long
def test_a_random_thief_gets_nowhere_in_twenty_thousand_tries(tmp_path):
    assert 3_000 < random_thief(Scene(tmp_path, keep_set=0), 20_000) < 17_000
