"""Publishers, a Dropbox of one dictionary, and a schedule that a seed decides.

What runs is the real act (`sealing.act.publishing`) with the real rules, merging and signatures. Dropbox is a model of
what its documentation promises of `update(rev)` with `strict_conflict`. Requests and answers of the swap get lost, some
requests arrive late, processes are killed between any two steps and begin again with what they had noted.
"""

import functools
import random
from typing import NamedTuple

from manifest_world import ENGINE, NOW, make_trust

from huracan_sync.errors import Busy, ServiceFault
from huracan_sync.manifest import body, head, head_history, locations, signed_files, sshsig
from huracan_sync.manifest.checks import Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.envelope import unpack
from huracan_sync.signing import transaction as acts
from huracan_sync.signing.merge import Change, change_of
from huracan_sync.signing.next_head import SeenHead, StoredFile, body_ref
from huracan_sync.signing.transaction import publish_transaction
from huracan_sync.signing.transaction_steps import ChannelView, PublishRequest, Reinstate, Swapped
from huracan_sync.transfer.journal import SignedState
from huracan_sync.tree.paths import fold

CHANNEL = "champions"
TRUST = make_trust()
HEAD = locations.head(CHANNEL)
LOST = 0.08
LATE = 0.3
KILLED = 0.02


@functools.lru_cache(4096)
def signed(payload):
    """Signing takes most of the time, and what is signed says everything that decides."""
    return signed_files.sign_head(payload, [ENGINE])


class Dropbox:
    """Files with revisions, and everything that ever became the head."""

    def __init__(self):
        self.files = {}  # place: (data, rev)
        self.blobs = {}  # path: rev
        self.order = {}  # rev: when it was committed
        self.heads = []
        self.lists = {}  # what was read of a body: for who judges
        self.late = []  # swaps on their way
        self.count = 0

    def rev(self):
        self.count += 1
        return f"{self.count:016x}"

    def read(self, place):
        found = self.files.get(place)
        return StoredFile(*found) if found else None

    def store(self, place, data):
        if self.files.get(place, (None,))[0] != data:
            self.files[place] = (data, self.rev())

    def body_of(self, payload):
        """The body that a head names: in a file of its own, or as some head carries it."""
        own = self.files.get(locations.body(payload.body_sha256))
        carried = (unpack(head.FORM, data).carried for data in reversed(self.heads))
        return own[0] if own else next(each for each in carried if sshsig.sha256(each) == payload.body_sha256)

    def swap(self, step):
        stored = self.files.get(step.place)
        if (stored[1] if stored else None) != step.rev:
            return Swapped.OTHER
        rev = self.rev()
        self.files[step.place] = (step.data, rev)
        self.heads.append(step.data)
        return rev

    def commit_blob(self, path, seen):
        """The CAS of a file: its new revision, or None when another lies there than was seen."""
        if self.blobs.get(path) != seen:
            return None
        rev = self.blobs[path] = self.rev()
        self.order[rev] = self.count
        return rev

    def delete_blob(self, path, seen):
        if self.blobs.get(path) == seen:
            del self.blobs[path]


class Row(NamedTuple):
    rev: str
    changed: int


class Machine:
    """One publisher: what its journal holds, and what it is at."""

    def __init__(self, number, dropbox, chance, paths, rounds, rollbacks):
        self.name = f"m{number}"
        self.dropbox, self.chance, self.paths, self.rounds = dropbox, chance, paths, rounds
        self.rollbacks = rollbacks
        self.synced, self.tombs, self.intents = {}, {}, {}
        self.changes = 0
        self.last = self.next = self.held = None
        self.rev = ""  # of the head that it has seen last, where it knows
        self.runs = []  # the heads that each run has tried
        self.task = None

    @property
    def is_idle(self):
        return self.task is None and self.rounds == 0

    # what a journal does

    def learn(self, path, rev):
        self.changes += 1
        self.tombs.pop(path, None)
        if self.synced.get(path, Row("", 0)).rev != rev:
            self.synced[path] = Row(rev, self.changes)

    def forget(self, path):
        self.changes += 1
        row = self.synced.pop(path)
        self.tombs[path] = Row(row.rev, self.changes)

    def sealed(self, made, changes):
        return SignedState(made.head.epoch, made.head.seq, made.digest, 0, made.parts, changes, made.shared)

    # what a run does, in steps

    def step(self, lossless):
        if self.task is None:
            self.rounds = max(0, self.rounds - 1)
            self.task = self.run(lossless)
        elif not lossless and self.chance.random() < KILLED:
            self.task.close()
            self.task = None
            self.rounds += 1  # it is started again
            return
        try:
            next(self.task)
        except StopIteration:
            self.task = None

    def run(self, lossless):
        left_out = set()
        for path, rev in self.intents.items():
            if self.dropbox.blobs.get(path) == rev:
                self.learn(path, rev)
        self.intents.clear()
        if not lossless and self.dropbox.heads and self.chance.random() < self.rollbacks:
            earlier = head.linked(data := self.chance.choice(self.dropbox.heads), head_history.digest_of(data))
            yield from self.publish(Reinstate(body_ref(earlier), self.dropbox.body_of(earlier)), lossless)
            return
        channel_view = None
        if not lossless:
            if self.chance.random() < 0.5:  # as `PushSigner.prefetch`, while files are on their way
                channel_view = yield from self.look_ahead()
            left_out = yield from self.transfer()
        changes = self.changes
        for path in left_out:  # new to the next list that has it
            self.changes += 1
            self.synced[path] = self.synced[path]._replace(changed=self.changes)
        yield from self.publish(self.change(left_out), lossless, changes, channel_view)
        for path in left_out:
            self.dropbox.delete_blob(path, self.synced[path].rev)
            self.forget(path)
            yield

    def look_ahead(self):
        yield
        if self.rev and self.chance.random() < 0.5:  # what it has put there itself is not looked at
            own = StoredFile(self.held.head, self.rev)
            return ChannelView(TRUST.version, own, TRUST, (), is_remembered=True)
        stored = self.dropbox.read(HEAD) if self.held else None
        yield
        return ChannelView(TRUST.version, stored, TRUST, ())

    def transfer(self):
        """Change a file or two, each replacing exactly what was seen; or mean to delete one."""
        left_out = set()
        for path in self.chance.sample(self.paths, min(len(self.paths), self.chance.choice([1, 1, 2]))):
            seen = self.dropbox.blobs.get(path)
            yield
            if path in self.synced and seen == self.synced[path].rev and self.chance.random() < 0.15:
                left_out.add(path)
                continue
            rev = self.dropbox.commit_blob(path, seen)
            if rev is not None:
                self.intents[path] = rev
                yield  # killed here, it finds its own content by the note it had made
                self.learn(path, rev)
                del self.intents[path]
        return left_out

    def change(self, left_out):
        mine = {path: row for path, row in self.synced.items() if path not in left_out}
        items = [Item(path, 1, row.rev.rjust(32, "0").encode(), row.rev) for path, row in sorted(mine.items())]
        since = self.last.changes if self.last else -1
        gone = {fold(path): row.rev for path, row in self.tombs.items() if row.changed > since}
        gone |= {fold(path): self.synced[path].rev for path in left_out}
        counts = {fold(path): row.changed for path, row in mine.items()}
        return change_of(items, counts, gone, last=self.last, following=self.next)

    def publish(self, wanted, lossless, changes=0, channel_view=None):
        tried = []
        self.states = isinstance(wanted, Change)
        self.runs.append(tried)
        request = PublishRequest(
            CHANNEL,
            wanted,
            self.held,
            frozenset(),
            lambda payload, _: signed(payload),
            lambda: NOW / 1000,
            self.name,
            channel_view,
        )
        act, answers = publish_transaction(request, TRUST), None
        while True:
            try:
                steps = act.send(answers)
            except StopIteration as end:
                made = end.value
                break
            except (Busy, ServiceFault):
                return
            answers = []
            for step in steps:
                yield
                answers.append(self.do(step, changes, tried, lossless))
        if isinstance(wanted, Change):
            self.last, self.next = self.sealed(made, changes), None
        self.held, self.rev = SeenHead(Mark(made.head.epoch, made.head.seq, made.digest), made.data), made.rev
        for path in made.superseded:  # as the next survey finds: somebody else's lies there
            if self.dropbox.blobs.get(path) != self.synced[path].rev:
                self.synced.pop(path)

    def do(self, step, changes, tried, lossless):
        dropbox = self.dropbox
        if isinstance(step, acts.Read):
            return dropbox.read(step.place)
        if isinstance(step, acts.Store):
            dropbox.store(step.place, step.data)
        elif isinstance(step, acts.Current):
            return {path: dropbox.blobs.get(path) for path in step.paths}
        elif isinstance(step, acts.Lost):
            return []
        elif isinstance(step, acts.Intend):
            if self.states:
                self.next = self.sealed(step.published, changes)
            tried.append(step.published.data)
        elif isinstance(step, acts.Swap):
            luck = 1.0 if lossless else self.chance.random()
            if luck < LOST:
                if self.chance.random() < LATE:
                    dropbox.late.append(step)
                return Swapped.UNKNOWN
            outcome = dropbox.swap(step)
            return Swapped.UNKNOWN if luck < 2 * LOST else outcome
        return None


def race(seed, *, machines=3, paths=4, rounds=3, rollbacks=0.0):
    """Run one schedule to its end; what went wrong, in words, and how many heads there are."""
    chance = random.Random(seed)
    dropbox = Dropbox()
    names = [f"data/{n}.parquet" for n in range(paths)]
    everybody = [Machine(n, dropbox, chance, names, rounds, rollbacks) for n in range(machines)]
    busy = list(everybody)
    while busy:
        if dropbox.late and chance.random() < 0.05:
            dropbox.swap(dropbox.late.pop(chance.randrange(len(dropbox.late))))
        chance.choice(busy).step(lossless=False)
        busy = [machine for machine in busy if not machine.is_idle]
    for machine in everybody:  # the next runs, with nothing in their way
        machine.rounds = 1
        while not machine.is_idle:
            machine.step(lossless=True)
    for late in dropbox.late:
        dropbox.swap(late)
    problems = linked(dropbox, everybody)
    if not rollbacks:  # who rolls back means to undo
        problems += kept(dropbox)
    return problems, len(dropbox.heads)


def read_items(dropbox, payload):
    found = dropbox.lists.get(payload.body_sha256)
    if found is None:
        items = body.read(payload, TRUST.policy(CHANNEL), lambda *_: dropbox.body_of(payload))
        found = dropbox.lists[payload.body_sha256] = {item.path: item.rev for item in items}
    return found


def heads_of(dropbox):
    return [head.open(data, trust=TRUST, channel=CHANNEL, now_ms=NOW) for data in dropbox.heads]


def linked(dropbox, everybody):
    """Whether every head follows the one before, and no run has committed more than one."""
    problems = []
    prev, seq = head.FIRST, 0
    for one in heads_of(dropbox):
        if (one.head.prev, one.head.seq) != (prev, seq + 1):
            problems.append(f"the chain is broken at {one.head.seq}")
        prev, seq = one.digest, one.head.seq
    heads = set(dropbox.heads)
    problems += [
        f"applied twice: one run of {machine.name} has committed two heads"
        for machine in everybody
        for tried in machine.runs
        if len(heads.intersection(tried)) > 1
    ]
    return problems


def kept(dropbox):
    """Whether no file's list goes back, no head says again what the one before said, and the last says all."""
    problems = []
    before, payload = {}, None
    for one in heads_of(dropbox):
        if payload is not None and payload.body_sha256 == one.head.body_sha256:
            problems.append(f"applied twice: sequence {one.head.seq} says what the one before said")
        payload = one.head
        here = read_items(dropbox, payload)
        problems += [
            f"rolled back: {path} at sequence {payload.seq}"
            for path, rev in here.items()
            if path in before and dropbox.order[rev] < dropbox.order[before[path]]
        ]
        before |= here
    if payload is not None and read_items(dropbox, payload) != dropbox.blobs:
        problems.append(f"lost: {read_items(dropbox, payload)} is signed where {dropbox.blobs} lies there")
    return problems
