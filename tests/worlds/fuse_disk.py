"""The process that serves a disk to the kernel through /dev/fuse: one that folds names, as those of macOS do.

It lies in memory and finds an entry under every spelling that is equal caseless and decomposed. Names are kept as they
were given (APFS), or decomposed (HFS+). `mounted_disk` mounts it.
"""

import contextlib
import errno
import os
import stat
import struct
import sys
import time
import unicodedata

ROOT = 1
IN, ENTRY, ATTR = struct.Struct("<IIQQIIIHH"), struct.Struct("<QQQQII"), struct.Struct("<QQQQQQIIIIIIIIII")
OPENED, INIT = struct.Struct("<QIi"), struct.Struct("<IIIIHHIIHHI7I")
SIZE, TIMES = {"mode": 1, "uid": 2, "gid": 4, "size": 8}, ((16, 128), (32, 256))
HELLO = 26
NOREPLACE, EXCHANGE = 1, 2


def key_of(name):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class Node:
    def __init__(self, number, mode, uid, gid):
        self.number, self.mode, self.uid, self.gid, self.links = number, mode, uid, gid, 1
        self.data, self.entries, self.marks = bytearray(), {}, {}
        self.times = [time.time_ns()] * 3  # read, modified, changed

    def attributes(self):
        size = len(self.data)
        seconds, rest = zip(*(divmod(ns, 1_000_000_000) for ns in self.times), strict=True)
        numbers = (self.mode, self.links, self.uid, self.gid, 0, 4096, 0)
        return ATTR.pack(self.number, size, -(-size // 512), *seconds, *rest, *numbers)


class Disk:
    """The answers to the kernel's questions, by their number."""

    def __init__(self, decomposes):
        self.decomposes, self.last = decomposes, ROOT
        self.nodes = {ROOT: Node(ROOT, stat.S_IFDIR | 0o755, os.getuid(), os.getgid())}
        self.listed, self.handle = {}, 0

    def answer(self, op, at, owner, body):
        """The bytes of the answer; None for a question that has none.

        Raises:
            OSError: the answer is this one.
        """
        do = getattr(self, f"on_{op}", None)
        if do is None:
            raise OSError(errno.ENOSYS, "")
        return do(self.nodes.get(at), owner, body)

    # --- names

    def found(self, folder, name):
        try:
            return folder.entries[key_of(name)][1]
        except KeyError:
            raise OSError(errno.ENOENT, "") from None

    def put(self, folder, name, node):
        kept = unicodedata.normalize("NFD", name) if self.decomposes else name
        folder.entries[key_of(name)] = (kept, node)
        folder.times[1:] = [time.time_ns()] * 2

    def entry(self, node):
        return ENTRY.pack(node.number, 0, 0, 0, 0, 0) + node.attributes()

    def new(self, folder, name, mode, owner):
        if key_of(name) in folder.entries:
            raise OSError(errno.EEXIST, "")
        self.last += 1
        node = self.nodes[self.last] = Node(self.last, mode, *owner)
        self.put(folder, name, node)
        return node

    def taken(self, folder, name, *, is_folder):
        node = self.found(folder, name)
        if is_folder and node.entries:
            raise OSError(errno.ENOTEMPTY, "")
        if stat.S_ISDIR(node.mode) != is_folder:
            raise OSError(errno.ENOTDIR if is_folder else errno.EISDIR, "")
        del folder.entries[key_of(name)]
        node.links -= 1
        folder.times[1:] = [time.time_ns()] * 2
        return b""

    def on_1(self, folder, _owner, body):  # LOOKUP
        return self.entry(self.found(folder, text(body)))

    def on_9(self, folder, owner, body):  # MKDIR
        mode, umask = struct.unpack_from("<II", body)
        return self.entry(self.new(folder, text(body[8:]), stat.S_IFDIR | mode & ~umask, owner))

    def on_8(self, folder, owner, body):  # MKNOD
        mode, _, umask, _ = struct.unpack_from("<IIII", body)
        kind = stat.S_IFMT(mode)
        return self.entry(self.new(folder, text(body[16:]), kind | stat.S_IMODE(mode) & ~umask, owner))

    def on_6(self, folder, owner, body):  # SYMLINK
        name, target = body.split(b"\0")[:2]
        node = self.new(folder, name.decode(), stat.S_IFLNK | 0o777, owner)
        node.data[:] = target
        return self.entry(node)

    def on_5(self, node, *_):  # READLINK
        return bytes(node.data)

    def on_10(self, folder, _owner, body):  # UNLINK
        return self.taken(folder, text(body), is_folder=False)

    def on_11(self, folder, _owner, body):  # RMDIR
        return self.taken(folder, text(body), is_folder=True)

    def on_12(self, folder, _owner, body):  # RENAME
        return self.renamed(folder, struct.unpack_from("<Q", body)[0], 0, body[8:])

    def on_45(self, folder, _owner, body):  # RENAME2
        target, flags = struct.unpack_from("<QI", body)
        return self.renamed(folder, target, flags, body[16:])

    def renamed(self, folder, target, flags, names):
        old, new = (name.decode() for name in names.split(b"\0")[:2])
        node, to = self.found(folder, old), self.nodes[target]
        there = to.entries.get(key_of(new), (None, None))[1]
        if flags & EXCHANGE:
            raise OSError(errno.EINVAL, "")
        if there is not None and there is not node:
            if flags & NOREPLACE:
                raise OSError(errno.EEXIST, "")
            self.taken(to, new, is_folder=stat.S_ISDIR(node.mode))
        del folder.entries[key_of(old)]
        self.put(to, new, node)
        return b""

    def on_13(self, folder, _owner, body):  # LINK
        node, name = self.nodes[struct.unpack_from("<Q", body)[0]], text(body[8:])
        if key_of(name) in folder.entries:
            raise OSError(errno.EEXIST, "")
        node.links += 1
        self.put(folder, name, node)
        return self.entry(node)

    # --- what a file is

    def on_3(self, node, *_):  # GETATTR
        return struct.pack("<QII", 0, 0, 0) + node.attributes()

    def on_4(self, node, _owner, body):  # SETATTR
        valid, _, _, size, _, read, modified, _, read_ns, modified_ns, _, mode, _, uid, gid, _ = struct.unpack_from(
            "<IIQQQQQQIIIIIIII", body
        )
        given = {"mode": stat.S_IFMT(node.mode) | stat.S_IMODE(mode), "uid": uid, "gid": gid}
        for name, bit in SIZE.items():
            if valid & bit and name != "size":
                setattr(node, name, given[name])
        if valid & SIZE["size"]:
            node.data[size:] = bytes(max(size - len(node.data), 0))
            node.times[1] = time.time_ns()
        for n, (seconds, ns) in enumerate(((read, read_ns), (modified, modified_ns))):
            if valid & TIMES[n][0]:
                node.times[n] = time.time_ns() if valid & TIMES[n][1] else seconds * 1_000_000_000 + ns
        node.times[2] = time.time_ns()
        return self.on_3(node)

    def on_14(self, node, _owner, body):  # OPEN
        flags = struct.unpack_from("<I", body)[0]
        if flags & os.O_TRUNC:
            node.data.clear()
        return OPENED.pack(0, 0, 0)

    def on_35(self, folder, owner, body):  # CREATE
        _, mode, umask, _ = struct.unpack_from("<IIII", body)
        node = self.new(folder, text(body[16:]), stat.S_IFREG | stat.S_IMODE(mode) & ~umask, owner)
        return self.entry(node) + OPENED.pack(0, 0, 0)

    def on_15(self, node, _owner, body):  # READ
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(node.data[offset : offset + size])

    def on_16(self, node, _owner, body):  # WRITE
        _, offset, size = struct.unpack_from("<QQI", body)
        if offset > len(node.data):
            node.data += bytes(offset - len(node.data))
        node.data[offset : offset + size] = body[40 : 40 + size]
        node.times[1:] = [time.time_ns()] * 2
        return struct.pack("<II", size, 0)

    def on_21(self, node, _owner, body):  # SETXATTR
        size = struct.unpack_from("<I", body)[0]
        name, _, value = body[8:].partition(b"\0")
        node.marks[name] = value[:size]
        return b""

    def on_22(self, node, _owner, body):  # GETXATTR
        value = node.marks.get(body[8:].rstrip(b"\0"))
        if value is None:
            raise OSError(errno.ENODATA, "")
        return sized(body, value)

    def on_23(self, node, _owner, body):  # LISTXATTR
        return sized(body, b"".join(name + b"\0" for name in node.marks))

    def on_24(self, node, _owner, body):  # REMOVEXATTR
        if node.marks.pop(body.rstrip(b"\0"), None) is None:
            raise OSError(errno.ENODATA, "")
        return b""

    def on_17(self, *_):  # STATFS
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096, 0)

    # --- folders

    def on_27(self, *_):  # OPENDIR
        self.handle += 1
        return OPENED.pack(self.handle, 0, 0)

    def on_28(self, folder, _owner, body):  # READDIR
        handle, offset, size = struct.unpack_from("<QQI", body)
        if not offset:  # from the beginning, maybe once more
            self.listed[handle] = list(folder.entries.values())
        out = b""
        for n, (name, node) in enumerate(self.listed[handle][offset:], offset + 1):
            spelled = name.encode()
            one = struct.pack("<QQII", node.number, n, len(spelled), stat.S_IFMT(node.mode) >> 12) + spelled
            one += bytes(-len(one) % 8)
            if len(out) + len(one) > size:
                break
            out += one
        return out

    def on_29(self, _folder, _owner, body):  # RELEASEDIR
        self.listed.pop(struct.unpack_from("<Q", body)[0], None)
        return b""

    def nothing(self, *_):
        return b""

    def silence(self, *_):
        return None

    on_18 = on_20 = on_25 = on_30 = on_38 = nothing
    on_2 = on_36 = on_42 = silence


def text(name):
    return name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def sized(body, value):
    size = struct.unpack_from("<I", body)[0]
    if not size:
        return struct.pack("<II", len(value), 0)
    if len(value) > size:
        raise OSError(errno.ERANGE, "")
    return value


def hello(body):
    _, _, ahead, _ = struct.unpack_from("<IIII", body)
    return INIT.pack(7, 31, ahead, 0, 12, 10, 128 * 1024, 1, 0, 0, *([0] * 8))


def serve(device, decomposes):
    disk = Disk(decomposes)
    while True:
        try:
            question = os.read(device, 1 << 18)
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            return  # unmounted
        _, op, unique, at, uid, gid, _, _, _ = IN.unpack_from(question)
        body, code = question[IN.size :], 0
        try:
            answer = hello(body) if op == HELLO else disk.answer(op, at, (uid, gid), body)
        except OSError as error:
            answer, code = b"", -error.errno
        if answer is not None:
            with contextlib.suppress(OSError):  # the question was taken back
                os.write(device, struct.pack("<IiQ", 16 + len(answer), code, unique) + answer)


if __name__ == "__main__":
    serve(int(sys.argv[1]), decomposes=sys.argv[2] == "decomposes")
