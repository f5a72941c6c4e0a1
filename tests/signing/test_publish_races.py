"""Publishers race: nobody's commit is lost, made twice, or undone by somebody who came later with something older."""

import functools

import pytest
import race_world
from expecting import raises
from race_world import race
from sampled import slow

from huracan_sync.manifest import sshsig
from huracan_sync.signing import transaction as act

CHUNK = 2_500
CHUNKS = 40


@pytest.fixture(autouse=True)
def _a_signature_is_verified_once(monkeypatch):
    """Everybody looks at the same heads again and again; that took half of the time."""
    monkeypatch.setattr(sshsig, "verify", functools.lru_cache(4096)(sshsig.verify))


def found(seeds, **world):
    """What went wrong, by seed; and how many heads were published."""
    heads, problems = 0, {}
    for seed in seeds:
        wrong, count = race(seed, **world)
        heads += count
        if wrong:
            problems[seed] = wrong
    return problems, heads


def said(result):
    """All that went wrong, as text."""
    return " ".join(line for lines in result[0].values() for line in lines)


@pytest.mark.slow
@pytest.mark.wide
@pytest.mark.parametrize("count", [30, slow(400)])
def test_no_schedule_loses_repeats_or_undoes_anything(count):
    problems, heads = found(range(count))
    assert problems == {}
    assert heads > 5 * count


@pytest.mark.wide
@pytest.mark.parametrize(
    "world", [{"machines": 2, "paths": 1}, {"machines": 6, "paths": 3, "rounds": 2}, {"rollbacks": 0.3}]
)
def test_nor_do_few_or_many_publishers(world):
    assert found(range(10), **world)[0] == {}


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_hundred_thousand_schedules(chunk):
    first = 1_000_000 + chunk * CHUNK
    assert found(range(first, first + CHUNK))[0] == {}


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(4))
def test_ten_thousand_schedules_with_people_who_roll_back(chunk):
    first = 9_000_000 + chunk * CHUNK
    assert found(range(first, first + CHUNK), rollbacks=0.3)[0] == {}


# What a careless publisher would do must be seen by the very same eyes.


@pytest.mark.slow
def test_a_publisher_who_does_not_look_after_a_lost_answer_is_found_out(monkeypatch):
    def blindly(made, rev, now_ms):
        (outcome,) = yield (act.Swap(act.locations.head(made.head.channel), made.data, rev),)
        return outcome if isinstance(outcome, str) else False

    monkeypatch.setattr(act, "_committed", blindly)
    assert "two heads" in said(found(range(250), rollbacks=0.4))
    assert said(found(range(100))) == ""  # files are safe even then: their revisions tell whose is newer


@pytest.mark.wide
def test_a_publisher_who_overwrites_is_found_out(monkeypatch):
    def overwriting(dropbox, step):
        rev = dropbox.rev()
        dropbox.files[step.place] = (step.data, rev)
        dropbox.heads.append(step.data)
        return rev

    monkeypatch.setattr(race_world.Dropbox, "swap", overwriting)
    with raises("FORK"):  # the other publishers see it before we do
        found(range(40))


@pytest.mark.slow
@pytest.mark.wide
def test_a_publisher_who_trusts_his_own_list_is_found_out(monkeypatch):
    real = act.merge
    monkeypatch.setattr(act, "merge", lambda theirs, change, current: real([], change, current))
    assert "lost" in said(found(range(40)))


@pytest.mark.slow
def test_a_publisher_who_does_not_ask_whose_is_newer_is_found_out(monkeypatch):
    real = act.merge

    def mine_first(theirs, change, current):
        return real(theirs, change, {item.path: item.rev for item in change.mine})

    monkeypatch.setattr(act, "merge", mine_first)
    assert "rolled back" in said(found(range(150)))
