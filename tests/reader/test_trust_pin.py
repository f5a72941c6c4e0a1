"""From the pinned trust file to the newest: what is followed, what is refused, what is never forgotten."""

import pytest
from expecting import raises
from manifest_world import BACKUP, HOUR, NOW, ROOT, following, make_trust, pin_of, policy
from reader_world import Peer

from huracan_sync.errors import ConfigError, NotFound
from huracan_sync.manifest import locations, signed_files, trust
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.trust import DAY_MS
from huracan_sync.reader.trust_pin import Pinning
from huracan_sync.reader.trust_store import Channel, TrustStore

FIRST = make_trust()
SECOND = following(FIRST)
THIRD = following(SECOND, channels=(policy(epoch=2),))
PIN = pin_of(ROOT)


def signed(made, who=ROOT):
    return signed_files.sign_trust(made, [who])


@pytest.fixture
def peer():
    return Peer()


@pytest.fixture
def store(tmp_path):
    return TrustStore(tmp_path, "dropbox/dbid:1/Engine")


@pytest.fixture
def pinning(peer, store):
    return Pinning(peer, store)


def put(peer, *versions, who=ROOT):
    for made in versions:
        peer.put(locations.trust(made.version), signed(made, who))


def by_pin(pinning, pin=PIN, *, at_least=None, reset=False, now_ms=NOW):
    return pinning.by_pin(pin, at_least=at_least, reset=reset, now_ms=now_ms)


def by_files(pinning, *versions, at_least=None, reset=False):
    return pinning.by_files(map(signed, versions), at_least=at_least, reset=reset, now_ms=NOW)


def test_a_pin_leads_to_the_newest_trust_file(peer, pinning, store):
    with raises(NotFound, match="no trust file"):
        by_pin(pinning)
    assert not store.exists()
    put(peer, FIRST, SECOND, THIRD)
    assert by_pin(pinning).version == 3
    assert store.load().pin == str(PIN)


def test_a_pin_whose_keys_signed_nothing_there_pins_nothing(peer, pinning, store):
    put(peer, FIRST)
    with raises("TRUST_PIN"):
        by_pin(pinning, pin_of(BACKUP))
    assert not store.exists()


def test_a_trust_file_that_has_ended_is_not_begun_with(peer, pinning, store):
    put(peer, FIRST)
    with raises("TRUST_EXPIRED"):
        by_pin(pinning, now_ms=NOW + 400 * DAY_MS)
    assert not store.exists()


def test_another_pin_needs_a_word(peer, pinning):
    put(peer, FIRST)
    by_pin(pinning)
    assert by_pin(pinning).version == 1, "the same again changes nothing"
    with raises(ConfigError, match="another root is pinned"):
        by_pin(pinning, pin_of(ROOT, root_id=bytes(16)))


def overtaken(pinning, deed):
    """The pinning looks for its trust file, and then another thread or process does that deed."""
    look = pinning._search

    def slow(pin):
        found = look(pin)
        deed()
        return found

    pinning._search = slow


@pytest.mark.parametrize("at_least", [None, {}, {"champions": 5}])
def test_who_pins_at_once_with_another_forgets_nothing_that_the_other_has_seen(peer, pinning, store, at_least):
    put(peer, FIRST)
    far = Channel(Mark(1, 100, bytes(32)), b"head")

    def other():
        by_pin(Pinning(peer, store), at_least=at_least)
        before = store.load().channels.get("champions")
        assert store.advance("champions", far, after=before and before.mark, clock_ms=NOW)

    overtaken(pinning, other)
    if at_least:
        with raises(ConfigError, match="above the floor"):
            by_pin(pinning, at_least=at_least)
    else:
        assert by_pin(pinning, at_least=at_least) == FIRST
    assert store.load().channels == {"champions": far}


@pytest.mark.parametrize("at_least", [None, {"champions": 5}])
def test_who_pins_at_once_with_another_is_told_that_it_was_another_root(peer, pinning, store, at_least):
    put(peer, FIRST)
    overtaken(pinning, lambda: store.pin(signed(FIRST), pin_of(BACKUP), {}))
    with raises(ConfigError, match="another root is pinned"):
        by_pin(pinning, at_least=at_least)
    assert store.load().pin == str(pin_of(BACKUP))


def test_files_that_are_brought_at_once_forget_nothing(pinning, store, monkeypatch):
    begin = pinning._begin

    def slow(*args, **options):
        pinning._begin = begin
        by_files(pinning, FIRST, SECOND)
        store.raise_floor("champions", Mark(1, 100, b""))
        return begin(*args, **options)

    monkeypatch.setattr(pinning, "_begin", slow)
    assert by_files(pinning, FIRST, at_least={}).version == 2
    assert store.load().channels["champions"].mark.sequence == 100


def test_of_two_that_begin_again_after_a_loss_the_second_forgets_nothing(peer, pinning, store):
    put(peer, FIRST)
    by_pin(pinning)
    (store.folder / "seen.db").unlink()
    overtaken(pinning, lambda: by_pin(Pinning(peer, store), at_least={"champions": 7}))
    with raises(ConfigError, match="above the floor"):
        by_pin(pinning, at_least={"champions": 5})
    assert store.load().channels["champions"].mark.sequence == 7
    by_pin(Pinning(peer, store), at_least={"champions": 5}, reset=True)
    assert store.load().channels["champions"].mark.sequence == 5


def test_floors_are_raised_and_never_lowered(peer, pinning, store):
    put(peer, FIRST)
    by_pin(pinning, at_least={"champions": 7})
    with raises(ConfigError, match="above the floor that is asked"):
        by_pin(pinning, at_least={"champions": 3})
    mark = store.load().channels["champions"].mark
    assert (mark.epoch, mark.sequence) == (1, 7)


def test_successors_are_followed_when_told_to_search_and_remembered(peer, pinning, store):
    put(peer, FIRST)
    by_pin(pinning)
    put(peer, SECOND, THIRD)
    assert pinning.newest(store.load(), search=False).version == 1
    assert pinning.newest(store.load(), search=True).version == 3
    assert trust.open(store.load().trust).version == 3


def test_a_successor_that_nobody_signed_is_refused(peer, pinning, store):
    put(peer, FIRST)
    by_pin(pinning)
    put(peer, SECOND, who=BACKUP)
    with raises("TRUST_SIGNATURES"):
        pinning.newest(store.load(), search=True)
    assert trust.open(store.load().trust).version == 1


def test_files_that_a_person_brings_begin_with_the_earliest(pinning, store):
    assert by_files(pinning, SECOND, FIRST).version == 2
    assert store.load().pin == str(trust.pin_of(signed(FIRST)))


def test_a_version_between_is_looked_for_in_the_root_folder(peer, pinning):
    by_files(pinning, FIRST)
    with raises("TRUST_CHAIN", match="version 2 of the trust file is needed"):
        by_files(pinning, THIRD)
    put(peer, SECOND)
    assert by_files(pinning, THIRD).version == 3


def test_an_old_file_that_is_brought_beside_the_newest_does_not_matter(peer, pinning):
    by_files(pinning, FIRST)
    put(peer, SECOND)
    assert by_files(pinning, FIRST, THIRD).version == 3


def test_another_file_of_the_same_version_is_refused(pinning):
    by_files(pinning, FIRST)
    with raises("TRUST_CHAIN", match="another version 1"):
        by_files(pinning, make_trust(created=NOW - 9 * DAY_MS - HOUR))
