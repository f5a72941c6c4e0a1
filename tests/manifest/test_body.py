"""Bodies: what is accepted, and every reason not to be."""

import functools
import random

import msgspec
import pytest
import zstandard
from expecting import raises
from manifest_world import FILES, NOW, change, fetcher, item, items, make_head, policy

from huracan_sync.errors import Refused
from huracan_sync.manifest import body, body_writer, entries, sshsig
from huracan_sync.manifest.body import MAGIC, Shard
from huracan_sync.manifest.body_writer import Body, Part
from huracan_sync.manifest.entries import Item
from huracan_sync.tree.content_hash import leaf_hashes
from huracan_sync.tree.entry import Entry

ENTRIES = items()
BODY = body_writer.encode("champions", ENTRIES)


def by_path(some):
    return sorted(some, key=lambda each: each.path)


def read(made, channel="champions", *, rules=None, fetch=None, **changes):
    return body.read(make_head(made, channel, **changes), rules or policy(), fetch or fetcher(made))


def packed(raw, count, frame_of=body_writer.compress):
    """A body that no honest tool would write."""
    data = MAGIC + frame_of(raw)
    return Body(len(raw), sshsig.sha256(data), data, [], count)


def listing(*some, channel="champions", version=1):
    return msgspec.msgpack.encode([version, channel, list(some)])


def test_a_good_body_is_read():
    assert read(BODY) == by_path(ENTRIES)
    assert len(BODY.data) < 700


def test_the_order_in_which_entries_come_does_not_matter():
    assert body_writer.encode("champions", ENTRIES[::-1]) == BODY


def test_names_that_dropbox_holds_side_by_side():
    apart = [item(path, b"") for path in ("Masse", "Ma\u00dfe", "\u03c2", "\u03c3", "\ufb01", "fi", "\u1e9e", "\u00df")]
    assert read(body_writer.encode("champions", apart)) == by_path(apart)


def test_an_empty_tree():
    made = body_writer.encode("champions", [])
    assert (read(made), made.entry_count) == ([], 0)


def test_an_item_as_the_rest_of_the_house_describes_it():
    assert Item("a.json", 3, bytes(32), "015f", NOW, 2, b"").entry() == Entry("a.json", 3, bytes(32), "015f", NOW)


UNIT, TIMES = bytes(range(251)), 600
"""What a file of three leaves, the last one short, is made of."""
LEAVED = UNIT * TIMES
TABLE = leaf_hashes(LEAVED)
WITH_LEAVES = change(item("c.parquet", LEAVED), leaves=sshsig.sha256(TABLE))
BAD_TABLES = {
    "another table": TABLE[32:] + TABLE[:32],
    "a table cut short": TABLE[:-32],
    "a table with a leaf too many": TABLE + TABLE[:32],
    "a flipped bit": bytes([TABLE[0] ^ 1]) + TABLE[1:],
    "nothing": b"",
}


def test_a_file_names_its_table_of_leaves():
    assert read(body_writer.encode("champions", [WITH_LEAVES])) == [WITH_LEAVES]
    body.check_leaves(TABLE, WITH_LEAVES.leaves, WITH_LEAVES.size)


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_is_not_the_signed_one(name):
    with raises("BODY_HASH"):
        body.check_leaves(BAD_TABLES[name], WITH_LEAVES.leaves, WITH_LEAVES.size)


def test_a_table_of_another_length_is_refused_whatever_its_hash():
    with raises("BODY_HASH"):
        body.check_leaves(TABLE[:64], sshsig.sha256(TABLE[:64]), WITH_LEAVES.size)


def test_a_large_file_has_its_blocks():
    large = item("large.bin", bytes(9 << 20))
    assert len(large.blocks) == 3 * 32
    assert read(body_writer.encode("champions", [large])) == [large]


SMALL = item("a.bin", b"a")
LARGE = item("a.bin", bytes(5 << 20))
BAD_ENTRIES = {
    "a hash of 31 bytes": ([change(SMALL, content_hash=bytes(31))], "BODY_FORMAT"),
    "a negative size": ([change(SMALL, size=-1)], "BODY_FORMAT"),
    "larger than Dropbox holds": ([change(SMALL, size=2**41)], "BODY_FORMAT"),
    "a kind that is no byte": ([change(SMALL, kind=256)], "BODY_FORMAT"),
    "a time no calendar has": ([change(SMALL, mtime_ms=2**60)], "BODY_FORMAT"),
    "a rev that leaves the argument": ([change(SMALL, rev='1", "x": "')], "NOT_CANONICAL"),
    "a rev that is not ASCII": ([change(SMALL, rev="\u0661")], "NOT_CANONICAL"),
    "a rev without end": ([change(SMALL, rev="1" * 65)], "BODY_FORMAT"),
    "blocks of a small file": ([change(SMALL, blocks=bytes(32))], "BLOCKS"),
    "no blocks of a large file": ([change(LARGE, blocks=b"")], "BLOCKS"),
    "one block too few": ([change(LARGE, blocks=LARGE.blocks[:32])], "BLOCKS"),
    "blocks that make another hash": ([change(LARGE, blocks=LARGE.blocks[::-1])], "BLOCKS"),
    "a size that asks for other blocks": ([change(LARGE, size=9 << 20)], "BLOCKS"),
    "leaves of a small file": ([change(SMALL, leaves=bytes(32))], "BODY_FORMAT"),
    "leaves of 31 bytes": ([change(LARGE, leaves=bytes(31))], "BODY_FORMAT"),
    "leaves of 33 bytes": ([change(LARGE, leaves=bytes(33))], "BODY_FORMAT"),
    "not in order": ([item("b", b""), item("a", b"")], "ORDER"),
    "a path twice": ([SMALL, SMALL], "ORDER"),
    "a pickle": ([change(SMALL, kind=30)], "KIND"),
    "a joblib file": ([change(SMALL, kind=31)], "KIND"),
    "a kind nobody knows": ([change(SMALL, kind=99)], "KIND"),
    "two names for one file": ([item("A.bin", b""), item("a.bin", b"")], "COLLISION"),
    "the Kelvin sign": ([item("k", b""), item("\u212a", b"")], "PATH"),
    "sharp s in two cases": ([item("gr\u00d6\u00dfe", b""), item("gr\u00f6\u00dfe", b"")], "COLLISION"),
    "a file where a folder is": ([item("a", b""), item("a-b", b""), item("a/b", b"")], "COLLISION"),
    "a file where a folder is, in another case": ([item("A", b""), item("a/b/c", b"")], "COLLISION"),
    "where signatures lie": ([item(".huracan/heads/champions.hzh", b"")], "PATH_PREFIX"),
    "where signatures lie, in another case": ([item(".Huracan/x", b"")], "PATH_PREFIX"),
    "the folder itself as a file": ([item(".Huracan", b"")], "COLLISION"),
}
HOSTILE = ["../a", "/a", "a//b", "a/", "", ".", "~", "a\\b", "a\0b", "a\nb", "C:x", "a/c:x", "a /b", "a.", " a", "a/ b"]
HOSTILE += ["e\u0301", "a\u200bb", "a\u202eb", "x" * 256, "a/" * 32 + "a", "\u00e9" * 128, "a/~", "d/" * 31 + "."]
BAD_ENTRIES |= {f"the path {path[:20]!a}": ([item(path, b"")], "PATH") for path in HOSTILE}
BAD_ENTRIES["a path too long"] = ([item("x/" * 600, b"")], ("BODY_FORMAT", "PATH"))


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_refused_entries(name):
    bad, expected = BAD_ENTRIES[name]
    with raises(Refused) as caught:
        read(packed(listing(*bad), len(bad)))
    assert caught.value.code in (expected if isinstance(expected, tuple) else (expected,))


RAW = listing(*by_path(ENTRIES))
COUNT = len(ENTRIES)
UNSIZED = zstandard.ZstdCompressor(write_content_size=False)


def widened(compressed, raw):
    """The same frame with a window descriptor of 16 MiB instead of the single-segment form."""
    told = zstandard.get_frame_parameters(compressed)
    assert told.content_size == len(raw)
    start = zstandard.frame_header_size(compressed)
    return compressed[:4] + bytes([0b1000_0000, 14 << 3]) + len(raw).to_bytes(4, "little") + compressed[start:]


def lying(compressed, size):
    """The same frame, telling of another size."""
    start = zstandard.frame_header_size(compressed)
    return compressed[:4] + b"\xa0" + size.to_bytes(4, "little") + compressed[start:]


BAD_BODIES = {
    "another magic": Body(len(RAW), sshsig.sha256(b"HZHEAD1\n"), b"HZHEAD1\n", [], COUNT),
    "no frame": packed(RAW, COUNT, lambda raw: b""),
    "not compressed": packed(RAW, COUNT, lambda raw: raw),
    "a frame cut short": packed(RAW, COUNT, lambda raw: body_writer.compress(raw)[:-1]),
    "bytes behind the frame": packed(RAW, COUNT, lambda raw: body_writer.compress(raw) + b"\0"),
    "a second frame": packed(RAW, COUNT, lambda raw: body_writer.compress(raw) + body_writer.compress(b"")),
    "a frame to skip first": packed(RAW, COUNT, lambda raw: b"\x50\x2a\x4d\x18\0\0\0\0" + body_writer.compress(raw)),
    "a frame that does not say its size": packed(RAW, COUNT, UNSIZED.compress),
    "a window of 16 MiB": packed(RAW, COUNT, lambda raw: widened(body_writer.compress(raw), raw)),
    "not MessagePack": packed(b"\xc1", COUNT),
    "nothing": packed(b"", 0),
    "a frame that holds less than it says": packed(
        RAW, COUNT, lambda raw: lying(body_writer.compress(raw[:-1]), len(raw))
    ),
    "a frame that holds more than it says": packed(
        RAW[:-1], COUNT, lambda raw: lying(body_writer.compress(RAW), len(raw))
    ),
    "an index of nothing": packed(b"\x93\x02\xa9champions\x90", 0),
    "version three": packed(listing(version=3), 0),
    "an array of four thousand million": packed(b"\x93\x01\xa9champions\xdd\xff\xff\xff\xff", 0),
    "a name of four thousand million": packed(b"\x93\x01\xdb\xff\xff\xff\xff", 0),
    "deep nesting": packed(b"\x91" * 1_000_000, 0),
    "something else than entries": packed(listing(1, 2, 3), 3),
    "an entry that is a map": packed(listing({"path": "a"}), 1),
    "bytes behind the list": packed(RAW + b"\xc0", COUNT),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_refused_bodies(name):
    with raises("BODY_FORMAT"):
        read(BAD_BODIES[name])


def test_the_wide_window_is_what_is_refused():
    narrow = body_writer.compress(RAW)
    start = zstandard.frame_header_size(narrow)
    same = narrow[:4] + bytes([0b1000_0000, 8 << 3]) + len(RAW).to_bytes(4, "little") + narrow[start:]
    assert read(packed(RAW, COUNT, lambda raw: same)) == by_path(ENTRIES)


def test_a_bomb_takes_no_memory():
    """Its own header says 64 MiB, the signature says less: refused before any of it is unpacked."""
    bomb = body_writer.compress(bytes(64 << 20))
    with raises("BODY_FORMAT"):
        body.decompress(bomb, len(RAW))
    with raises("BODY_FORMAT"):
        body.decompress(lying(bomb, len(RAW)), len(RAW))
    endless = bomb[:4] + b"\xe0" + (2**60).to_bytes(8, "little") + bomb[zstandard.frame_header_size(bomb) :]
    with raises("BODY_FORMAT"):
        body.decompress(endless, 2**60)


@pytest.mark.parametrize(
    "raw",
    [
        RAW[:1] + b"\xcc\x01" + RAW[2:],
        RAW.replace(b"\xa9champions", b"\xd9\x09champions"),
        RAW.replace(b"\x98", b"\x99", 1).replace(b"\xc4\x00\xc4\x00", b"\xc4\x00\xc4\x00\xc0", 1),
    ],
    ids=["a longer number", "a longer text", "an entry with one field more"],
)
def test_a_second_spelling_is_refused(raw):
    with raises("NOT_CANONICAL"):
        read(packed(raw, COUNT))


def test_another_count_than_was_signed():
    for count in (COUNT - 1, COUNT + 1):
        with raises("ENTRY_COUNT"):
            read(BODY, entry_count=count)


def test_another_hash_or_length_than_was_signed():
    for changes in ({"body_sha256": bytes(32)}, {"body_len": len(BODY.data) + 1}):
        with raises("BODY_HASH"):
            read(BODY, fetch=lambda sha256, length: BODY.data, **changes)


def test_the_body_of_another_channel():
    with raises("WRONG_CHANNEL"):
        read(BODY, "candles")


def test_every_truncation_and_every_bit_is_refused():
    for length in range(len(BODY.data)):
        with raises("BODY_HASH"):
            read(BODY, fetch=lambda sha256, _, length=length: BODY.data[:length])
    for at in range(len(BODY.data) * 8):
        data = bytearray(BODY.data)
        data[at // 8] ^= 1 << at % 8
        with raises("BODY_HASH"):
            read(BODY, fetch=lambda sha256, length, data=data: bytes(data))


@pytest.mark.slow
def test_of_a_signed_body_with_a_bit_wrong_only_refusals_escape():
    """Where the hash was made to fit, the frame and the fields must hold by themselves."""
    refused = 0
    for at in range(len(BODY.data) * 8):
        data = bytearray(BODY.data)
        data[at // 8] ^= 1 << at % 8
        made = Body(BODY.raw_len, sshsig.sha256(bytes(data)), bytes(data), [], COUNT)
        try:
            read(made)
        except Refused:
            refused += 1
    assert refused > 1_000


def test_the_folder_of_a_channel():
    inside = [each for each in ENTRIES if each.path.startswith("models/champions/latest/")]
    made = body_writer.encode("champions", inside)
    assert len(read(made, rules=policy(path_prefix="models/champions/latest"))) == 2
    for prefix in ("models/champions/late", "hamilton", "models/champions/latest/BTCUSDT.bin"):
        with raises("PATH_PREFIX"):
            read(made, rules=policy(path_prefix=prefix))


def test_what_cannot_be_read_is_not_published():
    for rules, expected in (
        (policy(kinds=(1,)), "KIND"),
        (policy(path_prefix="models"), "PATH_PREFIX"),
        (policy(max_entries=1), "LIMIT"),
    ):
        with raises(expected):
            body_writer.encode("champions", ENTRIES, rules)
    for some, expected in (
        ([SMALL, SMALL], "ORDER"),
        ([item("../a", b"")], "PATH"),
        ([change(SMALL, rev="x" * 65)], "BODY_FORMAT"),
        ([change(SMALL, size=-1)], "BODY_FORMAT"),
    ):
        with raises(expected):
            body_writer.encode("champions", some)
    with raises("CHANNEL_NAME"):
        body_writer.encode("Champions", [])


def many(count):
    chance = random.Random(7)
    return [
        Item(f"data/candles/S{n // 50:05d}/F{n % 50:02d}.parquet", n, chance.randbytes(32), f"{n:021x}", NOW, 1)
        for n in range(count)
    ]


@functools.cache
def of_many():
    return many(50_001)


@functools.cache
def sharded():
    return body_writer.encode("candles", of_many())


WIDE_POLICY = policy("candles")


@pytest.mark.slow
@pytest.mark.wide
def test_many_entries_are_a_body_of_shards():
    assert read(sharded(), "candles", rules=WIDE_POLICY) == by_path(of_many())
    assert 6 <= len(sharded().shards) <= 25
    named = [part.sha256 for part in sharded().shards]
    assert [part.sha256 for part in sharded().parts()] == [*named, sharded().sha256]
    assert sharded().shards[0].path == f".huracan/bodies/{sharded().shards[0].sha256.hex()}.hzm"
    assert body_writer.encode("candles", of_many()[1:]).shards == []


@pytest.mark.slow
@pytest.mark.wide
def test_one_changed_file_is_one_new_shard():
    changed = [*of_many()[:20_000], change(of_many()[20_000], size=1), *of_many()[20_001:]]
    known = {part.sha256 for part in sharded().shards}
    assert len([part for part in body_writer.encode("candles", changed).shards if part.sha256 not in known]) == 1


@pytest.mark.wide
def test_one_file_more_is_few_new_shards():
    more = [*of_many(), change(of_many()[0], path="data/candles/S00500/F99.parquet")]
    known = {part.sha256 for part in sharded().shards}
    assert len([part for part in body_writer.encode("candles", more).shards if part.sha256 not in known]) <= 2


def test_what_an_index_leads_to_is_told_before_it_is_fetched():
    named = body.shards(make_head(sharded(), "candles"), sharded().data)
    assert [(each.sha256, each.body_len) for each in named] == [(p.sha256, len(p.data)) for p in sharded().shards]
    assert body.shards(make_head(BODY), BODY.data) == []
    with raises("BODY_HASH"):
        body.shards(make_head(BODY), sharded().data)


def reindex(edit, **changes):
    """The sharded body with another index."""
    shards = [
        Shard(first, part.sha256, len(part.data), part.raw_len, count)
        for part in sharded().shards
        for first, count in [peek(part)]
    ]
    raw = msgspec.msgpack.encode([2, changes.get("channel", "candles"), edit(shards)])
    made = packed(raw, 50_001)
    return Body(made.raw_len, made.sha256, made.data, sharded().shards, 50_001)


def peek(part: Part):
    decoded = msgspec.msgpack.decode(body.decompress(part.data[len(MAGIC) :], part.raw_len))
    return decoded[2][0][0], len(decoded[2])


BAD_INDEXES = {
    "shards in another order": (lambda shards: shards[::-1], "ORDER"),
    "a shard left out": (lambda shards: shards[1:], "ENTRY_COUNT"),
    "a shard twice": (lambda shards: [*shards[:1], *shards], "ORDER"),
    "a shard under another first path": (
        lambda shards: [change(shards[0], first="a"), *shards[1:]],
        "ENTRY_COUNT",
    ),
    "counts that make the sum but not the shards": (
        lambda shards: [
            change(shards[0], entry_count=shards[0].entry_count + 1),
            change(shards[1], entry_count=shards[1].entry_count - 1),
            *shards[2:],
        ],
        "ENTRY_COUNT",
    ),
    "a shard that unpacks to another size": (
        lambda shards: [change(shards[0], raw_len=shards[0].raw_len + 1), *shards[1:]],
        "BODY_FORMAT",
    ),
    "shards of a terabyte": (lambda shards: [change(shards[0], body_len=2**40), *shards[1:]], "LIMIT"),
    "shards that unpack to a terabyte": (
        lambda shards: [change(shards[0], raw_len=2**40), *shards[1:]],
        "LIMIT",
    ),
}


@pytest.mark.parametrize("name", BAD_INDEXES)
def test_refused_indexes(name):
    edit, expected = BAD_INDEXES[name]
    with raises(Refused) as caught:
        read(reindex(edit), "candles", rules=WIDE_POLICY)
    assert caught.value.code == expected


def test_the_index_of_another_channel():
    made = reindex(lambda shards: shards, channel="champions")
    with raises("WRONG_CHANNEL"):
        read(made, "candles", rules=WIDE_POLICY)


def shards_of(*ranges, channel="candles"):
    """An index over stretches that no honest tool would cut."""
    parts = []
    for part_range in ranges:
        whole = packed(listing(*part_range, channel=channel), len(part_range))
        parts.append(Part(whole.sha256, whole.data, whole.raw_len))
    index = [
        Shard(part_range[0].path if part_range else "zz", part.sha256, len(part.data), part.raw_len, len(part_range))
        for part_range, part in zip(ranges, parts, strict=True)
    ]
    count = sum(map(len, ranges))
    made = packed(msgspec.msgpack.encode([2, "candles", index]), count)
    return Body(made.raw_len, made.sha256, made.data, parts, count)


A, B, C, D = (item(queued_write, b"") for queued_write in "abcd")
BAD_STRETCHES = {
    "overlapping": (shards_of([A, C], [B, D]), "ORDER"),
    "empty": (shards_of([A], []), "ENTRY_COUNT"),
    "of another channel": (shards_of([A], [B], channel="champions"), "WRONG_CHANNEL"),
    "with twins in two shards": (shards_of([item("A", b"")], [A]), "COLLISION"),
    "with a folder in another shard": (shards_of([item("A", b"")], [item("a/b", b"")]), "COLLISION"),
}


@pytest.mark.parametrize("name", BAD_STRETCHES)
def test_refused_stretches(name):
    made, expected = BAD_STRETCHES[name]
    with raises(Refused) as caught:
        read(made, "candles", rules=WIDE_POLICY)
    assert caught.value.code == expected


def test_shards_that_overlap_where_they_are_read_as_they_are_asked_for():
    made = shards_of([A, C], [B, D])
    items = body.entries(make_head(made, "candles"), WIDE_POLICY, fetcher(made), lazily=True)
    with raises("ORDER"):
        list(items)


def test_an_index_of_indexes():
    inner = shards_of([A], [B])
    index = [Shard("a", inner.sha256, len(inner.data), inner.raw_len, 2)]
    outer = packed(msgspec.msgpack.encode([2, "candles", index]), 2)
    made = Body(outer.raw_len, outer.sha256, outer.data, [Part(inner.sha256, inner.data, inner.raw_len)], 2)
    with raises("BODY_FORMAT"):
        read(made, "candles", rules=WIDE_POLICY)


def test_names_whose_order_is_another_when_folded():
    some = [item(path, b"") for path in ("A_", "AB", "a-", "b")]
    assert read(body_writer.encode("champions", some)) == by_path(some)
    with raises("COLLISION"):
        body_writer.encode("champions", [*some, item("B/c", b"")])


def test_names_in_another_order_across_shards():
    a, b, c = ([item(path, b"")] for path in ("B", "a-", "c"))
    assert len(read(shards_of(a, b, c), "candles", rules=WIDE_POLICY)) == 3


def test_more_than_there_may_be(monkeypatch):
    monkeypatch.setattr(body_writer, "MAX_ENTRIES", 5)
    with raises("LIMIT"):
        body_writer.encode("champions", ENTRIES)


def test_files_named_in_full():
    assert {each.path for each in read(BODY)} == set(FILES)
    assert entries.kind_name(30) == "pickle"
    assert entries.kind_name(99) == "99"
