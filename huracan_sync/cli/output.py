"""Words for people, one JSON document for machines. Progress goes to stderr, answers to stdout."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from huracan_sync.cli.columns import Whole, ascii_path, fitted
from huracan_sync.cli.progress import Bar, Lines, Watching
from huracan_sync.cli.stderr import is_watched, tell
from huracan_sync.errors import HuracanError, LocalFailure
from huracan_sync.secret import redact
from huracan_sync.transfer.progress import Failure

MOST_FAILURES_SHOWN = 20
SCHEMA = 1
"""The version of the JSON documents (cli/documents.py)."""
CARRIES_ON = "run the same command again, it carries on where it stopped"


def make_streams_safe() -> None:
    """Let stdout and stderr show what their encoding cannot hold, instead of raising in the middle of the work.

    The numbers of streams that were closed before we started lead nowhere: no file of ours gets one of them, and a
    question that nobody can answer meets the end of the input.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")


def _answer(*lines: str) -> None:
    """Lines on stdout.

    Raises:
        BrokenPipeError: the reading end is closed.
        LocalFailure: it takes no more.
    """
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (ValueError, AttributeError):
        return  # stdout was closed before we started: nobody wants the answer
    except OSError as error:
        give_up_stdout()
        hint = "what was asked for was done; send the answer to where there is room"
        raise LocalFailure(f"the answer cannot be written to stdout: {error.strerror}", hint=hint) from error


def give_up_stdout() -> None:
    """What is still buffered goes nowhere, so that it does not fail a second time at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_json(document: Mapping[str, Any]) -> str:
    """One line of JSON. What is not Unicode (lone surrogates), and what a terminal acts on, is escaped as JSON can."""
    document = {"schema_version": SCHEMA, **document}
    try:
        return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", msgspec.json.encode(document).decode())
    except UnicodeEncodeError:
        import json  # noqa: PLC0415 - start-up time: only for what msgspec does not take

        return json.dumps(msgspec.to_builtins(document))


def moment(at_ms: float) -> str:
    """A moment, given in milliseconds since 1970, in the one format of all documents: RFC 3339, UTC, whole seconds."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What a terminal acts on, or shows as nothing: a name may hold it."""


def harmless(text: str) -> str:
    """A text for people, with what a terminal would act on spelled out."""
    return _ACTING.sub(lambda found: ascii(found[0])[1:-1], text)


def _without_secrets(line: str) -> str:
    """As `redact`, and `harmless`; a line that is to stay whole stays one."""
    return Whole(harmless(redact(line))) if isinstance(line, Whole) else harmless(redact(line))


class Output:
    """Where a verb speaks."""

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._held: list[str] = []
        """Words for people that are shown only if the verb fails (`--quiet`)."""

    def document(self, document: Mapping[str, Any], words: Iterable[str]) -> None:
        """The verb's answer: the document for machines, the words (lines) for people."""
        if self.as_json:
            _answer(as_json(document))
        elif self.quiet:
            self._held += map(_without_secrets, words)
        else:
            _answer(*fitted(map(_without_secrets, words), sys.stdout))

    def settle(self, *, shown: bool) -> None:
        """At the end of a quiet run: show what was held back, or drop it."""
        held, self._held = self._held, []
        if shown and held:
            with suppress(BrokenPipeError, LocalFailure):
                _answer(*fitted(held, sys.stdout))

    def line(self, document: Mapping[str, Any], words: str) -> None:
        """One of several answers as they come: a line of JSON for machines, a line of words for people."""
        _answer(as_json(document) if self.as_json else _without_secrets(words))

    def secret(self, document: Mapping[str, Any], words: str) -> None:
        """A secret that was asked for by name: the only text on stdout that is not redacted.

        It is flushed at once: the caller withdraws the secret when nobody takes it.
        """
        print(as_json(document) if self.as_json else words, flush=True)

    def say(self, sentence: str) -> None:
        """Something on the way, for people only, on stderr. Nothing with `--quiet`."""
        if not self.quiet:
            tell(_without_secrets(sentence))

    def warn(self, sentence: str) -> None:
        """Something a person should act on, on stderr, also with `--quiet`."""
        tell(_without_secrets(sentence))

    def error(self, error: HuracanError) -> None:
        """An error: a sentence and what to do next."""
        if self.as_json:
            with suppress(LocalFailure):  # people are told all the same
                _answer(redact(as_json(error.as_dict())))
        sentence = str(error).replace("\n", "\\n")  # one line: a name in it may hold others
        self.warn(f"error: {sentence}")
        if error.hint:
            self.warn(f"  hint: {error.hint}")

    def bug(self, error: Exception) -> None:
        """What nobody foresaw ended it; for machines only, people have been told."""
        if self.as_json:
            document = {"error": "Bug", "message": f"{type(error).__name__}: {error}", "hint": "see stderr"}
            with suppress(LocalFailure):
                _answer(redact(as_json({**document, "retryable": False, "facts": {}})))

    def show(self, sentence: str, value: str) -> None:
        """A sentence, and below it a value letter by letter: the address of a consent page counts only whole."""
        tell(f"{sentence}\n")
        tell(Whole(value))

    def interrupted(self, hint: str) -> None:
        """A signal ended it; `hint` says what that means."""
        if self.as_json:
            document = {"error": "Interrupted", "message": "interrupted", "hint": hint}
            with suppress(LocalFailure):
                _answer(as_json(document))
        self.warn(f"\ninterrupted; {hint}" if is_watched() else f"interrupted; {hint}")

    def failures(self, failures: Sequence[Failure]) -> list[str]:
        """Lines that list what failed."""
        lines = []
        for failure in failures[:MOST_FAILURES_SHOWN]:
            lines.append(f"  {ascii_path(str(failure))}")
            if failure.error.hint:
                lines.append(f"    hint: {failure.error.hint}")
        if len(failures) > MOST_FAILURES_SHOWN:
            lines.append(f"  ... and {len(failures) - MOST_FAILURES_SHOWN} more (--json lists all)")
        return lines

    def progress(self, verb: str) -> Watching:
        """A monitor that shows progress on stderr: a bar on a terminal that can draw one, else a line a second."""
        if self.quiet:
            return Watching()
        return Bar(verb) if is_watched() and os.environ.get("TERM") != "dumb" else Lines(verb)
