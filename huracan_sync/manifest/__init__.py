"""The signed formats and their rules, pure: head, body, trust file, file kinds, checks. May import `tree`, `secret`.

Bytes, times and chance are handed in; values or refusals come out. What is fetched, remembered or written, and
in which order, is decided elsewhere (`reader`, `signing`).
"""
