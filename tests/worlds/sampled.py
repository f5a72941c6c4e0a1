"""Of a large table of cases the default suite takes a sample, the same in each run; `-m slow` takes the others."""

import zlib

import pytest


def slow(case):
    """A case that the default suite leaves out."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


def sampled(cases, every, name=str):
    """All cases; those whose name is not one in `every` are slow. No new case moves another's place."""
    return [case if zlib.crc32(name(case).encode()) % every == 0 else slow(case) for case in cases]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test with the emulator that has many cases, the default suite takes the first; the others become slow.

    A case there costs some fifty times what one in pure code does. Where each case is a promise of its own, the test
    is marked `every_case`.
    """
    taken = set()
    for item in items:
        if "dropbox_server" not in item.fixturenames or not hasattr(item, "callspec"):
            continue
        if any(item.get_closest_marker(name) for name in ("every_case", "slow", "long", "peers", "tools")):
            continue
        test = item.nodeid.partition("[")[0]
        if test in taken:
            item.add_marker(pytest.mark.slow)
        taken.add(test)
