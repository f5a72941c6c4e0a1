"""A local Dropbox. It imports nothing of ours: it is a peer, not a relative.

The way a request goes: `app` (which door) -> `exchange` (one request and its answer) -> `gate` (who calls, with what
argument) -> a handler -> `tree`, `content` (an account's files, their bytes) -> `ledger` (what survives a restart).
README.md beside this file says what is emulated, what is not, and which answers are choices because nobody knows.
"""
