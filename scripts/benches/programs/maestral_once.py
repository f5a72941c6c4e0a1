"""Maestral, linked or run until it has nothing left to do: `maestral_once.py link|sync FOLDER`.

`link` prints the address where a person consents, reads the code, and makes the folder. `sync` starts, syncs both ways,
and ends when nothing has happened for QUIET_S.
"""

import sys
import time

from maestral.constants import IDLE
from maestral.main import Maestral

QUIET_S = 3.0


def link(maestral: Maestral, folder: str) -> int:
    print(maestral.get_auth_url(), flush=True)
    code = maestral.link(sys.stdin.readline().strip())
    if code == 0:
        maestral.create_dropbox_directory(folder)
    return int(code)


def sync(maestral: Maestral, _: str) -> int:
    maestral.start_sync()
    since = time.monotonic()
    while time.monotonic() - since < QUIET_S:
        if maestral.status != IDLE or maestral.pending_first_download:
            since = time.monotonic()
        time.sleep(0.05)
    errors = [str(error) for error in [*maestral.sync_errors, *maestral.fatal_errors]]
    print(*errors, sep="\n", file=sys.stderr)
    maestral.stop_sync()
    return bool(errors)


if __name__ == "__main__":
    sys.exit({"link": link, "sync": sync}[sys.argv[1]](Maestral("bench"), sys.argv[2]))
