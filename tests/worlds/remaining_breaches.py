"""Breaches of the laws that are known. This list only shrinks: mend one, strike it off; never add to it."""

REMAINING = {}
