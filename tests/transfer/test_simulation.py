"""scripts/simulate.py: what it sends is the client's own, its clock is virtual, and it finds what limits."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate.py"


@pytest.fixture(scope="module")
def simulate():
    spec = importlib.util.spec_from_file_location("simulate", SCRIPT)
    module = sys.modules["simulate"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_round_is_cut_by_the_clients_own_uploader(simulate):
    (start, nothing), *appends = simulate.calls_of_a_round(1000, 2048, 0.08, 0.0)
    assert (start, nothing) == ("files/upload_session/start_batch", 0)
    assert {route for route, _ in appends} == {"files/upload_session/append_batch"}
    assert sum(size for _, size in appends) == 1000 * 2048
    assert 15 < len(appends) < 22  # as many as 8 KiB of headers allow
    large = simulate.calls_of_a_round(100, 1_000_000, 0.08, 0.0)[1:]
    assert max(size for _, size in large) <= 8 * 1024 * 1024


def test_what_is_staged_is_cut_by_the_clients_own_staging(simulate):
    (start, nothing), *appends = simulate.calls_of_staging(1000, 2048)
    assert (start, nothing) == ("files/upload_session/start_batch", 0)
    assert {route for route, _ in appends} == {"files/upload_session/append_batch"}
    assert sum(size for _, size in appends) == 1000 * 2048


def test_one_machine_commits_a_thousand_files_a_call_when_all_is_staged(simulate):
    world = simulate.World(workers=4, files=8_100, latency_s=1.0, staged=True)
    alone = simulate.Simulation(replace(world, staged=False)).run()
    outcome = simulate.Simulation(world).run()
    assert outcome.calls == alone.calls - 4 - 12 + 9  # each worker lists once and commits three times, 2,025 files
    assert outcome.seconds > 9.0


def test_the_same_seed_gives_the_same_run(simulate):
    world = simulate.World(workers=5, files=20_000, rate=20.0, commit_s=0.05, deaths_per_hour=60.0)
    runs = [simulate.Simulation(world).run() for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].deaths
    assert runs[0] != simulate.Simulation(replace(world, seed=2)).run()


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"rate": 10.0}, "rate of calls"),
        ({"commit_s": 2.0, "staged": True}, "commit lock"),
        ({"worker_mbit": 1.0}, "worker links"),
        ({"total_mbit": 1.0}, "shared link"),
        ({"latency_s": 5.0}, "latency"),
    ],
)
def test_what_limits_is_named(simulate, limits, name):
    world = replace(simulate.World(workers=4, files=8_000), **limits)
    assert simulate.Simulation(world).run().limit == name


def test_a_latency_alone_is_added_up(simulate):
    # a listing, start, 17 appends (eight, then nine at once: concurrency grows), commit
    outcome = simulate.Simulation(simulate.World(files=1000, latency_s=1.0)).run()
    assert outcome.seconds == pytest.approx(5.0)
    assert outcome.calls == 20


@pytest.mark.slow
@pytest.mark.parametrize("staged", [False, True])
def test_a_hundred_machines_under_one_rate_come_to_an_end(simulate, staged):
    """Refused calls count against the rate: retries that do not spread out would be refused for ever."""
    world = simulate.World(workers=100, files=100_000, rate=50.0, commit_s=0.05, staged=staged)
    outcome = simulate.Simulation(world).run()
    assert not outcome.collapsed
    assert outcome.seconds < 600


def test_shares_of_the_rate_avoid_refusals(simulate):
    world = simulate.World(workers=10, files=50_000, rate=50.0, staged=True)
    alone, shared = (simulate.Simulation(replace(world, shares=shares)).run() for shares in (False, True))
    assert shared.refused * 10 < alone.refused
    assert shared.refused < shared.calls / 100


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_the_real_client_makes_as_many_calls(simulate, number):
    """Of the jobs that the page compares those that no rate refuses: there chance decides how often."""
    world = simulate.CHECKS[number]
    assert simulate.Simulation(world).run().calls == pytest.approx(simulate.really(world).calls, rel=0.15)
