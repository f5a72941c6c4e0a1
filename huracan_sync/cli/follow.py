"""`follow`: a line for each new set of a channel, as soon as it is published."""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from huracan_sync.auth.connect import connect
from huracan_sync.cli.columns import ascii_path
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import context_of, credentials
from huracan_sync.cli.output import Output, moment
from huracan_sync.cli.runner import raised_again
from huracan_sync.errors import HuracanError
from huracan_sync.reader import Snapshot
from huracan_sync.signing.open_reader import reader_at
from huracan_sync.tree.paths import remote_root
from huracan_sync.tree.symbols import CHAMPIONS
from huracan_sync.tree.units import counted, size_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("--channel", metavar="C", default=CHAMPIONS, help=f"the channel ({CHAMPIONS})")
    parser.add_argument("--root", metavar="REMOTE", help="another root folder than the profile's")
    parser.add_argument("--once", action="store_true", help="tell of the newest, then end")
    parser.add_argument(
        "--allow-stale", action="store_true", help="also print snapshots that are past their time, until they are dead"
    )
    parser.epilog = (
        "With --json every line is a document of its own, told apart by `event`: `snapshot` (a new set), `status` (it "
        "became fresh, stale or dead), `problem` (what keeps the newest from being read; following goes on). "
        "SIGTERM or Ctrl-C ends it."
    )


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`follow`."""
    remote = connect(env=invocation.env, credentials=credentials(options, invocation))
    root = remote.root if options.root is None else remote_root(options.root)
    reader = reader_at(context_of(options, invocation, remote), root)
    teller = _Teller(invocation.output, options.channel)
    if options.once:
        teller.snapshot(reader.latest(options.channel, allow_stale=options.allow_stale))
        return DONE
    with _ended_by_signals():
        for snapshot in reader.follow(
            options.channel, allow_stale=options.allow_stale, observe=teller.problem, on_check=teller.observed
        ):
            teller.snapshot(snapshot)
    return DONE


class _Teller:
    """Tells of what is new, and of each change for better or worse once."""

    def __init__(self, output: Output, channel: str) -> None:
        self._output = output
        self._channel = channel
        self._told = ""
        """The status or problem that was told last; empty before anything was."""
        self._body = b""

    def snapshot(self, snapshot: Snapshot) -> None:
        """A new set."""
        said = snapshot.head
        self._body, self._told = said.body_sha256, snapshot.status.value
        document = {
            "event": "snapshot",
            "channel": self._channel,
            "epoch": said.epoch,
            "sequence": said.seq,
            "status": snapshot.status.value,
            "files": len(snapshot),
            "bytes": snapshot.size,
            "publisher": said.publisher,
            "created": moment(said.created_ms),
            "expires": moment(said.expires_ms),
            "digest": snapshot.digest.hex(),
        }
        what = (
            f"sequence {said.seq} of {self._channel}: {counted(len(snapshot), 'file')}, {size_in_words(snapshot.size)}"
        )
        by = f" by {ascii_path(said.publisher)}" if said.publisher else ""
        self._line(document, f"{snapshot.status.name}  {what}, signed {_moment(said.created_ms)}{by}")

    def observed(self, snapshot: Snapshot) -> None:
        """What a look found: told where it is what is known already, and its status another."""
        if snapshot.problem is None and snapshot.head.body_sha256 == self._body:
            self._status(snapshot.status.value, snapshot.sequence, f"until {_moment(snapshot.head.expires_ms)}")

    def problem(self, error: HuracanError) -> None:
        """What keeps the newest from being read."""
        if error.code in {"STALE", "DEAD"}:
            self._status(error.code.lower(), None, str(error))
        elif self._told != (name := error.code or type(error).__name__):
            self._told = name
            self._line({"event": "problem", **error.as_dict()}, f"problem  {error}")

    def _status(self, status: str, sequence: int | None, why: str) -> None:
        if self._told != status:
            self._told = status
            document: dict[str, Any] = {"event": "status", "channel": self._channel, "status": status}
            document |= {} if sequence is None else {"sequence": sequence}
            self._line(document, f"{status.upper()}  {self._channel}, {why}")

    def _line(self, document: dict[str, Any], words: str) -> None:
        self._output.line(document, f"{time.strftime('%H:%M:%S', time.gmtime())}  {words}")


class _Ended(BaseException):
    """A signal asked us to end."""


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block at once: it only reads, so nothing is under way that must come to its end."""

    def asked(_: int, __: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, asked)
    with contextlib.suppress(_Ended), raised_again(_Ended):
        yield


def _moment(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))
