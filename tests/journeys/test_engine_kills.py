"""`run` is killed without warning, again and again, while files change: what is on the disk ends up in Dropbox."""

import random
import time
from datetime import UTC, datetime

import pytest
from engine_world import noise, write_candle
from sampled import slow

APP = "/Runpodhuracan"


def change(machine, rng, n):
    """What an engine does in a moment: a candle grows, notes and models appear, a log is appended to."""
    base = rng.choice(["BTC", "ETH", "SOL", "ADA"])
    path = machine.work / f"data/candles/{base}/{base}-USDT_1m_20250611_20251108.parquet"
    write_candle(machine.work / "ready.parquet", rows=rng.randrange(10, 3000), seed=n)
    path.parent.mkdir(parents=True, exist_ok=True)
    (machine.work / "ready.parquet").replace(path)
    machine.write(
        {f"logs/learning/{n}.json": f'{{"n": {n}}}', f"models/{n % 5}.bin": noise(n, rng.randrange(9_000_000))}
    )
    with (machine.work / "logs/engine.log").open("a") as log:
        log.write(f"step {n}\n" * 50)


def wanted(machine, day):
    """Where every file of the disk must lie, with its bytes."""
    tree = machine.tree()
    places = {"models/": f"{day}/", "logs/learning/": f"{day}/", "logs/engine.log": f"{day}/"}
    found = {}
    for path, data in tree.items():
        if path.startswith("data/candles/"):
            name = path.rpartition("/")[2]
            found[f"{APP}/data/candles/{name.partition('-')[0]}USDT/{name}"] = data
        for start, below in places.items():
            if path.startswith(start):
                found[f"{APP}/{below}{path.removeprefix('logs/') if 'learning' in path else path}"] = data
    return found


@pytest.mark.parametrize("kills", [slow(3), pytest.param(40, marks=pytest.mark.long)])
def test_nothing_is_lost_and_nothing_is_wrong(machine, kills):
    rng = random.Random(kills)
    machine.dropbox.config(latency_ms=20)
    (machine.work / "logs").mkdir()
    for n in range(kills):
        process = machine.start("run", "--set", "sync_interval_logs_seconds=1", "--set", "sync_monitoring=no")
        change(machine, rng, 2 * n)
        time.sleep(rng.uniform(0.5, 2.5))
        change(machine, rng, 2 * n + 1)
        time.sleep(rng.uniform(0.0, 1.5))
        process.kill()
        process.communicate()
    machine.dropbox.config(latency_ms=0)
    code, _, err = machine.command("run", "--once", "--set", "sync_monitoring=no")
    assert code == 0, err
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    expected = wanted(machine, day)
    assert len(expected) > kills
    assert {path: machine.stranger.read(path) for path in machine.stranger.paths()} == expected
    machine.clear_log()
    assert machine.command("run", "--once", "--set", "sync_monitoring=no")[0] == 0
    assert not [route for route in machine.requests() if "upload" in route]
