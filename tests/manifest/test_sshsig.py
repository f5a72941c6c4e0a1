"""Signatures against the real OpenSSH, both ways. Skipped where there is no ssh-keygen."""

import base64
import shutil
import subprocess

import pytest
from expecting import raises
from manifest_world import ENGINE, make_head, open_head, signer

from huracan_sync.manifest import signed_files, ssh_armor, sshsig
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.ssh_armor import Signature, armor, dearmor

openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


def keygen(*arguments, stdin=b"", check=True):
    done = subprocess.run(["ssh-keygen", *map(str, arguments)], input=stdin, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def verifies(folder, message, armored, allowed, namespace=sshsig.HEAD):
    (folder / "allowed").write_text(allowed + "\n")
    (folder / "sig").write_text(armored)
    command = ["-Y", "verify", "-n", namespace, "-f", folder / "allowed", "-I", "engine", "-s", folder / "sig"]
    return keygen(*command, stdin=message, check=False).returncode == 0


def both_ways(folder, count):
    for number in range(count):
        who = signer(number % 250 + 1)
        made = make_head(seq=number + 1)
        data = signed_files.sign_head(made, [who])
        message, [armored] = ssh_armor.export_sshsig(data, [who.public])
        allowed = ssh_armor.allowed_signer(who.public, "engine")
        assert verifies(folder, message, armored, allowed)
        damaged = bytearray(message)
        damaged[number % len(damaged)] ^= 1 << number % 8
        assert not verifies(folder, bytes(damaged), armored, allowed)
        key = folder / "key"
        key.unlink(missing_ok=True)
        key.touch(0o600)
        key.write_text(who.openssh().reveal())
        key.chmod(0o400)  # delivered by this test
        theirs = keygen("-Y", "sign", "-n", sshsig.HEAD, "-f", key, "-q", stdin=message).stdout.decode()
        assert dearmor(theirs).public == who.public
        assert ssh_armor.import_sshsig(message, [theirs]) == data


@openssh
def test_openssh_accepts_our_heads_and_we_accept_its_signatures(tmp_path):
    both_ways(tmp_path, 20)


@openssh
@pytest.mark.long
def test_openssh_accepts_a_thousand_heads_and_we_accept_its_signatures(tmp_path):
    both_ways(tmp_path, 1_000)


@openssh
def test_openssh_refuses_another_namespace_another_key_and_another_person(tmp_path):
    message, [armored] = ssh_armor.export_sshsig(signed_files.sign_head(make_head(), [ENGINE]), [ENGINE.public])
    allowed = ssh_armor.allowed_signer(ENGINE.public, "engine")
    assert verifies(tmp_path, message, armored, allowed)
    assert not verifies(tmp_path, message, armored, allowed, sshsig.TRUST)
    assert not verifies(tmp_path, message, armored, ssh_armor.allowed_signer(signer(9).public, "engine"))
    assert not verifies(tmp_path, message, armored, ssh_armor.allowed_signer(ENGINE.public, "mallory"))
    assert not verifies(tmp_path, message, armored, ssh_armor.allowed_signer(ENGINE.public, "engine", [sshsig.TRUST]))


@openssh
def test_fingerprints_and_public_lines_are_openssh_s(tmp_path):
    made = tmp_path / "key"
    keygen("-t", "ed25519", "-N", "", "-C", "engine", "-f", made)
    parsed = Signer.parse(made.read_bytes())
    assert keygen("-l", "-f", made).stdout.split()[1].decode() == parsed.fingerprint
    assert (tmp_path / "key.pub").read_text().strip() == ssh_armor.public_line(parsed.public, "engine")
    ours = tmp_path / "ours"
    ours.touch(0o600)
    ours.write_text(parsed.openssh().reveal())
    ours.chmod(0o400)  # delivered by this test
    assert keygen("-y", "-f", ours).stdout.decode().strip() == ssh_armor.public_line(parsed.public)


def test_a_signature_is_for_one_purpose_one_message_and_one_key():
    value = ENGINE.sign(sshsig.HEAD, b"message")
    assert sshsig.verify(ENGINE.public, sshsig.HEAD, b"message", value)
    assert not sshsig.verify(ENGINE.public, sshsig.TRUST, b"message", value)
    assert not sshsig.verify(ENGINE.public, sshsig.HEAD, b"massage", value)
    assert not sshsig.verify(signer(9).public, sshsig.HEAD, b"message", value)
    assert not sshsig.verify(ENGINE.public, sshsig.HEAD, b"message", value[:32])


SIGNATURE = Signature(ENGINE.public, sshsig.HEAD, bytes(64))
GOOD = armor(SIGNATURE)
BLOB = base64.b64decode("".join(GOOD.splitlines()[1:-1]))


def wrapped(blob):
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"


def strings(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


KEY = strings(b"ssh-ed25519", ENGINE.public)
VALUE = strings(b"ssh-ed25519", bytes(64))
START = b"SSHSIG\0\0\0\x01"
BAD = {
    "empty": "",
    "without its lines": base64.b64encode(BLOB).decode(),
    "nothing between the lines": "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
    "too long": GOOD + "\n" * 5_000,
    "not base64": GOOD.replace("U1NIU0lH", "****"),
    "not ASCII": GOOD.replace("U1NIU0lH", "\u00e4\u00e4\u00e4\u00e4"),
    "another magic": wrapped(b"SSHSIH" + BLOB[6:]),
    "another version": wrapped(BLOB[:9] + b"\x02" + BLOB[10:]),
    "cut short": wrapped(BLOB[:-1]),
    "bytes left over": wrapped(BLOB + b"\0"),
    "a short key": wrapped(
        START + strings(strings(b"ssh-ed25519", bytes(31)), b"huracan-sync/head/v1", b"", b"sha512", VALUE)
    ),
    "a short signature": wrapped(
        START + strings(KEY, b"huracan-sync/head/v1", b"", b"sha512", strings(b"ssh-ed25519", bytes(63)))
    ),
    "a namespace that is not text": wrapped(START + strings(KEY, b"\xff", b"", b"sha512", VALUE)),
    "another hash": wrapped(START + strings(KEY, b"huracan-sync/head/v1", b"", b"sha256", VALUE)),
    "something reserved": wrapped(START + strings(KEY, b"huracan-sync/head/v1", b"x", b"sha512", VALUE)),
    "another algorithm": wrapped(
        START + strings(KEY, b"huracan-sync/head/v1", b"", b"sha512", strings(b"ssh-rsa-key", bytes(64)))
    ),
}


def test_armor_is_read_again():
    assert dearmor(GOOD) == SIGNATURE
    assert dearmor(wrapped(BLOB)) == SIGNATURE


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_armored_signature(name):
    with raises("SSHSIG_FORMAT"):
        dearmor(BAD[name])


def test_a_head_signed_by_openssh_is_opened(tmp_path):
    message, armored = ssh_armor.export_sshsig(signed_files.sign_head(make_head(), [ENGINE]), [ENGINE.public])
    assert open_head(ssh_armor.import_sshsig(message, armored)).head == make_head()
