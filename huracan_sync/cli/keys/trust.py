"""`keys trust`: whom this machine believes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from huracan_sync.cli.invocation import DONE
from huracan_sync.cli.keys.asked import Asked, says_yes
from huracan_sync.cli.output import moment
from huracan_sync.errors import ConfigError, UsageError
from huracan_sync.manifest import locations, sshsig, trust
from huracan_sync.remote.source import RemoteSource
from huracan_sync.tree.symbols import CHAMPIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments."""
    parser.add_argument(
        "pin", metavar="PIN", nargs="*", help="`hz2:...`, as `keys show` prints it where the root key is"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        nargs="+",
        help="trust files that were brought here by hand: to begin with, or newer ones that lead on from what is known",
    )
    parser.add_argument(
        "--at-least", type=int, metavar="SEQ", help="accept nothing below this sequence; needed where state was lost"
    )
    parser.add_argument("--channel", metavar="C", default=CHAMPIONS, help=f"the channel of --at-least ({CHAMPIONS})")
    parser.add_argument("--reset", action="store_true", help="forget what was pinned and seen, also where it is whole")
    parser.add_argument("--anew", dest="reset", action="store_true", help=argparse.SUPPRESS)  # the older spelling


def run(asked: Asked) -> int:
    """Pin what was said, or what a person compares and confirms."""
    options, reader = asked.options, asked.reader()
    if options.at_least is not None and options.at_least < 1:
        raise UsageError(f"--at-least {options.at_least} is no sequence")
    floors = None if options.at_least is None else {options.channel: options.at_least}
    if options.file is not None:
        made = reader.pin_file(*map(_read, options.file), at_least=floors, reset=options.reset)
    else:
        pins = tuple(options.pin) or _pinned_before(asked) or _ask(asked)
        made = reader.pin(pins, at_least=floors, reset=options.reset)
    fingerprints = [sshsig.fingerprint(public) for public in made.roots]
    document = {
        "root": asked.root,
        "trusted": fingerprints,
        "trust_version": made.version,
        "expires": moment(made.expires_ms),
        "at_least": floors or {},
    }
    words = [f"this machine trusts {', '.join(fingerprints)} (version {made.version} of the trust file)"]
    words += [f"nothing below sequence {floor} of {name} is accepted" for name, floor in (floors or {}).items()]
    asked.output.document(document, words)
    return DONE


def _pinned_before(asked: Asked) -> list[str]:
    """With --at-least alone: the root that was pinned already, whatever became of the rest."""
    if asked.options.at_least is None or asked.options.reset:
        return []
    return asked.pinned()


def _ask(asked: Asked) -> tuple[str, ...]:
    """Trust on first use: only with a person who looks at the fingerprint."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to compare a pin, so one must be said",
            hint="run `huracan-sync keys show` where the key is, then `huracan-sync keys trust PIN` here",
        )
    data = RemoteSource(asked.remote, asked.root).fetch(locations.trust(1), trust.FORM.max_size)
    found = str(trust.pin_of(data))
    asked.output.say(
        f"The pin of the trust file in {asked.root} is\n  {found}\n"
        "Nothing on this machine says whether that is the right one: this is trust on first use. Compare it with what "
        "`huracan-sync keys show` prints where the key is."
    )
    if not says_yes("Is it the same?"):
        raise ConfigError("nothing was trusted", hint="run it again when you have compared the pin")
    return (found,)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
