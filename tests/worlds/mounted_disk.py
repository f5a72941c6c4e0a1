"""Mounts a disk that folds names: /dev/fuse, and a process that serves it. It takes Linux and the right to mount."""

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path

_SERVER = Path(__file__).with_name("fuse_disk.py")
_LET_GO = 2  # MNT_DETACH: also while somebody has a file of it open


class Unmountable(Exception):
    """This user may not mount a disk, or this system cannot; why, in its text."""


@contextlib.contextmanager
def mount(root, *, decomposes=False):
    """Within the block `root` is such a disk, empty at first.

    Raises:
        Unmountable: there is none to be had.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        raise Unmountable(f"no /dev/fuse: {error}") from None
    libc, place = ctypes.CDLL(None, use_errno=True), os.fsencode(root)
    try:
        options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},default_permissions"
        if libc.mount(b"folding", place, b"fuse.folding", 0, options.encode()):
            raise Unmountable(f"no right to mount: {os.strerror(ctypes.get_errno())}")
        way = "decomposes" if decomposes else "keeps"
        server = subprocess.Popen([sys.executable, "-IS", _SERVER, str(device), way], pass_fds=[device])
    finally:
        os.close(device)
    try:
        yield
    finally:
        libc.umount2(place, _LET_GO)
        server.terminate()
        server.wait()
