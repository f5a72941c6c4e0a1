"""The fault matrix: every operation x every misfortune x the first, a middle and the last call or file of it.

After each: either the run came through, or it said why in a typed error and the next run comes through. At no moment
is a byte in place that is not right, and at the end both sides are equal, with nothing twice and no other name.
The default suite runs a slice of the matrix; `-m long` all of it.
"""

import ast
import contextlib
import shutil
import zlib
from pathlib import Path

import pytest
from fault_calls import count, strike
from fault_files import strike_disk, strike_name
from fault_jobs import LARGE, SMALL, TRANSFER, Files
from fault_table import CELLS, ELSEWHERE, OPERATIONS, named

from huracan_sync import errors
from huracan_sync.remote import async_jobs as jobs

STRIKERS = {"names": strike_name, "disk": strike_disk}
TESTS = Path(__file__).parent.parent

# A slice that no change of the table shifts: a cell is in it by its name. `-m slow` takes four times as many.
SLICE = [
    pytest.param(cell, marks=[] if place % 192 == 0 else pytest.mark.slow)
    for cell in CELLS
    for place in [zlib.crc32(named(cell).encode())]
    if place % 48 == 0
]


@pytest.fixture(autouse=True)
def _small_jobs(monkeypatch):
    """Three files are three jobs, as three thousand are; and nobody waits for one."""
    monkeypatch.setattr(jobs, "MOST", 1)
    monkeypatch.setattr(jobs, "FIRST_LOOK_S", 0.005)


def strike_cell(dropbox, folder, cell):
    folder.mkdir(parents=True, exist_ok=True)
    return STRIKERS.get(cell[0], strike)(dropbox, folder, cell)


@pytest.mark.every_case
@pytest.mark.parametrize("cell", SLICE, ids=named)
def test_slice(dropbox, tmp_path, cell):
    strike_cell(dropbox, tmp_path, cell)


SHARES = 4


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_matrix(dropbox, tmp_path, share):
    """All of it, in shares, so that several processes can strike at once."""
    struck, wrong = 0, []
    for number, cell in enumerate(CELLS[share::SHARES]):
        try:
            struck += strike_cell(dropbox, tmp_path / str(number), cell)
        except (AssertionError, errors.HuracanError) as error:
            wrong.append(f"{named(cell)}: {type(error).__name__} {str(error)[:300]}")
        shutil.rmtree(tmp_path / str(number))
    assert not wrong, "\n".join(wrong)
    assert struck > 1300 // SHARES


def test_every_operation_of_the_jobs_is_struck(dropbox, tmp_path):
    """The matrix would be empty where a job does not use a route; this says which ones it covers."""
    unused = {(job, route) for job, route in OPERATIONS if count(dropbox, tmp_path, job, route) == 0}
    assert unused == set()


@pytest.mark.parametrize("row", ELSEWHERE)
def test_a_row_that_stands_elsewhere_stands_there(row):
    path, _, name = ELSEWHERE[row].partition("::")
    functions = [node.name for node in ast.parse((TESTS / path).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert name in functions


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
    Files("restore").check_done(world)
