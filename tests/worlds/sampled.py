"""Of a large table of cases the default suite takes a sample, the same in each run; `-m slow` takes the others."""

import zlib

import pytest


def slow(case):
    """A case that the default suite leaves out."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


def sampled(cases, every, name=str):
    """All cases; those whose name is not one in `every` are slow. No new case moves another's place."""
    return [case if zlib.crc32(name(case).encode()) % every == 0 else slow(case) for case in cases]
