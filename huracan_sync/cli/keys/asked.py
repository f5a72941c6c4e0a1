"""What every `keys WHAT` is given, and how keys and channels are told."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from huracan_sync.auth.connect import connect, home_of
from huracan_sync.cli.invocation import Invocation
from huracan_sync.cli.login_options import context_of, credentials
from huracan_sync.cli.output import moment
from huracan_sync.errors import NotAuthorized
from huracan_sync.manifest import ssh_armor, sshsig
from huracan_sync.manifest.trust import Trust
from huracan_sync.reader import Reader
from huracan_sync.reader.trust_store import TrustStore
from huracan_sync.remote.client import Remote
from huracan_sync.remote.parallel import several
from huracan_sync.remote.source import RemoteSource
from huracan_sync.signing.trust_files import TrustFiles
from huracan_sync.tree.paths import remote_root

PRINCIPAL = "huracan"
"""What the signer is called in an allowed-signers file."""


class Asked:
    """What was asked, with what it takes to answer."""

    def __init__(self, options: argparse.Namespace, invocation: Invocation) -> None:
        self.options = options
        self.output = invocation.output
        self.home = home_of(invocation.env)
        self.remote: Remote = connect(env=invocation.env, credentials=credentials(options, invocation))
        self.root = self.remote.root if options.root is None else remote_root(options.root)
        self.context = context_of(options, invocation, self.remote)
        self.keys = self.context.keys
        self.roots = TrustFiles(self.context, self.root)

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(time.time() * 1000)

    def pinned(self) -> list[str]:
        """What was pinned here for the root folder, also where the rest is lost."""
        try:
            pin = TrustStore(self.home, RemoteSource(self.remote, self.root).place).pinned()
        except NotAuthorized:
            return []  # nobody is logged in, so nothing can be pinned for a login
        return [str(pin)] if pin else []

    def reader(self) -> Reader:
        """Reads the root folder; pins nothing by itself."""
        source = RemoteSource(self.remote, self.root)
        return Reader(source, self.home, place=source.place, keep_set=0, each=several)


def says_yes(question: str) -> bool:
    """Ask a person on stderr; anything but yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def publics(known: Trust) -> list[bytes]:
    """Every public key that a trust file names, each once."""
    return list(dict.fromkeys([*known.roots, *(key.public for key in known.keys)]))


def key_row(known: Trust, public: bytes, here: set[bytes]) -> dict[str, Any]:
    """One key for the document, and what it does in words."""
    key_id = sshsig.key_id(public)
    key = known.key(key_id)
    channels = [each.name for each in known.channels if key_id in each.key_ids]
    does = ["root"] if public in known.roots else []
    does += [f"signs {', '.join(channels)}"] if channels else []
    does += ["REVOKED"] if known.is_revoked(key_id) else []
    does += ["private key is here"] if public in here else []
    return {
        "fingerprint": sshsig.fingerprint(public),
        "public": ssh_armor.public_line(public),
        "label": key.label if key else "root",
        "root": public in known.roots,
        "channels": channels,
        "revoked": known.is_revoked(key_id),
        "here": public in here,
        "not_after": moment(key.not_after_ms) if key else None,
        "does": "; ".join(does) or "nothing",
    }


def channel_row(known: Trust, name: str) -> dict[str, Any]:
    """The rules of one channel for the document."""
    found = next(each for each in known.channels if each.name == name)
    return {
        "channel": name,
        "epoch": found.epoch,
        "threshold": found.threshold,
        "max_age_s": found.max_age_s,
        "stale_limit_s": found.stale_limit_s,
        "kinds": list(found.kinds),
        "path_prefix": found.path_prefix,
    }


def allowed(known: Trust) -> str:
    """Lines of an allowed-signers file: every key that counts."""
    counts = [public for public in publics(known) if not known.is_revoked(sshsig.key_id(public))]
    return "\n".join(ssh_armor.allowed_signer(public, PRINCIPAL) for public in counts)


def in_words(at_ms: int) -> str:
    """A moment in milliseconds since 1970, for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms / 1000))
