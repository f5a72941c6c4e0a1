"""The HTTP server: application, consent page, control routes, simulated line, faults. Imports all of the emulator."""
