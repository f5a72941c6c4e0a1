"""What the verbs that move files share, without a Dropbox: rates, totals, and a question that nobody can answer."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from huracan_sync.cli import transfer_options
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.keys import next_version
from huracan_sync.cli.output import Output
from huracan_sync.errors import ConfigError, Conflict, HuracanError, UsageError
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.pair import PairPlan
from huracan_sync.transfer.progress import Failure
from huracan_sync.tree.entry import Entry
from huracan_sync.tree.plan import Conflict as PlannedConflict
from huracan_sync.tree.plan import ConflictKind, Copy, Delete, Plan


@pytest.mark.parametrize(
    ("text", "rate"), [("1024", 1024), ("500k", 512_000), ("1.5M", 1.5 * 1024**2), ("2G", 2 * 1024**3), ("1m", 1024**2)]
)
def test_rates(text, rate):
    assert transfer_options._rate(text) == rate


@pytest.mark.parametrize("text", ["", "k", "1023", "-1M", "inf", "nan", "10T", "1e400"])
def test_what_is_no_rate(text):
    with pytest.raises(UsageError, match="is no rate"):
        transfer_options._rate(text)


def test_conflicts_among_failures_are_counted():
    failures = [Failure("a", Conflict("x")), Failure("b", HuracanError("y")), Failure("c", Conflict("z"))]
    assert transfer_options.in_conflict(failures) == "2 files in conflict"
    assert transfer_options.in_conflict(failures[1:2]) == ""


def dry_run(capsys, steps, *, as_json):
    nothing = ChangeSet({}, {}, {}, {}, {}, {}, 0, False, [], [])
    invocation = Invocation({}, Output(as_json=as_json))
    code = transfer_options.dry_run(invocation, PairPlan(nothing, steps), lambda copies: 2 * len(copies))
    return code, capsys.readouterr().out


def test_a_dry_run_says_what_would_be_done_and_whether_somebody_has_to_look(capsys):
    old, new = Entry("a", 2048, bytes(32), "rev1"), Entry("b", 5, bytes(32))
    steps = Plan(copies=(Copy(new, old),), deletes=(Delete(old),))
    code, out = dry_run(capsys, steps, as_json=False)
    assert (code, out.splitlines()[-1]) == (DONE, "1 to copy (5 B), 1 to delete; about 2 requests")
    conflict = PlannedConflict("a", ConflictKind.UNKNOWN, "both differ")
    code, out = dry_run(capsys, Plan(conflicts=(conflict,)), as_json=True)
    document = json.loads(out)
    assert (code, document["totals"]["requests"], document["conflicts"][0]["kind"]) == (FAILURES, 0, "unknown")
    assert dry_run(capsys, Plan(), as_json=False) == (DONE, "nothing to copy\n")


def recovering(capsys, monkeypatch, typed, *, is_terminal):
    stdin = io.StringIO(typed)
    stdin.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stdin", stdin)
    next_version._confirm_recovery(SimpleNamespace(output=Output(as_json=False)), "every head no longer counts")


def test_a_new_epoch_is_begun_by_who_says_yes_alone(capsys, monkeypatch):
    with pytest.raises(UsageError, match="nobody is here") as caught:
        recovering(capsys, monkeypatch, "", is_terminal=False)
    assert "--yes" in caught.value.hint
    with pytest.raises(ConfigError, match="nothing was changed"):
        recovering(capsys, monkeypatch, "no\n", is_terminal=True)
    recovering(capsys, monkeypatch, "yes\n", is_terminal=True)
