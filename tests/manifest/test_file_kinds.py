"""What a file is taken for, by its name and by its first bytes; and where signed things lie."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib

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


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


LARGE = {"weights": list(range(3_000)), "name": "x" * 3_000}


def zipped(*names, stub=b""):
    buffer = io.BytesIO()
    buffer.write(stub)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name in names:
            archive.writestr(name, b"data")
    return buffer.getvalue()


def npy(descr):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


DISGUISED = {
    **{
        f"protocol {n}, {type(o).__name__}": pickle.dumps(o, n)
        for n in range(6)
        for o in ({}, [1], LARGE, Runs(), "text")
    },
    **{f"protocol {n} without its mark": pickle.dumps(Runs(), n)[2:] for n in range(2, 6)},
    "mark of protocol 0": b"\x80\x00cos\nsystem\n(S'true'\ntR.",
    "mark of protocol 1": b"\x80\x01}.",
    "mark of a protocol to come": b"\x80\x09}.",
    "the mark alone": b"\x80",
    "bytes behind the pickle": pickle.dumps(Runs(), 0) + b"PAR1",
    "a zip": zipped("a.txt"),
    "a zip with a late member": zipped(*(f"{n}.txt" for n in range(200)), "archive/data.pkl"),
    "an empty zip": zipped(),
    "objects in NumPy": npy("|O"),
    "a record of objects in NumPy": npy("[('a', '<f8'), ('b', '|O')]"),
    "Keras": b"\x89HDF\r\n\x1a\n",
    **{f"packed by {p.__module__}": p(pickle.dumps(Runs())) for p in (zlib.compress, gzip.compress, bz2.compress)},
    "packed by lzma": lzma.compress(pickle.dumps(LARGE)),
    "packed by lzma of old": lzma.compress(pickle.dumps(LARGE), format=lzma.FORMAT_ALONE),
    "packed by what nobody here reads": b"\x04\x22\x4d\x18" + bytes(9),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_program_in_disguise_is_known(name):
    data = DISGUISED[name]
    for path in ("BTCUSDT.bin", "a.parquet", "a.json", "a.onnx", "a.safetensors", "a.ubj", "a.lgb", "notes.txt", "x"):
        assert file_kinds.of(path, data[: file_kinds.SNIFF]) is Kind.PICKLE, path


@pytest.mark.parametrize("stub", [b"#!/bin/sh\n", b"PAR1", b"{}", bytes(500)])
def test_an_archive_behind_anything_is_known_by_its_end(stub):
    assert file_kinds.is_archive(zipped("archive/data.pkl", stub=stub)[-65_557:])
    assert not file_kinds.is_archive(stub)
    assert not file_kinds.is_archive(b"PK\x05\x06" + bytes(30))


@pytest.mark.parametrize(
    "path",
    [
        "m.sav",
        "m.ckpt",
        "m.dill",
        "m.keras",
        "m.h5",
        "m.npz",
        "m.pkl.gz",
        "m.PKL",
        "m.cloudpickle",
        "m.joblib.z",
        "m.pck",
    ],
)
def test_names_of_programs(path):
    assert file_kinds.by_name(path) in file_kinds.PROGRAMS


DATA = {
    "a.bin": [
        b"",
        b"PAR1",
        b"{}",
        b"tree\nversion=v4\n",
        b"timestamp,open\n1,2\n" * 99,
        b"N/A,1\n",
        b"I,2\n",
        b"hello\n",
    ],
    "x.log": [b"2025-11-12 INFO start\n" * 99, b"(comment)\n" * 200, b"S3 bucket\n" * 200, b"Incident at 10\n" * 99],
    "x.npy": [npy("<f8"), npy("[('a', '<f8')]")],
    "x.bin": [b"\x80\x62\x36\xa4\x20\xd1\xc9\x3f" * 50],
    "x.gz": [gzip.compress(b"time,open\n" * 99, mtime=0), bz2.compress(b"1,2\n")],
}


@pytest.mark.parametrize(("path", "first"), [(path, first) for path, all_of in DATA.items() for first in all_of])
def test_data_is_not_taken_for_a_program(path, first):
    assert file_kinds.sniff(first[: file_kinds.SNIFF]) is None
    assert file_kinds.of(path, first[: file_kinds.SNIFF]) is Kind.OPAQUE


PROVED = {
    "a.parquet": b"PAR1",
    "a.json": b' \n{"a": 1}',
    "a.onnx": b"\x08\x07\x12\x07pytorch",
    "a.safetensors": (0x180).to_bytes(8, "little") + b'{"w":',  # begins like the mark of a pickle
    "a.lgb": b"tree\nversion=v4\n",
    "a.ubj": b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner",
}


@pytest.mark.parametrize("path", PROVED)
def test_a_kind_is_proved_by_its_structure_or_it_is_opaque(path):
    assert file_kinds.of(path, PROVED[path]) is file_kinds.by_name(path)
    assert file_kinds.of(path, b"#include <stdio.h>") is Kind.OPAQUE
    assert file_kinds.of(path, b"") is file_kinds.by_name(path)


def test_where_signed_things_lie():
    assert locations.trust(3) == ".huracan/trust/3.hzt"
    assert locations.head("models/pod-a") == ".huracan/heads/models/pod-a.hzh"
    assert locations.log("candles", 1, 42, bytes.fromhex("deadbeef" * 8)) == ".huracan/log/candles/1-42-deadbeef.hzh"
    assert locations.body(bytes(32)) == f".huracan/bodies/{'0' * 64}.hzm"
    assert locations.is_ours(".huracan/x")
    assert locations.is_ours(".Huracan")
    assert not locations.is_ours("a/.huracan/x")
    assert not locations.is_ours(".huracan2/x")
