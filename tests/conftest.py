"""What all tests share."""

import signal

pytest_plugins = ["huracan_sync.emulator.pytest_plugin", "canaries", "processes", "shared_fixtures"]

# A shell that starts the tests in the background makes them deaf to SIGINT, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
