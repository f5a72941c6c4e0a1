"""What all tests share."""

import gc
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["huracan_sync.emulator.pytest_plugin", "canaries", "processes", "sampled", "shared_fixtures"]

# A shell that starts the tests in the background makes them deaf to SIGINT, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes its time: to draw an example, and to try it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Nothing that collecting makes is garbage.
gc.disable()


def pytest_collection_finish():
    """What was collected stays to the end: looking through it again and again for garbage took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()
