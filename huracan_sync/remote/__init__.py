"""Dropbox: the only wing that spells its routes or sends it a request; `auth` has the token route.

May import `tree`, `secret`.

A call waits for its slot, carries a token, is judged, and is made again when that is safe; callers never retry. What
comes out is a typed answer or a typed error.
"""
