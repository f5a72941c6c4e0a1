"""What a file is taken for, by its name and by its first bytes; and where signed things lie."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import pickletools
import tarfile
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
    "hamilton/active/BTCUSDT.txt": Kind.TEXT,
    "trades.csv": Kind.CSV,
    "m.xgb": Kind.XGBOOST,
    "a.npy": Kind.NUMPY,
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


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


def npy(descr):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


CALL = b"cos\nsystem\n(S'true'\ntR."
"""The end of a pickle that runs a program."""
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
    # What Python's unpicklers take and its disassembler does not.
    "a hexadecimal number": b"I0x1\n0" + CALL,
    "a long hexadecimal number": b"L0x1L\n0" + CALL,
    "a number after a space": b"I 1\r\n0" + CALL,
    "a mark that is popped": b"(0" + CALL,
    "marks that are popped": b"N((000" + CALL,
    "a text beyond ASCII": b"S'\xe9'\n0" + CALL,
    "one long text": b"S'" + b"a" * 3000 + b"'\n0" + CALL,
    "a text in double quotes": b'S"a"\n0' + CALL,
    "a number of its own kind": b"Fnan\n0" + CALL,
    "an instance": b"(S'true'\nios\nsystem\n.",
    "many numbers": b"I1\n0" * 5000 + CALL,
    "a zip": zipped("a.txt"),
    "a zip with a late member": zipped(*(f"{n}.txt" for n in range(200)), "archive/data.pkl"),
    "an empty zip": zipped(),
    "objects in NumPy": npy("|O"),
    "a record of objects in NumPy": npy("[('a', '<f8'), ('b', '|O')]"),
    "Keras": b"\x89HDF\r\n\x1a\n",
    **{f"packed by {p.__module__}": p(pickle.dumps(Runs())) for p in (zlib.compress, gzip.compress, bz2.compress)},
    "packed by lzma": lzma.compress(pickle.dumps(LARGE)),
    "packed by lzma of old": lzma.compress(pickle.dumps(LARGE), format=lzma.FORMAT_ALONE),
    "packed by lz4": b"\x04\x22\x4d\x18" + bytes(9),
    "packed by zstandard": b"\x28\xb5\x2f\xfd" + bytes(9),
    "packed by joblib of old": b"ZF0x2a               " + zlib.compress(pickle.dumps(Runs())),
    **{f"packed at level {n}": zlib.compress(pickle.dumps(LARGE), n) for n in range(10)},
    "packed, without its mark": gzip.compress(b"I0x1\n0" + CALL, mtime=0),
    "packed, cut, without its mark": gzip.compress(b"".join(b"I%d\n" % n for n in range(9999)) + CALL, mtime=0),
    "a tar": tarred(),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_program_in_disguise_is_known(name):
    data = DISGUISED[name]
    for path in ("BTCUSDT.bin", "a.parquet", "a.json", "a.onnx", "a.safetensors", "a.ubj", "a.lgb", "notes.txt", "x"):
        assert file_kinds.of(path, data[: file_kinds.SNIFF]) is Kind.PICKLE, path


@pytest.mark.parametrize("stub", [b"", b"#!/bin/sh\n", b"PAR1", b"{}", bytes(500)])
@pytest.mark.parametrize("behind", [b"", b"\n", b"PAR1", bytes(40_000)])
def test_an_archive_is_known_by_its_end_whatever_stands_before_and_behind_it(stub, behind):
    data = zipped("archive/data.pkl", stub=stub) + behind
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["archive/data.pkl"]  # Python opens it
    assert file_kinds.is_archive(data[-65_557:])
    assert not file_kinds.is_archive(stub + behind)
    assert not file_kinds.is_archive(b"PK\x05\x06" + bytes(30))


@pytest.mark.parametrize("line", [b"S'%s'\n0", b"V%s\n0"])
def test_one_text_longer_than_a_block_hides_nothing(line):
    data = line % (b"a" * (5 << 20)) + CALL
    assert file_kinds.sniff(data[: 4 << 20], size=len(data)) is Kind.PICKLE


@pytest.mark.parametrize("code", [b"X", b"B", b"T"])
def test_nor_does_one_whose_length_is_told_first(code):
    data = code + (5 << 20).to_bytes(4, "little") + b"\xff" * (5 << 20) + b"0" + CALL
    assert file_kinds.sniff(data[: 4 << 20], size=len(data)) is Kind.PICKLE
    assert file_kinds.sniff(code + b"\xff" * 5000, size=5001) is None  # no such length


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
    "a.bin": {
        b"\x00\x01": Kind.OPAQUE,
        b"PAR1": Kind.PARQUET,
        b"{}": Kind.JSON,
        b"tree\nversion=v4\n": Kind.LIGHTGBM,
        b"tree of round 1": Kind.TEXT,
        b"timestamp,open\n1,2\n" * 99: Kind.TEXT,
        b"N/A,1\n": Kind.TEXT,
        b"I,2\n": Kind.TEXT,
        b"hello\n": Kind.TEXT,
        b"close\n100\n": Kind.TEXT,
        b"cat\ndog\nbird\n" * 99: Kind.TEXT,
        (0x180).to_bytes(8, "little") + b'{"w":': Kind.SAFETENSORS,
        b"\x80\x62\x36\xa4\x20\xd1\xc9\x3f" * 50: Kind.OPAQUE,
    },
    "x.log": dict.fromkeys(
        [
            b"2025-11-12 INFO start\n" * 99,
            b"(comment)\n" * 200,
            b"S3 bucket\n" * 200,
            b"Incident at 10\n" * 99,
            "größer\n".encode() * 200,
        ],
        Kind.TEXT,
    ),
    "x.npy": dict.fromkeys([npy("<f8"), npy("[('a', '<f8')]")], Kind.NUMPY),
    "x.gz": dict.fromkeys([gzip.compress(b"time,open\n" * 99, mtime=0), bz2.compress(b"1,2\n")], Kind.OPAQUE),
    "x.txt": {
        "ü".encode()[:1].rjust(99, b"a"): Kind.TEXT,  # cut within a letter
        b"\xffa": Kind.OPAQUE,
        b"ca.b": Kind.TEXT,  # a pickle's opcode, and names that are cut off
        b"ca\nb": Kind.TEXT,
    },
    "a.dat": dict.fromkeys(
        [
            b"\x78\x9c" + b"\xff" * 50,  # begins as zlib does, and is not
            b"\x5d\x00" + b"\xff" * 50,
            b"N]\x8d\x00\x00",  # a pickle's opcodes, and a length that is cut off
            b"c\xff\na\n.",  # names that are no text
        ],
        Kind.OPAQUE,
    ),
    "x.csv": {b"a,b\n1,2\n": Kind.CSV, b"\xff\xfe": Kind.OPAQUE, b"a\x00b": Kind.OPAQUE},
}


@pytest.mark.parametrize(("path", "first"), [(path, first) for path, all_of in DATA.items() for first in all_of])
def test_data_is_not_taken_for_a_program(path, first):
    assert file_kinds.sniff(first[: file_kinds.SNIFF]) is None
    assert file_kinds.of(path, first[: file_kinds.SNIFF]) is DATA[path][first]


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
    assert file_kinds.of(path, b"#include <stdio.h>\x00") is Kind.OPAQUE
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


def test_every_opcode_may_be_the_first():
    assert frozenset(ord(each.code) for each in pickletools.opcodes) == file_kinds._FIRST
