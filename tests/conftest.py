"""What all tests share."""

# The checkout is on the path but not installed, so the plugin's entry point is not known.
pytest_plugins = ["huracan_sync.emulator.pytest_plugin", "tests.canaries"]
