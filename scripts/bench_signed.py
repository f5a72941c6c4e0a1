"""What verifying a manifest costs.

    python scripts/bench_signed.py [--json]

From the bytes of the head and the body to entries one may read: signatures, hashes, unpacking, decoding, the one
spelling, order, paths, collisions. Each size in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import pickle
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from huracan_sync.signed import body, head, trust  # noqa: E402 - found by the line above
from huracan_sync.signed.entries import Item  # noqa: E402
from huracan_sync.signed.keys import Signer  # noqa: E402
from huracan_sync.signed.policy import first_trust  # noqa: E402

NOW = 1_763_600_000_000
AIMS = {10_000: (0.025, None), 100_000: (0.150, None), 1_000_000: (1.5, 700)}


def write(count: int, place: Path) -> None:
    """A signed manifest of `count` candle files, as bytes."""
    chance = random.Random(count)  # noqa: S311 - the same in every run
    items = (
        Item(
            f"data/candles/S{n // 100:05d}/BTC-USDT_{n % 100:03d}_20250101_20250601.parquet",
            chance.randrange(4 << 20),
            chance.randbytes(32),
            f"01{chance.randrange(1 << 52):013x}{chance.randrange(1 << 32):08x}",
            NOW + n,
            1,
        )
        for n in range(count)
    )
    signer = Signer(bytes(32))
    made = body.encode("candles", items)
    said = head.Head(
        channel="candles",
        epoch=1,
        seq=1,
        created_ms=NOW,
        expires_ms=NOW + 3_600_000,
        trust_version=1,
        prev=head.FIRST,
        body_sha256=made.sha256,
        body_len=len(made.data),
        raw_len=made.raw_len,
        entry_count=count,
        publisher="bench",
    )
    signed = trust.sign(first_trust(signer.public, now_ms=NOW), [signer])
    place.write_bytes(pickle.dumps((signed, head.sign(said, [signer]), {p.sha256: p.data for p in made.parts()})))


def read(place: Path) -> dict[str, float]:
    """Verify it; the best of some rounds, and the peak memory of this process."""
    signed, data, parts = pickle.loads(place.read_bytes())  # noqa: S301 - written above
    packed = sum(map(len, parts.values()))
    best = float("inf")
    for _ in range(5 if packed < 10 << 20 else 2):
        items = None
        began = time.perf_counter()
        held = trust.open(signed)
        opened = head.open(data, trust=held, channel="candles", now_ms=NOW)
        items = body.read(opened.head, held.policy("candles"), lambda sha256, _: parts[sha256])
        best = min(best, time.perf_counter() - began)
    assert items is not None  # noqa: S101 - the work was done
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"entries": len(items), "seconds": best, "peak_mib": peak, "packed_mb": packed / 1e6}


def main() -> None:
    """Print the table; end with 1 when an aim is missed."""
    if len(sys.argv) == 3 and sys.argv[1] == "--read":
        print(json.dumps(read(Path(sys.argv[2]))))
        return
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        write(int(sys.argv[3]), Path(sys.argv[2]))
        return
    rows, missed = [], False
    with tempfile.TemporaryDirectory() as folder:
        for count, (most_s, most_mib) in AIMS.items():
            place = Path(folder) / str(count)
            subprocess.run([sys.executable, __file__, "--write", str(place), str(count)], check=True)
            done = subprocess.run(
                [sys.executable, __file__, "--read", str(place)], check=True, capture_output=True, text=True
            )
            row = json.loads(done.stdout)
            rows.append(row)
            missed |= row["seconds"] > most_s or (most_mib is not None and row["peak_mib"] > most_mib)
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(
                "{entries:>9,} entries  {seconds:7.4f} s  {peak_mib:6.0f} MiB peak  {packed_mb:6.2f} MB packed".format(
                    **row
                )
            )
    sys.exit(missed)


if __name__ == "__main__":
    main()
