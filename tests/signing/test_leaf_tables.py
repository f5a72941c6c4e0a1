"""Tables of leaves: whoever signs a file that is read in pieces signs its table with it."""

import pytest
from transfer_world import content

from huracan_sync.manifest import leaves, locations
from huracan_sync.remote import files
from huracan_sync.remote.stat import children
from huracan_sync.tree.content_hash import LEAF_SIZE, leaf_hashes

MIB = 1024 * 1024


def tensors(name, size):
    """A safetensors file of about that size: a header, then numbers."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    return len(header).to_bytes(8, "little") + header + content(name, size)


@pytest.fixture
def tables(publisher):
    """The tables that lie in Dropbox, by the hash they are named by."""

    def lying():
        found = children(publisher.remote, "/Engine/.huracan/bodies")
        return {each.name.partition(".")[0] for each in found if each.name.endswith(".hzl")}

    return lying


def item(hamilton, channel, path):
    return hamilton.reader().latest(channel).item(path)


@pytest.mark.parametrize("size", [2 * MIB, 9 * MIB + 5])
def test_a_push_signs_and_stores_the_table(publisher, hamilton, tables, size):
    data = tensors("a", size)
    publisher.write({"a.safetensors": data, "small.safetensors": tensors("b", MIB // 2), "a.log": 2 * MIB})
    publisher.push()
    found = item(hamilton, "data", "data/a.safetensors")
    assert tables() == {found.leaves.hex()}
    table = hamilton.reader()._source.fetch(locations.leaves(found.leaves), 1 << 20)
    assert table == leaf_hashes(data)
    assert item(hamilton, "data", "data/small.safetensors").leaves == b""
    assert item(hamilton, "data", "data/a.log").leaves == b""


def test_of_one_file_it_is_one_request_and_of_many_three(publisher, tables):
    publisher.write({"a.safetensors": tensors("a", 2 * MIB)})
    publisher.push()
    calls = []
    for suffix in ("dat", "safetensors"):
        publisher.write({f"{n}.{suffix}": tensors(n, MIB + n) for n in range(8)})
        publisher.dropbox.control("log/reset", {})
        publisher.push()
        calls.append(publisher.dropbox.log()["requests"])
    assert len(tables()) == 9
    plain, many = ({route: n for route, n in each.items() if "append" not in route} for each in calls)
    assert sum(many.values()) <= sum(plain.values()) + 2, (plain, many)
    publisher.write({"a.safetensors": tensors("a2", 2 * MIB)})
    changed, _ = publisher.counted(publisher.push)
    publisher.write({"1.txt": 11})
    small, _ = publisher.counted(publisher.push)
    assert changed <= small + 1
    nothing, _ = publisher.counted(publisher.push)
    assert nothing <= 1, "what is stored is not stored again"


def test_a_publish_signs_it_and_a_file_that_lay_there_gets_it_too(publisher, hamilton, tables):
    data = tensors("a", 5 * MIB)
    publisher.write({"models/a.safetensors": data})
    files.put(publisher.remote, "/Engine/models/a.safetensors", data)
    report = publisher.publish(vouch=("models",))
    assert report.uploaded == 0
    assert item(hamilton, "champions", "models/a.safetensors").leaves.hex() in tables()


def test_a_renamed_file_keeps_its_table(publisher, hamilton, tables):
    publisher.write({"a.safetensors": tensors("a", 2 * MIB)})
    publisher.push()
    (publisher.src / "a.safetensors").rename(publisher.src / "b.safetensors")
    publisher.push(delete=True)
    assert item(hamilton, "data", "data/b.safetensors").leaves.hex() in tables()


def test_which_files_get_one():
    assert leaves.pay(leaves.Kind.PARQUET, leaves.OVER + 1)
    assert not leaves.pay(leaves.Kind.PARQUET, leaves.OVER)
    assert not leaves.pay(leaves.Kind.OPAQUE, 1 << 40)
    assert leaves.OVER > LEAF_SIZE, "the format allows none for a file of one leaf"
