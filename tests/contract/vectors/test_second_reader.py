"""The specification is enough: a reader written from it alone gives every vector the same answer."""

import importlib.util
from pathlib import Path

import pytest
from test_vectors import piece_of, read, vectors

PLACE = Path(__file__).with_name("second_reader.py")
spec = importlib.util.spec_from_file_location("second_reader", PLACE)
second = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)


def expected(vector):
    return {None} if vector["expect"] == "accepted" else set(vector["expect"].split("|"))


@pytest.mark.parametrize("vector", vectors("heads"))
def test_heads(vector):
    judged = (read(vector["head"]), read(vector["trust"]), vector["channel"], vector["now_ms"])
    assert second.answer(second.judge_head, *judged) in expected(vector)


@pytest.mark.parametrize("vector", vectors("carried"))
def test_carried(vector):
    judged = (read(vector["head"]), read(vector["trust"]), vector["channel"], vector["now_ms"])
    parts = {bytes.fromhex(sha256): read(data) for sha256, data in vector["parts"].items()}
    copy = read(vector["copy"]) if "copy" in vector else None
    assert second.answer(second.judge_list, *judged, parts, copy) in expected(vector)


@pytest.mark.parametrize("vector", vectors("trusts"))
def test_trusts(vector):
    after = read(vector["after"]) if "after" in vector else None
    got = second.answer(second.judge_trust, read(vector["trust"]), vector.get("pin"), after)
    assert got in expected(vector)


@pytest.mark.parametrize("vector", vectors("bodies"))
def test_bodies(vector):
    got = second.answer(
        second.judge_body,
        {bytes.fromhex(sha256): read(data) for sha256, data in vector["parts"].items()},
        read(vector["body_sha256"]),
        vector["body_len"],
        vector["raw_len"],
        vector["entry_count"],
        channel=vector["channel"],
        kinds=vector["kinds"],
        max_entries=vector["max_entries"],
    )
    assert got in expected(vector)


@pytest.mark.parametrize("vector", vectors("leaves"))
def test_leaves(vector):
    got = second.answer(
        second.judge_leaves,
        piece_of(vector),
        vector["first"],
        vector["last"],
        table=read(vector["table"]),
        leaves=read(vector["leaves"]),
        size=vector["size"],
    )
    assert got in expected(vector)


@pytest.mark.parametrize("vector", vectors("links"))
def test_links(vector):
    mark = (vector["mark"]["epoch"], vector["mark"]["seq"], read(vector["mark"]["digest"]))
    log = {int(seq): read(data) for seq, data in vector["log"].items()}
    assert second.answer(second.judge_link, read(vector["head"]), mark, log) in expected(vector)


def test_it_knows_nothing_of_us():
    assert "huracan_sync" not in PLACE.read_text().replace("imports nothing of huracan_sync", "")
