"""Private keys: every form they come in, every form refused, and how little of them shows."""

import base64
import os
import pickle
import shutil
import subprocess
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from huracan_sync.errors import NoSigningKey
from huracan_sync.manifest import sshsig
from huracan_sync.manifest.signer import Signer

RAW = bytes(range(1, 33))
KEY = Ed25519PrivateKey.from_private_bytes(RAW)
OPENSSH, PKCS8, PEM = (
    serialization.PrivateFormat.OpenSSH,
    serialization.PrivateFormat.PKCS8,
    serialization.Encoding.PEM,
)
OPEN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"a passphrase")

FORMS = {
    "raw": RAW,
    "raw, and it looks like text": b"a" * 32,
    "hexadecimal": RAW.hex().encode(),
    "hexadecimal in capitals, on a line": RAW.hex().upper().encode() + b"\n",
    "base64": base64.b64encode(RAW),
    "base64 on a line": b" " + base64.b64encode(RAW) + b"\r\n",
    "OpenSSH": KEY.private_bytes(PEM, OPENSSH, OPEN),
    "PKCS 8": KEY.private_bytes(PEM, PKCS8, OPEN),
    "PKCS 8 without its last line break": KEY.private_bytes(PEM, PKCS8, OPEN).rstrip(),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_key_is_read(name):
    private = FORMS[name] if name.startswith("raw") else RAW
    expected = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    assert Signer.parse(FORMS[name]).public == expected


OTHER = ec.generate_private_key(ec.SECP256R1())
BAD = {
    "nothing": b"",
    "a byte too few": RAW[:-1],
    "raw, on a line": RAW + b"\n",
    "hexadecimal with a wrong digit": b"g" * 64,
    "base64 with a wrong character": b"*" * 44,
    "base64 of 31 bytes": base64.b64encode(RAW[:31]) + b"AAA=",
    "a passphrase on PKCS 8": KEY.private_bytes(PEM, PKCS8, LOCKED),
    "a public key": KEY.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    "another kind of key": OTHER.private_bytes(PEM, PKCS8, OPEN),
    "another kind of key in OpenSSH's form": OTHER.private_bytes(PEM, OPENSSH, OPEN),
    "a PEM file cut short": KEY.private_bytes(PEM, OPENSSH, OPEN)[:100],
    "a book": b"x" * 20_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key(name):
    with pytest.raises(NoSigningKey) as caught:
        Signer.parse(BAD[name])
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.hint
    for secret in (RAW.hex(), base64.b64encode(RAW).decode(), repr(RAW)[2:-1]):
        assert secret not in shown


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_passphrase_on_openssh_s_own_form(tmp_path):
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", made], check=True)
    with pytest.raises(NoSigningKey, match="passphrase"):
        Signer.parse(made.read_bytes())


def test_a_signer_shows_nothing():
    signer = Signer(RAW)
    for shown in (repr(signer), str(signer), f"{signer}", repr(signer.secret()), repr(vars(type(signer)))):
        assert RAW.hex() not in shown
        assert base64.b64encode(RAW).decode() not in shown
    assert repr(signer) == f"Signer({sshsig.fingerprint(signer.public)})"
    assert not hasattr(signer, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_what_a_vault_keeps_is_read_again():
    signer = Signer.generate(os.urandom)
    assert Signer.parse(signer.secret().reveal().encode()).public == signer.public
    assert Signer.parse(signer.openssh().reveal().encode()).public == signer.public
    assert signer.key_id == sshsig.key_id(signer.public)
    assert signer.fingerprint == sshsig.fingerprint(signer.public)


def test_two_new_keys_differ():
    assert Signer.generate(os.urandom).public != Signer.generate(os.urandom).public
    assert Signer.generate(bytes).public == Signer(bytes(32)).public
