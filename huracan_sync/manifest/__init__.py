"""The signed formats and their rules: head, body, trust file, file kinds, signatures. May import `tree`, `secret`.

Pure: bytes, times and chance are handed in; values or refusals come out. What is fetched, remembered or written, and
in which order, is decided elsewhere (`reader`, `signing`).
"""
