"""OAuth: login, tokens, scopes; keyring, vault, secret files; from a profile's name to its Dropbox.

May import `remote`, `disk`.

`connect` makes the client of a profile. Nothing is opened before it is needed: making credentials, stores
and token sources touches neither disk, keyring nor network, and `cryptography` and `keyring` are imported by the first
call that uses them.
"""
