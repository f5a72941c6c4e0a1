"""A root id tells which root folder it was made for: another one, another account or the real service is not it."""

import contextlib
import shutil

import pytest
from expecting import raises
from machines import ROOT, Machine
from publishing_machine import Publisher

from huracan_sync.errors import NotAuthorized, NotFound
from huracan_sync.manifest.trust import ROOT_ID_SIZE
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.remote.listing import listing
from huracan_sync.signing.root_id import RANDOM_SIZE, is_for, made_for, place_of

HERE = place_of("emulator:127.0.0.1:8080", "dbid:A", "/Engine")
SIGNED = ".huracan"


@pytest.mark.parametrize(
    ("place", "same"),
    [
        (place_of("emulator:127.0.0.1:9", "dbid:A", "/ENGINE"), True),
        (place_of("dropbox", "dbid:A", "/Engine"), False),
        (place_of("emulator:127.0.0.1:8080", "dbid:B", "/Engine"), False),
        (place_of("emulator:127.0.0.1:8080", "", "/Engine"), True),
        (place_of("emulator:127.0.0.1:8080", "", "/Staging"), False),
        (place_of("emulator:127.0.0.1:8080", "dbid:A", "/Staging"), False),
        (place_of("emulator:127.0.0.1:8080", "dbid:A", ""), False),
    ],
    ids=[
        "another address",
        "Dropbox",
        "another account",
        "whose, nobody says",
        "another folder, whose, nobody says",
        "another folder",
        "no folder",
    ],
)
def test_it_is_for_one_place(place, same):
    made = made_for(HERE, bytes(range(RANDOM_SIZE)))
    assert len(made) == ROOT_ID_SIZE
    assert is_for(made, HERE)
    assert is_for(made, place) is same
    assert not is_for(bytes(ROOT_ID_SIZE), HERE)


def born(dropbox, folder, of, root, clock, **more):
    """A publisher with the key of another and no memory."""
    pod = Publisher(dropbox, folder, clock=clock, root=root, **more)
    pod.take_key_of(of)
    return pod


def by_token():
    """What stands for the account where a token was delivered."""
    return "token-0123456789abcdef"


def carry(remote, source, target):
    """Everything signed in one root folder lies in the other, and nothing else does."""
    with contextlib.suppress(NotFound):
        remove_whatever(remote, f"{target}/{SIGNED}")
    for entry in [entry for page in listing(remote, f"{source}/{SIGNED}") for entry in page.files]:
        data = files.fetch(remote, f"{source}/{SIGNED}/{entry.path}", limit=1 << 22)[1]
        files.put(remote, f"{target}/{SIGNED}/{entry.path}", data)


@pytest.fixture
def staging(dropbox, tmp_path, clock, publisher):
    """Another root folder, with the same key."""
    machine = born(dropbox, tmp_path / "staging", publisher, "/Staging", clock)
    machine.roots().begin()
    return machine


def test_a_fresh_machine_of_staging_signs_nothing_under_the_id_of_production(publisher, staging, hamilton):
    """Carried into staging, continued there by a pod without memory, and carried back, it would be believed."""
    publisher.write({"a": b"of production"})
    publisher.push()
    assert hamilton.reader().latest("data").sequence == 1
    carry(publisher.remote, "/Engine", "/Staging")
    shutil.rmtree(staging.home)
    staging.write({"b": b"of staging"})
    with raises("WRONG_ROOT", match="HURACAN_ROOT_PIN"):
        staging.push("/Staging/data")
    with raises("WRONG_ROOT", match="--unsigned"):
        staging.restore("/Staging/data", staging.src)
    with raises("WRONG_ROOT"):
        staging.roots().begin()
    carry(publisher.remote, "/Staging", "/Engine")
    assert [entry.path for entry in hamilton.reader().latest("data").iter()] == ["data/a"]


def test_a_machine_that_remembers_its_folder_is_not_led_astray_by_keys_init(publisher, staging):
    carry(publisher.remote, "/Engine", "/Staging")
    shutil.rmtree(staging.home / "keys")
    with raises("WRONG_ROOT"):
        staging.roots().begin()


def test_a_pod_with_a_delivered_token_signs_on_in_the_folder_of_a_login(dropbox, tmp_path, clock, publisher):
    """Such a token does not say whose it is; the folder counts all the same."""
    assert dropbox.account_id.startswith("dbid:")
    publisher.write({"a": b"1"})
    publisher.push()
    carry(publisher.remote, ROOT, "/Staging")
    pod = born(dropbox, tmp_path / "pod", publisher, ROOT, clock)
    pod.remote._identity = by_token
    pod.write({"b": b"2"})
    assert pod.push().sequence == 2
    astray = born(dropbox, tmp_path / "astray", publisher, "/Staging", clock)
    astray.remote._identity = by_token
    with raises("WRONG_ROOT"):
        astray.push("/Staging/data")


def test_and_a_login_in_the_folder_that_such_a_pod_has_begun(dropbox, tmp_path, clock):
    pod = Publisher(dropbox, tmp_path / "pod", key="sign.key", clock=clock)
    pod.remote._identity = by_token
    pod.roots().begin()
    pod.write({"a": b"1"})
    pod.push()
    machine = born(dropbox, tmp_path / "mac", pod, ROOT, clock)
    machine.write({"b": b"2"})
    assert machine.push().sequence == 2


def test_what_keys_init_made_for_one_folder_begins_no_other(dropbox, tmp_path, clock):
    def nobody():
        raise NotAuthorized("nobody is logged in")

    machine = Publisher(dropbox, tmp_path / "engine", key="sign.key", clock=clock)
    known, machine.remote._identity = machine.remote._identity, nobody
    begun = machine.roots().begin()
    machine.remote._identity = known
    assert machine.roots("/Staging").begin().pin != begun.pin
    assert machine.roots().begin().pin == begun.pin
    pod = born(dropbox, tmp_path / "pod", machine, "/Staging", clock)
    assert pod.roots().begin().pin == machine.roots("/Staging").begin().pin


def test_nor_one_of_another_account(dropbox, tmp_path, clock, publisher):
    publisher.write({"a": b"1"})
    publisher.push()
    saved = {
        entry.path: files.fetch(publisher.remote, f"{ROOT}/{SIGNED}/{entry.path}", limit=1 << 22)[1]
        for page in listing(publisher.remote, f"{ROOT}/{SIGNED}")
        for entry in page.files
    }
    dropbox.account_id = dropbox.control("account", {"given_name": "Grace"})["account_id"]
    other = born(dropbox, tmp_path / "other", publisher, ROOT, clock)
    for path, data in saved.items():
        files.put(other.remote, f"{ROOT}/{SIGNED}/{path}", data)
    other.write({"b": b"2"})
    with raises("WRONG_ROOT"):
        other.push()


def test_a_folder_that_has_moved_is_signed_in_again_by_its_pin(dropbox, tmp_path, clock, publisher):
    publisher.write({"a": b"1"})
    publisher.push()
    publisher.remote.rpc("files/move_v2", {"from_path": "/Engine", "to_path": "/Moved"}, dict)
    pod = born(dropbox, tmp_path / "pod", publisher, "/Moved", clock)
    pod.write({"b": b"2"})
    with raises("WRONG_ROOT"):
        pod.push("/Moved/data")
    pinned = born(
        dropbox, tmp_path / "pinned", publisher, "/Moved", clock, env={"HURACAN_ROOT_PIN": publisher.pin("/Engine")}
    )
    pinned.write({"c": b"3"})
    assert pinned.push("/Moved/data").sequence == 2
    pod.reader().pin(publisher.pin("/Engine"))  # or a person says so on the machine
    pod.write({"d": b"4"})
    assert pod.push("/Moved/data").sequence == 3


def test_an_id_that_was_made_before_anybody_logged_in_is_for_the_folder(dropbox, tmp_path, clock):
    def nobody():
        raise NotAuthorized("nobody is logged in")

    machine = Machine(dropbox, tmp_path / "engine", key="sign.key", clock=clock)
    known, machine.remote._identity = machine.remote._identity, nobody
    begun = machine.roots().begin()
    assert isinstance(begun.problem, NotAuthorized)
    machine.remote._identity = known
    assert machine.roots().begin().pin == begun.pin
    pod = born(dropbox, tmp_path / "pod", machine, ROOT, clock)
    assert pod.roots().begin().pin == begun.pin
    elsewhere = born(dropbox, tmp_path / "elsewhere", machine, "/Elsewhere", clock)
    carry(machine.remote, ROOT, "/Elsewhere")
    with raises("WRONG_ROOT"):
        elsewhere.roots().begin()
