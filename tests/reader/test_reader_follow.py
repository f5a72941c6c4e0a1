"""Following a channel: each new generation once, whatever happens between them."""

import pytest
from expecting import raises
from reader_world import FILES, HOUR, World

from huracan_sync.errors import NotFound, NoTrust, RateLimited, Revoked, Unreachable
from huracan_sync.manifest import locations

ROSTER = "hamilton/roster.json"


class Story:
    """What happens at each wait, one after the other; the story ends with the last."""

    def __init__(self, world, *events):
        self.world = world
        self.events = list(events)
        self.problems = []
        world.peer.on_wait = self.next
        world.clock.sleep = self.sleep

    def next(self):
        if not self.events:
            return False
        event = self.events.pop(0)
        event()
        return True

    def sleep(self, seconds):
        self.world.clock.slept.append(seconds)
        self.next()

    def told(self, **keywords):
        reader = self.world.new_reader(sleep=self.sleep)
        following = reader.follow("champions", stop=lambda: not self.events, observe=self.problems.append, **keywords)
        return [snapshot.sequence for snapshot in following]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def nothing():
    pass


def refuse(error):
    raise error


@pytest.mark.parametrize(("asked", "slept"), [(60.0, 60.0), (0.2, 1.0), (None, 1.0)])
def test_the_pause_that_dropbox_asks_for_is_kept(world, asked, slept):
    world.publish()
    refused = RateLimited("slow down", retry_after_s=asked)
    story = Story(world, lambda: refuse(refused), nothing)
    assert story.told() == [1]
    assert story.problems == [refused]
    assert world.clock.slept[0] == slept


def test_each_new_generation_is_given_once(world):
    world.publish()
    story = Story(
        world,
        nothing,
        world.engine.beat,
        lambda: world.publish(FILES | {ROSTER: b"2"}),
        lambda: world.peer.put(".huracan/log/other", b""),
        lambda: world.publish(FILES | {ROSTER: b"3"}),
        nothing,
        nothing,
    )
    assert story.told() == [1, 3, 4]
    assert story.problems == []


def test_a_publish_costs_few_requests(world):
    world.publish()
    world.reader.latest("champions")
    world.peer.requests()
    story = Story(world, lambda: world.publish(FILES | {ROSTER: b"2"}), nothing)
    assert story.told(poll_s=480) == [1, 2]
    calls = [call[0] for call in world.peer.calls]
    assert calls == ["changed", "wait", "changed", "fetch", "fetch", "stream", "wait"]
    assert world.peer.calls[1][2] == 480


def test_what_is_refused_is_told_and_following_goes_on(world):
    world.publish()

    def damage():
        world.peer.put(locations.head("champions"), b"")

    story = Story(world, damage, nothing, nothing, nothing, lambda: world.publish(FILES | {ROSTER: b"2"}), nothing)
    assert story.told() == [1, 2]
    assert {problem.code for problem in story.problems} == {"HEAD_FORMAT"}
    assert world.clock.slept == [1.0, 2.0, 4.0, 5.0], "it asks again soon, but not without end"


def test_no_network_is_told_and_following_goes_on(world):
    world.publish()

    def fail():
        world.peer.down = True

    def mend():
        world.peer.down = False
        world.publish(FILES | {ROSTER: b"2"})

    story = Story(world, fail, nothing, mend, nothing)
    assert story.told() == [1, 2]
    assert {type(problem) for problem in story.problems} == {Unreachable}


def test_before_anything_is_published(world):
    story = Story(world, nothing, world.publish, nothing)
    assert story.told() == [1]
    assert {type(problem) for problem in story.problems} == {NotFound}


def test_a_publisher_that_stopped_is_told(world):
    world.publish()

    def later():
        world.clock.now_ms += 3 * HOUR

    story = Story(world, later, nothing, lambda: world.publish(FILES | {ROSTER: b"2"}), nothing)
    assert story.told() == [1, 2]
    assert {problem.code for problem in story.problems} == {"STALE"}


def test_a_withdrawn_login_ends_the_following(world):
    world.publish()
    following = world.new_reader().follow("champions")
    assert next(following).sequence == 1
    world.peer.revoked = True
    with raises(Revoked):
        next(following)
    with pytest.raises(StopIteration):
        next(following)
    late = world.new_reader().follow("champions")
    assert isinstance(next(late).problem, Revoked)
    with raises(Revoked):
        next(late)


def test_a_withdrawn_login_ends_the_following_although_the_longpoll_needs_none(world):
    """Dropbox answers `list_folder/longpoll` without a login."""
    world.publish()
    following = world.new_reader().follow("champions")
    assert next(following).sequence == 1
    world.peer.revoked = True
    waits = []

    def wait(cursor, timeout_s):
        waits.append(timeout_s)
        assert len(waits) < 3, "it waits for news that it may not read"
        return True

    world.peer.wait = wait
    with raises(Revoked):
        next(following)
    assert len(waits) == 1


def test_a_person_must_act_and_following_ends(tmp_path):
    world = World(tmp_path, pinned=False)
    with raises(NoTrust):
        Story(world, nothing).told()


def test_a_look_is_told_of_also_when_it_is_more_time_for_the_same(world):
    world.publish()
    looks = []
    story = Story(world, nothing, world.engine.beat, nothing)
    assert story.told(on_check=lambda snapshot: looks.append(snapshot.sequence)) == [1]
    assert looks == [1, 1, 2]


def test_the_wait_ends_when_the_set_gets_too_old(world):
    world.publish()
    lifetime_s = (world.reader.latest("champions").head.expires_ms - world.clock.now_ms) // 1000
    waits = []

    def wait(cursor, timeout_s):
        waits.append(timeout_s)
        world.clock.now_ms += timeout_s * 1000
        return False

    world.peer.wait = wait
    problems = []
    following = world.reader.follow("champions", stop=lambda: bool(problems), observe=problems.append, poll_s=470)
    assert [snapshot.sequence for snapshot in following] == [1]
    assert [problem.code for problem in problems] == ["STALE"]
    assert 0 <= sum(waits) - lifetime_s <= 30
