"""The vault's format: one way to write it, one refusal for each way it can be wrong, and nothing raw escapes."""

import hmac
import random
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from expecting import raises

from huracan_sync.auth.keystore.secret_io import from_bytes
from huracan_sync.auth.keystore.vault_format import MAGIC, Kdf, new_kdf, parse_header, seal, unseal
from huracan_sync.auth.keystore.vault_key import parse_key, parse_passphrase
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret

KEY = parse_key(from_bytes(bytes(range(100, 132))), "a test")
OTHER = parse_key(from_bytes(bytes(range(101, 133))), "a test")
PHRASE = parse_passphrase(Secret("correct horse battery"), "a test")
SMALL = Kdf(1, b"s" * 16, mem_kib=19 * 1024, iters=2, lanes=1)  # the weakest that is accepted: tests stay fast


def test_what_goes_in_comes_out():
    data = seal(b"secret", KEY, new_kdf(KEY))
    assert unseal(data, KEY)[0] == b"secret"
    assert b"secret" not in data


def test_a_passphrase_opens_it_again():
    data = seal(b"secret", PHRASE, SMALL)
    again = parse_passphrase(Secret("correct horse battery"), "elsewhere")
    assert unseal(data, again) == (b"secret", SMALL)


def test_people_get_the_slow_derivation():
    kdf = new_kdf(PHRASE)
    assert (kdf.kind, kdf.mem_kib, kdf.iters, kdf.lanes) == (1, 64 * 1024, 3, 1)


def hkdf(secret, salt, info, size):
    """RFC 5869 over SHA-256, from the standard library: another hand than the one under test."""
    prk = hmac.digest(salt, secret, "sha256")
    blocks, last = b"", b""
    while len(blocks) < size:
        last = hmac.digest(prk, last + info + bytes([len(blocks) // 32 + 1]), "sha256")
        blocks += last
    return blocks[:size]


def test_the_bytes_are_the_documented_ones():
    data = seal(b"plain", KEY, Kdf(2, b"S" * 16), entropy=lambda n: b"W" * n)
    root = hkdf(bytes(range(100, 132)), b"S" * 16, b"huracan-sync vault root", 32)
    header = (
        b"HZVAULT1\x02" + b"\0" * 6 + b"S" * 16 + b"W" * 32 + hmac.digest(root, b"huracan-sync vault commit", "sha256")
    )
    once = hkdf(root, b"W" * 32, b"huracan-sync vault write", 44)
    assert data == header + AESGCM(once[:32]).encrypt(once[32:], b"plain", header)


def test_a_vault_of_version_0_1_opens_for_ever():
    old = bytes.fromhex(
        "485a5641554c543102000000000000" + "53" * 16 + "57" * 32
        + "37aad47cff362fa15a0e0a1be15839f050669aa128c6b78af93a075d8166d6f5"
        + "73def37486989e000db85ec44b6555b8e8db66df49"
    )  # fmt: skip
    assert unseal(old, KEY)[0] == b"plain"


def test_every_write_has_its_own_key():
    kdf = new_kdf(KEY)
    assert seal(b"secret", KEY, kdf) != seal(b"secret", KEY, kdf)


@pytest.mark.parametrize("wrong", [OTHER, PHRASE, parse_passphrase(Secret("incorrect horse battery"), "a test")])
def test_wrong_key(wrong):
    with raises("WRONG_VAULT_KEY", match="a test"):
        unseal(seal(b"secret", KEY, new_kdf(KEY)), wrong)


def test_a_wrong_passphrase_is_told_from_damage():
    data = seal(b"secret", PHRASE, SMALL)
    with raises("WRONG_VAULT_KEY", match="the passphrase from a test does not open") as caught:
        unseal(data, parse_passphrase(Secret("incorrect horse battery"), "a test"))
    assert "type it again" in caught.value.hint
    with raises("WRONG_VAULT_KEY", match="opens with a passphrase; a key was given") as caught:
        unseal(data, KEY)
    assert "unset" in caught.value.hint
    with raises("VAULT_DAMAGED"):
        unseal(data[:-1] + bytes([data[-1] ^ 1]), PHRASE)


@pytest.mark.parametrize(
    "data", [b"", b"HZVAULT", b"HZVAULT2" + b"\0" * 200, b'{"refresh_token": "x"}', MAGIC, MAGIC + b"\2" * 60]
)
def test_unknown_magic_or_cut_short(data):
    with raises("VAULT_UNKNOWN"):
        unseal(data, KEY)


@pytest.mark.parametrize(
    ("kind", "mem", "iters", "lanes"),
    [
        (1, 19 * 1024 - 1, 3, 1),
        (1, 1024 * 1024 + 1, 3, 1),
        (1, 2**32 - 1, 3, 1),
        (1, 64 * 1024, 1, 1),
        (1, 64 * 1024, 17, 1),
        (1, 64 * 1024, 3, 0),
        (1, 64 * 1024, 3, 5),
        (1, 0, 0, 0),
        (2, 64 * 1024, 3, 1),
        (0, 0, 0, 0),
        (3, 0, 0, 0),
    ],
)
def test_kdf_parameters_outside_the_limits(kind, mem, iters, lanes):
    """Neither a downgrade to one iteration nor a bomb of four terabytes is tried."""
    data = bytearray(seal(b"secret", PHRASE, SMALL))
    data[8:15] = struct.pack(">BIBB", kind, mem, iters, lanes)
    with raises("VAULT_UNKNOWN", match="not accepted"):
        unseal(bytes(data), PHRASE)


@pytest.mark.parametrize("limits", [(19 * 1024, 2, 1), (1024 * 1024, 16, 4)])
def test_the_limits_themselves_are_accepted(limits):
    data = bytearray(seal(b"secret", PHRASE, SMALL))
    data[9:15] = struct.pack(">IBB", *limits)
    assert parse_header(bytes(data))[0].mem_kib == limits[0]


def test_4000_bit_flips_none_accepted():
    chance = random.Random(4)
    plain = bytes(chance.randbytes(600))
    data = seal(plain, KEY, new_kdf(KEY))
    seen = dict.fromkeys(("VAULT_DAMAGED", "WRONG_VAULT_KEY", "VAULT_UNKNOWN"), 0)
    for bit in chance.sample(range(len(data) * 8), 4000):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VaultRefused) as caught:
            unseal(bytes(flipped), KEY)
        seen[caught.value.code] += 1
    assert sum(seen.values()) == 4000
    assert min(seen.values()) > 0


def test_every_cut_is_refused():
    data = seal(b"secret", KEY, new_kdf(KEY))
    for size in range(len(data)):
        with raises(("VAULT_UNKNOWN", "VAULT_DAMAGED")):
            unseal(data[:size], KEY)
    with raises("VAULT_DAMAGED"):
        unseal(data + b"\0", KEY)
