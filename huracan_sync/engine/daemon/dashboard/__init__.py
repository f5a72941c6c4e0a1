"""The page of a running sync: an HTTP server on loopback (page), its HTML (drawing), its counters (samples)."""
