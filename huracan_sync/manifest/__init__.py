"""All that knows signatures."""
