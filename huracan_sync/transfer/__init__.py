"""Moves the bytes of a plan; the only room with threads for bytes."""
