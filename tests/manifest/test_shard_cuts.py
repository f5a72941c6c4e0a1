"""Where a list is cut: whoever changes files in a large folder sends none but its shards anew."""

import itertools
import random
from collections import defaultdict

import pytest
from expecting import raises
from manifest_world import make_head
from sampled import slow

from huracan_sync.manifest import body, body_writer
from huracan_sync.manifest.entries import Item

LEAST = 16


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(body_writer, "SHARD_OVER", 8)
    monkeypatch.setattr(body_writer, "_SHARD_MIN", LEAST)
    monkeypatch.setattr(body_writer, "_SHARD_MAX", 1_000)
    monkeypatch.setattr(body_writer, "_CUT_EVERY", 32)


def file(path, chance):
    return Item(path, chance.randrange(1000), chance.randbytes(32), f"{chance.getrandbits(80):021x}", 1, 1)


def random_list(chance):
    """Folders of all sizes in each other, and files beside them."""
    paths = set()

    def fill(folder, depth):
        for number in range(chance.choice([0, 1, 3, 10, 40])):
            paths.add(f"{folder}f{number:02}")
        for name in chance.sample(["a", "a-b", "b", "c", "d0", "é"], chance.randrange(4) if depth else 4):
            fill(f"{folder}{name}/", depth + 1) if depth < 4 else None

    while len(paths) < 20:
        fill("", 0)
    return [file(path, chance) for path in sorted(paths)]


def shards_of(items):
    made = body_writer.encode("x", items)
    index = body.shards(make_head(made, "x"), made.data)
    named = zip(made.shards, index, strict=True)
    return {part.sha256: body.entries_of(body.decompress(part.data[8:], shard.raw_len), "x") for part, shard in named}


def large_folders(items):
    counts = defaultdict(int)
    for item in items:
        for at, letter in enumerate(item.path):
            if letter == "/":
                counts[item.path[: at + 1]] += 1
    return [folder for folder, count in sorted(counts.items()) if count >= LEAST]


def changed(items, folder, chance):
    """The list after somebody has changed, added and deleted files in a folder."""
    inside = [item for item in items if item.path.startswith(folder)]
    gone = set(chance.sample([item.path for item in inside], min(len(inside) - LEAST, chance.randrange(4))))
    kept = {item.path: item for item in items if item.path not in gone}
    for item in chance.sample(inside, min(3, len(inside))):
        if item.path in kept:
            kept[item.path] = file(item.path, chance)
    for number in range(chance.randrange(4)):
        kept[f"{folder}new{number}"] = file(f"{folder}new{number}", chance)
    return [kept[path] for path in sorted(kept)]


@pytest.mark.slow
@pytest.mark.wide
@pytest.mark.parametrize("seed", [*range(8), *map(slow, range(8, 40))])
def test_a_change_in_a_large_folder_sends_no_shard_of_others(seed):
    chance = random.Random(seed)
    items = random_list(chance)
    before = shards_of(items)
    assert [item for piece in before.values() for item in piece] == items
    for folder in large_folders(items):
        after = shards_of(changed(items, folder, chance))
        sent = [piece for sha256, piece in after.items() if sha256 not in before]
        foreign = [item for piece in sent for item in piece if not item.path.startswith(folder)]
        # What is too little for a shard of its own goes with what is beside it: a little of each folder above.
        assert len(foreign) < LEAST // 2 * folder.count("/"), folder


@pytest.mark.parametrize("seed", range(20))
def test_no_shard_is_tiny_and_no_small_folder_is_cut(seed):
    items = random_list(random.Random(seed))
    pieces = list(shards_of(items).values())
    assert all(len(piece) >= LEAST // 2 for piece in pieces[:-1])
    large = large_folders(items)
    for above, below in itertools.pairwise(pieces):
        folders = [piece.path.rpartition("/")[0] for piece in (above[-1], below[0])]
        assert folders[0] != folders[1] or f"{folders[0]}/" in large


def test_one_flat_folder_is_cut_by_checksums():
    chance = random.Random(1)
    items = [file(f"d/{number:05}", chance) for number in range(2_000)]
    before = shards_of(items)
    assert 20 < len(before) < 125
    after = shards_of([*items[:700], *items[701:]])
    assert len([each for each in after if each not in before]) <= 2


def test_very_many_entries_are_fewer_larger_shards(monkeypatch):
    items = [file(f"{name}/{number:03}", random.Random(1)) for name in "abcdefgh" for number in range(200)]
    assert len(shards_of(items)) > 32
    monkeypatch.setattr(body_writer, "_MOST_SHARDS", 8)
    assert 1 < len(shards_of(items)) <= 16


def test_what_is_gone_through_is_cut_as_a_list_is():
    items = random_list(random.Random(3))
    assert body_writer.encode("x", dict.fromkeys(items).keys()) == body_writer.encode("x", items)


def test_a_list_that_is_not_in_order_is_refused_as_ever():
    items = random_list(random.Random(3))
    with raises("ORDER"):
        body_writer.encode("x", dict.fromkeys(items[::-1]).keys())
