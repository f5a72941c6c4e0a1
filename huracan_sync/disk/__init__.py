"""The disk: find files, read one consistently, put one in place whole.

Laws: no symbolic link is followed below a root, neither in reading nor in writing. A file is put in place by writing
beside it, fsync, rename, fsync of the folder: a crash leaves the old file or the new one. Reading hands out bytes that
all belong to one state of the file, or raises `FileChanged`.
"""
