"""Pure: paths, entries, content hash, plan, layout, symbols. May import `errors` only."""
