"""The vectors, as a stranger would use them; and that making them anew changes none."""

import base64
import contextlib
import functools
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from expecting import raises
from manifest_world import change, make_head, policy

from huracan_sync.errors import NotFound, Refused
from huracan_sync.manifest import body, head, head_history, refusals, trust
from huracan_sync.manifest.body_writer import Body
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.trust import parse_pin
from huracan_sync.reader.source import fetch_body
from huracan_sync.reader.verified_blocks import remote_leaves
from huracan_sync.tree.content_hash import LEAF_SIZE

HERE = Path(__file__).parent
SCRIPT = Path(__file__).parents[3] / "scripts" / "make_vectors.py"


def vectors(name):
    lines = (HERE / f"{name}.jsonl").read_text().splitlines()
    return [pytest.param(vector, id=vector["name"]) for vector in map(json.loads, lines)]


def read(field):
    return base64.b64decode(field)


def plain(value):
    return msgspec.json.decode(msgspec.json.encode(msgspec.structs.asdict(value)))


def judge(vector, judged):
    """The answer, compared with the one that is expected."""
    if vector["expect"] == "accepted":
        assert judged() == vector["fields"]
    else:
        with pytest.raises(Refused) as caught:
            judged()
        assert caught.value.code in vector["expect"].split("|"), str(caught.value)
        assert caught.value.hint


@pytest.mark.parametrize("vector", vectors("heads"))
def test_heads(vector):
    held = trust.open(read(vector["trust"]))
    data, asked = read(vector["head"]), {"channel": vector["channel"], "now_ms": vector["now_ms"]}
    judge(vector, lambda: plain(head.open(data, trust=held, **asked).head))


class Lies:
    """A source with the files of bodies, and perhaps the head's copy in the log."""

    def __init__(self, vector):
        self._parts, self._copy = vector["parts"], vector.get("copy")

    def fetch(self, place, limit):
        found = self._copy if "/log/" in place else self._parts.get(place.rpartition("/")[2].removesuffix(".hzm"))
        if found is None:
            raise NotFound(place)
        return read(found)[: limit + 1]


@pytest.mark.parametrize("vector", vectors("carried"))
def test_carried(vector):
    held = trust.open(read(vector["trust"]))

    def judged():
        opened = head.open(read(vector["head"]), trust=held, channel=vector["channel"], now_ms=vector["now_ms"])
        fetch = functools.partial(fetch_body, Lies(vector), opened)
        return [plain(item) for item in body.read(opened.head, held.policy(vector["channel"]), fetch)]

    judge(vector, judged)


@pytest.mark.parametrize("vector", vectors("trusts"))
def test_trusts(vector):
    data = read(vector["trust"])
    if "pin" in vector:
        judge(vector, lambda: plain(trust.pin(data, parse_pin(vector["pin"]))))
    else:
        judge(vector, lambda: plain(trust.follow(trust.open(read(vector["after"])), data)))


@pytest.mark.parametrize("vector", vectors("bodies"))
def test_bodies(vector):
    named = Body(vector["raw_len"], read(vector["body_sha256"]), b"", [], vector["entry_count"])
    said = change(make_head(named, vector["channel"]), body_len=vector["body_len"])
    rules = policy(vector["channel"], kinds=tuple(vector["kinds"]), max_entries=vector["max_entries"])
    parts = {bytes.fromhex(sha256): read(data) for sha256, data in vector["parts"].items()}
    judge(vector, lambda: [plain(item) for item in body.read(said, rules, lambda sha256, _: parts[sha256])])


def piece_of(vector):
    """The leaves of the vector's file that are to be proved."""
    data = bytearray(read(vector["unit"]) * vector["times"])
    if "flip" in vector:
        data[vector["flip"]] ^= 1
    return bytes(data[vector["first"] * LEAF_SIZE : vector["last"] * LEAF_SIZE])


class Lying:
    """A source that gives a piece of one file."""

    def __init__(self, piece):
        self._piece = piece

    @contextlib.contextmanager
    def stream(self, path, start, end):
        yield [self._piece]


@pytest.mark.parametrize("vector", vectors("leaves"))
def test_leaves(vector):
    item, table = Item("c.parquet", vector["size"], bytes(32)), read(vector["table"])

    def judged():
        body.check_leaves(table, read(vector["leaves"]), vector["size"])
        remote_leaves(Lying(piece_of(vector)), item, table, vector["first"], vector["last"])

    judge({"fields": None, **vector}, judged)


@pytest.mark.parametrize("vector", vectors("links"))
def test_links(vector):
    top = head.linked(read(vector["head"]), head_history.digest_of(read(vector["head"])))
    mark = Mark(vector["mark"]["epoch"], vector["mark"]["seq"], read(vector["mark"]["digest"]))
    log = {int(seq): read(data) for seq, data in vector["log"].items()}
    way = head.check_linked(top, mark)

    def walk():
        with contextlib.suppress(StopIteration):
            place, _ = next(way)
            while True:
                place, _ = way.send(log.get(int(place.rpartition("/")[2].split("-")[1])))

    if vector["expect"] == "accepted":
        walk()
    else:
        with raises(vector["expect"]):
            walk()


# The state of a reader, not one file, decides these; tests/reader has them.
OF_THE_READER = {"CLOCK", "TRUST_EXPIRED", "HEAD_MISSING", "ROLLBACK", "FORK", "SEQUENCE_JUMP", "STALE", "DEAD"}
OF_THE_READER |= {"SSHSIG_FORMAT", "CHANNEL_NAME", "CONTRACT", "UNSIGNED_CONTENT", "CONTRADICTED"}


def test_every_reason_has_a_vector():
    tables = ("heads", "carried", "trusts", "bodies", "leaves", "links")
    named = [vector.values[0]["expect"] for name in tables for vector in vectors(name)]
    codes = {code for expect in named for code in expect.split("|")}
    assert codes - {"accepted", "CONTENT"} == set(refusals.HINTS) - OF_THE_READER


def test_made_anew_they_are_the_same(tmp_path):
    """zstd may pack the same list otherwise in another version; what is signed may not change."""
    spec = importlib.util.spec_from_file_location("make_vectors", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(script)
    sys.path[:] = before
    script.main(tmp_path)
    for name in (
        "heads.jsonl",
        "trusts.jsonl",
        "leaves.jsonl",
        "links.jsonl",
        "1.hzt",
        "champions.sig",
        "champions.payload",
        "allowed_signers",
    ):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()
    old, new = ((at / "bodies.jsonl").read_text().splitlines() for at in (HERE, tmp_path))
    assert [json.loads(line)["name"] for line in old] == [json.loads(line)["name"] for line in new]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_the_golden_head_by_openssh_alone():
    command = ["ssh-keygen", "-Y", "verify", "-n", "huracan-sync/head/v2", "-f", "allowed_signers", "-I", "engine"]
    payload = (HERE / "champions.payload").read_bytes()
    done = subprocess.run([*command, "-s", "champions.sig"], input=payload, cwd=HERE, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
