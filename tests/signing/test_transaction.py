"""The act of publishing, one answer at a time: what it does next after each thing that can come back."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from expecting import raises
from manifest_world import ENGINE, NOW, ROOT, following, make_head, make_trust
from race_world import CHANNEL, HEAD, TRUST, Dropbox, signed

from huracan_sync.errors import Busy, NotFound, ServiceFault
from huracan_sync.manifest import body, body_writer, head, head_history, locations, signed_files, sshsig
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.envelope import unpack
from huracan_sync.signing import transaction, transaction_steps
from huracan_sync.signing.merge import Change
from huracan_sync.signing.next_head import SeenHead, StoredFile, body_ref
from huracan_sync.signing.transaction import publish_transaction
from huracan_sync.signing.transaction_steps import (
    ChannelView,
    Pause,
    PublishRequest,
    Read,
    Reinstate,
    Renew,
    Swap,
    Swapped,
)


def item(path, rev="1", **more):
    return Item(path, 1, rev.rjust(32).encode(), rev, **more)


def mine(*items, **more):
    return Change(items, None, {}, **more)


class Unknown(NamedTuple):
    """This happens instead of the swap, and no answer comes."""

    happens: Callable[[Swap], object]


class World(Dropbox):
    """A Dropbox to which something may happen before any step."""

    def __init__(self):
        super().__init__()
        self.steps, self.fates = [], {}
        self.held = None
        self.lost = set()
        """Paths whose signed revision cannot be had any more."""

    def perform(self, wanted, *, known=TRUST, channel_view=None, held=None, fates=()):
        """Publish; `fates` are what becomes of the swaps, in order: an outcome, or something to call first."""
        request = PublishRequest(
            CHANNEL,
            wanted,
            held,
            frozenset(),
            lambda payload, _: signed(payload),
            lambda: NOW / 1000,
            "pod",
            channel_view,
        )
        fates, running, answers = list(fates), publish_transaction(request, known), None
        self.steps = []
        if isinstance(wanted, Change):
            self.blobs |= {each.path: each.rev for each in wanted.mine}
        while True:
            try:
                steps = running.send(answers)
            except StopIteration as end:
                return end.value
            self.steps += steps
            answers = [self.answer(step, fates) for step in steps]

    def answer(self, step, fates):
        if isinstance(step, Read):
            return self.read(step.place)
        if isinstance(step, transaction_steps.Store):
            return self.store(step.place, step.data)
        if isinstance(step, transaction_steps.Current):
            return {path: self.blobs.get(path) for path in step.paths}
        if isinstance(step, transaction_steps.Lost):
            return [item.path for item in step.items if item.path in self.lost]
        if not isinstance(step, Swap):
            return None
        fate = fates.pop(0) if fates else "done"
        if isinstance(fate, Unknown):
            fate.happens(step)
            return Swapped.UNKNOWN
        if callable(fate):
            fate(step)
        if fate == "lost request":
            return Swapped.UNKNOWN
        outcome = self.swap(step)
        return Swapped.UNKNOWN if fate == "lost answer" else outcome

    def of(self, kind):
        return [step for step in self.steps if isinstance(step, kind)]

    def by_another(self, *items, above=None, keep_log=True):
        """Somebody else publishes now."""
        made = body_writer.encode(CHANNEL, items)
        self.store(locations.body(made.sha256), made.data)
        seq, prev = (1, head.FIRST) if above is None else (above.seq + 1, head.digest(above))
        payload = make_head(made, CHANNEL, seq=seq, prev=prev, publisher="other")
        if keep_log:
            self.store(locations.log(CHANNEL, 1, seq, head.digest(payload)), signed(payload))
        self.files[HEAD] = (signed(payload), self.rev())
        self.heads.append(signed(payload))
        return payload


@pytest.fixture
def world():
    return World()


def seen(payload):
    return SeenHead(Mark(payload.epoch, payload.seq, head.digest(payload)), signed(payload))


def read_items(world, payload):
    return [each.path for each in body.read(payload, TRUST.policy(CHANNEL), lambda *_: world.body_of(payload))]


def test_the_order_of_things(world):
    made = world.perform(mine(item("a")), held=None)
    assert made.made
    kinds = [type(step).__name__ for step in world.steps]
    assert kinds == ["Read", "Intend", "Store", "Swap"]
    assert [step.place.split("/")[1] for step in world.of(transaction_steps.Store)] == ["log"]
    again = world.perform(mine(item("a"), last=frozenset({made.digest})), held=seen(made.head))
    assert (again.made, again.digest) == (False, made.digest)
    assert [type(step).__name__ for step in world.steps] == ["Read", "Read"]


def test_what_others_have_published_is_read_and_kept(world):
    other = world.by_another(item("a"))
    made = world.perform(mine(item("b")), held=seen(other))
    assert (made.head.seq, made.shared, read_items(world, made.head)) == (2, True, ["a", "b"])


def test_a_hope_that_fails_looks_and_goes_on(world):
    world.by_another(item("a"))
    made = world.perform(mine(item("b")))
    assert made.head.seq == 2
    assert world.of(Pause) == [Pause(1)]


@pytest.mark.parametrize(
    "fates", [["lost answer"], ["lost request"], ["lost request", "lost answer"], ["lost request"] * 5]
)
def test_lost_requests_and_answers(world, fates):
    made = world.perform(mine(item("a")), fates=fates)
    assert made.made
    assert len(world.heads) == 1
    assert len({swap.data for swap in world.of(Swap)}) == 1


def test_an_answer_that_never_comes(world):
    with pytest.raises(ServiceFault) as caught:
        world.perform(mine(item("a")), fates=["lost request"] * transaction.SWAPS)
    assert "finds out" in caught.value.hint
    assert world.heads == []


def above_mine(world, count, **more):
    """Our head is committed, and `count` others come on top of it before we look."""

    def fate(step):
        world.swap(step)
        payload = head.linked(step.data, head_history.digest_of(step.data))
        for number in range(count):
            payload = world.by_another(item("a"), item(f"other{number}"), above=payload, **more)

    return fate


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_head_of_ours_below_others_was_committed(world, count):
    fate = above_mine(world, count)
    made = world.perform(mine(item("a")), fates=[Unknown(fate)])
    assert made.made
    assert made.head.seq == 1
    assert len(world.heads) == 1 + count


def test_a_head_of_ours_that_is_not_below_others_was_not_committed(world):
    def fate(_):
        world.by_another(item("x"), item("y"), above=world.by_another(item("x")))

    made = world.perform(mine(item("a")), fates=[Unknown(fate)])
    assert (made.head.seq, read_items(world, made.head)) == (3, ["a", "x", "y"])


def test_a_chain_that_cannot_be_read_is_gone_on_from_by_what_it_says(world):
    fate = above_mine(world, 3, keep_log=False)
    made = world.perform(mine(item("a")), fates=[Unknown(fate)])
    assert (made.made, made.head.seq) == (False, 4)  # it says so already
    assert len(world.heads) == 4


def test_nor_is_a_roll_back_repeated_that_may_have_been_done(world):
    first = world.by_another(item("a"))
    second = world.by_another(item("b"), above=first)
    fate = above_mine(world, 2, keep_log=False)
    with pytest.raises(ServiceFault, match="nobody can tell"):
        world.perform(Reinstate(body_ref(first), world.body_of(first)), held=seen(second), fates=[Unknown(fate)])


def test_a_roll_back_and_a_renewal(world):
    first = world.by_another(item("a"))
    second = world.by_another(item("b"), above=first)
    made = world.perform(Reinstate(body_ref(first), world.body_of(first)), held=seen(second))
    assert (made.head.seq, read_items(world, made.head)) == (3, ["a"])
    kept = world.perform(Renew(), held=seen(made.head))
    assert (kept.head.seq, kept.made, read_items(world, kept.head)) == (4, True, ["a"])
    assert len(world.of(transaction_steps.Store)) == 1  # the copy in the log
    assert world.perform(Reinstate(body_ref(first), world.body_of(first)), held=seen(kept.head)).made is False


def carried_at_its_place(world):
    return unpack(head.FORM, world.files[HEAD][0]).carried


def test_a_small_body_is_carried_on_by_every_head_over_it(world):
    first = world.perform(mine(item("a")))
    assert not any("/bodies/" in place for place in world.files)
    beat = world.perform(Renew(), held=seen(first.head))
    assert [step.place for step in world.of(Read)] == [locations.trust(2), HEAD], "the head brings it"
    world.perform(mine(item("b"), last=frozenset({beat.digest})), held=seen(beat.head))
    back = world.perform(Reinstate(body_ref(first.head), world.body_of(first.head)), held=seen(beat.head))
    assert sshsig.sha256(carried_at_its_place(world)) == back.head.body_sha256 == first.head.body_sha256
    copies = [unpack(head.FORM, data).carried for place, (data, _) in world.files.items() if "/log/" in place]
    assert len(copies) == 4
    assert all(copies)
    assert not any("/bodies/" in place for place in world.files)


@pytest.mark.parametrize("behind", [b"", b"rubbish"])
def test_a_body_that_was_taken_from_behind_the_head_is_read_from_its_copy(world, behind):
    first = world.perform(mine(item("a")))
    signed = unpack(head.FORM, first.data).signed
    world.files[HEAD] = (head.carrying(signed, behind), world.rev())
    made = world.perform(mine(item("b")), held=seen(first.head))
    assert read_items(world, made.head) == ["a", "b"]
    world.files[HEAD] = (head.carrying(unpack(head.FORM, made.data).signed, behind), world.rev())
    beat = world.perform(Renew(), held=seen(made.head))
    assert (beat.head.seq, carried_at_its_place(world)) == (3, world.body_of(made.head))


@pytest.mark.parametrize("behind", [b"", (7).to_bytes(4, "big") + b"rubbish"])
def test_our_head_packed_anew_is_ours(world, behind):
    """No answer came; and whoever may write to the folder has put it there once more, with another body behind it."""
    world.perform(mine(item("a")))

    def packed_anew(step):
        assert isinstance(world.swap(step), str)
        world.files[HEAD] = (unpack(head.FORM, step.data).signed + behind, world.rev())

    made = world.perform(Renew(), fates=[Unknown(packed_anew)])
    assert (made.head.seq, made.made, made.rev, len(world.of(Swap))) == (2, True, "", 1)


def test_a_body_that_lies_in_a_file_of_its_own_is_taken_along(world):
    other = world.by_another(item("a"))
    beat = world.perform(Renew(), held=seen(other))
    assert sshsig.sha256(carried_at_its_place(world)) == beat.head.body_sha256 == other.body_sha256


def test_a_large_body_is_stored_and_not_carried(world):
    many = [Item(f"{number:05}", 1, sshsig.sha256(b"%d" % number), str(number)) for number in range(3_000)]
    made = world.perform(mine(*many))
    assert made.head.body_len > head.MAX_CARRIED
    assert world.of(transaction_steps.Store)[0].place == locations.body(made.head.body_sha256)
    assert carried_at_its_place(world) == b""
    world.perform(Renew(), held=seen(made.head))
    assert [step.place.split("/")[1] for step in world.of(transaction_steps.Store)] == ["log"]
    assert made.stored == made.parts


def test_who_can_carry_nothing_on_makes_no_head(world):
    first = world.perform(mine(item("a")))
    for place, (data, _) in list(world.files.items()):
        world.files[place] = (unpack(head.FORM, data).signed, world.rev())
    with raises("BODY_MISSING"):
        world.perform(Renew(), held=seen(first.head))
    assert len(world.heads) == 1


def test_nothing_is_renewed_where_nothing_was_published(world):
    with pytest.raises(NotFound):
        world.perform(Renew())


def test_a_head_that_went_away_meanwhile(world):
    def fate(_):
        world.files.pop(HEAD, None)

    first = world.by_another(item("a"))
    made = world.perform(mine(item("b")), held=seen(first), fates=[Unknown(fate)])
    assert made.head.seq == 2
    assert world.files[HEAD][0] == made.data


def test_who_is_always_slower_gives_up_some_time(world):
    last = [world.by_another(item("x0"))]

    def faster(_):
        last.append(world.by_another(item(f"x{len(last)}"), above=last[-1]))

    with pytest.raises(Busy):
        world.perform(mine(item("a")), held=seen(last[0]), fates=[faster] * transaction.ATTEMPTS)
    assert [pause.attempt for pause in world.of(Pause)] == list(range(1, transaction.ATTEMPTS + 1))


def test_newer_trust_files_are_followed_and_handed_back(world):
    second = following(TRUST)
    third = following(second)
    files = [signed_files.sign_trust(each, [ROOT]) for each in (second, third)]
    for version, data in enumerate(files, 2):
        world.store(locations.trust(version), data)
    made = world.perform(mine(item("a")))
    assert (made.head.trust_version, list(made.trust_files)) == (3, files)
    channel_view = ChannelView(1, None, third, tuple(files))
    other = World().perform(mine(item("a")), channel_view=channel_view)
    assert (other.head.trust_version, list(other.trust_files)) == (3, files)
    assert (
        World().perform(mine(item("a")), known=third, channel_view=channel_view).trust_files == ()
    )  # it is out of date


def test_a_trust_file_that_does_not_follow_stops_it(world):
    world.store(locations.trust(2), signed_files.sign_trust(following(following(TRUST)), [ROOT]))
    with raises("TRUST_CHAIN"):
        world.perform(mine(item("a")))
    old = make_trust(created=NOW - 200 * 86_400_000)
    with raises("TRUST_EXPIRED"):
        World().perform(mine(item("a")), known=old)


def test_a_glimpse_that_is_out_of_date_costs_one_more_look(world):
    first = world.by_another(item("x"))
    stale = ChannelView(1, StoredFile(*world.files[HEAD]), TRUST, ())
    world.by_another(item("x"), item("y"), above=first)
    made = world.perform(mine(item("a")), held=seen(first), channel_view=stale)
    assert (made.head.seq, read_items(world, made.head)) == (3, ["a", "x", "y"])


def remembered(world, made):
    return ChannelView(1, StoredFile(made.data, made.rev), TRUST, (), is_remembered=True)


def test_a_head_that_this_machine_put_there_itself_is_not_read(world):
    first = world.perform(mine(item("a")))
    assert first.rev == world.files[HEAD][1]
    again = world.perform(
        mine(item("a", "2"), last=frozenset({first.digest})),
        held=seen(first.head),
        channel_view=remembered(world, first),
    )
    assert [type(step).__name__ for step in world.steps] == ["Intend", "Store", "Swap"]
    assert (again.head.seq, again.rev) == (2, world.files[HEAD][1])


def test_who_remembers_a_head_finds_out_by_the_swap_that_another_lies_there(world):
    first = world.perform(mine(item("a")))
    view = remembered(world, first)
    world.by_another(item("a"), item("x"), above=first.head)
    made = world.perform(
        mine(item("a"), item("b"), last=frozenset({first.digest})), held=seen(first.head), channel_view=view
    )
    assert (made.head.seq, made.rev, made.shared) == (3, world.files[HEAD][1], True)
    assert read_items(world, made.head) == ["a", "b", "x"]


@pytest.mark.parametrize("lies_there", [True, False])
def test_that_nothing_is_new_is_never_said_of_a_head_that_is_only_remembered(world, lies_there):
    first = world.perform(mine(item("a")))
    view = remembered(world, first)
    if not lies_there:
        del world.files[HEAD]
    again = world.perform(mine(item("a"), last=frozenset({first.digest})), held=seen(first.head), channel_view=view)
    assert again.made is not lies_there
    assert len(world.of(Read)) == 2  # the next trust file, and the head
    assert world.files[HEAD][1] == again.rev


def test_kinds_that_the_channel_does_not_allow(world):
    made = world.perform(mine(item("a"), item("b.pkl", kind=30)))
    assert (read_items(world, made.head), made.left_out) == (["a"], ("b.pkl",))
    with pytest.raises(transaction.Refused):
        World().perform(mine(item("a"), item("b.pkl", kind=30), strict=True))


def test_the_list_of_others_must_be_there(world):
    first = world.by_another(item("x"))
    world.files.pop(locations.body(first.body_sha256))
    with raises("BODY_MISSING"):
        world.perform(mine(item("a")), held=seen(first))


@pytest.mark.wide
def test_what_others_have_published_is_listed_only_if_it_can_be_had(world):
    """They changed a file after this machine, which has taken it out; something else of nobody's lies there now."""
    first = world.by_another(item("a", "2"), item("b"))
    world.blobs["a"] = "3"
    wanted = Change([item("c")], None, {"a": "1"})
    world.lost = {"a"}
    with raises("CONTRADICTED"):
        world.perform(wanted, held=seen(first))
    assert len(world.heads) == 1
    world.lost = set()
    made = world.perform(wanted, held=seen(first))
    assert read_items(world, made.head) == ["a", "b", "c"]
    assert [step.items for step in world.of(transaction_steps.Lost)] == [(item("a", "2"),)]  # nothing else is asked for


@pytest.mark.slow
@pytest.mark.wide
def test_a_large_list_of_others_is_read_shard_by_shard(world):
    many = [item(f"data/{number:05}") for number in range(50_001)]
    first = body_writer.encode(CHANNEL, many)
    for part in first.parts():
        world.store(part.path, part.data)
    payload = make_head(first, CHANNEL, seq=1, prev=head.FIRST)
    world.files[HEAD] = (signed_files.sign_head(payload, [ENGINE]), world.rev())
    made = world.perform(mine(item("data/x")), held=seen(payload))
    assert made.head.entry_count == 50_002
    assert len(world.of(transaction_steps.Store)) <= 3  # the shard it is in, the log; the index is carried
