"""The fault matrix: every operation x every misfortune x the first, a middle and the last call of it.

After each: either the run came through, or it said why in a typed error and the next run comes through. At no moment
is a byte in place that is not right, and at the end both sides are equal, with nothing twice and no other name.
The default suite runs a slice of the matrix; `-m long` all of it.
"""

import contextlib
import itertools
import shutil
import zlib

import pytest
from transfer_world import MIB, Watching, content, local_tree

from huracan_sync import errors
from huracan_sync.content_hash import content_hash

SMALL = {f"d{n % 3}/f{n}": 3000 + n for n in range(25)}
LARGE = {"large/a": 13 * MIB}
TRANSFER = {"whole_up_to": 4 * MIB}

FIRST = ["files/list_folder", "files/list_folder/continue", "files/upload"]
FRESH = ["files/list_folder", "files/list_folder/continue", "files/download_zip"]
PUSH = [
    "files/list_folder/continue",
    "files/upload_session/start_batch",
    "files/upload_session/append_batch",
    "files/upload_session/start",
    "files/upload_session/append_v2",
    "files/upload_session/finish_batch_v2",
    "files/delete_batch",
    "files/delete_batch/check",
]
RESTORE = ["files/list_folder/continue", "files/download", "files/download_zip", "files/get_metadata"]
JOBS = {"first": FIRST, "push": PUSH, "fresh": FRESH, "restore": RESTORE}
OPERATIONS = [(job, route) for job, routes in JOBS.items() for route in routes]

# What must come through in the very run it strikes (True), or may end it in one of these errors.
SERVICE = (errors.Unavailable,)
FAULTS = {
    "429 json": ({"fault": "rate_limited", "form": "json"}, True),
    "429 date": ({"fault": "rate_limited", "form": "date", "retry_after": 3}, True),
    "429 text": ({"fault": "rate_limited", "form": "text"}, True),
    "429 body": ({"fault": "rate_limited", "form": "body"}, True),
    "429 bare": ({"fault": "rate_limited", "form": "none"}, True),
    "lock": ({"fault": "too_many_write_operations"}, True),
    "500 html": ({"fault": "server_error", "status": 500, "body": "html"}, True),
    "502 empty": ({"fault": "server_error", "status": 502, "body": "empty"}, True),
    "503 json": ({"fault": "server_error", "status": 503, "body": "json"}, True),
    "504 text": ({"fault": "server_error", "status": 504, "body": "text"}, True),
    "500 after": ({"fault": "server_error", "status": 500, "body": "html", "when": "after"}, True),
    "reset before": ({"fault": "reset"}, True),
    "reset within": ({"fault": "reset", "offset": 10}, True),
    "reset after": ({"fault": "reset", "when": "after"}, True),
    "close before": ({"fault": "close"}, True),
    "close after": ({"fault": "close", "when": "after"}, True),
    "truncate": ({"fault": "truncate", "fraction": 0.5, "when": "after"}, True),
    "wrong length": ({"fault": "wrong_length", "when": "after"}, True),
    "stall": ({"fault": "stall", "seconds": 2, "point": "answer"}, True),
    "slow": ({"fault": "slow", "bytes_per_s": 40_000_000}, True),
    "portal": ({"fault": "captive_portal"}, SERVICE),
    "expired token": ({"fault": "expired_access_token"}, True),
    "revoked token": ({"fault": "invalid_access_token"}, True),
    "suspended": ({"fault": "user_suspended"}, (errors.NotAuthorized,)),
    "missing scope": ({"fault": "missing_scope"}, (errors.MissingScope,)),
    "full": ({"fault": "insufficient_space"}, (errors.OutOfSpace,)),
    "session lost": ({"fault": "session_lost"}, True),
    "wrong offset": ({"fault": "incorrect_offset", "offset": 0}, True),
    "cursor reset": ({"fault": "cursor_reset"}, True),
    "ignored range": ({"fault": "ignore_range"}, True),
    "no such name": ({"fault": "error", "tags": ["path", "malformed_path"]}, (errors.HuracanError,)),
    "page twice": ({"fault": "pages", "form": "duplicate"}, True),
    "page turned": ({"fault": "pages", "form": "reorder"}, True),
    "page lost": ({"fault": "pages", "form": "missing"}, (errors.Conflict,)),
    "page empty": ({"fault": "pages", "form": "empty"}, True),
    "damaged": ({"fault": "corrupt", "seed": 5}, True),
}
SESSIONS = [route for route in PUSH if "upload_session" in route and "start" not in route]
UPLOADS = [route for route in PUSH + FIRST if "upload" in route]
ONLY = {
    "session lost": SESSIONS,
    "wrong offset": SESSIONS,
    "cursor reset": ["files/list_folder/continue"],
    "ignored range": ["files/download"],
    "full": UPLOADS,
    "no such name": ["files/upload", "files/upload_session/finish_batch_v2"],
    "damaged": ["files/download", "files/download_zip"],  # what is not content is kept whole by TLS
    **{name: ["files/list_folder", "files/list_folder/continue"] for name in FAULTS if name.startswith("page ")},
}
CELLS = [
    (job, route, fault, place)
    for (job, route), fault, place in itertools.product(OPERATIONS, FAULTS, ("first", "middle", "last"))
    if route in ONLY.get(fault, [route])
]


def prepare(world, job):
    """The state before a job: together they use every operation, deletions and single files among them."""
    world.dropbox.config(page_size=12)
    if job == "first":
        for n in range(30):
            world.foreign_write(f"theirs/{n}", b"a file of somebody else")
        world.write({"single": 2000, "double": 10})
    else:
        world.write(SMALL | {f"gone/{n}": 10 for n in range(4)} | {"single": 10})
        world.push()
    if job == "push":
        for n in range(4):
            (world.src / f"gone/{n}").unlink()
        world.foreign_write("theirs/0", b"a file of somebody else")  # something to continue with
        world.write({path: content("new", 3500) for path in list(SMALL)[:20]} | LARGE)
    elif job == "restore":
        world.restore()
        world.write({path: content("new", 3500) for path in list(SMALL)[:20]} | LARGE)
        (world.src / "single").unlink()
        world.push(delete=True, transfer=TRANSFER)
    world.clear_log()


def run(world, job, **options):
    """The job; its report."""
    if job in {"first", "push"}:
        return world.push(delete=True, transfer=TRANSFER, force=True, **options)
    return world.restore(delete=True, force=True, **options)


COUNTS = {}


def count(world, job, route):
    """How often the job calls the route when all is well; measured once for each job."""
    if job not in COUNTS:
        prepare(world, job)
        run(world, job)
        COUNTS[job] = world.log()
        world.dropbox.reset()
        world.tokens = type(world.tokens)(world.dropbox)
        world.remote = world.connect()
        for folder in (world.src, world.dst, world.home):
            for path in sorted(folder.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
    return COUNTS[job].get(route, 0)


def check_nothing_wrong(world, job):
    """Whatever the run came to: what lies in a place is right."""
    ours = {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}
    older = {**SMALL, **{f"gone/{n}": 10 for n in range(4)}, "single": 10}
    for path, digest in world.there().items():
        before = content_hash(content(path, older[path])).hex() if path in older else None
        assert path.startswith("theirs") or digest in {ours.get(path), before}, path
    for path, data in local_tree(world.dst).items():
        if not path.endswith(".part"):
            assert data in {
                (world.src / path).read_bytes() if path in ours else None,
                content(path, older.get(path, 0)),
            }


def check_equal(world, job):
    """Both sides hold the same, and nothing else."""
    ours = {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}
    assert {path: digest for path, digest in world.there().items() if not path.startswith("theirs")} == ours
    if job in {"fresh", "restore"}:
        assert local_tree(world.dst) == local_tree(world.src)


def strike(world, job, route, fault, place):
    rule, expected = FAULTS[fault]
    calls = count(world, job, route)
    if calls == 0 or (calls == 1 and place != "first") or (calls == 2 and place == "middle"):
        return False
    prepare(world, job)
    nth = {"first": 1, "middle": (calls + 1) // 2, "last": calls}[place]
    world.dropbox.faults({"route": route, "nth": nth, **rule})
    world.remote = world.connect(read_timeout=0.7)
    try:
        report = run(world, job, monitor=Watching())
        met = [failure.error for failure in report.failed]
    except errors.HuracanError as error:
        met = [error]
    assert met == [] if expected is True else all(isinstance(error, expected) for error in met)
    world.dropbox.faults()
    check_nothing_wrong(world, job)
    world.remote = world.connect()
    if fault == "page lost":
        # What a listing withheld, nobody can miss; that nothing was deleted by it is what counts. A new look finds it,
        # but not what was to be deleted: without a memory of it, that is somebody else's.
        shutil.rmtree(world.home)
        assert run(world, job, overwrite=True).failed == []
        for path in [path for path in world.there() if path.startswith("gone/") and job == "push"]:
            world.foreign_delete(path)
        if job == "restore":
            (world.dst / "single").unlink(missing_ok=True)
    else:
        assert run(world, job).failed == []
    check_equal(world, job)
    return True


def named(cell):
    return "-".join(cell).replace("files/", "").replace(" ", "_")


# A slice that no change of the table shifts: a cell is in it by its name.
SLICE = [cell for cell in CELLS if zlib.crc32(named(cell).encode()) % 48 == 0]


@pytest.mark.parametrize("cell", SLICE, ids=named)
def test_slice(world, cell):
    strike(world, *cell)


@pytest.mark.long
def test_matrix(world, tmp_path):
    struck, wrong = 0, []
    for number, cell in enumerate(CELLS):
        fresh = type(world)(world.dropbox, tmp_path / str(number))
        world.dropbox.reset()
        fresh.tokens = type(world.tokens)(world.dropbox)
        fresh.remote = fresh.connect()
        try:
            struck += strike(fresh, *cell)
        except (AssertionError, errors.HuracanError) as error:
            wrong.append(f"{named(cell)}: {type(error).__name__} {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)
    assert struck > 500


def test_every_operation_of_the_jobs_is_struck(world):
    """The matrix would be empty where a job does not use a route; this says which ones it covers."""
    unused = {(job, route) for job, route in OPERATIONS if count(world, job, route) == 0}
    assert unused == set()


def test_misfortune_of_every_kind_at_once(world):
    """A tenth of all calls meet something, for a whole push and restore."""
    world.write(SMALL | LARGE)
    kinds = ["rate_limited", "server_error", "reset", "close", "too_many_write_operations", "expired_access_token"]
    world.dropbox.faults(*({"route": "*", "rate": 0.03, "seed": n, "fault": f} for n, f in enumerate(kinds)))
    for _ in range(10):
        with contextlib.suppress(errors.HuracanError):
            if not world.push(transfer=TRANSFER).failed and not world.restore().failed:
                break
    world.dropbox.faults()
    assert world.push().failed == world.restore().failed == []
    check_equal(world, "restore")
