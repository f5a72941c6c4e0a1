"""Where a private key lies: made once, whole, for us alone; found again; never quoted."""

import os
import shutil
import subprocess

import pytest
from expecting import raises

from huracan_sync.auth.keystore.secret_io import to_bytes
from huracan_sync.errors import NoSigningKey, SecretMissing, UnsafePlace
from huracan_sync.manifest.signer import Signer
from huracan_sync.signing.signing_key import KEY_FILE, KeyPlace


@pytest.fixture
def vault(tmp_path):
    """An environment in which a vault opens."""
    file = tmp_path / "vault.key"
    file.write_bytes(os.urandom(32))
    file.chmod(0o400)
    return {"HURACAN_VAULT_KEY_FILE": str(file)}


def place(tmp_path, env, namespace="emulator:1"):
    return KeyPlace(env, tmp_path / "home", namespace)


def test_a_key_file_is_made_once(tmp_path):
    file = tmp_path / "deep" / "sign.key"
    where = place(tmp_path, {KEY_FILE: str(file)})
    assert where.exists()
    with pytest.raises(SecretMissing) as caught:
        where.find()
    assert "keys init" in caught.value.hint
    made, new = where.make()
    assert new
    assert (file.stat().st_mode & 0o777, list(file.parent.iterdir())) == (0o400, [file])
    assert place(tmp_path, {KEY_FILE: str(file)}).make()[0].public == made.public
    assert where.make()[1] is False
    assert where.signer().fingerprint == made.fingerprint


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_openssh_reads_the_key_file(tmp_path):
    file = tmp_path / "sign.key"
    made, _ = place(tmp_path, {KEY_FILE: str(file)}).make()
    printed = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True).stdout
    assert made.fingerprint in printed


def test_a_key_file_of_another_is_not_used(tmp_path):
    file = tmp_path / "sign.key"
    file.write_bytes(to_bytes(Signer(b"1" * 32).openssh()))
    file.chmod(0o466)
    with pytest.raises(UnsafePlace):
        place(tmp_path, {KEY_FILE: str(file)}).find()
    file.chmod(0o400)
    assert place(tmp_path, {KEY_FILE: str(file)}).find().public == Signer(b"1" * 32).public


def test_a_file_without_a_key(tmp_path):
    file = tmp_path / "sign.key"
    file.write_text("not a key, and not to be quoted")
    file.chmod(0o400)
    with pytest.raises(NoSigningKey) as caught:
        place(tmp_path, {KEY_FILE: str(file)}).make()
    assert "quoted" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_in_the_vault(tmp_path, vault):
    where = place(tmp_path, vault)
    assert not where.exists()
    assert where.find() is None
    with pytest.raises(NoSigningKey):
        where.signer()
    made, new = where.make()
    assert (new, where.where(), where.exists()) == (True, "vault", True)
    again = place(tmp_path, vault)
    assert again.make() == (again.find(), False) or again.find().public == made.public
    assert place(tmp_path, vault, "dropbox").find() is None, "a key of an emulator is none for Dropbox"


def test_no_place_at_all(tmp_path):
    with raises("NO_SAFE_PLACE") as caught:
        place(tmp_path, {}).make()
    assert KEY_FILE in caught.value.hint


def test_the_next_key_in_the_vault(tmp_path, vault):
    where = place(tmp_path, vault)
    first, _ = where.make()
    following = where.make_next(None)
    assert place(tmp_path, vault).make_next(None).public == following.public, "a rotation cut short goes on"
    assert [each.public for each in where.all()] == [first.public, following.public]
    where.take_next(following)
    where.take_next(following)
    assert [each.public for each in where.all()] == [following.public, first.public]


def test_the_next_key_in_a_file(tmp_path):
    file, other = tmp_path / "sign.key", tmp_path / "next.key"
    where = place(tmp_path, {KEY_FILE: str(file)})
    first, _ = where.make()
    with pytest.raises(NoSigningKey) as caught:
        where.make_next(None)
    assert "--key-file" in caught.value.hint
    following = where.make_next(other)
    assert where.make_next(other).public == following.public
    where.take_next(following)
    assert [each.public for each in where.all()] == [first.public], "files are the operator's to exchange"
