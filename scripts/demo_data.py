"""Real price series as the engine would hold them: parquet under its names, and JSON notes about them.

GOOG daily, EURUSD hourly and BTCUSD monthly come as CSV with the package `backtesting`. Each becomes many files, as the
engine's downloads do: a symbol, a timeframe and a range of days in every name; BTC as a perpetual, so with a `:`.
"""

import csv
import json
import re
import statistics
import struct
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SERIES = [
    # file, base folder, name of the instrument, timeframe, how the rows are split into files
    ("GOOG.csv", "GOOG", "GOOG-USD", "1d", lambda moment: (moment.year, moment.month)),
    ("EURUSD.csv", "EUR", "EUR-USD", "1h", lambda moment: moment.isocalendar()[:2]),
    ("BTCUSD.csv", "BTC", "BTC-USD:USD", "1mo", lambda moment: moment.year),
]


def read(path):
    """Rows of (moment, open, high, low, close, volume)."""
    with path.open(encoding="utf-8", newline="") as file:
        for day, *values in list(csv.reader(file))[1:]:
            yield datetime.fromisoformat(day).replace(tzinfo=UTC), *map(float, values)


def write_candles(rows, path):
    """One parquet file in the engine's columns."""
    moments, *columns = zip(*rows, strict=True)
    milliseconds = [int(moment.timestamp() * 1000) for moment in moments]
    table = pa.table(
        {
            "timestamp": pa.array(milliseconds, pa.int64()),
            **dict(zip(["open", "high", "low", "close", "volume"], columns, strict=True)),
            "ts": pa.array(moments, pa.timestamp("ms", tz="UTC")),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def make_candles(series, folder):
    """Write `folder/data/candles/...` and `folder/logs/learning/...`; returns how many files."""
    count = 0
    for name, base, instrument, timeframe, split in SERIES:
        rows = list(read(series / "backtesting" / "test" / name))
        for _, group in groupby(rows, key=lambda row: split(row[0])):
            part = list(group)
            days = [part[0][0].strftime("%Y%m%d"), part[-1][0].strftime("%Y%m%d")]
            write_candles(part, folder / "candles" / base / f"{instrument}_{timeframe}_{days[0]}_{days[1]}.parquet")
            closes = [row[4] for row in part]
            note = {"symbol": instrument, "timeframe": timeframe, "from": days[0], "to": days[1], "rows": len(part)}
            note |= {"mean_close": statistics.fmean(closes), "min": min(closes), "max": max(closes)}
            path = folder / "learning" / f"{instrument.replace(':', '.')}_{days[0]}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(note, indent=1), encoding="utf-8")
            count += 2
    return count


def _symbol(path: Path) -> str:
    """The symbol in the name of a file, as Hamilton spells it; empty where there is none."""
    return re.sub("[^A-Z0-9]", "", path.name.split("_")[0].partition(":")[0].partition(".")[0].upper())[:16]


def _model(path: Path) -> bytes:
    """What stands for a model, as a NumPy array: the returns to fit one on; of what is no candles, its beginning."""
    try:
        closes = pq.read_table(path, columns=["close"])["close"].to_pylist()
    except (pa.ArrowException, KeyError):
        beginning = path.read_bytes()[: 1 << 20] or bytes(8)
        return _array("|u1", len(beginning), beginning)
    returns = [after / before - 1 for before, after in pairwise(closes) if before]
    return _array("<f8", len(returns), struct.pack(f"<{len(returns)}d", *returns))


def _array(items: str, count: int, data: bytes) -> bytes:
    """NumPy's own format: among the champions every file proves by its structure that it is data."""
    header = f"{{'descr': '{items}', 'fortran_order': False, 'shape': ({count},), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def make_champions(candles: Path, folder: Path):
    """Write a champion set: for each of a few symbols a model and its config. Returns the symbols."""
    by_symbol = {_symbol(path): path for path in sorted(candles.rglob("*")) if path.is_file() and _symbol(path)}
    symbols = sorted(by_symbol)[:3]
    for symbol in symbols:
        model = _model(by_symbol[symbol])
        place = folder / "models" / "champions" / "latest" / f"{symbol}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(model)
        config = {"model_id": f"{symbol}-1", "symbol": symbol, "model_path": f"models/champions/latest/{symbol}.bin"}
        config |= {"risk_limits": {"max_position_pct": 5, "max_leverage": 1}}
        (folder / "hamilton" / "configs").mkdir(parents=True, exist_ok=True)
        (folder / "hamilton" / "configs" / f"{symbol}.json").write_text(json.dumps(config), encoding="utf-8")
    roster = {
        "date": "20260101",
        "total_symbols": len(symbols),
        "symbols": [{"symbol": s, "rank": n} for n, s in enumerate(symbols, 1)],
    }
    (folder / "hamilton" / "roster.json").write_text(json.dumps(roster), encoding="utf-8")
    return symbols
