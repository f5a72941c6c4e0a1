"""Tables of leaves: whoever signs a file that is read in pieces signs its table with it."""

import hashlib

import pytest
from msgspec.structs import replace
from staging_world import commits, driver_of, staged
from transfer_world import content

from huracan_sync import stage
from huracan_sync.errors import ContentMismatch, NotAuthorized, UsageError
from huracan_sync.manifest import leaves, locations
from huracan_sync.operations import receipts as form
from huracan_sync.remote import files
from huracan_sync.remote.stat import children
from huracan_sync.secret import Secret
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


@pytest.mark.slow
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


@pytest.fixture
def driver(dropbox, tmp_path):
    return driver_of(dropbox, tmp_path)


def tables_of(machine):
    found = children(machine.remote, "/Engine/.huracan/bodies")
    return {each.name.partition(".")[0] for each in found if each.name.endswith(".hzl")}


def changed_receipts(data, key, **changes):
    receipts = form.decode(data)
    return form.encode(receipts.service, receipts.account, [replace(receipts.files[0], **changes)], key)


@pytest.mark.slow
def test_what_workers_staged_gets_the_table_and_costs_no_request_more_than_a_push(driver, tmp_path):
    made = {f"{n}.safetensors": tensors(n, size) for n, size in enumerate((2 * MIB, 9 * MIB + 5, MIB // 2))}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    grant = driver.remote.lend()
    receipts = [stage(grant, {tmp_path / name: f"local/{name}" for name in made}), staged(grant, made)]
    counted, report = driver.counted(lambda: commits(driver, receipts, channel="training"))
    assert (report.uploaded, report.failed, report.sequence) == (6, [], 1)
    snapshot = driver.reader().latest("training")
    for name, data in made.items():
        for path in (f"runs/local/{name}", f"runs/{name}"):
            table = leaf_hashes(data) if len(data) > leaves.OVER else b""
            named = snapshot.item(path).leaves
            assert named == (hashlib.sha256(table).digest() if table else b"")
            assert snapshot.read_range(path, len(data) // 2, 100) == data[len(data) // 2 : len(data) // 2 + 100]
    assert len(tables_of(driver)) == 2, "the same content has one"
    driver.write(made)
    pushed, _ = driver.counted(driver.push)
    assert counted <= pushed
    again, report = driver.counted(lambda: commits(driver, receipts, channel="training"))
    assert (again, report.sequence) == (0, 1)


def test_a_driver_that_was_stopped_before_it_signed_still_has_the_tables(dropbox, driver):
    receipts = staged(driver.remote.lend(), {"a.safetensors": tensors("a", 2 * MIB)})
    dropbox.faults({"fault": "user_suspended", "route": "files/upload_session/finish_batch_v2"})
    with pytest.raises(NotAuthorized):
        commits(driver, [receipts])
    dropbox.faults()
    commits(driver, [], channel="runs")
    assert tables_of(driver) == {driver.reader().latest("runs").item("runs/a.safetensors").leaves.hex()}


def test_a_forged_table_is_refused_or_not_believed(driver):
    data = tensors("a", 2 * MIB)
    receipts = staged(driver.remote.lend(), {"a.safetensors": data})
    false = bytes(len(leaf_hashes(data)))
    for key in (None, Secret("of another machine")):
        with pytest.raises(UsageError, match="changed on their way"):
            commits(driver, [changed_receipts(receipts, key, table=false)])
    seal = driver.remote.seal()
    for table in (false[:-32], false[:-1], false + false):
        with pytest.raises(UsageError, match="contradicts itself"):
            commits(driver, [changed_receipts(receipts, seal, table=table)])
    with pytest.raises(UsageError, match="contradicts itself"):
        form.decode(form.encode("s", "a", [form.Receipt("x", "s", 9, b"\0" * 32, 0, 0, table=b"\0" * 32)]))

    unsealed = changed_receipts(receipts, None, table=false)
    assert commits(driver, [unsealed], unsealed=True).sequence == 1
    snapshot = driver.reader().latest("runs")
    assert snapshot.item("runs/a.safetensors").leaves == b""
    assert snapshot.read_range("runs/a.safetensors", 100, 100) == data[100:200]


def test_of_a_worker_that_lies_about_its_table_no_byte_is_believed(driver):
    data = tensors("a", 2 * MIB)
    receipts = staged(driver.remote.lend(), {"a.safetensors": data})
    commits(driver, [changed_receipts(receipts, driver.remote.seal(), table=leaf_hashes(bytes(len(data))))])
    snapshot = driver.reader().latest("runs")
    with pytest.raises(ContentMismatch):
        snapshot.read_range("runs/a.safetensors", 100, 100)
    assert snapshot.read("runs/a.safetensors") == data


def test_which_files_get_one():
    assert leaves.pay(leaves.Kind.PARQUET, leaves.OVER + 1)
    assert not leaves.pay(leaves.Kind.PARQUET, leaves.OVER)
    assert not leaves.pay(leaves.Kind.OPAQUE, 1 << 40)
    assert leaves.OVER > LEAF_SIZE, "the format allows none for a file of one leaf"
