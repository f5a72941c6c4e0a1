"""Reading what was signed: heads, bodies and files, verified before anything is handed out.

Laws: a byte is handed out only after it was compared with a hash that a trusted key has signed; what was seen is
durable before it is handed out; whatever goes wrong, what was last known good stays. Nothing in this room, and nothing
it imports, can write to Dropbox or reach a private key (tests/house/test_reader_closure.py).
"""

from huracan_sync.reader.reader import Reader
from huracan_sync.reader.snapshot import Snapshot
from huracan_sync.reader.source import Source

__all__ = ["Reader", "Snapshot", "Source"]
