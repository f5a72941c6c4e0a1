"""The only place that spells a Dropbox route or opens a connection to it.

May import `tree`, `secret`. The token route alone is spelled in `auth`.

A call waits for its slot, carries a token, is judged, and is made again when that is safe; callers never retry. What
comes out is a typed answer or a typed error.
"""
