"""A signal ends a verb whatever Python is doing at that moment."""

import signal
import time

import pytest

from huracan_sync.cli.follow import _ended_by_signals
from huracan_sync.cli.runner import raised_again


class Finalized:
    """A signal comes while it is finalized, and what its handler raises there reaches nobody."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


class Stop(BaseException):
    """What a handler raises."""


def stop(*_):
    raise Stop


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def finalize_and_wait():
    Finalized()
    time.sleep(120)  # much longer than it takes


def test_what_a_finalizer_swallows_is_raised_again():
    signal.signal(signal.SIGTERM, stop)
    began = time.monotonic()
    with pytest.raises(Stop), raised_again(Stop):
        finalize_and_wait()
    assert time.monotonic() - began < 60  # of 120


def test_following_ends_also_then():
    began = time.monotonic()
    with _ended_by_signals():
        finalize_and_wait()
    assert time.monotonic() - began < 60  # of 120


def test_other_exceptions_go_where_they_went(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    class Broken:
        def __del__(self):
            raise ValueError

    with raised_again(Stop):
        Broken()
    assert told == [ValueError]
