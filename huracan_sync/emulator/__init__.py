"""A local Dropbox; imports nothing of the rest.

May import nothing else of huracan_sync, so that the two check each other.

Sub-packages, each of which imports only those before it:

    spec      what the API is: argument schemas, error shapes and texts, identifiers
    state     what the emulator remembers: accounts, files, revisions, cursors, sessions, faults, settings, the clock
    calls     from one HTTP request to one checked call
    routes    a handler for every route; `routes.table` lists them
    serving   the HTTP server, the pages, the control endpoints, fault injection

A request passes `serving.app` (which kind of endpoint), `serving.exchange` (one request and its answer), `calls.checks`
(who calls, with which argument), its handler in `routes`, and `state.ledger` (what survives a restart).
README.md beside this file says what is emulated, what is not, and which answers are choices because nobody knows.
"""
