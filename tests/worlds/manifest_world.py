"""Keys, trust files, heads and bodies to test with. All of it is the same in every run."""

import msgspec

from huracan_sync.manifest import body_writer, head, signed_files, trust
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.file_kinds import DATA, by_name
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import DAY_MS, Key, Pin, Policy, Revocation, Trust
from huracan_sync.tree.content_hash import block_hashes, content_hash

ROOT_ID = bytes(range(16))
NOW = 1_763_600_000_000  # 2025-11-20, UTC
HOUR = 3_600_000


def signer(number):
    return Signer(bytes([number]) * 32)


ROOT, BACKUP, ENGINE, PROMOTER, CANDLES, THIEF = (signer(number) for number in range(1, 7))


def change(struct, **changes):
    return msgspec.structs.replace(struct, **changes)


def key(who, label="", start=NOW - 30 * DAY_MS, end=NOW + 60 * DAY_MS):
    return Key(who.key_id, who.public, label, start, end)


def policy(name="champions", *who, threshold=1, epoch=1, **changes):
    keys = tuple(sorted(each.key_id for each in who or (ENGINE,)))
    made = Policy(
        name=name,
        epoch=epoch,
        key_ids=keys,
        threshold=threshold,
        max_age_s=7_200,
        stale_limit_s=86_400,
        kinds=tuple(map(int, DATA)),
        path_prefix="",
        max_entries=100_000,
    )
    return change(made, **changes)


def make_trust(
    version=1,
    roots=(ROOT,),
    threshold=1,
    keys=None,
    channels=None,
    revoked=(),
    created=NOW - 10 * DAY_MS,
    after=None,
    root_id=ROOT_ID,
):
    """A trust file; a later version follows `after`, by default the first there is."""
    keys = [key(ENGINE, "engine"), key(CANDLES, "candles")] if keys is None else keys
    channels = [policy(), policy("candles", CANDLES)] if channels is None else channels
    return Trust(
        v=2,
        root_id=root_id,
        version=version,
        prev=trust.FIRST if version == 1 else trust.link(after or make_trust()),
        created_ms=created,
        expires_ms=created + 180 * DAY_MS,
        roots=tuple(sorted(each.public for each in roots)),
        root_threshold=threshold,
        keys=tuple(sorted(keys, key=lambda each: each.id)),
        channels=tuple(sorted(channels, key=lambda each: each.name)),
        revoked=tuple(sorted((Revocation(who.key_id, NOW, "lost") for who in revoked), key=lambda each: each.id)),
    )


PIN = Pin(ROOT_ID, (ROOT.fingerprint,))


def pin_of(*who, root_id=ROOT_ID):
    return Pin(root_id, tuple(sorted(each.fingerprint for each in who)))


def following(old, **changes):
    """The next version of a trust file."""
    return change(old, **{"version": old.version + 1, "prev": trust.link(old), **changes})


FILES = {
    "models/champions/latest/BTCUSDT.bin": b"model of BTC" * 100,
    "models/champions/latest/ETHUSDT.bin": b"model of ETH" * 90,
    "hamilton/roster.json": b'{"date": "20251120", "symbols": []}',
    "hamilton/active/BTCUSDT.txt": b"btc-42\n",
    "data/candles/BTC/BTC-USDT:USDT_1m_20250101_20250601.parquet": b"PAR1candlesPAR1",
    "logs/gr\u00f6\u00dfe.json": b"{}",
}


def item(path, data, rev="015f0000000000000000abcd", **changes):
    blocks = block_hashes(data) if len(data) > 4 << 20 else b""
    made = Item(path, len(data), content_hash(data), rev, NOW - HOUR, int(by_name(path)), blocks)
    return change(made, **changes)


def items(files=None):
    return [item(path, data) for path, data in (FILES if files is None else files).items()]


def make_head(made_body=None, channel="champions", seq=1, **changes):
    made_body = body_writer.encode(channel, items()) if made_body is None else made_body
    made = head.Head(
        root_id=ROOT_ID,
        channel=channel,
        epoch=1,
        seq=seq,
        created_ms=NOW - 60_000,
        expires_ms=NOW - 60_000 + 2 * HOUR,
        trust_version=1,
        prev=head.FIRST,
        skip=head.NONE,
        body_sha256=made_body.sha256,
        body_len=len(made_body.data),
        raw_len=made_body.raw_len,
        entry_count=made_body.entry_count,
        publisher="engine",
    )
    return change(made, **changes)


def signed_trust(made=None, *who):
    return signed_files.sign_trust(make_trust() if made is None else made, who or (ROOT,))


def open_head(data, made=None, channel="champions", now=NOW):
    return head.open(data, trust=make_trust() if made is None else made, channel=channel, now_ms=now)


def fetcher(*bodies):
    parts = {part.sha256: part.data for made in bodies for part in made.parts()}
    return lambda sha256, length: parts[sha256]
