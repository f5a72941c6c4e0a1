"""All that knows OAuth and secrets."""
