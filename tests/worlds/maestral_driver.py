"""Runs in Maestral's own environment: does what it reads on stdin, a JSON list a line, and answers a JSON line each.

["link_url"]      where a person consents
["link", CODE]    0 if it is linked now
["start"]         makes the local folder, starts to sync
["settle", S]     waits until nothing has happened for S seconds; [status, errors]
["stop"]
"""

import json
import sys
import time

from maestral.constants import IDLE
from maestral.main import Maestral


def settle(maestral, quiet_s, patience_s=60.0):
    """Wait until it is up to date and stays so."""
    began = since = time.monotonic()
    while time.monotonic() - since < quiet_s and time.monotonic() - began < patience_s:
        if maestral.status != IDLE or maestral.pending_first_download:
            since = time.monotonic()
        time.sleep(0.05)
    errors = [str(error) for error in [*maestral.sync_errors, *maestral.fatal_errors]]
    return [maestral.status, errors]


def main(folder):
    answers, sys.stdout = sys.stdout, sys.stderr  # it prints warnings of its own
    maestral = Maestral("test")
    works = {
        "link_url": maestral.get_auth_url,
        "link": maestral.link,
        "start": lambda: (maestral.create_dropbox_directory(folder), maestral.start_sync())[1],
        "settle": lambda quiet_s: settle(maestral, quiet_s),
        "stop": maestral.stop_sync,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answers.write(json.dumps(works[name](*arguments)) + "\n")
        answers.flush()
    maestral.stop_sync()


if __name__ == "__main__":
    main(sys.argv[1])
