"""What verifying costs in requests: one more than believing; where something new was signed, its head too."""

import pytest
from publishing_machine import DATA, Publisher


@pytest.fixture
def pods(dropbox, tmp_path, clock, publisher):
    """Two machines with the same key that have synced the folder once."""
    made = []
    for name in ("verifying", "believing"):
        machine = Publisher(dropbox, tmp_path / name, clock=clock)
        machine.take_key_of(publisher)
        made.append(machine)
    return made


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"a": b"1"}, {"a": b"2"}),
        ({f"{n}": b"%d" % n for n in range(30)}, {"7": b"seven", "new": b"1"}),
        ({"large": 9 << 20}, {"large": 17 << 20}),
        ({"a": b"1", "b": b"2"}, {}),
    ],
    ids=["one changed", "two of thirty", "a large one", "none"],
)
def test_a_verified_restore_asks_once_for_news_and_reads_only_what_is_new(publisher, pods, first, then):
    verifying, believing = pods
    publisher.write(first)
    publisher.push()
    verifying.restore(DATA, verifying.src)
    believing.restore(DATA, believing.src, unsigned=True)
    publisher.write(then)
    publisher.push()
    dearly, report = publisher.counted(lambda: verifying.restore(DATA, verifying.src))
    cheaply, plain = publisher.counted(lambda: believing.restore(DATA, believing.src, unsigned=True))
    assert (report.verified_by, plain.verified_by) == (["data"], [])
    assert report.downloaded == plain.downloaded == len(then)
    assert dearly == cheaply + (2 if then else 1)  # the news; the head, which carries its list


def test_what_this_machine_signed_itself_is_no_news_to_it(publisher):
    publisher.write({"a": b"1", "b": b"2"})
    publisher.push()
    publisher.restore(DATA, publisher.src)
    publisher.write({"a": b"3"})
    assert publisher.push().sequence == 2
    dearly, report = publisher.counted(lambda: publisher.restore(DATA, publisher.src))
    assert report.verified_by == ["data"]
    publisher.write({"a": b"4"})
    assert publisher.push().sequence == 3
    cheaply, _ = publisher.counted(lambda: publisher.restore(DATA, publisher.src, unsigned=True))
    assert dearly == cheaply + 1
