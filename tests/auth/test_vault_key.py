"""What opens the vault: where it is looked for, in which order, and what is refused."""

import base64
import os

import pytest
from expecting import raises

from huracan_sync.auth.keystore.secret_io import from_bytes
from huracan_sync.auth.keystore.vault_key import KeySources, find_key, has_key, parse_key, parse_passphrase
from huracan_sync.errors import SecretMissing, UnsafePlace
from huracan_sync.secret import Secret

RAW = bytes(range(199, 231))


def put(path, data, mode=0o400):
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "spelled",
    [
        RAW,
        RAW.hex().encode(),
        RAW.hex().upper().encode(),
        RAW.hex().encode() + b"\n",
        base64.b64encode(RAW),
        base64.b64encode(RAW) + b"\n",
    ],
)
def test_a_key_file_in_each_spelling(tmp_path, spelled):
    path = put(tmp_path / "key", spelled)
    key = find_key({"HURACAN_VAULT_KEY_FILE": str(path)})
    assert (key.material(), key.is_passphrase) == (RAW, False)


@pytest.mark.parametrize(
    "content",
    [
        RAW[:31],
        RAW + b"\n",
        RAW + b"x",
        b"g" * 64,
        RAW.hex().encode() + b"\n\n",
        b" " + RAW.hex().encode(),
        base64.b64encode(RAW)[:-1] + b"*",
        base64.b64encode(RAW[:30]),
        b"correct horse battery staple",
    ],
)
def test_raw_key_that_is_not_32_bytes(tmp_path, content):
    path = put(tmp_path / "key", content)
    with raises("WEAK_VAULT_KEY") as caught:
        find_key({"HURACAN_VAULT_KEY_FILE": str(path)})
    assert content.decode("latin-1").strip() not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_passphrase_under_16_characters(length):
    with raises("WEAK_VAULT_KEY", match=f"has {length} characters"):
        parse_passphrase(Secret("é" * length), "the terminal")
    assert parse_passphrase(Secret("é" * 16), "the terminal").is_passphrase


def test_a_key_that_was_not_made_at_random_is_told(caplog):
    parse_key(from_bytes(b"k" * 32), "a test")
    assert "does not look random" in caplog.text
    caplog.clear()
    parse_key(from_bytes(RAW), "a test")
    assert caplog.text == ""


@pytest.mark.parametrize("mode", [0o420, 0o402, 0o666])
def test_key_file_that_others_may_change(tmp_path, mode):
    path = put(tmp_path / "key", RAW, mode)
    with pytest.raises(UnsafePlace, match="others may change it"):
        find_key({"HURACAN_VAULT_KEY_FILE": str(path)})


def test_key_file_as_container_platforms_deliver_it(tmp_path):
    """Kubernetes mounts a secret as a link to a world-readable file."""
    put(tmp_path / "..data", RAW, 0o444)
    (tmp_path / "key").symlink_to(tmp_path / "..data")
    assert find_key({"HURACAN_VAULT_KEY_FILE": str(tmp_path / "key")}).material() == RAW


@pytest.mark.parametrize("made", [lambda _: None, lambda path: path.mkdir(), lambda path: path.touch(0o400)])
def test_key_file_that_is_named_and_not_there(tmp_path, made):
    """It refuses: the next source is not tried."""
    made(tmp_path / "key")
    env = {"HURACAN_VAULT_KEY_FILE": str(tmp_path / "key"), "HURACAN_VAULT_KEY": RAW.hex()}
    with pytest.raises((SecretMissing, UnsafePlace)):
        find_key(env)


def test_the_order_of_sources(tmp_path):
    def descriptor(data):
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        return reader

    phrase = "a passphrase of the "
    file = put(tmp_path / "file", RAW)
    put(tmp_path / "huracan-vault-key", (phrase + "credential").encode())
    script = tmp_path / "command"
    script.write_text(f"#!/bin/sh\necho '{phrase}command'\n")
    script.chmod(0o500)
    env = {
        "HURACAN_VAULT_KEY_FILE": str(file),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "HURACAN_VAULT_KEY": phrase + "environment",
    }
    command, ask = str(script), lambda: phrase + "terminal"
    seen = [find_key(env, KeySources(descriptor(b"unused"), command, ask)).material()]
    del env["HURACAN_VAULT_KEY_FILE"]
    seen.append(find_key(env, KeySources(descriptor((phrase + "fd").encode()), command, ask)).material())
    seen.append(find_key(env, KeySources(None, command, ask)).material())
    del env["CREDENTIALS_DIRECTORY"]
    seen.append(find_key(env, KeySources(None, command, ask)).material())
    seen.append(find_key(env, KeySources(None, None, ask)).material())
    seen.append(find_key(env).material())
    del env["HURACAN_VAULT_KEY"]
    assert not has_key(env)
    with raises("NO_VAULT_KEY"):
        find_key(env)
    words = ["fd", "credential", "command", "terminal", "environment"]
    assert seen == [RAW] + [(phrase + word).encode() for word in words]


def test_no_terminal_for_a_prompt():
    with raises("NO_VAULT_KEY", match="there is no terminal"):
        find_key({}, KeySources(ask=None))


def test_the_environment_comes_with_a_warning(caplog):
    assert find_key({"HURACAN_VAULT_KEY": RAW.hex()}).material() == RAW
    assert "readable by every process" in caplog.text
    assert RAW.hex() not in caplog.text


def test_32_letters_are_a_passphrase_not_a_key():
    assert find_key({"HURACAN_VAULT_KEY": "correct horse battery staple 123"}).is_passphrase


@pytest.mark.slow
@pytest.mark.parametrize("command", ["false", "no-such-program", "true", "", "yes"])
def test_command_that_gives_no_key(command):
    if not command:
        with raises("NO_VAULT_KEY"):
            find_key({}, KeySources(command=command))
        return
    with pytest.raises(SecretMissing) as caught:
        find_key({}, KeySources(command=f"timeout 0.2 {command}" if command == "yes" else command))
    assert "print the key" in caught.value.hint


def test_descriptor_that_is_not_open():
    with pytest.raises(SecretMissing, match="descriptor 999"):
        find_key({}, KeySources(fd=999))


def test_a_key_does_not_print_itself():
    key = parse_key(from_bytes(RAW), "a test")
    assert repr(key) == "VaultKey(from a test)"
