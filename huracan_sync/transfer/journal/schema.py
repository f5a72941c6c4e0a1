"""The tables of the journal."""

from __future__ import annotations

SCHEMA_VERSION = 8
SCHEMA = """
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY, place TEXT NOT NULL, local TEXT NOT NULL, remote TEXT NOT NULL, cursor TEXT,
    changes INTEGER NOT NULL DEFAULT 0, UNIQUE (place, local, remote));
-- What local and remote held alike at the last sync, and the stamp of the local file then; `changed` is the pair's
-- count of changes when the content became this; `origin` says where the content comes from (`Origin`).
CREATE TABLE synced (
    pair INTEGER NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, hash BLOB NOT NULL,
    rev TEXT NOT NULL, mtime_ms INTEGER NOT NULL, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
    changed INTEGER NOT NULL DEFAULT 0, origin INTEGER NOT NULL DEFAULT 2, PRIMARY KEY (pair, key)) WITHOUT ROWID;
-- Contents that came from Dropbox when nobody had signed them: wherever they turn up again, nobody here made them.
CREATE TABLE strangers (hash BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
-- Of each root folder the keys that were revoked when what had been taken over as signed was doubted last.
CREATE TABLE doubted (root TEXT NOT NULL PRIMARY KEY, keys BLOB NOT NULL) WITHOUT ROWID;
-- Where the remote side differs from that; a NULL hash: the file is gone there.
CREATE TABLE elsewhere (
    pair INTEGER NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, size INTEGER, hash BLOB, rev TEXT, mtime_ms INTEGER,
    PRIMARY KEY (pair, key)) WITHOUT ROWID;
-- Paths in Dropbox that no tree may hold: every run that would need them says so, not only the first to hear of them.
CREATE TABLE refused (
    pair INTEGER NOT NULL, path TEXT NOT NULL, PRIMARY KEY (pair, path)) WITHOUT ROWID;
-- Digests this machine was about to commit: content found under them is what it committed.
CREATE TABLE intents (
    pair INTEGER NOT NULL, key TEXT NOT NULL, hash BLOB NOT NULL, origin INTEGER NOT NULL,
    PRIMARY KEY (pair, key, hash)) WITHOUT ROWID;
-- Open transfers of large files and the parts of them that have arrived. No number is ever given twice.
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pair INTEGER NOT NULL, key TEXT NOT NULL, direction TEXT NOT NULL,
    token TEXT NOT NULL, session TEXT NOT NULL, part_size INTEGER NOT NULL, started REAL NOT NULL,
    UNIQUE (pair, key, direction));
CREATE TABLE parts (
    transfer INTEGER NOT NULL, number INTEGER NOT NULL, blocks BLOB NOT NULL,
    PRIMARY KEY (transfer, number)) WITHOUT ROWID;
-- Small files that were sent whole and wait for their commit.
CREATE TABLE sent (
    pair INTEGER NOT NULL, key TEXT NOT NULL, token TEXT NOT NULL, session TEXT NOT NULL, hash BLOB NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (pair, key)) WITHOUT ROWID;
-- What a signed list says of a file beyond that, where its name alone does not: its kind, its block digests, the
-- SHA-256 of its table of leaves, and that table while it does not lie in Dropbox.
CREATE TABLE proofs (
    pair INTEGER NOT NULL, key TEXT NOT NULL, hash BLOB NOT NULL, kind INTEGER NOT NULL, blocks BLOB NOT NULL,
    leaves BLOB NOT NULL, tabled BLOB NOT NULL, PRIMARY KEY (pair, key)) WITHOUT ROWID;
-- Heads that state what a pair holds: the one that was signed last, and one that was about to take its place.
CREATE TABLE signed (
    pair INTEGER NOT NULL, root TEXT NOT NULL, channel TEXT NOT NULL, last BLOB, next BLOB,
    PRIMARY KEY (pair, root, channel)) WITHOUT ROWID;
-- What neither side has any more and a signed list may still name.
CREATE TABLE gone (
    pair INTEGER NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, rev TEXT NOT NULL, changed INTEGER NOT NULL,
    PRIMARY KEY (pair, key)) WITHOUT ROWID;
-- How the last runs went, for `status`.
CREATE TABLE runs (
    place TEXT NOT NULL, channel TEXT NOT NULL, verb TEXT NOT NULL, finished REAL NOT NULL, succeeded REAL,
    report BLOB NOT NULL, PRIMARY KEY (place, channel, verb)) WITHOUT ROWID;
"""
