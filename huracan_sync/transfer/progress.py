"""What is told while bytes move. Observers receive facts in the caller's thread; the library never draws."""

from __future__ import annotations

from typing import Protocol

import msgspec

from huracan_sync.errors import HuracanError
from huracan_sync.remote.rate_limit import Wait

DECISIONS = "huracan_sync.decisions"
"""The logger that is told why each file moves or stays (decisions.py)."""
UNCHANGED = f"{DECISIONS}.unchanged"
"""The one that is told of files in step."""


class Monitor(Protocol):
    """Anything with these five methods may watch. `Silent` is the one that does not."""

    def planned(self, files: int, size: int) -> None:
        """This many files with this many bytes in all are about to move."""

    def moved(self, size: int) -> None:
        """So many more bytes have arrived; those of an attempt that failed are taken back by a negative number."""

    def finished(self, path: str, size: int) -> None:
        """This file is in its place."""

    def failed(self, path: str, error: HuracanError) -> None:
        """This file is not, for this run."""

    def note(self, sentence: str) -> None:
        """Something a person may want to know while waiting."""


class Silent:
    """Watches nothing. Derive from it to watch some."""

    def planned(self, files: int, size: int) -> None:
        """See `Monitor`."""

    def moved(self, size: int) -> None:
        """See `Monitor`."""

    def finished(self, path: str, size: int) -> None:
        """See `Monitor`."""

    def failed(self, path: str, error: HuracanError) -> None:
        """See `Monitor`."""

    def note(self, sentence: str) -> None:
        """See `Monitor`."""


def wait_in_words(wait: Wait) -> str:
    """A pause as a sentence: who asked, and how long."""
    return f"{wait.why}; trying again in {wait.seconds:.1f} s (attempt {wait.attempt})"


class Failure(msgspec.Struct, frozen=True):
    """A file that did not make it, and why."""

    path: str
    error: HuracanError

    def __str__(self) -> str:
        """One sentence that names the path once: most errors do, so that they can stand alone.

        A file called `a` or `the` is named all the same: there the word may be the sentence's own.
        """
        said, about = str(self.error), str(self.error.facts.get("path") or "")
        begins = said.startswith((f"{self.path}: ", f"{self.path} ")) and not self.path.isalpha()
        return said if begins or (about and about in said) else f"{self.path}: {said}"

    def as_dict(self) -> dict[str, object]:
        """For the `failed` list of a report."""
        return {"path": self.path.encode("ascii", "backslashreplace").decode(), **self.error.as_dict()}
