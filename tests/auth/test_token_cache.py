"""Many threads and many processes with one login: one refresh serves them all. (Threat 28.)"""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from login_machine import Machine, status_with
from login_people import FULL
from sampled import slow

from huracan_sync.auth.token_cache import Clocks, Now
from huracan_sync.auth.tokens import AccessTokens, alone
from huracan_sync.remote.http import Wire
from huracan_sync.secret import Secret

FORK = multiprocessing.get_context("fork")
LIFETIME_S = 2


@pytest.fixture
def machine(emulator, home, tmp_path):
    machine = Machine(emulator, home)
    machine.delivered(tmp_path, emulator("token", scopes=list(FULL))["refresh_token"])
    return machine


def _expired(machine, expired, barrier, results):
    """One process with 16 threads that all hold the same expired token."""
    tokens = AccessTokens(machine.credentials(), Wire(machine.endpoint))
    start = threading.Barrier(16)

    def work(_):
        start.wait()
        return tokens.renew(Secret(expired)).reveal()

    barrier.wait()
    with ThreadPoolExecutor(16) as threads:
        results.put(sorted(set(threads.map(work, range(16)))))


@pytest.mark.parametrize("count", [3, slow(8)])
def test_threat_28_16_threads_of_each_process_with_an_expired_token_refresh_once(machine, emulator, count):
    expired = AccessTokens(machine.credentials(), Wire(machine.endpoint)).token().reveal()
    emulator("log/reset")
    barrier, results = FORK.Barrier(count), FORK.Queue()
    processes = [FORK.Process(target=_expired, args=(machine, expired, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    tokens = {tuple(results.get(timeout=120)) for _ in processes}
    for process in processes:
        process.join(120)
    assert len(tokens) == 1  # all got the same
    assert len(tokens.pop()) == 1
    assert emulator.refreshes() == 1


# ---- tokens of two seconds, on a clock in a hurry -------------------------------------------------------------------


class Hurried(Clocks):
    """One clock for all processes, which the test moves on: no token's two seconds are waited for."""

    def __init__(self, passed):
        self._passed = passed

    def now(self):
        return Now("boot-1", 1000.0 + self._passed.value, 1_700_000_000.0 + self._passed.value)


def _work(machine, passed, calls, stop, results):
    """Calls without end; how many failed for good."""
    wire = Wire(machine.endpoint)
    tokens, failed = AccessTokens(machine.credentials(), wire, clocks=Hurried(passed)), 0
    while not stop.is_set():
        token = tokens.token()
        status = status_with(machine, token, wire=wire)
        if status == 401:
            status = status_with(machine, tokens.renew(token), wire=wire)
        failed += status != 200
        calls.value += 1
        time.sleep(0.001)
    results.put(failed)


def expire_again_and_again(machine, emulator, count, times):
    """`count` processes that work while their token ends `times` times; refreshes, ended tokens, failed calls.

    A token ends when the test moves the clock, and again only when every process has made calls since. Time that the
    machine needs for all this passes for the service too, so it counts as well.
    """
    emulator("config", token_lifetime_s=LIFETIME_S)
    passed, stop, results = FORK.Value("d", 0.0), FORK.Event(), FORK.Queue()
    calls = [FORK.Value("l", 0) for _ in range(count)]
    credentials = machine.credentials()
    credential = credentials.load()
    emulator("log/reset")
    begun = time.monotonic()
    processes = [FORK.Process(target=_work, args=(machine, passed, each, stop, results)) for each in calls]
    for process in processes:
        process.start()
    for expiry in range(times + 1):
        if expiry:
            with alone(credentials, credential, timeout=30):  # nobody receives a token between the two clocks
                emulator("clock", advance_s=LIFETIME_S)
                passed.value += LIFETIME_S
        seen = [each.value for each in calls]
        while any(each.value < before + 2 for each, before in zip(calls, seen, strict=True)):
            assert all(process.is_alive() for process in processes)
            time.sleep(0.001)
    stop.set()
    failed = sum(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(120)
    ended = times + (time.monotonic() - begun) / LIFETIME_S
    return emulator.refreshes(), ended, failed


@pytest.mark.parametrize(("count", "times"), [(3, 6), slow((8, 20)), pytest.param(8, 1000, marks=pytest.mark.long)])
def test_threat_28_processes_with_2_second_tokens_refresh_no_oftener_than_one_ends(machine, emulator, count, times):
    refreshes, ended, failed = expire_again_and_again(machine, emulator, count, times)
    assert failed == 0
    assert times <= refreshes - 1 <= ended  # the first token of all replaced none
