"""Write tests/contract/vectors.

    python scripts/make_vectors.py [DIR]

Golden and poisoned files of the signed format, one to a line, made from the tables of tests/manifest with keys that
everybody may know. They alone are enough to test a second reader of the format; the README beside them says how.
Only ever add to those tables; a vector that was once written stays.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / folder) for folder in ("worlds", "manifest"))]

import manifest_world as world  # noqa: E402
import msgspec  # noqa: E402 - the tables are found first
import test_body as bodies  # noqa: E402
import test_head as heads  # noqa: E402
import test_links as links  # noqa: E402
import test_trust as trusts  # noqa: E402

from huracan_sync.manifest import body_writer, head, signed_files, ssh_armor  # noqa: E402

Vector = dict[str, object]


def text(data: bytes) -> str:
    """Bytes as the vectors hold them."""
    return base64.b64encode(data).decode()


def shown(value: object) -> object:
    """A struct as JSON: fields by name, bytes in base64."""
    return msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.asdict(value) if hasattr(value, "__struct_fields__") else value)
    )


def code(expected: str | tuple[str, ...]) -> str:
    """The code a reader must refuse with; where two reasons are equally first, both."""
    return expected if isinstance(expected, str) else "|".join(expected)


def head_vectors() -> Iterator[Vector]:
    """Heads, with the trust file to judge them by."""
    plain = signed_files.sign_trust(world.make_trust(), [world.ROOT])
    common = {"channel": "champions", "now_ms": world.NOW}
    good = {
        "one signature": (heads.GOOD, plain),
        "a signature that nobody knows besides": (
            signed_files.sign_head(heads.HEAD, [world.ENGINE, world.THIEF]),
            plain,
        ),
        "two of two": (
            signed_files.sign_head(heads.HEAD, [world.ENGINE, world.PROMOTER]),
            signed_files.sign_trust(heads.two_of_two(), [world.ROOT]),
        ),
    }
    for name, (data, rules) in good.items():
        fields = shown(heads.HEAD)
        yield {"name": name, "head": text(data), "trust": text(rules), **common, "expect": "accepted", "fields": fields}
    for name, (data, rules, expected) in heads.REFUSED.items():
        made = plain if rules is None else signed_files.sign_trust(rules, [world.ROOT])
        yield {"name": name, "head": text(data), "trust": text(made), **common, "expect": code(expected)}


def carried_vectors() -> Iterator[Vector]:
    """Heads with the trust file to judge them by, and where the body that they name lies."""
    rules, body, other = (
        signed_files.sign_trust(world.make_trust(), [world.ROOT]),
        bodies.BODY,
        body_writer.encode("champions", []),
    )
    fields = [shown(each) for each in bodies.by_path(bodies.ENTRIES)]
    plain = signed_files.sign_head(world.make_head(body), [world.ENGINE])
    whole, swapped = head.carrying(plain, body.data), head.carrying(plain, other.data)
    right, wrong = {body.sha256.hex(): text(body.data)}, {body.sha256.hex(): text(other.data)}
    long = (head.MAX_CARRIED + 1).to_bytes(4, "big") + bytes(head.MAX_CARRIED + 1)
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for name, data, parts, copy, expect in (
        ("behind the head", whole, {}, None, "accepted"),
        ("in a file of its own", plain, right, None, "accepted"),
        ("behind the head and in a file of its own", whole, right, None, "accepted"),
        ("behind the head, and another in its own place", whole, wrong, None, "accepted"),
        ("behind the copy in the log alone", plain, {}, whole, "accepted"),
        ("in a file of its own, and another behind the copy in the log", plain, right, swapped, "accepted"),
        ("nowhere", plain, {}, None, "BODY_MISSING"),
        ("nowhere, and a copy in the log that carries none", plain, {}, plain, "BODY_MISSING"),
        ("another behind the head", swapped, {}, None, "BODY_HASH"),
        ("another behind the head, and the right one in its own place", swapped, right, whole, "BODY_HASH"),
        ("another in its own place", plain, wrong, whole, "BODY_HASH"),
        ("another behind the copy in the log", plain, {}, swapped, "BODY_HASH"),
        ("one bit changed behind the head", flipped, {}, None, "BODY_HASH"),
        ("shorter than is signed", head.carrying(plain, body.data[:-1]), right, None, "BODY_HASH"),
        ("longer than is signed", head.carrying(plain, body.data + b"\0"), right, None, "BODY_HASH"),
        ("cut off", whole[:-1], right, None, "HEAD_FORMAT"),
        ("a byte behind it", whole + b"\0", right, None, "HEAD_FORMAT"),
        ("a length of nothing", plain + bytes(4), right, None, "HEAD_FORMAT"),
        ("less than a length behind the head", plain + b"\0\0\1", right, None, "HEAD_FORMAT"),
        ("longer than a head may carry", plain + long, right, None, "HEAD_FORMAT"),
    ):
        where = {"parts": parts} | ({"copy": text(copy)} if copy else {})
        vector: Vector = {"name": name, "channel": "champions", "now_ms": world.NOW, "trust": text(rules), **where}
        vector |= {"head": text(data), "expect": expect}
        yield vector | ({"fields": fields} if expect == "accepted" else {})


def trust_vectors() -> Iterator[Vector]:
    """Trust files: one alone, believed by a pin, or one that follows another."""
    pin = str(world.PIN)
    yield {
        "name": "pinned",
        "trust": text(trusts.GOOD),
        "pin": pin,
        "expect": "accepted",
        "fields": shown(trusts.V1),
    }
    yield {
        "name": "signed by a root that is not pinned",
        "trust": text(signed_files.sign_trust(world.make_trust(roots=[world.THIEF]), [world.THIEF])),
        "pin": pin,
        "expect": "TRUST_PIN",
    }
    yield {
        "name": "signed by the pinned root for another root folder",
        "trust": text(signed_files.sign_trust(world.make_trust(root_id=bytes(16)), [world.ROOT])),
        "pin": pin,
        "expect": "WRONG_ROOT",
    }
    behind = head.carrying(trusts.GOOD, b"a body")
    yield {"name": "something behind the signatures", "trust": text(behind), "pin": pin, "expect": "TRUST_FORMAT"}
    for name, made in trusts.MALFORMED.items():
        yield {"name": name, "trust": text(trusts.forged(made)), "pin": pin, "expect": "TRUST_FORMAT"}
    for name, (old, new, who) in trusts.FOLLOWS.items():
        yield {
            "name": name,
            "after": text(trusts.forged(old, *(world.signer(n) for n in range(1, 3)))),
            "trust": text(signed_files.sign_trust(new, who)),
            "expect": "accepted",
            "fields": shown(new),
        }
    for name, (old, new, who, expected) in trusts.BROKEN.items():
        yield {
            "name": name,
            "after": text(trusts.forged(old, *(world.signer(n) for n in range(1, 3)))),
            "trust": text(signed_files.sign_trust(new, who)),
            "expect": code(expected),
        }


def body_vectors() -> Iterator[Vector]:
    """Bodies, with what a head says of them and the parts they are made of."""

    def vector(name: str, made: body_writer.Body, expect: str, channel: str = "champions") -> Vector:
        parts = [part for part in made.parts() if len(part.data) < 4_096]
        return {
            "name": name,
            "channel": channel,
            "kinds": list(world.policy().kinds),
            "max_entries": world.policy().max_entries,
            "body_sha256": text(made.sha256),
            "body_len": len(made.data),
            "raw_len": made.raw_len,
            "entry_count": made.entry_count,
            "parts": {part.sha256.hex(): text(part.data) for part in parts},
            "expect": expect,
        }

    yield vector("six files", bodies.BODY, "accepted") | {
        "fields": [shown(each) for each in bodies.by_path(bodies.ENTRIES)]
    }
    yield vector("no files", body_writer.encode("champions", []), "accepted") | {"fields": []}
    yield vector("a file of several blocks", body_writer.encode("champions", [bodies.LARGE]), "accepted") | {
        "fields": [shown(bodies.LARGE)]
    }
    yield vector("a file with a table of leaves", body_writer.encode("champions", [bodies.WITH_LEAVES]), "accepted") | {
        "fields": [shown(bodies.WITH_LEAVES)]
    }
    apart = [
        world.item(path, b"") for path in ("Masse", "Ma\u00dfe", "\u03c2", "\u03c3", "\ufb01", "fi", "\u1e9e", "\u00df")
    ]
    yield vector("names that Dropbox holds side by side", body_writer.encode("champions", apart), "accepted") | {
        "fields": [shown(each) for each in bodies.by_path(apart)]
    }
    yield vector("two shards", bodies.shards_of([bodies.A, bodies.B], [bodies.C]), "accepted", "candles") | {
        "fields": [shown(each) for each in (bodies.A, bodies.B, bodies.C)]
    }
    yield vector("a body that another was put in place of", bodies.BODY, "BODY_HASH") | {
        "parts": {bodies.BODY.sha256.hex(): text(body_writer.encode("champions", []).data)}
    }
    for name, (bad, expected) in bodies.BAD_ENTRIES.items():
        yield vector(name, bodies.packed(bodies.listing(*bad), len(bad)), code(expected))
    for name, made in bodies.BAD_BODIES.items():
        yield vector(name, made, "BODY_FORMAT")
    for name, (made, expected) in bodies.BAD_STRETCHES.items():
        yield vector(name, made, code(expected), "candles")


def leaf_vectors() -> Iterator[Vector]:
    """Pieces of a file, with the table of leaves that is to prove them."""
    data = bodies.LEAVED
    common: Vector = {"size": len(data), "leaves": text(bodies.WITH_LEAVES.leaves)}

    def vector(name: str, first: int, last: int, expect: str, *, table: bytes, flip: int | None = None) -> Vector:
        where = {} if flip is None else {"flip": flip}
        piece = {"unit": text(bodies.UNIT), "times": bodies.TIMES, "first": first, "last": last, **where}
        return {"name": name, **common, **piece, "table": text(table), "expect": expect}

    good = bodies.TABLE
    yield vector("all leaves", 0, 3, "accepted", table=good)
    yield vector("the second leaf", 1, 2, "accepted", table=good)
    yield vector("the last leaf, a short one", 2, 3, "accepted", table=good)
    yield vector("a flipped bit in a leaf that is not asked for", 1, 2, "accepted", table=good, flip=5)
    for name, at in {"first": 0, "middle": 70_000, "last": len(data) - 1}.items():
        yield vector(f"a flipped bit in the {name} leaf", 0, 3, "CONTENT", table=good, flip=at)
    for name, table in bodies.BAD_TABLES.items():
        yield vector(name, 0, 3, "BODY_HASH", table=table)


def link_vectors() -> Iterator[Vector]:
    """A head, the mark of one that was seen before, and what the log holds: does the one lead back to the other?"""
    for name, (top, mark, log, expected) in links.VECTORS.items():
        copies = {f"{each.seq}": text(signed_files.sign_head(each, [world.ENGINE])) for each in log}
        seen = {"epoch": mark.epoch, "seq": mark.sequence, "digest": text(mark.digest)}
        yield {
            "name": name,
            "head": text(signed_files.sign_head(top, [world.ENGINE])),
            "mark": seen,
            "log": copies,
            "expect": expected,
        }
    top, mark, log, _ = links.VECTORS["a gap"]
    seen = {"epoch": mark.epoch, "seq": mark.sequence, "digest": text(mark.digest)}
    for name, behind, expected in (
        ("copies that carry bodies", len(bodies.BODY.data).to_bytes(4, "big") + bodies.BODY.data, "accepted"),
        ("copies that carry what is no body", b"\0\0\0\1x", "accepted"),
        ("copies with a byte behind", b"\0", "GAP"),
    ):
        copies = {f"{each.seq}": text(signed_files.sign_head(each, [world.ENGINE]) + behind) for each in log}
        signed = text(signed_files.sign_head(top, [world.ENGINE]))
        yield {"name": name, "head": signed, "mark": seen, "log": copies, "expect": expected}


TABLES = {
    "heads": head_vectors,
    "carried": carried_vectors,
    "trusts": trust_vectors,
    "bodies": body_vectors,
    "leaves": leaf_vectors,
    "links": link_vectors,
}


def main(folder: Path) -> None:
    """Write all of them below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, vectors in TABLES.items():
        lines = [json.dumps(vector, ensure_ascii=True) for vector in vectors()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="ascii")
        print(f"{name}: {len(lines)}")
    (folder / "champions.hzh").write_bytes(heads.GOOD)
    (folder / "1.hzt").write_bytes(trusts.GOOD)
    (folder / "champions.hzm").write_bytes(bodies.BODY.data)
    message, armored = ssh_armor.export_sshsig(heads.GOOD, [world.ENGINE.public])
    (folder / "champions.payload").write_bytes(message)
    (folder / "champions.sig").write_text(armored[0], encoding="ascii")
    (folder / "allowed_signers").write_text(
        ssh_armor.allowed_signer(world.ENGINE.public, "engine") + "\n", encoding="ascii"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "contract" / "vectors")
