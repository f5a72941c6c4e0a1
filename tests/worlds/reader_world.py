"""A Dropbox of one dictionary, a publisher who signs, and a clock that stands still until it is moved."""

import contextlib
import hashlib

import manifest_world
from manifest_world import ENGINE, FILES, HOUR, NOW, ROOT, change, following, item, make_trust, pin_of, policy  # noqa: F401

from huracan_sync.errors import NotFound, Revoked, Unreachable
from huracan_sync.manifest import body_writer, head, locations, signed_files
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.trust import OTHERS
from huracan_sync.reader import Reader
from huracan_sync.tree.content_hash import content_hash

PIN = str(manifest_world.PIN)
RULES = [policy(), policy(OTHERS, max_age_s=86_400, stale_limit_s=86_400 * 30)]


class Clock:
    def __init__(self, now_ms=NOW):
        self.now_ms = now_ms
        self.slept = []

    def __call__(self):
        return self.now_ms / 1000

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now_ms += int(seconds * 1000)


class Peer:
    """What a Source asks of Dropbox, and what anybody with a write token can do to it."""

    def __init__(self):
        self.files = {}  # path: rev
        self.revs = {}  # rev: bytes; kept when the path is overwritten, as Dropbox does
        self.moved = []  # every path that ever changed, in order
        self.calls = []
        self.down = False
        self.revoked = False
        self.reset = False
        self.forgets = False  # every cursor
        self.pieces = 1 << 20
        self.page = 2000
        self.before = {}  # place: something to do just before it is fetched
        self.on_wait = lambda: False

    # what a writer does

    def put(self, path, data):
        rev = f"{len(self.revs) + 1:021x}"
        self.revs[rev] = bytes(data)
        self.files[path] = rev
        self.moved.append(path)
        return rev

    def get(self, path):
        return self.revs[self.files[path]]

    def delete(self, path):
        for each in [each for each in self.files if each == path or each.startswith(f"{path}/")]:
            del self.files[each]
        self.moved.append(path)

    def hash_of(self, path):
        return content_hash(self.get(path)) if path in self.files else b""

    # what a Source is asked

    def _call(self, *what):
        self.calls.append(what)
        if self.down:
            raise Unreachable("no network", sent=False)
        if self.revoked:
            raise Revoked("the login was withdrawn")

    def _bytes(self, place):
        self.before.pop(place, lambda: None)()
        rev = place[4:] if place.startswith("rev:") else self.files.get(place)
        if rev not in self.revs:
            raise NotFound(f"nothing at {place}")
        return self.revs[rev]

    def fetch(self, place, limit):
        self._call("fetch", place)
        return self._bytes(place)[: limit + 1]

    @contextlib.contextmanager
    def stream(self, place, start, end):
        self._call("stream", place, start, end)
        data = self._bytes(place)[start:end]
        yield (data[at : at + self.pieces] for at in range(0, len(data), self.pieces))

    def cursor(self, folder):
        self._call("cursor", folder)
        if not any(path.startswith(f"{folder}/") for path in self.files):
            raise NotFound(f"nothing at {folder}")
        return str(len(self.moved))

    def lying(self, folder):
        self._call("lying", folder)
        inside = [path for path in self.files if path.startswith(f"{folder}/")]
        if not inside:
            raise NotFound(f"nothing at {folder}")
        return (
            None if len(inside) > self.page else (str(len(self.moved)), {path: self.hash_of(path) for path in inside})
        )

    def changed(self, folder, cursor):
        self._call("changed", folder, cursor)
        if self.reset or self.forgets:
            self.reset = False
            return None
        if not any(path.startswith(f"{folder}/") for path in self.files):
            raise NotFound(f"nothing at {folder}")
        news = {path for path in self.moved[int(cursor) :] if path == folder or path.startswith(f"{folder}/")}
        return str(len(self.moved)), {path: self.hash_of(path) for path in news}

    def wait(self, cursor, timeout_s):
        self._call("wait", cursor, timeout_s)
        return self.on_wait()

    def requests(self):
        """How many since this was last asked."""
        count, self.calls = len(self.calls), []
        return count


class Publisher:
    """One honest publisher of one channel."""

    carries = False
    """Whether a small body travels in the head file."""

    def __init__(self, peer, clock, channel="champions", who=ENGINE, rules=None):
        self.peer = peer
        self.clock = clock
        self.channel = channel
        self.who = who
        self.trust = rules or make_trust(channels=RULES)
        self.epoch, self.seq, self.prev, self.made = 1, 0, head.FIRST, None
        self.digests = {}  # of the heads of this epoch, by sequence

    def say_whom_to_trust(self, made=None, *who):
        self.trust = made or self.trust
        self.peer.put(locations.trust(self.trust.version), signed_files.sign_trust(self.trust, who or [ROOT]))

    def publish(self, files, **changes):
        items = []
        for path, data in files.items():
            rev = self.peer.put(path, data)
            items.append(item(path, data, rev))
        return self.publish_items(items, **changes)

    def publish_items(self, items: list[Item], **changes):
        self.made = body_writer.encode(self.channel, items)
        for part in self.made.parts():
            travels = self.carries and len(part.data) <= head.MAX_CARRIED
            if part.path not in self.peer.files and not travels:
                self.peer.put(part.path, part.data)
        return self.beat(**changes)

    def beat(self, **changes):
        """A new head over the same body."""
        self.seq += 1
        data, digest = self.head(**changes)
        data = head.carrying(data, self.made.data) if self.carries else data
        self.digests[self.epoch, self.seq] = self.prev = digest
        self.peer.put(locations.log(self.channel, self.epoch, self.seq, digest), data)
        self.peer.put(locations.head(self.channel), data)
        return data

    def head(self, **changes):
        rules = self.trust.policy(self.channel)
        made = head.Head(
            root_id=self.trust.root_id,
            channel=self.channel,
            epoch=self.epoch,
            seq=self.seq,
            created_ms=self.clock.now_ms,
            expires_ms=self.clock.now_ms + rules.max_age_s * 1000,
            trust_version=self.trust.version,
            prev=self.prev,
            skip=self.digests.get((self.epoch, head.skip_target(self.seq)), head.NONE),
            body_sha256=self.made.sha256,
            body_len=len(self.made.data),
            raw_len=self.made.raw_len,
            entry_count=self.made.entry_count,
            publisher="engine",
        )
        made = change(made, **changes)
        return signed_files.sign_head(made, [self.who]), head.digest(made)


class World:
    """Everything of one test."""

    def __init__(self, folder, *, pinned=True, peer=None, **reader):
        self.clock = Clock()
        self.peer = Peer() if peer is None else peer
        self.engine = Publisher(self.peer, self.clock)
        self.engine.say_whom_to_trust()
        self.home = folder / "home"
        self.keywords = reader
        self.reader = self.new_reader()
        if pinned:
            self.reader.pin(PIN)
            self.peer.requests()

    def new_reader(self, **changes):
        """As after a restart of the program."""
        keywords = {"clock": self.clock, "sleep": self.clock.sleep} | self.keywords | changes
        return Reader(self.peer, self.home, **keywords)

    def publish(self, files=None, **changes):
        return self.engine.publish(FILES if files is None else files, **changes)


def sha256(data):
    return hashlib.sha256(data).digest()
