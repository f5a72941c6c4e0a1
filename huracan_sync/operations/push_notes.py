"""What a push says of files that a person may have expected to move."""

from __future__ import annotations

from huracan_sync.transfer.pair import Pair, PairPlan
from huracan_sync.tree.units import counted


def say_what_stays(pair: Pair, plan: PairPlan, *, delete: bool) -> None:
    """Without deletions: how many synced files are gone from the disk and stay in Dropbox."""
    changes = plan.changes
    gone = changes.base.keys() - changes.here.keys() - changes.unclear
    stay = sum(key in changes.there for key in gone)
    if stay and not delete:
        what = f"{counted(stay, 'file')} that {'was' if stay == 1 else 'were'} synced"
        pair.monitor.note(f"{what} {'is' if stay == 1 else 'are'} gone here and still in Dropbox (see --delete)")


def say_what_keeps_its_case(pair: Pair, plan: PairPlan) -> None:
    """Dropbox renames no file where only the case of its name changes; it is one and the same file there."""
    changes = plan.changes
    names = [
        (entry.path, changes.synced[key].entry.path) for key, entry in changes.here.items() if key in changes.synced
    ]
    other = [(here, there) for here, there in names if here.rpartition("/")[2] != there.rpartition("/")[2]]
    if other:
        here, there = min(other)
        more = f", and {counted(len(other) - 1, 'other')}" if len(other) > 1 else ""
        pair.monitor.note(f"{here!a} stays {there!a} in Dropbox, which knows no case{more}")
