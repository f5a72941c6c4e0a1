"""Exact, resumable, signed sync between a trading engine and Dropbox."""

__version__ = "0.1.0"
