"""`run` is killed without warning, again and again, while files change: what is on the disk ends up in Dropbox."""

import random
import time
from datetime import UTC, datetime

import pytest
from engine_world import noise, write_candle

APP = "/Runpodhuracan"


def change(world, rng, n):
    """What an engine does in a moment: a candle grows, notes and models appear, a log is appended to."""
    base = rng.choice(["BTC", "ETH", "SOL", "ADA"])
    path = world.work / f"data/candles/{base}/{base}-USDT_1m_20250611_20251108.parquet"
    write_candle(world.work / "ready.parquet", rows=rng.randrange(10, 3000), seed=n)
    path.parent.mkdir(parents=True, exist_ok=True)
    (world.work / "ready.parquet").replace(path)
    world.write({f"logs/learning/{n}.json": f'{{"n": {n}}}', f"models/{n % 5}.bin": noise(n, rng.randrange(9_000_000))})
    with (world.work / "logs/engine.log").open("a") as log:
        log.write(f"step {n}\n" * 50)


def wanted(world, day):
    """Where every file of the disk must lie, with its bytes."""
    tree = world.tree()
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


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.long)])
def test_nothing_is_lost_and_nothing_is_wrong(world, kills):
    rng = random.Random(kills)
    world.dropbox.config(latency_ms=20)
    (world.work / "logs").mkdir()
    for n in range(kills):
        process = world.start("run", "--set", "sync_interval_logs_seconds=1", "--set", "sync_monitoring=no")
        change(world, rng, 2 * n)
        time.sleep(rng.uniform(0.5, 2.5))
        change(world, rng, 2 * n + 1)
        time.sleep(rng.uniform(0.0, 1.5))
        process.kill()
        process.communicate()
    world.dropbox.config(latency_ms=0)
    code, _, err = world.command("run", "--once", "--set", "sync_monitoring=no")
    assert code == 0, err
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    expected = wanted(world, day)
    assert len(expected) > kills
    assert {path: world.stranger.read(path) for path in world.stranger.paths()} == expected
    world.clear_log()
    assert world.command("run", "--once", "--set", "sync_monitoring=no")[0] == 0
    assert not [route for route in world.requests() if "upload" in route]
