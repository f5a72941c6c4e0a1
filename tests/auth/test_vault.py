"""The vault on the disk: whose it must be, who may write it when, and what a kill leaves. (Fails closed, each way.)"""

import contextlib
import os
import secrets
import signal
import stat
import subprocess
import sys
import time

import pytest
from expecting import raises
from sampled import slow
from shared_fixtures import everything_below

from huracan_sync.auth.keystore.secret_id import SecretName
from huracan_sync.auth.keystore.secret_io import from_bytes
from huracan_sync.auth.keystore.vault import Vault
from huracan_sync.auth.keystore.vault_key import parse_key
from huracan_sync.disk.private_folder import Folder
from huracan_sync.errors import Busy, LocalFailure, UnsafePlace, VaultRefused
from huracan_sync.secret import Secret


def named(number, **changes):
    return SecretName("dropbox", "engine", f"secret-{number}", **{"app_key": "app", "account_id": "dbid:A", **changes})


def test_put_get_forget(vault, name):
    assert vault.get(name) is None
    vault.put(name, Secret("the-refresh-token"))
    assert vault.get(name).reveal() == "the-refresh-token"
    vault.put(name, Secret("the-next-one"))
    assert vault.get(name).reveal() == "the-next-one"
    assert vault.places() == ["dropbox/engine/refresh-token"]
    assert vault.forget(name)
    assert not vault.forget(name)
    assert vault.get(name) is None


def test_nothing_is_plain_on_the_disk(vault, name, home):
    canary = secrets.token_urlsafe(48)
    vault.put(name, Secret(canary))
    vault.put(name, Secret(canary))
    written = everything_below(home)
    assert canary.encode() not in written
    assert b"refresh-token" not in written


def test_files_and_folder_are_ours_alone(vault, name, home):
    old = os.umask(0)
    try:
        vault.put(name, Secret("x"))
        vault.put(name, Secret("y"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in home.iterdir()} == {
        "vault": 0o600,
        "vault.1": 0o600,
        "vault.lock": 0o600,
    }


def test_one_previous_generation_is_kept(vault, name, home, key):
    vault.put(name, Secret("first"))
    before = (home / "vault").read_bytes()
    vault.put(name, Secret("second"))
    assert (home / "vault.1").read_bytes() == before
    (home / "vault").write_bytes(before)  # what the hint of VaultDamaged says
    assert Vault(Folder(home), lambda: key).get(name).reveal() == "first"


def test_what_is_forgotten_is_in_no_generation(vault, name, home):
    vault.put(name, Secret("first"))
    vault.put(name, Secret("second"))
    vault.forget(name)
    assert not (home / "vault.1").exists()


# ---- fails closed -------------------------------------------------------------------------------------------------


def test_wrong_key_never_overwrites(vault, name, home):
    vault.put(name, Secret("x"))
    before = (home / "vault").read_bytes()
    stranger = Vault(Folder(home), lambda: parse_key(from_bytes(secrets.token_bytes(32)), "a test"))
    for act in (lambda: stranger.get(name), lambda: stranger.put(name, Secret("y")), lambda: stranger.forget(name)):
        with raises("WRONG_VAULT_KEY"):
            act()
    assert (home / "vault").read_bytes() == before


@pytest.mark.parametrize(("content", "error"), [(b"", "VAULT_UNKNOWN"), (b"junk" * 100, "VAULT_UNKNOWN")])
def test_what_is_no_vault_is_not_overwritten(vault, name, home, content, error):
    vault.put(name, Secret("x"))
    (home / "vault").write_bytes(content)
    with raises(error):
        vault.put(name, Secret("y"))
    assert (home / "vault").read_bytes() == content


def test_bad_tag(vault, name, home):
    vault.put(name, Secret("x"))
    data = bytearray((home / "vault").read_bytes())
    data[-1] ^= 1
    (home / "vault").write_bytes(data)
    with raises("VAULT_DAMAGED") as caught:
        vault.get(name)
    assert "vault.1" in caught.value.hint
    with raises("VAULT_DAMAGED"):
        vault.put(name, Secret("y"))


def test_no_key(home, key, name):
    def none():
        raise VaultRefused("nothing here", code="NO_VAULT_KEY")

    Vault(Folder(home), lambda: key).put(name, Secret("x"))
    with raises("NO_VAULT_KEY"):
        Vault(Folder(home), none).get(name)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_threat_26_vault_that_others_may_read_or_write(vault, name, home, mode):
    vault.put(name, Secret("x"))
    (home / "vault").chmod(mode)
    with pytest.raises(UnsafePlace, match="others may read or change it") as caught:
        vault.get(name)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o707])
def test_threat_26_folder_that_others_may_enter(vault, name, home, mode):
    vault.put(name, Secret("x"))
    home.chmod(mode)
    with pytest.raises(UnsafePlace, match="others may enter it"):
        vault.get(name)
    with pytest.raises(UnsafePlace):
        vault.put(name, Secret("y"))
    home.chmod(0o700)


def test_threat_26_symlinked_vault(vault, name, home, tmp_path):
    vault.put(name, Secret("x"))
    (home / "vault").rename(tmp_path / "moved")
    (home / "vault").symlink_to(tmp_path / "moved")
    with pytest.raises(UnsafePlace, match="symbolic link"):
        vault.get(name)


def test_threat_26_symlinked_folder(vault, name, home, tmp_path):
    vault.put(name, Secret("x"))
    home.rename(tmp_path / "moved")
    home.symlink_to(tmp_path / "moved")
    with pytest.raises(UnsafePlace, match="symbolic link"):
        vault.get(name)


def test_symlinked_lock(vault, name, home, tmp_path):
    home.mkdir(mode=0o700)
    (home / "vault.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalFailure, match="symbolic links"):
        vault.put(name, Secret("x"))
    assert not (tmp_path / "elsewhere").exists()


def test_threat_26_hard_linked_vault(vault, name, home, tmp_path):
    vault.put(name, Secret("x"))
    os.link(home / "vault", tmp_path / "second name")
    with pytest.raises(UnsafePlace, match="2 names"):
        vault.get(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_threat_26_foreign_owner(vault, name, home):
    vault.put(name, Secret("x"))
    os.chown(home / "vault", 12345, 12345)
    with pytest.raises(UnsafePlace, match="belongs to user 12345"):
        vault.get(name)
    os.chown(home / "vault", 0, 0)
    os.chown(home, 12345, 12345)
    with pytest.raises(UnsafePlace, match="belongs to user 12345"):
        vault.get(name)


def test_pipe_in_place_of_the_vault_does_not_hang(vault, name, home):
    home.mkdir(mode=0o700)
    os.mkfifo(home / "vault", 0o600)
    with pytest.raises(UnsafePlace, match="no regular file"):
        vault.get(name)


def test_huge_vault_is_not_read(vault, name, home):
    home.mkdir(mode=0o700)
    (home / "vault").touch(mode=0o600)
    os.truncate(home / "vault", 1 << 40)
    with pytest.raises(UnsafePlace, match="larger than"):
        vault.get(name)


def test_folder_that_is_a_file(tmp_path, name, key):
    (tmp_path / "home").touch()
    with pytest.raises(LocalFailure):
        Vault(Folder(tmp_path / "home"), lambda: key).put(name, Secret("x"))


def test_lock_not_obtained_in_10_s(home, key, name):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    waiting = Vault(Folder(home, clock=lambda: now[0], sleep=sleep), lambda: key)
    with Folder(home).locked("vault.lock"), pytest.raises(Busy) as caught:
        waiting.put(name, Secret("x"))
    assert 10 <= now[0] < 10.1
    assert caught.value.retryable
    waiting.put(name, Secret("x"))


@pytest.mark.parametrize("change", [{"app_key": "other"}, {"account_id": "dbid:B"}])
def test_entry_bound_to_another_app_or_account(vault, name, change):
    vault.put(named(1), Secret("x"))
    with raises("BOUND_ELSEWHERE"):
        vault.get(named(1, **change))


def test_entry_of_another_host_is_not_found(vault):
    vault.put(named(1), Secret("x"))
    emulated = SecretName("emulator:127.0.0.1:80", "engine", "secret-1", app_key="app", account_id="dbid:A")
    assert vault.get(emulated) is None


# ---- together, and killed -----------------------------------------------------------------------------------------


def fork(act):
    """Run `act` in a child; its exit status tells whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001
            os._exit(1)
    return child


@pytest.mark.slow
@pytest.mark.parametrize("writes", [12, slow(50)])
def test_4_processes_write_and_keep_all(home, key, writes):
    def write(process):
        mine = Vault(Folder(home), lambda: key)
        for number in range(writes):
            mine.put(named(process * writes + number), Secret(f"value {process} {number}"))

    children = [fork(lambda process=process: write(process)) for process in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    kept = Vault(Folder(home), lambda: key)
    assert len(kept.places()) == 4 * writes
    assert kept.get(named(4 * writes - 1)).reveal() == f"value 3 {writes - 1}"
    assert [p.name for p in home.iterdir() if p.name.endswith(".new")] == []


def kill_writers(home, key, kills):
    """Children write, tell after each write, and are killed somewhere; whatever they told must be there."""
    reader, writer = os.pipe()

    def write(first):
        mine = Vault(Folder(home), lambda: key)
        for number in range(first, first + 1000):
            mine.put(named(number % 20), Secret(f"value {number}"))
            os.write(writer, number.to_bytes(4, "big"))

    told = -1
    for kill in range(kills):
        child = fork(lambda: write(told + 1))  # noqa: B023 - the child runs at once
        data = b"" if kill % 3 == 0 else os.read(reader, 4)  # some die before their first write is done
        time.sleep(0.0005 * (kill % 11))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            data += os.read(reader, 65536)
        os.set_blocking(reader, True)
        told = int.from_bytes(data[-4:], "big") if data else told
        vault = Vault(Folder(home), lambda: key)
        for number in range(max(0, told - 19), told + 1):
            # the write that was under way when the kill came may have landed too
            assert vault.get(named(number % 20)).reveal() in {f"value {number}", f"value {number + 20}"}
    os.close(reader)
    os.close(writer)
    assert told >= kills // 2
    Vault(Folder(home), lambda: key).put(named(0), Secret("last"))  # which sweeps what the killed left
    assert [p.name for p in home.iterdir() if p.name.endswith(".new")] == []


@pytest.mark.slow
@pytest.mark.parametrize("kills", [12, slow(60), pytest.param(300, marks=pytest.mark.long)])
def test_kills_during_writes_lose_none(home, key, kills):
    kill_writers(home, key, kills)


def test_errors_say_no_secret(vault, name, home):
    canary = "canary-" + secrets.token_hex(16)
    vault.put(name, Secret(canary))
    with raises("BOUND_ELSEWHERE") as caught:
        vault.get(SecretName(**{**{f: getattr(name, f) for f in name.__struct_fields__}, "app_key": "other"}))
    assert canary not in repr(caught.value) + str(caught.value.as_dict())


def test_a_reader_needs_no_lock_and_no_writable_disk(vault, name, home):
    vault.put(name, Secret("x"))
    with Folder(home).locked("vault.lock"):
        assert vault.get(name).reveal() == "x"


def test_looking_makes_no_folder(vault, name, home):
    assert vault.get(name) is None
    assert not vault.forget(name)
    assert vault.places() == []
    assert not home.exists()


def test_import_costs_no_cryptography():
    code = "import sys, huracan_sync.auth.keystore.store; print({'cryptography', 'keyring'} & set(sys.modules) or [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
