"""A second reader, written from FORMAT.md alone. It imports nothing of huracan_sync.

It judges one head, trust file or body and answers `None` (accepted) or the code of the refusal. It holds no state, so
steps 1, 7, 8, 11 and 12 are not here. The numbers in comments are FORMAT.md's sections.
"""

import base64
import hashlib
import itertools
import re
import unicodedata

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX = 2**63 - 1
YEAR_10000 = 253_402_300_800_000
BLOCK = 4 * 1024 * 1024
LEAF = 64 * 1024
LABEL = re.compile(r"[ -~]{0,64}\Z")
PART = r"[a-z0-9_](?:[a-z0-9._-]{0,62}[a-z0-9_])?"
CHANNEL = re.compile(rf"{PART}(?:/{PART}){{0,3}}\Z")
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\\\\\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u061c\u180e\ufeff\ud800-\udfff]"
)


YOUNG = [  # 4
    tuple(int(end, 16) for end in (each.split("-") * 2)[:2])
    for each in re.split(
        " ",
        "23A 23E 241-24E 370-372 376 37F 3CF 3FD-3FF 4C0 4FA-4FE 510-52E 10C7 10CD 13A0-13F5 1C90-1CBA 1CBD-1CBF 1E9E "
        "1EFA-1EFE 2132 2183 2C2F 2C60-2C64 2C67-2C72 2C75 2C7E-2C7F 2CEB-2CED 2CF2",
    )
]


class No(Exception):
    """A refusal; its code is the argument."""


def need(condition, code):
    if not condition:
        raise No(code)


def sha256(data):
    return hashlib.sha256(data).digest()


def string(data):
    return len(data).to_bytes(4, "big") + data


def key_id(public):  # 1
    return sha256(b"huracan-key/ed25519\0" + public)[:16]


def fingerprint(public):  # 1
    digest = sha256(string(b"ssh-ed25519") + string(public))
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def signed(public, namespace, payload, signature):  # 1
    message = b"SSHSIG" + string(namespace) + string(b"") + string(b"sha512")
    message += string(hashlib.sha512(payload).digest())
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def envelope(data, magic, most, code):  # 1
    need(len(data) <= 11 + most + 8 * 80 + 4 + 65_536 and data[:8] == magic and len(data) >= 11, code)
    length, count = int.from_bytes(data[8:10], "big"), data[10]
    end = 11 + length + 80 * count
    need(length <= most and 1 <= count <= 8 and len(data) >= end, code)
    behind = data[end:]
    if behind:
        need(magic == b"HZHEAD1\n" and len(behind) > 4 and len(behind) - 4 <= 65_536, code)
        need(int.from_bytes(behind[:4], "big") == len(behind) - 4, code)
    pairs = [data[at : at + 80] for at in range(11 + length, end, 80)]
    ids = [pair[:16] for pair in pairs]
    need(rising(ids), code)
    return data[11 : 11 + length], {pair[:16]: pair[16:] for pair in pairs}, behind[4:]


def rising(values):
    return all(left < right for left, right in itertools.pairwise(values))


def unpacked(raw, code):
    try:
        return msgspec.msgpack.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError):
        raise No(code) from None


def one_spelling(raw, value):  # 0
    need(msgspec.msgpack.encode(value) == raw, "NOT_CANONICAL")


def fields(value, kinds, code):
    """An array whose elements are of these kinds. One element more is another spelling, not another type."""
    need(isinstance(value, list) and len(value) >= len(kinds), code)
    for each, kind in zip(value, kinds, strict=False):
        need(kind(each), code)
    need(len(value) == len(kinds), "NOT_CANONICAL")
    return value


def number(low, high):
    return lambda v: type(v) is int and low <= v <= high


def octets(size):
    return lambda v: type(v) is bytes and len(v) == size


def text(most):
    return lambda v: type(v) is str and len(v) <= most


def label(v):
    return type(v) is str and LABEL.match(v) is not None


def items(low, high):
    return lambda v: isinstance(v, list) and low <= len(v) <= high


TIME = number(0, YEAR_10000 - 1)


# --- the trust file, 6

KEY = [octets(16), octets(32), label, TIME, TIME]
POLICY = [text(128), number(1, MAX), items(1, 8), number(1, 8), number(1, 31 * 86_400), number(0, 10 * 366 * 86_400)]
POLICY += [items(0, 64), text(1024), number(0, 20_000_000)]
REVOKED = [octets(16), TIME, label]
TRUST = [
    lambda v: v == 2,
    octets(16),
    number(1, 2**31 - 1),
    octets(32),
    TIME,
    TIME,
    items(1, 8),
    number(1, 8),
    items(0, 64),
    items(0, 64),
]
TRUST += [items(0, 256)]


class Trust:
    def __init__(self, payload):
        code = "TRUST_FORMAT"
        value = fields(unpacked(payload, code), TRUST, code)
        _, self.root_id, self.version, self.prev, self.created, self.expires, *value_left = value
        self.roots, self.threshold, keys, channels, revoked = value_left
        self.digest = sha256(payload)
        for root in self.roots:
            need(octets(32)(root), code)
        self.keys = {row[0]: row for row in (fields(row, KEY, code) for row in keys)}
        self.channels = {row[0]: row for row in (fields(row, POLICY, code) for row in channels)}
        self.revoked = {row[0] for row in (fields(row, REVOKED, code) for row in revoked)}
        for rows in (self.roots, *([row[0] for row in rows] for rows in (keys, channels, revoked))):
            need(rising(rows), code)
        one_spelling(payload, value)
        need((self.version == 1) == (self.prev == bytes(32)), code)
        need(self.threshold <= len(self.roots) and 0 < self.expires - self.created <= 366 * 86_400_000, code)
        for key in keys:
            need(key[0] == key_id(key[1]) and key[3] < key[4], code)
        for name, _, ids, threshold, _, _, kinds, prefix, _ in channels:
            need(name == "*" or (CHANNEL.match(name) and len(name) <= 128), code)
            need(all(map(octets(16), ids)) and all(map(number(0, 255), kinds)), code)
            need(rising(ids) and rising(kinds) and threshold <= len(ids), code)
            need(all(each in self.keys and each not in self.revoked for each in ids), code)
            need(not prefix or not objection(prefix), code)

    def policy(self, channel):
        return self.channels.get(channel) or self.channels.get("*")

    def check_threshold(self, payload, signatures):
        good = 0
        for root in self.roots:
            if key_id(root) in signatures:
                need(signed(root, b"huracan-sync/trust/v2", payload, signatures[key_id(root)]), "TRUST_SIGNATURES")
                good += 1
        need(good >= self.threshold, "TRUST_SIGNATURES")


def trust_file(data):
    payload, signatures, _ = envelope(data, b"HZTRST1\n", 60_000, "TRUST_FORMAT")
    made = Trust(payload)
    made.check_threshold(payload, signatures)
    return made


def judge_trust(data, pin=None, after=None):
    payload, signatures, _ = envelope(data, b"HZTRST1\n", 60_000, "TRUST_FORMAT")
    if after is not None:
        old = trust_file(after)
        old.check_threshold(payload, signatures)
    new = Trust(payload)
    new.check_threshold(payload, signatures)
    if after is None:
        roots = {fingerprint(root): key_id(root) for root in new.roots}
        scheme, root, pins = pin.split(":", 2)
        need(all(roots.get(each) in signatures for each in pins.split(",")), "TRUST_PIN")
        root_id = base64.b32decode(root.upper() + "=" * 6)
        need(scheme == "hz2" and new.root_id == root_id, "WRONG_ROOT")
        return
    need(new.root_id == old.root_id, "WRONG_ROOT")
    fresh = new.revoked - old.revoked
    need(new.version == old.version + 1 and new.prev == old.digest, "TRUST_CHAIN")
    need(new.created >= old.created and old.revoked <= new.revoked, "TRUST_CHAIN")
    for name in {*old.channels, *new.channels}:
        was, now = old.policy(name), new.policy(name)
        if was and now:
            need(now[1] >= was[1] + bool(fresh.intersection(was[2])), "TRUST_CHAIN")


# --- the head, 2 and 7

HEAD = [lambda v: v == 2 and type(v) is int, octets(16), text(128), number(1, MAX), number(1, MAX), TIME, TIME]
HEAD += [number(1, MAX), octets(32), octets(32), octets(32), number(0, MAX), number(0, MAX), number(0, MAX), label]


def judge_head(data, trust, channel, now):
    held = trust_file(trust)
    need(CHANNEL.match(channel) and len(channel) <= 128, "CHANNEL_NAME")
    policy = held.policy(channel)
    need(policy, "CHANNEL_UNKNOWN")
    _, epoch, ids, threshold, max_age_s, _, _, _, max_entries = policy
    payload, signatures, carried = envelope(data, b"HZHEAD1\n", 2_048, "HEAD_FORMAT")
    counted, foreign, revoked = [], False, False
    for each, signature in signatures.items():  # step 4
        key = held.keys.get(each)
        need(key is None or signed(key[1], b"huracan-sync/head/v2", payload, signature), "BAD_SIGNATURE")
        if each in held.revoked:
            revoked = True
        elif key and each in ids:
            counted.append(key)
        elif key:
            foreign = True
    need(len(counted) >= threshold, "KEY_REVOKED" if revoked else "KEY_CHANNEL" if foreign else "THRESHOLD")
    value = fields(unpacked(payload, "HEAD_FORMAT"), HEAD, "HEAD_FORMAT")  # step 5
    one_spelling(payload, value)
    _, root_id, said, said_epoch, _, created, expires, version, _, _, _, body_len, raw_len, count, _ = value
    need(root_id == held.root_id, "WRONG_ROOT")
    need(said == channel, "WRONG_CHANNEL")  # step 6
    need(version <= held.version, "TRUST_TOO_OLD")
    need(said_epoch == epoch, "EPOCH")
    need(created <= now + 120_000, "FUTURE")
    need(0 < expires - created <= max_age_s * 1000, "LIFETIME")
    inside = [key for key in counted if key[3] <= created and max(created, now) < key[4]]
    need(len(inside) >= threshold, "KEY_WINDOW")
    need(body_len <= 64 << 20 and raw_len <= 256 << 20 and count <= max_entries, "LIMIT")
    return value, carried


def judge_list(data, trust, channel, now, parts, copy=None):  # 2
    """A head, and the list that it names: behind it, among the files of bodies, or behind its copy in the log."""
    value, carried = judge_head(data, trust, channel, now)
    sha, body_len, raw_len, count = value[10:14]
    if carried:
        parts = {**parts, sha: carried}
    elif sha not in parts and copy is not None:
        parts = {**parts, sha: envelope(copy, b"HZHEAD1\n", 2_048, "BODY_MISSING")[2]}
    need(parts.get(sha), "BODY_MISSING")
    *_, kinds, _, most = trust_file(trust).policy(channel)
    judge_body(parts, sha, body_len, raw_len, count, channel=channel, kinds=kinds, max_entries=most)


# --- the way back, 7


def skipped(seq):  # 2
    """Where `skip` leads: `seq` less the smallest weight (1, 3, 7, 15 ...) of its skew-binary digits."""
    rest, last = seq, 0
    for weight in reversed([2**n - 1 for n in range(1, 64)]):
        while weight <= rest:
            rest, last = rest - weight, weight
    return seq - last


def judge_link(data, mark, log):
    epoch, seen, digest = mark
    payload, *_ = envelope(data, b"HZHEAD1\n", 2_048, "GAP")
    while True:
        _, root_id, channel, said_epoch, seq, _, _, _, prev, skip, *_ = unpacked(payload, "GAP")
        if said_epoch != epoch or seq <= seen:
            return
        at, wanted = skipped(seq), skip
        if at < seen or skip == bytes(32):
            at, wanted = seq - 1, prev
        if at == seen:
            need(wanted == digest, "GAP")
            return
        need(at in log, "GAP")
        payload, *_ = envelope(log[at], b"HZHEAD1\n", 2_048, "GAP")
        need(sha256(payload) == wanted, "GAP")
        below = unpacked(payload, "GAP")
        need(below[1:5] == [root_id, channel, epoch, at], "GAP")


# --- the body, 3 to 5

SHARD = [text(1024), octets(32), number(0, MAX), number(0, MAX), number(0, MAX)]
ENTRY = [text(1024), number(0, 2**41 - 2**22), octets(32), text(64), TIME, number(0, 255)]
ENTRY += [lambda v: type(v) is bytes, lambda v: type(v) is bytes and len(v) <= 32]


def objection(path):  # 4
    if HIDDEN.search(path) or unicodedata.normalize("NFC", path) != path:
        return True
    names = path.split("/")
    for name in names:
        bad = name in {"", ".", "..", "~"} or name[-1] in " ." or name[0] == " " or re.match(r"[A-Za-z]:", name)
        if bad or len(name.encode()) > 255:
            return True
    return len(names) > 32 or len(path.encode()) > 1024


def fold(path):  # 4
    return "".join(map(small, unicodedata.normalize("NFC", path)))


def small(letter):  # 4
    point, lower = ord(letter), letter.lower()
    if point == 0x130:
        return "i"
    young = point >= 0x2D00 and not 0xFF21 <= point <= 0xFF3A and not 0x10400 <= point <= 0x10427
    return letter if young or len(lower) != 1 or any(low <= point <= high for low, high in YOUNG) else lower


def frame(parts, sha, length, raw_len):  # 3
    data = parts[sha]
    need(len(data) == length and sha256(data) == sha, "BODY_HASH")
    need(data[:12] == b"HZMANI1\n\x28\xb5\x2f\xfd", "BODY_FORMAT")
    try:
        told = zstandard.get_frame_parameters(data[8:])
        need(told.content_size == raw_len and told.window_size <= 8 << 20 and not told.dict_id, "BODY_FORMAT")
        return zstandard.ZstdDecompressor().decompress(data[8:], allow_extra_data=False)
    except zstandard.ZstdError:
        raise No("BODY_FORMAT") from None


def listing(raw, version, channel):
    value = unpacked(raw, "BODY_FORMAT")
    is_version = number(version, version)
    value = fields(value, [is_version, text(128), items(version - 1, 20_000_000)], "BODY_FORMAT")
    rows = [fields(row, ENTRY if version == 1 else SHARD, "BODY_FORMAT") for row in value[2]]
    one_spelling(raw, value)
    need(value[1] == channel, "WRONG_CHANNEL")
    return rows


def judge_body(parts, sha, length, raw_len, count, *, channel, kinds, max_entries):
    raw = frame(parts, sha, length, raw_len)
    if raw[:2] != b"\x93\x02":
        rows = listing(raw, 1, channel)
        check_stretch(rows, "", kinds)
    else:
        rows = []
        shards = listing(raw, 2, channel)
        need(len(shards) <= 4_096, "BODY_FORMAT")
        need(rising([shard[0] for shard in shards]), "ORDER")
        need(sum(shard[4] for shard in shards) == count, "ENTRY_COUNT")
        for first, shard_sha, shard_len, shard_raw, shard_count in shards:
            part_range = listing(frame(parts, shard_sha, shard_len, shard_raw), 1, channel)
            need(part_range and len(part_range) == shard_count and part_range[0][0] == first, "ENTRY_COUNT")
            check_stretch(part_range, rows[-1][0] if rows else None, kinds)
            rows += part_range
    need(len(rows) <= max_entries, "LIMIT")
    files, folders = set(), {".huracan"}
    for row in rows:
        folded = fold(row[0])
        need(folded not in files, "COLLISION")
        files.add(folded)
        while "/" in folded:
            folded = folded.rpartition("/")[0]
            folders.add(folded)
    need(files.isdisjoint(folders), "COLLISION")
    need(len(rows) == count, "ENTRY_COUNT")


def check_stretch(rows, after, kinds):
    paths = [row[0] for row in rows]
    need(rising([after, *paths] if after else paths), "ORDER")
    for path in paths:
        need(not objection(path), "PATH")
    for path in paths:
        need(not fold(path).startswith(".huracan/"), "PATH_PREFIX")
    for row in rows:
        need(row[5] in kinds, "KIND")
    for row in rows:
        need(re.fullmatch(r"[A-Za-z0-9_-]*", row[3]), "NOT_CANONICAL")
    for row in rows:
        need(not row[7] or (len(row[7]) == 32 and row[1] > 65_536), "BODY_FORMAT")
    for _, size, content_hash, _, _, _, blocks, _ in rows:
        if size > BLOCK or blocks:
            expected = -(-size // BLOCK) * 32 if size > BLOCK else 0
            need(len(blocks) == expected and sha256(blocks) == content_hash, "BLOCKS")


def judge_leaves(piece, first, last, *, table, leaves, size):  # 3
    """Are these the leaves from `first` up to, not including, `last`, of a file of `size` bytes?"""
    need(len(table) == -(-size // LEAF) * 32 and sha256(table) == leaves, "BODY_HASH")
    need(len(piece) == min(last * LEAF, size) - first * LEAF, "CONTENT")
    proofs = [sha256(piece[at : at + LEAF]) for at in range(0, len(piece), LEAF)]
    need(b"".join(proofs) == table[first * 32 : last * 32], "CONTENT")


def answer(judge, *arguments, **named):
    """None, or the code of the refusal."""
    try:
        judge(*arguments, **named)
    except No as no:
        return no.args[0]
    return None
