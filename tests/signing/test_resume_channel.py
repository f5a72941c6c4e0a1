"""Where a machine that remembers nothing goes on: what place and log show, and which holes a person must judge."""

import pytest
from manifest_world import make_head
from race_world import CHANNEL, HEAD, TRUST, Dropbox, signed

from huracan_sync.errors import StateMissing
from huracan_sync.manifest import head, locations
from huracan_sync.signing import resume as resuming
from huracan_sync.signing.resume import LOOKS, resume
from huracan_sync.signing.signed_result import mark_of
from huracan_sync.signing.transaction_steps import Names, Pause, Read


class World(Dropbox):
    """A Dropbox whose log and head are what a test puts there."""

    def __init__(self):
        super().__init__()
        self.pauses, self.steps, self.made = [], [], {}
        self.on_pause = self.on_listed = lambda: None

    def heads_up_to(self, count):
        prev = head.FIRST
        for seq in range(1, count + 1):
            skip = self.digest(head.skip_target(seq)) if head.skip_target(seq) in self.made else head.NONE
            payload = make_head(None, CHANNEL, seq=seq, prev=prev, skip=skip)
            self.made[seq], prev = payload, head.digest(payload)
            self.copy(payload)
        self.put(self.made[count])
        return self

    def digest(self, seq):
        return head.digest(self.made[seq])

    def copy(self, payload):
        place = locations.log(CHANNEL, payload.epoch, payload.seq, head.digest(payload))
        self.files[place] = (signed(payload), self.rev())
        return place

    def put(self, payload):
        self.files[HEAD] = (signed(payload), self.rev())

    def resume(self, **how):
        how = {"trust_is_new": False, "may_sign": False} | how
        running, answers = resume(CHANNEL, TRUST, **how), None
        while True:
            try:
                steps = running.send(answers)
            except StopIteration as end:
                return end.value
            self.steps += steps
            answers = [self.answer(step) for step in steps]

    def answer(self, step):
        if isinstance(step, Read):
            return self.read(step.place)
        if isinstance(step, Names):
            names = [path.rpartition("/")[2] for path in self.files if path.startswith(f"{step.folder}/")]
            self.on_listed()
            return names
        assert isinstance(step, Pause)
        self.pauses.append(step.attempt)
        return self.on_pause()


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("how", [{"trust_is_new": True}, {"may_sign": True}])
def test_where_nothing_was_published_no_head_is_looked_for(world, how):
    view = world.resume(**how)
    assert (view.stored, view.held, len(world.steps)) == (None, None, 1)


def test_who_may_not_sign_looks_for_a_head_and_a_newer_trust_file(world):
    view = world.resume()
    assert (view.stored, view.held) == (None, None)
    assert [type(step) for step in world.steps] == [Names, Read, Read]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_head_in_its_place_is_gone_on_from(world, count):
    view = world.heads_up_to(count).resume()
    assert (view.stored.data, view.held, world.pauses) == (signed(world.made[count]), None, [])


@pytest.mark.parametrize(("count", "old"), [(2, 1), (9, 1), (9, 8), (17, 3)])
def test_an_older_head_in_its_place_is_passed_over(world, count, old):
    world.heads_up_to(count).put(world.made[old])
    view = world.resume()
    assert (view.held.mark.sequence, view.held.mark.digest) == (count, world.digest(count))
    assert view.held.head == signed(world.made[count])
    assert world.pauses == list(range(1, LOOKS)), "somebody may be about to put it there"


def test_whoever_puts_it_there_meanwhile_is_waited_for(world):
    world.heads_up_to(3).put(world.made[2])
    world.on_pause = lambda: world.put(world.made[3])
    view = world.resume()
    assert (view.held, world.pauses) == (None, [1])


def test_a_head_that_is_gone_is_found_in_the_log(world):
    del world.heads_up_to(3).files[HEAD]
    view = world.resume()
    assert (view.stored, view.held.mark.sequence) == (None, 3)


def test_an_own_head_that_was_beaten_is_passed_over(world):
    world.heads_up_to(3).put(world.made[2])
    view = world.resume(beaten=frozenset({world.digest(3)}))
    assert (view.held, view.stored.data) == (None, signed(world.made[2]))


def test_rubbish_in_the_log_is_passed_over(world):
    world.heads_up_to(2)
    for name in ("1-9-00000000.hzh", "2-1-00000000.hzh", "x"):
        world.files[f"{locations.LOG}/{CHANNEL}/{name}"] = (b"rubbish", "1")
    world.files[f"{locations.LOG}/{CHANNEL}/1-8-00000000.hzh"] = (signed(world.made[2]), "1")  # under another number
    view = world.resume()
    assert (view.held, view.stored.data) == (None, signed(world.made[2]))


def test_a_missing_copy_of_the_head_in_its_place_is_a_hole(world):
    world.heads_up_to(2)
    del world.files[locations.log(CHANNEL, 1, 2, world.digest(2))]
    with pytest.raises(StateMissing, match="the log has no copy of 1-2"):
        world.resume()


def test_others_who_publish_between_the_list_of_the_log_and_the_head_leave_no_hole(world):
    world.heads_up_to(1)
    world.on_listed = lambda: world.heads_up_to(len(world.made) + 1)  # whenever it is looked at
    view = world.resume()
    assert (view.held, view.stored.data, world.pauses) == (None, signed(world.made[2]), [])
    read = [step.place for step in world.steps if isinstance(step, Read)]
    assert read[2:] == [locations.log(CHANNEL, 1, 2, world.digest(2))], "one request more, and only then"


def test_a_copy_that_does_not_follow_is_a_hole(world):
    world.heads_up_to(2)
    world.copy(make_head(None, CHANNEL, seq=3, prev=world.digest(1)))
    with pytest.raises(StateMissing, match="the copy of 1-3 does not follow what is in place"):
        world.resume()
    world.heads_up_to(9).put(world.made[1])
    world.made[10] = make_head(None, CHANNEL, seq=10, prev=world.digest(9), skip=bytes(32))
    for seq in range(2, 10):
        del world.files[locations.log(CHANNEL, 1, seq, world.digest(seq))]
    with pytest.raises(StateMissing):
        world.resume()


def test_a_log_full_of_rubbish_is_a_hole_and_not_read_for_ever(world, monkeypatch):
    monkeypatch.setattr(resuming, "MOST", 3)
    world.heads_up_to(1)
    for seq in range(2, 6):
        world.files[f"{locations.LOG}/{CHANNEL}/1-{seq}-00000000.hzh"] = (b"rubbish", "1")
    with pytest.raises(StateMissing, match="the log holds 4 copies above 1-1"):
        world.resume()


def test_paths_that_were_left_out_tell_sets_apart():
    assert mark_of(frozenset()) == b""
    assert mark_of(frozenset({"a", "b"})) == mark_of(frozenset({"b", "a"})) != mark_of(frozenset({"ab"}))
