"""The two primitives of the key store: known answers, and what no byte may change in."""

import pytest

from huracan_sync.auth.keystore.ciphers import SALT_SIZE, TAG_SIZE, decrypt, encrypt, hkdf

ROOT, SALT = bytes(range(32)), bytes(range(32, 64))
PARTS = {"info": b"a test", "bound": b"beside it"}


def test_hkdf_as_rfc_5869_has_it():
    """Test case 1 of appendix A."""
    answer = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    made = hkdf(b"\x0b" * 22, salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA)), size=42)
    assert made.hex() == answer


@pytest.mark.parametrize("plain", [b"", b"a token", b"x" * 100_000])
def test_what_was_encrypted_is_decrypted(plain):
    data = encrypt(ROOT, SALT, plain, **PARTS)
    assert len(data) == len(plain) + TAG_SIZE
    assert decrypt(ROOT, SALT, data, **PARTS) == plain


@pytest.mark.parametrize("at", range(7 + TAG_SIZE))
def test_no_bit_may_be_another(at):
    data = bytearray(encrypt(ROOT, SALT, b"a token", **PARTS))
    data[at] ^= 1
    assert decrypt(ROOT, SALT, bytes(data), **PARTS) is None


@pytest.mark.parametrize("length", range(TAG_SIZE + 7))
def test_nothing_may_be_missing(length):
    assert decrypt(ROOT, SALT, encrypt(ROOT, SALT, b"a token", **PARTS)[:length], **PARTS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"root": bytes(32)},
        {"salt": bytes(SALT_SIZE)},
        {"info": b"another purpose"},
        {"bound": b"something else"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_it_is_for_belongs_to_it(changes):
    given = {"root": ROOT, "salt": SALT, **PARTS} | changes
    data = encrypt(ROOT, SALT, b"a token", **PARTS)
    assert decrypt(given.pop("root"), given.pop("salt"), data, **given) is None


def test_another_salt_is_another_message():
    one, other = (encrypt(ROOT, salt, b"a token", **PARTS) for salt in (SALT, bytes(SALT_SIZE)))
    assert one != other
