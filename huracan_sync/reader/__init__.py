"""Reads what was signed and verifies it before anything is handed out. May import `manifest`, `disk`, `tree`.

Laws: a byte is handed out only after it was compared with a hash that a trusted key has signed; the mark of what was
accepted is on disk before anything of it is handed out; whatever goes wrong, what was last known good stays. Nothing
here, and nothing it imports, can write to Dropbox or reach a private key (tests/house/test_reader_closure.py).
"""

from huracan_sync.reader.reader import Reader
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.reader.source import Source

__all__ = ["Reader", "Snapshot", "Source"]
