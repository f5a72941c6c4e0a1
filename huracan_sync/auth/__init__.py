"""All that knows OAuth and secrets.

    profiles.py     who may do what, and how what was granted is judged       pure
    pkce.py         the question to a person, and which answers count         pure
    scan.py         hard-coded secrets in a text                              pure
    seal.py         the vault's bytes                                         pure
    grants.py       the token route: what is sent, what its answers mean
    redirect.py     the loopback door for the browser's answer
    login.py        the conversation: log in, log out
    access.py       access tokens: one refresh at a time on a machine
    shared.py       what the processes of one login tell each other, sealed
    credentials.py  which refresh token, from where; the first hit wins
    store.py        the one door to stored secrets: os_keyring.py, else vault.py (vault_key.py opens it), else refuse
    logins.py       the record of a login, which pins its account
    names.py        what a secret is called and whom it belongs to
    folder.py       a folder that is ours alone; files placed whole
    delivered.py    secrets that the machine's operator delivers
    quiet.py        keeping secrets out of tracebacks
    doctor.py       facts into checks
    ciphers.py      HKDF and AES-GCM, as used here

Nothing here is opened before it is needed: making credentials, stores and token sources touches neither disk, keyring
nor network, and `cryptography` and `keyring` are imported by the first call that uses them.
"""
