"""Everything that touches the local disk: scan, stable read, the one atomic write, private folders, locks.

May import `tree`.

Laws: no symbolic link is followed below a root, neither in reading nor in writing. A file is written beside its place,
synced, renamed, and its folder synced: a crash leaves the old file or the new one. Reading hands out bytes that all
belong to one state of the file, or raises `FileChanged`.
"""
