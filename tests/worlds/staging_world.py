"""A driver that lends, and workers that stage for it."""

import os
import signal
import time

from machines import WRITE
from publishing_machine import Publisher
from quick_time import Time
from transfer_world import content

from huracan_sync import commit, connect, errors, stage
from huracan_sync.remote.contents import everything

FOLDER = "/Engine/runs"


def driver_of(dropbox, folder, *, scopes=WRITE, account=None):
    """A machine that is logged in by a delivered refresh token, and so can lend, and has a key to sign with."""
    machine = Publisher(dropbox, folder / "driver", clock=time.time)
    tokens = dropbox.token(scopes, **({"account_id": account} if account else {}))
    file = folder / "refresh-token"
    file.write_text(tokens["refresh_token"])
    file.chmod(0o400)
    machine.env = dropbox.env(machine.home) | {
        "HURACAN_REFRESH_TOKEN_FILE": str(file),
        "HURACAN_APP_KEY": tokens["app_key"],
        "HURACAN_APP_FOLDER": "/Engine",
    }
    machine.remote = connect("engine", env=machine.env, home=machine.home)
    Time().rules(machine.remote.pacing)
    machine.roots().begin()
    return machine


def commits(machine, receipts, **options):
    return commit(machine.remote, receipts, FOLDER, home=machine.home, keys=machine.keys, **options)


def shard(worker, *, small=100, large=24 * 1024 * 1024):
    """What one worker has made: contents, each with its path."""
    files = {f"{worker}/{n}.bin": content(f"{worker}-{n}", 1000 + n) for n in range(small)}
    return files | ({f"{worker}/large.bin": content(f"{worker}-large", large)} if large else {})


def staged(grant, files, **options):
    return stage(grant, [(data, path) for path, data in files.items()], **options)


def there(machine):
    """What lies below the folder: path -> content hash."""
    try:
        found = everything(machine.remote, FOLDER, lambda entry: entry).files
    except errors.NotFound:
        return {}
    return {entry.path: entry.content_hash for entry in found.values()}


def dies(work, after_s):
    """Whether a forked child was killed so many seconds after its start (None: never); else it must have ended well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(60)
            work()
            status = 0
        finally:
            os._exit(status)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    ended = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(ended):
        return True
    assert os.WEXITSTATUS(ended) == 0
    return False
