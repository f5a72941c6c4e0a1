"""Who signs on this machine, and for whom: private keys and where they are kept, the trust files they have signed.

    here.py     the private key of this machine: delivered as a file, or in the keyring or vault
    chain.py    the trust files this machine's key began, kept here until they lie in Dropbox
    roots.py    keys init, rotate, revoke: making trust files and putting them in their place

Readers never come here (tests/reader/test_reader_house.py).
"""
