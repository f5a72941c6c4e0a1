"""Receipts on the driver's disk: kept once, merged, remembered when committed, and forgotten after a week."""

import msgspec
import pytest

from huracan_sync.auth.receipt_seal import SIZE, seal_of
from huracan_sync.disk.private_folder import Folder
from huracan_sync.operations import receipts as form
from huracan_sync.operations.kept_receipts import REMEMBERED_S, KeptReceipts
from huracan_sync.operations.receipts import Receipt


@pytest.fixture
def kept(tmp_path, clock):
    return lambda: KeptReceipts(Folder(tmp_path / "receipts"), clock)


def receipt(path, session, staged_ms=0):
    return Receipt(path, session, 1, bytes(32), 0, 0, staged_ms=staged_ms)


def encoded(*files):
    return form.encode("service", "account", list(files))


def test_what_a_killed_run_kept_is_wanted_by_the_next(kept, tmp_path):
    kept().keep([encoded(receipt("a", "s1")), encoded(receipt("b", "s2")), encoded(receipt("a", "s1"))])
    [together] = (tmp_path / "receipts").glob("*.receipts")
    assert len(msgspec.msgpack.decode(together.read_bytes())) == 2, "the same task is kept once"
    assert {path: each.session for path, each in kept().wanted().items()} == {"a": "s1", "b": "s2"}


def test_of_a_path_that_was_staged_twice_the_later_is_wanted_and_the_other_is_done_with(kept):
    first = kept()
    first.keep([encoded(receipt("a", "old", 1)), encoded(receipt("A", "new", 2))])
    assert {key: each.session for key, each in first.wanted().items()} == {"a": "new"}
    first.end(all_placed=True)
    assert kept().committed([receipt("a", "old"), receipt("a", "new")]) == {"old"}
    assert kept().wanted() == {}


def test_a_run_that_failed_forgets_nothing_it_did_not_place(kept):
    first = kept()
    first.keep([encoded(receipt("a", "old", 1)), encoded(receipt("a", "new", 2))])
    first.wanted()
    first.end(all_placed=False)
    assert kept().committed([receipt("a", "old")]) == set()


def test_what_was_committed_is_known_by_its_session_for_a_week(kept, clock):
    kept().note_committed([receipt("a", "s1"), receipt("b", "s2")])
    kept().note_committed([])
    asked = [receipt("elsewhere", "s1"), receipt("a", "s3")]
    assert kept().committed(asked) == {"s1"}
    clock.now += REMEMBERED_S
    kept().end(all_placed=True)
    assert kept().committed(asked) == {"s1"}
    clock.now += 1
    kept().end(all_placed=True)
    assert kept().committed(asked) == set()


def test_the_seal_is_made_once_and_again_where_it_was_cut(tmp_path):
    first = seal_of(tmp_path).reveal()
    assert (len(bytes.fromhex(first)), seal_of(tmp_path).reveal()) == (SIZE, first)
    file = tmp_path / "receipts" / "seal"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(file.read_bytes()[:-1])
    again = seal_of(tmp_path).reveal()
    assert (len(bytes.fromhex(again)), again != first) == (SIZE, True)
