"""All that knows Dropbox exists."""
