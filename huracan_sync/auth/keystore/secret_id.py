"""What a secret is called, and whom it belongs to.

A secret is found by namespace, owner and name, and is bound to an app and an account. The binding is written beside
the secret, inside whatever seals it, and compared when it is read: a secret that was moved, copied or renamed into
another login's place is refused, not used.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from huracan_sync.auth.keystore.secret_io import decode_secret, encode_secret
from huracan_sync.errors import VaultRefused
from huracan_sync.secret import Secret


class SecretName(msgspec.Struct, frozen=True):
    """Which secret. The first three find it; the last two must be as they were when it was put."""

    namespace: str
    """`Endpoint.namespace`: a secret made for Dropbox is never found under an emulator, nor the reverse."""
    owner: str
    """A profile (`engine`), or what else has secrets (`keys`)."""
    name: str
    """Which of the owner's secrets: `refresh-token`, a key's id."""
    app_key: str = ""
    account_id: str = ""

    @property
    def place(self) -> str:
        """Where it lies in a keyring or vault: one spelling for each."""
        return "/".join(quote(part, safe="") for part in (self.namespace, self.owner, self.name))


class _Envelope(SecretName, frozen=True, kw_only=True):
    secret: Secret


def wrap(name: SecretName, secret: Secret) -> Secret:
    """The text a keyring or vault keeps."""
    envelope = _Envelope(*msgspec.structs.astuple(name), secret=secret)
    return Secret(msgspec.json.encode(envelope, enc_hook=encode_secret).decode())


def unwrap(name: SecretName, text: Secret) -> Secret:
    """The secret that was put under `name`.

    Raises:
        VaultRefused: `BOUND_ELSEWHERE`, it was put under another name, or for another app or account.
        VaultRefused: `VAULT_DAMAGED`, it is nothing that `wrap` made.
    """
    try:
        envelope = msgspec.json.decode(text.reveal(), type=_Envelope, dec_hook=decode_secret)
    except msgspec.DecodeError:  # its message may quote the text
        message = f"what lies under {name.place} was not put there by huracan-sync"
        raise VaultRefused(message, code="VAULT_DAMAGED", hint="", place=name.place) from None
    for field in name.__struct_fields__:
        if getattr(envelope, field) != getattr(name, field):
            belongs, asks = getattr(envelope, field), getattr(name, field)
            message = f"the secret {name.place} belongs to {field} {belongs!r}, but {asks!r} asks for it"
            raise VaultRefused(message, code="BOUND_ELSEWHERE", field=field)
    return envelope.secret
