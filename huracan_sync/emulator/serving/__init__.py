"""The HTTP server, consent page, control endpoints, bandwidth limit, fault injection. Imports all of the emulator."""
