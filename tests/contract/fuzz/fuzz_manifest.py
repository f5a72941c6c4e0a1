"""Fuzz one of the parsers of signed data.

    bash scripts/fuzz.sh TARGET [RUNS]      (TARGET: head trust body armor)

Structure-aware: a document that is right, some of its nodes replaced by others of any type, some of its bytes changed,
in an envelope or frame that fits it, so that every check behind the first is reached. Signatures are taken as good
(Ed25519 is not what is fuzzed here). Anything but `Refused` that escapes, or memory that grows, is a find.
"""

import resource
import sys
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["huracan_sync.manifest"]):
    from huracan_sync.manifest import body, body_writer, head, signed_files, ssh_armor, sshsig, trust

import msgspec

from huracan_sync.errors import Refused
from huracan_sync.manifest import body, body_writer
from huracan_sync.manifest.body import MAGIC, Shard
from huracan_sync.manifest.body_writer import Body, Part
from huracan_sync.manifest.envelope import Form
from huracan_sync.manifest.signed_files import pack

sys.path.insert(0, str(Path(__file__).parents[2] / "worlds"))
import manifest_world as world

NASTY = [0, 1, -1, 127, 128, 255, 256, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.0, 1e308, None]
NASTY += [True, "", "*", "..", "a", "\u00e9", "e\u0301", "a/b", "A", b"", bytes(16), bytes(31), bytes(32), [], [[]], {}]
RIGHT = {
    "head": msgspec.msgpack.decode(head.encode(world.make_head())),
    "trust": msgspec.msgpack.decode(signed_files.trust_payload(world.make_trust(revoked=[world.THIEF]))),
    "body": [1, "champions", [list(msgspec.structs.astuple(item)) for item in world.items()]],
    "index": [2, "champions", []],
}


def value(provider: atheris.FuzzedDataProvider, depth: int = 0) -> object:
    """Any value of MessagePack."""
    choice = provider.ConsumeIntInRange(0, 7)
    if choice <= 3:
        return copy(provider.PickValueInList(NASTY))
    if choice == 4:
        return provider.ConsumeIntInRange(-(2**63), 2**63 - 1)
    if choice == 5:
        return provider.ConsumeUnicodeNoSurrogates(40)
    if choice == 6 or depth > 3:
        return provider.ConsumeBytes(40)
    return [value(provider, depth + 1) for _ in range(provider.ConsumeIntInRange(0, 3))]


def copy(node: object) -> object:
    """A list of lists that may be changed."""
    return [copy(inner) for inner in node] if isinstance(node, list | tuple) else node


def bend(provider: atheris.FuzzedDataProvider, document: object) -> object:
    """The document with up to four nodes replaced, doubled, left out or swapped."""
    bent = copy(document)
    for _ in range(provider.ConsumeIntInRange(0, 4)):
        place = bent
        while True:
            at = provider.ConsumeIntInRange(0, len(place) - 1) if place else 0
            if not place or not isinstance(place[at], list) or provider.ConsumeBool():
                break
            place = place[at]
        deed = provider.ConsumeIntInRange(0, 5)
        if deed == 0 or not place:
            place.insert(at, value(provider))
        elif deed == 1:
            del place[at]
        elif deed == 2:
            place.append(copy(place[at]))
        else:
            place[at] = value(provider)
    return bent


def spell(provider: atheris.FuzzedDataProvider, document: object) -> bytes:
    """Its bytes, sometimes with one changed, put in or cut off."""
    raw = bytearray(msgspec.msgpack.encode(document))
    deed = provider.ConsumeIntInRange(0, 7)
    at = provider.ConsumeIntInRange(0, len(raw) - 1)
    if deed == 0:
        raw[at] = provider.ConsumeIntInRange(0, 255)
    elif deed == 1:
        raw[at:at] = provider.ConsumeBytes(8)
    elif deed == 2:
        del raw[at:]
    return bytes(raw)


def envelope(provider: atheris.FuzzedDataProvider, form: Form, payload: bytes) -> bytes:
    """A file of the payload, signed by one to three known or unknown keys."""
    people = [world.ENGINE, world.ROOT, world.CANDLES, world.THIEF, world.BACKUP]
    who = {provider.PickValueInList(people).key_id for _ in range(provider.ConsumeIntInRange(1, 3))}
    who.add((world.ENGINE if form is head.FORM else world.ROOT).key_id)
    return pack(form, payload, {key_id: bytes(64) for key_id in who})


def fuzz_head(provider: atheris.FuzzedDataProvider) -> None:
    """`head.open`."""
    if provider.ConsumeBool():
        data = provider.ConsumeBytes(5_000)
        data = data if provider.ConsumeBool() else head.FORM.magic + data
    else:
        data = envelope(provider, head.FORM, spell(provider, bend(provider, RIGHT["head"])))
        data = head.carrying(data, provider.ConsumeBytes(20)) + provider.ConsumeBytes(provider.ConsumeIntInRange(0, 5))
    world.open_head(data)


def fuzz_trust(provider: atheris.FuzzedDataProvider) -> None:
    """`trust.open`, `trust.pin` and `trust.follow`."""
    if provider.ConsumeBool():
        data = trust.FORM.magic + provider.ConsumeBytes(5_000)
    else:
        data = envelope(provider, trust.FORM, spell(provider, bend(provider, RIGHT["trust"])))
    deed = provider.ConsumeIntInRange(0, 2)
    if deed == 0:
        trust.open(data)
    elif deed == 1:
        trust.pin(data, world.PIN)
    else:
        trust.follow(world.make_trust(), data)


def part(provider: atheris.FuzzedDataProvider, raw: bytes) -> Part:
    """A body of these bytes, sometimes in a frame that was damaged."""
    compressed = bytearray(body_writer.compress(raw))
    if provider.ConsumeIntInRange(0, 3) == 0:
        compressed[provider.ConsumeIntInRange(0, min(20, len(compressed) - 1))] = provider.ConsumeIntInRange(0, 255)
    data = MAGIC + bytes(compressed)
    return Part(sshsig.sha256(data), data, len(raw))


def fuzz_body(provider: atheris.FuzzedDataProvider) -> None:
    """`body.read`, of a list or of an index with its shards."""
    shards: list[Part] = []
    if provider.ConsumeBool():
        raw = spell(provider, bend(provider, RIGHT["body"]))
    else:
        half = len(RIGHT["body"][2]) // 2
        entries = sorted(RIGHT["body"][2])
        ranges = [entries[:half], entries[half:]]
        shards = [part(provider, spell(provider, bend(provider, [1, "champions", some]))) for some in ranges]
        named = [
            Shard(some[0][0], each.sha256, len(each.data), each.raw_len, len(some))
            for some, each in zip(ranges, shards, strict=True)
        ]
        raw = spell(provider, bend(provider, [2, "champions", [list(msgspec.structs.astuple(each)) for each in named]]))
    whole = part(provider, raw)
    made = Body(whole.raw_len, whole.sha256, whole.data, shards, len(RIGHT["body"][2]))
    parts = {each.sha256: each.data for each in made.parts()}
    body.read(world.make_head(made), world.policy(), lambda sha256, _: parts.get(sha256, b""))


def fuzz_armor(provider: atheris.FuzzedDataProvider) -> None:
    """`ssh_armor.dearmor`."""
    good = bytearray(ssh_armor.armor(ssh_armor.Signature(world.ENGINE.public, sshsig.HEAD, bytes(64))).encode())
    for _ in range(provider.ConsumeIntInRange(0, 4)):
        at = provider.ConsumeIntInRange(0, len(good))
        good[at : at + provider.ConsumeIntInRange(0, 3)] = provider.ConsumeBytes(3)
    ssh_armor.dearmor(good.decode("latin-1"))


TARGETS = {"head": fuzz_head, "trust": fuzz_trust, "body": fuzz_body, "armor": fuzz_armor}
MAX_GROWTH_KIB = 512 * 1024


def main() -> None:
    """The target's name, the number of runs; the rest is libFuzzer's. Ends with a tally of what was said."""
    target, runs = TARGETS[sys.argv.pop(1)], int(sys.argv.pop(1))
    sshsig.verify = lambda *_: True
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said: Counter[str] = Counter()

    def one(data: bytes) -> None:
        try:
            target(atheris.FuzzedDataProvider(data))
            said["accepted"] += 1
        except Refused as refused:
            said[refused.code] += 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown > MAX_GROWTH_KIB:
            raise MemoryError(f"memory grew by {grown // 1024} MiB")
        if said.total() == runs:
            tally = ", ".join(f"{code} {count}" for code, count in sorted(said.items()))
            print(f"{runs} runs, memory grew by {grown // 1024} MiB: {tally}", flush=True)

    atheris.Setup([*sys.argv, f"-runs={runs}"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
