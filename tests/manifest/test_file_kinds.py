"""What a file is taken for, by its name and by its first bytes; and where signed things lie."""

import io
import pickle
import zipfile

import pytest

from huracan_sync.manifest import file_kinds, locations
from huracan_sync.manifest.file_kinds import Kind

NAMES = {
    "data/candles/BTC/BTC-USDT:USDT_1m_20250101_20250601.parquet": Kind.PARQUET,
    "hamilton/roster.json": Kind.JSON,
    "m.ONNX": Kind.ONNX,
    "m.safetensors": Kind.SAFETENSORS,
    "m.lgb": Kind.LIGHTGBM,
    "m.ubj": Kind.XGBOOST,
    "models/champions/latest/BTCUSDT.bin": Kind.OPAQUE,
    "hamilton/active/BTCUSDT.txt": Kind.OPAQUE,
    "model.pkl": Kind.PICKLE,
    "größe.pickle": Kind.PICKLE,
    "model.pt": Kind.PICKLE,
    "model.pth": Kind.PICKLE,
    "model.joblib": Kind.JOBLIB,
    "pkl": Kind.OPAQUE,
    ".pkl": Kind.OPAQUE,
    "a.pkl/b": Kind.OPAQUE,
    "a.json.pkl": Kind.PICKLE,
}


@pytest.mark.parametrize("name", NAMES)
def test_by_name(name):
    assert file_kinds.by_name(name) is NAMES[name]


def torch_file():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]))
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_known_whatever_it_is_called(protocol):
    assert file_kinds.of("BTCUSDT.bin", pickle.dumps({"a": [1, 2]}, protocol)) is Kind.PICKLE
    assert file_kinds.of("BTCUSDT.joblib", pickle.dumps(1, protocol)) is Kind.JOBLIB


def test_a_torch_file_is_known_whatever_it_is_called():
    assert file_kinds.of("BTCUSDT.bin", torch_file()) is Kind.PICKLE


@pytest.mark.parametrize("first", [b"", b"\x80", b"PAR1", b"{}", b"tree\nversion=v4\n", b"PK\x03\x04", b"\x80\x06"])
def test_data_is_not_taken_for_a_pickle(first):
    assert file_kinds.sniff(first) is None
    assert file_kinds.of("a.parquet", first) is Kind.PARQUET


def test_where_signed_things_lie():
    assert locations.trust(3) == ".huracan/trust/3.hzt"
    assert locations.head("models/pod-a") == ".huracan/heads/models/pod-a.hzh"
    assert locations.log("candles", 1, 42, bytes.fromhex("deadbeef" * 8)) == ".huracan/log/candles/1-42-deadbeef.hzh"
    assert locations.body(bytes(32)) == f".huracan/bodies/{'0' * 64}.hzm"
    assert locations.is_ours(".huracan/x")
    assert locations.is_ours(".Huracan")
    assert not locations.is_ours("a/.huracan/x")
    assert not locations.is_ours(".huracan2/x")
