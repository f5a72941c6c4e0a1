"""A certificate authority for this machine only, and a server certificate for Dropbox's host names.

With them, clients that know no other address can be led to the emulator by a hosts file.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = [
    "localhost",
    "api.dropboxapi.com",
    "content.dropboxapi.com",
    "notify.dropboxapi.com",
    "api.dropbox.com",
    "content.dropbox.com",
    "www.dropbox.com",
    "dropbox.com",
]
_ADDRESSES = ["127.0.0.1", "::1"]
_LIFE = timedelta(days=90)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return the paths of CA certificate, server certificate and key; made if they are missing or about to expire.

    The CA's key is thrown away after use, so that nobody can sign another certificate with it.
    """
    ca, cert, key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    if not all(path.exists() for path in (ca, cert, key)) or _worn(cert):
        folder.mkdir(parents=True, exist_ok=True)
        _make(ca, cert, key)
    return ca, cert, key


def _worn(cert: Path) -> bool:
    until = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    return until < datetime.now(UTC) + timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _make(ca: Path, cert: Path, key: Path) -> None:
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Dropbox emulator on this machine")
    root = _builder(issuer, issuer, authority.public_key(), authority)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs=True), critical=True)
    leaf = _builder(_name("localhost"), issuer, server.public_key(), authority)
    names = [x509.DNSName(host) for host in HOSTS]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    leaf = leaf.add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs=False), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    pem = serialization.Encoding.PEM
    _write(key, server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)
    _write(cert, leaf.sign(authority, hashes.SHA256()).public_bytes(pem), 0o644)
    _write(ca, root.sign(authority, hashes.SHA256()).public_bytes(pem), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, authority: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(by, critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    fresh.replace(path)
