"""The forms of Dropbox's identifiers. Each is opaque to clients, but has the alphabet and length of recorded ones."""

import os
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from zlib import crc32

# By these a client knows that a token is worth nothing at Dropbox, and that a token without them must not be sent here.
ACCESS_TOKEN_PREFIX = "sl.emulator."  # noqa: S105  no token
REFRESH_TOKEN_PREFIX = "emulator-"  # noqa: S105


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class FileIds:
    """`id:` and 22 characters: a part for the account, a part that grows. Never issued twice, also after a restart."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._last = 0

    def new(self) -> str:
        """Return the next file or folder id of this account."""
        self._last = max(self._last + 1, time.time_ns())
        return "id:" + _base64(self._prefix + self._last.to_bytes(8, "big"))


def account_prefix() -> bytes:
    """Eight bytes that all file ids of an account begin with."""
    return secrets.token_bytes(8)


def account_id() -> str:
    """`dbid:` and 35 characters."""
    return "dbid:AA" + _base64(secrets.token_bytes(27))[:33]


def app_number(app_key: str) -> int:
    """The number by which newer error texts name an app; the same for a key at all times."""
    return 1_000_000 + crc32(app_key.encode()) % 9_000_000


def number() -> str:
    """A decimal string, as uids and namespaces are."""
    return str(secrets.randbelow(0xE0000000) + 0x10000000)


def rev(micros: int, namespace: str) -> str:
    """13 hex digits of microseconds since 1970, then the namespace as 8: the form since about 2020."""
    return f"{micros:013x}{int(namespace):08x}"


def request_id() -> str:
    """32 hex digits, on every answer."""
    return os.urandom(16).hex()


def session_id() -> str:
    """An upload session, in the form since about 2021."""
    return "pid_upload_session:AA" + _base64(os.urandom(36))


def job_id() -> str:
    """An asynchronous job: 94 characters in all."""
    return "dbjid:AA" + _base64(os.urandom(66))[:86]


def short_id() -> str:
    """22 characters: a save_url job, a copy reference."""
    return _base64(os.urandom(17))[:22]


def link_token() -> str:
    """The secret part of a temporary link."""
    return _base64(os.urandom(48))


def search_cursor(payload: bytes) -> str:
    """Standard base64, short."""
    return b64encode(payload).decode()


def access_token(length: int) -> str:
    """An access token of the short-lived form, `length` characters long."""
    return (ACCESS_TOKEN_PREFIX + _base64(secrets.token_bytes(length)))[:length]


def refresh_token() -> str:
    """A refresh token: 64 characters."""
    return (REFRESH_TOKEN_PREFIX + _base64(secrets.token_bytes(48)))[:64]


def code() -> str:
    """An authorization code: 43 characters."""
    return (REFRESH_TOKEN_PREFIX + _base64(secrets.token_bytes(32)))[:43]


def fingerprint(secret: str) -> str:
    """Return the hash of a token: what is stored of it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
