"""`keys export-sshsig`: a channel's head, for OpenSSH."""

from __future__ import annotations

import argparse
from pathlib import Path

from huracan_sync.cli.columns import Whole
from huracan_sync.cli.invocation import DONE
from huracan_sync.cli.keys.asked import PRINCIPAL, Asked, allowed
from huracan_sync.disk.atomic_write import write_file
from huracan_sync.errors import LocalFailure
from huracan_sync.manifest import ssh_armor, sshsig, trust
from huracan_sync.signing.open_reader import reader_at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments."""
    parser.add_argument("--channel", metavar="C", required=True, help="whose head")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path(), help="where to write (default: here)")


def run(asked: Asked) -> int:
    """Write the head, its signatures and the allowed signers; say how to verify them."""
    channel, out = asked.options.channel, asked.options.out
    reader_at(asked.context, asked.root).latest(channel, allow_stale=True)
    state = asked.roots.store.load()
    known = trust.open(state.trust)
    message, armored = ssh_armor.export_sshsig(state.channels[channel].head, [key.public for key in known.keys])
    name = channel.replace("/", "+")
    files = {f"{name}.payload": message, "allowed_signers": f"{allowed(known)}\n".encode()}
    files |= {f"{name}{f'.{n}' if n > 1 else ''}.sig": text.encode() for n, text in enumerate(armored, 1)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for written, data in files.items():
            write_file(out / written, data, mode=0o644)
    except OSError as error:
        raise LocalFailure(f"{out} cannot be written: {error.strerror}", path=str(out)) from error
    command = (
        f"ssh-keygen -Y verify -n {sshsig.HEAD} -f {out / 'allowed_signers'} -I {PRINCIPAL} "
        f"-s {out / f'{name}.sig'} < {out / f'{name}.payload'}"
    )
    asked.output.document({"files": sorted(files), "out": str(out), "verify": command}, [Whole(command)])
    return DONE
