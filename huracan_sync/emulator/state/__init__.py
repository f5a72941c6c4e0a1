"""What the emulator remembers: accounts, trees, revisions, cursors, sessions, faults, the clock. Imports `spec`."""
