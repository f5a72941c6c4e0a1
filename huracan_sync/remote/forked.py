"""Renews what a forked child must not share with its parent: locks that a thread of the parent held, connections.

A process that syncs on one thread may fork workers from another (multiprocessing does on Linux). In the child only the
forking thread goes on, so a lock that any other thread held stays locked for ever. Whatever has a lock or a connection
registers itself here when it is made, and replaces them in the child.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakValueDictionary


class Renewed(Protocol):
    """Something with locks or connections."""

    def renew_in_child(self) -> None:
        """Replace them: this runs in the child, before anything else does."""


_registered: WeakValueDictionary[int, Renewed] = WeakValueDictionary()  # by id: filesystems may be equal


def renewed_in_child(thing: Renewed) -> None:
    """Have this renewed in every child that is forked while it lives."""
    _registered[id(thing)] = thing


def _renew() -> None:
    for thing in list(_registered.values()):
        thing.renew_in_child()


os.register_at_fork(after_in_child=_renew)
