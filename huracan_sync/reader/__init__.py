"""Verifies before anything is returned; can neither write nor reach a private key.

Laws: a byte is returned only after it was compared with a hash that a trusted key has signed; what was accepted is
recorded on disk before any of it is returned; whatever goes wrong, what was last known good stays.
May import `manifest`, `disk`, `tree`.
"""

from huracan_sync.reader.reader import Reader
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.reader.source import Source

__all__ = ["Reader", "Snapshot", "Source"]
