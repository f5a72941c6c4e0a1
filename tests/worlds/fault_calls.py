"""Strike a job at the first, a middle or the last of its calls of a route."""

import contextlib
import functools
import itertools
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

from fault_jobs import HOUR, fresh, job_of
from fault_table import FAULTS, LASTING, allowed
from transfer_world import Watching

from huracan_sync import errors
from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.serving.tls import certificates

COUNTS = {}


def count(dropbox, folder, job, route):
    """How often the job calls the route when all is well; measured once for each job."""
    if job not in COUNTS:
        world, works = fresh(dropbox, folder / f"count {job}"), job_of(job)
        works.prepare(world)
        world.clear_log()
        works.run(anew(world))
        COUNTS[job] = world.log()
    return COUNTS[job].get(route, 0)


def anew(world, **options):
    """The world after its program was started again: no connection, no token in memory or on the disk."""
    for path in (world.login.home / "auth").glob("*"):
        if path.is_file():
            path.unlink()
    world.remote = world.connect(**options)
    return world


# --- misfortunes on this side of the wire -------------------------------------------------------------------------


def no_name(world, open_, url, **options):
    """The name of the service cannot be looked up: `.invalid` never is one (RFC 6761)."""

    def lookup(host, *rest, **more):
        if host.endswith(".invalid"):  # as the resolver answers, which may be slow to do so, or be none, here
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *rest, **more)

    known = socket.getaddrinfo
    with mock.patch("socket.getaddrinfo", lookup):
        return open_(url.replace(urlsplit(url).netloc, "api.dropboxapi.invalid"), **options)


def impostor(world, open_, url, **options):
    """Somebody else answers at the address, with a certificate that nobody vouches for."""
    return open_(url.replace(urlsplit(url).netloc, f"127.0.0.1:{_impostor()}").replace("http:", "https:"), **options)


@functools.cache
def _impostor():
    with tempfile.TemporaryDirectory() as folder:
        _, cert, key = certificates(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            connection, _ = server.accept()
            with contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def slept(world, open_, url, **options):
    """The machine sleeps in the middle of it: tokens end, other clocks than the monotonic one go on."""
    with Emulator(world.dropbox.ready) as handle:  # the world's own is for one thread
        world.later(6 * HOUR, handle)
    return open_(url, **options)


HERE = {"no name": no_name, "no name any more": no_name, "impostor": impostor, "slept 6 h": slept}


def strike_here(world, route, fault, nth):
    """Let the misfortune befall this world's n-th call of the route."""
    open_, calls = world.remote.wire.open, itertools.count(1)

    def opened(url, **options):
        if not url.endswith(f"/{route}"):
            return open_(url, **options)
        number = next(calls)
        struck = number >= nth if fault in LASTING else number == nth
        return HERE[fault](world, open_, url, **options) if struck else open_(url, **options)

    world.remote.wire.open = opened


# --- one cell -----------------------------------------------------------------------------------------------------


def strike(dropbox, folder, cell):
    """One cell; False when the job makes fewer calls than it takes."""
    job, route, fault, place = cell
    calls = count(dropbox, folder, job, route)
    if calls == 0 or (calls == 1 and place != "first") or (calls == 2 and place == "middle"):
        return False
    nth = {"first": 1, "middle": (calls + 1) // 2, "last": calls}[place]
    world, works = fresh(dropbox, folder / "struck"), job_of(job)
    works.prepare(world)
    anew(world, read_timeout=0.7)
    if FAULTS[fault][0] is not None:
        which = list(range(nth, nth + 1000)) if fault in LASTING else nth
        dropbox.faults({"route": route, "nth": which, **FAULTS[fault][0]})
    if fault in HERE:
        strike_here(world, route, fault, nth)
    check_met(attempt(works, world), allowed(job, route, fault))
    dropbox.faults()
    works.check_nothing_wrong(world)
    if fault in {"revoked token", "login withdrawn"}:
        world.log_in()
    anew(world)
    if fault == "page lost":
        works.after_a_lost_page(world)
    else:
        assert works.run(world) == []
    works.check_done(world)
    return True


def attempt(works, world):
    """What the struck run came to: the errors of what failed, or the one that ended it."""
    try:
        return works.run(world, monitor=Watching())
    except errors.HuracanError as error:
        return [error]


def check_met(met, expected):
    """Only what may be, said so that a person can act on it."""
    assert met == [] if expected is True else all(_is_one(error, expected) for error in met), met
    for error in met:
        assert str(error)
        assert error.hint or error.retryable, repr(error)


def _is_one(error, expected):
    """Whether it is of one of the classes, or has one of the codes."""
    expected = expected if isinstance(expected, tuple) else (expected,)
    classes = tuple(one for one in expected if not isinstance(one, str))
    return isinstance(error, classes) or error.code in expected
