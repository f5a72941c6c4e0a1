"""`huracan-sync doctor --self-test`: writes, lists, reads and deletes a probe, and reports each step.

It asks what the engine's own check scripts ask: authentication, a file, a folder, and the engine's way of writing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import msgspec

from huracan_sync.engine.context import EngineContext
from huracan_sync.errors import ContentMismatch, HuracanError, NotFound
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_folder
from huracan_sync.remote.stat import children
from huracan_sync.tree.units import counted

FOLDER = ".huracan-exercise-"
"""Begins the name of the probe's own folder, below the app folder."""


class Step(msgspec.Struct, frozen=True):
    """One thing that was tried."""

    name: str
    good: bool
    says: str
    hint: str = ""
    seconds: float = 0.0


def self_test(context: EngineContext, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Step]:
    """Try everything once, in order; what needs a step that failed is not tried. The probe is gone afterwards.

    Args:
        context: opened as the engine opens it.
        clock: monotonic seconds.
    """
    probe = _Probe(context)
    steps: list[tuple[str, Callable[[], str]]] = [
        ("authentication", probe.ask),
        ("engine", probe.write),
        ("folder", probe.find),
        ("file", probe.read),
        ("clean", probe.delete),
    ]
    written = False
    for name, step in steps:
        began = clock()
        try:
            says = step()
        except HuracanError as error:
            yield Step(name, good=False, says=str(error), hint=error.hint, seconds=clock() - began)
            if name == "clean" or not written:
                return
            continue  # the probe lies there: go on to its deletion
        written = written or name == "engine"
        yield Step(name, good=True, says=says, seconds=clock() - began)


class _Probe:
    """A small file with content that nobody else has."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._remote = context.remote
        self._content = os.urandom(64).hex()
        self._folder = f"{context.layout.root}/{FOLDER}{os.urandom(8).hex()}"
        self._path = f"{self._folder}/probe.txt"

    def ask(self) -> str:
        try:
            count = len(children(self._remote, self._context.layout.root))
        except NotFound:
            return f"logged in; {self._context.layout.root or '/'} is not there yet"
        return f"logged in; {counted(count, 'file')} directly in {self._context.layout.root or '/'}"

    def write(self) -> str:
        self._context.sender.put_content(self._content.encode(), self._path)
        return f"wrote {counted(len(self._content), 'byte')} to {self._path}"

    def find(self) -> str:
        if self._path.lower() not in {found.path_lower for found in children(self._remote, self._folder)}:
            raise NotFound(f"{self._path} was written and is not in the listing of its folder")
        return f"{self._folder} lists it"

    def read(self) -> str:
        if files.fetch(self._remote, self._path, limit=4096)[1] != self._content.encode():
            raise ContentMismatch(f"{self._path} holds other bytes than were written to it")
        return "read it back, byte for byte"

    def delete(self) -> str:
        remove_folder(self._remote, self._folder)
        return "deleted it again, with its folder"
