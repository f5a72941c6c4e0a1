"""OAuth and secrets: logging in, access tokens, and where refresh tokens are kept.

May import `remote`, `disk`.

`connect` leads from a profile's name to its Dropbox. Nothing is opened before it is needed: making credentials, stores
and token sources touches neither disk, keyring nor network, and `cryptography` and `keyring` are imported by the first
call that uses them.
"""
