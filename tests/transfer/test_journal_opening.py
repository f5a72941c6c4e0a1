"""A journal that many open at once, when there is none yet."""

import threading

import pytest

from huracan_sync.transfer.journal import Journal


@pytest.mark.slow
def test_many_may_make_it_at_once(tmp_path):
    for round_ in range(15):
        home, failures, gate = tmp_path / str(round_), [], threading.Barrier(12)

        def open_it(home=home, failures=failures, gate=gate):
            gate.wait()
            try:
                Journal(home).close()
            except Exception as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
