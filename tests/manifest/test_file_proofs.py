"""What a file is, proved by the structure of all of it."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from huracan_sync.manifest import file_proofs
from huracan_sync.manifest.file_kinds import Kind
from huracan_sync.manifest.file_proofs import examine

TABLE = pa.table({"ts": [1, 2, 3], "close": [1.0, 2.0, 3.0]})


def kind_of(path, data):
    return examine(path, len(data), lambda at, count: data[at : at + count])


def written(write, **how):
    buffer = io.BytesIO()
    write(TABLE, buffer, **how)
    return buffer.getvalue()


# --- builders -----------------------------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


TENSOR = field(1, 2) + field(2, 1) + field(9, bytes(8))
ELSEWHERE = {
    "a list of places": TENSOR + field(13, field(1, b"location") + field(2, b"../../.ssh/id_ed25519")),
    "a mark": TENSOR + field(14, 1),
}


def onnx(graph, *more):
    return field(1, 8) + field(2, b"pytorch") + field(7, graph) + b"".join(more)


def safetensors(header, data=b"", *, length=None):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def ubj(value):
    if isinstance(value, dict):
        return b"{" + b"".join(b"L" + struct.pack(">q", len(k)) + k.encode() + ubj(v) for k, v in value.items()) + b"}"
    if isinstance(value, str):
        return b"SL" + struct.pack(">q", len(value)) + value.encode()
    if isinstance(value, list):
        return b"[$d#L" + struct.pack(">q", len(value)) + b"".join(struct.pack(">f", each) for each in value)
    return b"l" + struct.pack(">i", value)


def npy(descr, items=b"", *, version=1, shape="1,"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': ({shape}), }}".ljust(117).encode() + b"\n"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2 if version == 1 else 4, "little") + header + items
    )


TENSORS = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
BOOSTER = {"learner": {"weights": [1.0, 2.0], "name": "gbtree"}, "version": 3}

PROVED = {
    ("a.parquet", "whole"): (written(pq.write_table), Kind.PARQUET),
    ("a.feather", "whole"): (written(feather.write_feather), Kind.ARROW),
    ("a.onnx", "whole"): (onnx(field(5, TENSOR) + field(1, field(5, field(5, TENSOR)))), Kind.ONNX),
    ("a.safetensors", "whole"): (safetensors(TENSORS, bytes(8)), Kind.SAFETENSORS),
    ("a.safetensors", "with metadata"): (safetensors({"__metadata__": {"by": "us"}, **TENSORS}, bytes(8)), 4),
    ("a.ubj", "whole"): (ubj(BOOSTER), Kind.XGBOOST),
    ("a.xgb", "as JSON"): (json.dumps(BOOSTER).encode(), Kind.XGBOOST),
    ("a.onnx", "with other fields beside the tensors"): (
        onnx(field(2, b"name") + field(5, TENSOR + b"\x4d\0\0\0\0")) + b"\x51" + bytes(8),
        Kind.ONNX,
    ),
    ("a.ubj", "a list of objects"): (
        b"{L" + struct.pack(">q", 7) + b"learner[${#U\x02U\x01ai\x07}}}",
        Kind.XGBOOST,
    ),
    ("a.lgb", "whole"): (b"tree\nversion=v4\nnum_class=1\n\nTree=0\nnum_leaves=2\n\nend of trees\n", Kind.LIGHTGBM),
    ("a.json", "whole"): (b'{"a": [1, 2.5, "\xc3\xbc"]}', Kind.JSON),
    ("a.csv", "whole"): (b"a,b\n1,2\n", Kind.CSV),
    ("a.txt", "whole"): ("größe\n".encode(), Kind.TEXT),
    ("a.jsonl", "whole"): (b'{"a": 1}\n{"a": 2}\n', Kind.TEXT),
    ("a.safetensors", "a header that begins as ONNX does"): (
        safetensors({"__metadata__": {"by": "u" * (0x0108 - 89)}, **TENSORS}, bytes(8)),
        Kind.SAFETENSORS,
    ),
    ("a.npy", "whole"): (npy("'<f8'", bytes(8)), Kind.NUMPY),
    ("a.npy", "dates"): (npy("'<M8[ns]'", bytes(8)), Kind.NUMPY),
    ("a.npy", "records of what an exchange calls its columns"): (
        npy("[('Open', '<f8'), ('at', '<M8[25s]'), ('O', '<i8', (2, 3)), ('in', [('a', '|S3')])]", bytes(75)),
        Kind.NUMPY,
    ),
    ("a.npy", "of the third version"): (npy("[('größe', '<f8')]", bytes(8), version=3), Kind.NUMPY),
    ("a.npy", "records"): (npy("[('a', '<f8'), ('old', 'S12')]", bytes(20)), Kind.NUMPY),
}
OTHERWISE = {
    ("a.parquet", "cut"): written(pq.write_table)[:-1],
    ("a.parquet", "two ends alone"): b"PAR1PAR1",
    ("a.parquet", "an end too long"): b"PAR1" + b"\xff\xff\xff\x7fPAR1",
    ("a.feather", "cut"): written(feather.write_feather)[:-1],
    **{
        ("a.onnx", f"{name}, {place}"): onnx(wrap(tensor))
        for name, tensor in ELSEWHERE.items()
        for place, wrap in {
            "in the graph": lambda t: field(5, t),
            "in a node": lambda t: field(1, field(5, field(5, t))),
            "in a list of a node": lambda t: field(1, field(5, field(10, t))),
            "in a graph of a node": lambda t: field(1, field(5, field(6, field(5, t)))),
            "in graphs of a node": lambda t: field(1, field(5, field(11, field(5, t)))),
            "in a sparse tensor": lambda t: field(15, field(1, t)),
            "in the indices of a sparse tensor of a node": lambda t: field(1, field(5, field(22, field(2, t)))),
        }.items()
    },
    ("a.onnx", "in a function"): onnx(b"", field(25, field(7, field(5, field(5, ELSEWHERE["a mark"]))))),
    ("a.onnx", "in the training"): onnx(b"", field(20, field(1, field(5, ELSEWHERE["a mark"])))),
    ("a.onnx", "no graph"): field(1, 8) + field(2, b"x"),
    ("a.onnx", "cut"): onnx(field(5, TENSOR))[:-1],
    ("a.onnx", "bytes behind it"): onnx(field(5, TENSOR)) + b"\x00",
    ("a.safetensors", "bytes behind it"): safetensors(TENSORS, bytes(9)),
    ("a.safetensors", "cut"): safetensors(TENSORS, bytes(7)),
    ("a.safetensors", "a hole"): safetensors({"w": {**TENSORS["w"], "data_offsets": [1, 8]}}, bytes(8)),
    ("a.safetensors", "a header that is none"): safetensors([], b"{" * 9),
    ("a.safetensors", "a header too long"): safetensors(TENSORS, length=1 << 20),
    ("a.ubj", "cut"): ubj(BOOSTER)[:-1],
    ("a.ubj", "bytes behind it"): ubj(BOOSTER) + b"\x00",
    ("a.ubj", "a list of objects that ends early"): b"{L" + struct.pack(">q", 7) + b"learner[${#U\x05}",
    ("a.onnx", "a number without an end"): field(1, 8) + b"\xff" * 10,
    ("a.onnx", "a type of field that is no more"): field(1, 8) + field(7, b"") + b"\x13",
    ("a.ubj", "no learner"): ubj({"version": {"learner": 1}}),
    ("a.ubj", "too deep"): b"{" + b"L" + struct.pack(">q", 7) + b"learner" + b"[" * 5000,
    ("a.xgb", "half of it"): json.dumps(BOOSTER).encode()[:-1],
    ("a.lgb", "bytes in it"): b"tree\nversion=v4\n" + b"a" * 2000 + b"\x00\xff",
    ("a.lgb", "a text"): b"tree of round 1",
    ("a.json", "half of it"): b'{"a": [1, 2',
    ("a.json", "too deep"): b"[" * 100_000,
    ("a.json", "of another alphabet"): '{"a": 1}'.encode("utf-16"),
    ("a.csv", "bytes in it"): b"a,b\n" * 2000 + b"\x00",
    ("a.txt", "late bytes"): b"a" * (3 << 20) + b"\xff",
    ("a.npy", "a type that NumPy knows and we do not"): npy("'<Q99x'", bytes(8)),
    ("a.npy", "a header too long"): npy("'<f8'" + " " * 66_000, bytes(8), version=2),
    ("a.npy", "a header that takes long to read"): npy("[" * 60_000, bytes(8)),
    ("a.npy", "a shape that takes long to read"): npy("'<f8'", shape="1" * 60_000 + "x"),
}


@pytest.mark.parametrize("case", PROVED, ids=" ".join)
def test_what_its_structure_proves(case):
    data, kind = PROVED[case]
    assert kind_of(case[0], data) == kind


@pytest.mark.parametrize(
    "case", [case for case in PROVED if case[0] not in {"a.csv", "a.json", "a.jsonl", "a.xgb"}], ids=" ".join
)
def test_a_name_that_promises_nothing_is_no_matter(case):
    data, kind = PROVED[case]
    assert kind_of("models/champions/latest/BTCUSDT.bin", data) == kind


def test_a_header_whose_length_may_begin_onnx_is_met():
    data, _ = PROVED["a.safetensors", "a header that begins as ONNX does"]
    assert data[:2] == b"\x08\x01"


@pytest.mark.parametrize("text", [{"version": 3, "tree_info": []}, [1, {"version": 3}]])
def test_json_of_no_booster_is_json_where_no_name_says_so(text):
    assert kind_of("models/champions/latest/BTCUSDT.bin", json.dumps(text).encode()) is Kind.JSON


@pytest.mark.parametrize("case", OTHERWISE, ids=" ".join)
def test_what_cannot_be_followed_to_its_end_is_opaque(case):
    assert kind_of(case[0], OTHERWISE[case]) is Kind.OPAQUE


@pytest.mark.parametrize("case", PROVED, ids=" ".join)
def test_an_archive_in_the_end_is_a_program_whatever_stands_before_it(case):
    buffer = io.BytesIO(PROVED[case][0])
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]))
    for behind in (b"", b"\n", bytes(1000)):
        assert kind_of(case[0], buffer.getvalue() + behind) is Kind.PICKLE


OBJECTS = pickle.dumps([1])


@pytest.mark.parametrize(
    "descr",
    [
        "'<f8', 'fortran_order': False, 'descr': '|\\x4f'",
        "'<f8', 'fortran_order': False, \"descr\": \"|O\"",
        "'<f8', 'fortran_order': False, 'descr': '|O'",
        "'<f8', 'fortran_order': False, 'descr': '|' '\\117'",
        "'object'",
        "'|O8'",
        "[(('Open', 'f8'), '|O')]",
        "[('a', [('b', '=O')])]",
    ],
)
def test_what_numpy_would_read_as_objects_is_a_program_however_its_header_says_so(descr):
    assert kind_of("a.npy", npy(descr, OBJECTS)) is Kind.PICKLE


def test_a_header_that_says_its_type_twice_is_no_proof():
    twice = "'<f8', 'fortran_order': False, 'shape': (1,), 'descr': '<i8'"
    assert kind_of("a.npy", npy(twice, bytes(8))) is Kind.OPAQUE


# --- one file in two formats --------------------------------------------------------------------------------------


def hops(length):
    """So many printable bytes of a pickle that pushes strings and drops them."""
    out = ""
    while length - len(out) > 127:
        out += "U<" + "a" * ord("<") + "0"
    rest = length - len(out) - 3
    return f"{out}U{chr(rest)}{'a' * rest}0"


def two_in_one(program):
    """Whole safetensors whose header an unpickler skips as strings, to find a program in the tensors."""
    length = 0x500 + ord("X")  # `X`, a string's length of 5, and the string, which ends behind `{"`
    tensor = json.dumps({"dtype": "U8", "shape": [len(program)], "data_offsets": [0, len(program)]})
    end = f'":{tensor}}}'.ljust(ord("z"))
    header = '{"' + hops(length - 2 - 2 - len(end)) + "Uz" + end
    return struct.pack("<Q", length) + header.encode() + program


def test_safetensors_that_are_a_pickle_too_are_a_program(capsys):
    data = two_in_one(b"0cbuiltins\nprint\n(S'ran'\ntR.")
    pickle.loads(data)  # noqa: S301 - this is the attack
    assert capsys.readouterr().out == "ran\n"
    file_proofs._safetensors(len(data), lambda at, count: data[at : at + count])  # true ones
    assert [kind_of(name, data) for name in ("a.safetensors", "a.bin")] == [Kind.PICKLE] * 2


@pytest.mark.parametrize("signs", ["unsigned", "signed", "in binary"])
@pytest.mark.parametrize(
    ("name", "data"), [("a.parquet", written(pq.write_table)), ("a.feather", written(feather.write_feather))]
)
def test_a_tar_around_a_table_is_a_program(name, data, signs):
    """The name of the first member may begin as a table does, and a table may end what comes behind."""
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    header[:16], header[148:156] = data[:8].ljust(16, b"\0"), b" " * 8
    if signs != "unsigned":
        header[345:349] = b"\xff" * 4
    total = sum(header) - (256 * 4 if signs == "signed" else 0)
    header[148:156] = b"\x80" + total.to_bytes(7, "big") if signs == "in binary" else b"%06o\0 " % total
    with tarfile.open(fileobj=io.BytesIO(bytes(header) + bytes(1024)), mode="r:") as found:
        assert len(found.getnames()) == 1
    assert kind_of(name, bytes(header) + data) is Kind.PICKLE


@pytest.mark.parametrize("entries", [0, 7])
def test_an_archive_that_miscounts_its_members_is_one(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", OBJECTS)
    data = bytearray(buffer.getvalue())
    struct.pack_into("<4H", data, len(data) - 18, 3, 4, entries, entries + 1)
    data = b"ts,close\n" * 100 + bytes(data)
    assert zipfile.ZipFile(io.BytesIO(data)).read("data.pkl") == OBJECTS
    assert kind_of("a.bin", data) is Kind.PICKLE


@pytest.mark.parametrize("number", ["I0x" + "1" * 5_000_000, "L0x" + "1" * 5_000_000 + "L", "F" + "0" * 5_000_000])
def test_a_program_behind_a_very_long_number_is_one(number):
    data = number.encode() + b"\n0cbuiltins\nlen\n(S'ran'\ntR."
    assert pickle.loads(data) == 3  # noqa: S301 - this is the attack
    assert {kind_of(name, data) for name in ("a.txt", "a.csv", "a.bin")} == {Kind.PICKLE}


@pytest.mark.parametrize("at", [512, 1024, 4096])
def test_keras_behind_a_block_of_somebody_is_a_program(at):
    assert kind_of("a.bin", b"a" * at + b"\x89HDF\r\n\x1a\n" + bytes(100)) is Kind.PICKLE


def test_what_is_too_large_to_be_read_whole_is_opaque(monkeypatch):
    monkeypatch.setattr(file_proofs, "_IN_MEMORY", 5)
    assert kind_of("a.json", b'{"a": 1}') is Kind.OPAQUE


def test_nothing_is_nothing():
    assert kind_of("a.json", b"") is Kind.JSON
    assert kind_of("a.bin", b"") is Kind.OPAQUE
