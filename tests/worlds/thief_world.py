"""Honest machines, a thief with a write token, and a schedule that a seed decides.

What runs is the real code: push, publish, the engine's sets, commits of what workers staged, restore, get, migration,
renewal, roll-back, trust files, readers, down to the emulator's own application; only sockets are left out. Between
any two requests of anybody the thief may overwrite, delete, put back whatever he ever saw, carry files from one root
folder to another, or sign with a key that was revoked. Machines are killed at any request, lose their state folders,
and have clocks that are years off. Two root folders share one key.

After every step, of what any reader accepts:

    the head was signed by an honest machine, for that root folder and channel;
    each file is content that an honest machine made at that path; a published set is one that somebody published whole;
    nobody's (epoch, sequence) goes down, or names another head than before.
"""

import contextlib
import functools
import hashlib
import json
import random
import shutil
import sys
import threading
from types import SimpleNamespace
from typing import ClassVar

import msgspec
from machines import READ, Clock, Machine
from memory_dropbox import MemoryWire
from publishing_machine import Publisher

from huracan_sync.cli import get, reading
from huracan_sync.engine.champion_set import note_put, publish_noted
from huracan_sync.engine.context import EngineContext, StopSignal, utc_now
from huracan_sync.engine.error_boundary import ErrorBoundary
from huracan_sync.engine.event_log import LoggedOnce
from huracan_sync.engine.login import Chosen
from huracan_sync.engine.outbox import Outbox
from huracan_sync.engine.put import Sender
from huracan_sync.engine.read_revisions import ReadRevisions
from huracan_sync.engine.settings import Settings
from huracan_sync.errors import HuracanError
from huracan_sync.manifest import head, head_history, rotation, signed_files, sshsig
from huracan_sync.manifest.envelope import unpack
from huracan_sync.manifest.signer import Signer
from huracan_sync.manifest.trust import parse_pin
from huracan_sync.operations import migrate, renames
from huracan_sync.operations.commit import _Commit
from huracan_sync.operations.stage import stage
from huracan_sync.remote import files
from huracan_sync.remote.delete import remove_whatever
from huracan_sync.signing import channel_publisher
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.layout import Layout

ENGINE, STAGING = "/Engine", "/Staging"
STOLEN = Signer(bytes(range(32)))
"""A key that a publisher lost; it was revoked before the first step."""
DAY_S = 86_400
YEARS_S = 3 * 365 * DAY_S
PUBLISHERS = {"one": ENGINE, "two": ENGINE, "staging": STAGING}
ALWAYS = 8
"""Readers look after every step in one schedule of so many; in the others when anything they look at has changed."""
MEDDLES, KILLED = (0.02, 0.06, 0.15), 0.01
PATHS = ("a", "b", "d/c")
CONFIGS = tuple(f"hamilton/configs/{symbol}USDT.json" for symbol in ("BTC", "ETH"))


class Killed(BaseException):
    """The machine died at this request."""


class Thief:
    """All scopes, no key that still counts. He forgets nothing he ever saw."""

    def __init__(self, dropbox, endpoint):
        self.remote = Machine(dropbox, endpoint, root="").remote
        self.remote.wire = MemoryWire(self.remote.wire.endpoint, dropbox)
        self.dropbox = dropbox
        self.loot = {}  # path -> every content that ever lay there
        self.seen = 0  # revisions
        self.acts = 0

    def look(self):
        """The paths at which something lies. He takes a copy of every revision there ever was."""
        account = self.dropbox.account
        revisions = list(account.revisions.values())
        for revision in revisions[self.seen :]:
            self.loot.setdefault(revision.path, []).append(self.dropbox.content(revision))
        self.seen = len(revisions)
        return [node.path() for node in account.root.walk() if not node.is_folder]

    def act(self, chance):
        """One thing that only somebody with a write token can do."""
        self.acts += 1
        try:
            paths, known = sorted(self.look()), sorted(self.loot)
            if not known:
                return
            chance.choice(self.moves())(chance, paths or known, known)
        except HuracanError:
            pass  # his own conflicts are no matter

    def moves(self):
        often = [self._overwrite, self._put_back, self._plant, self._carry_across]
        return [
            *often,
            *often,
            self._delete,
            self._touch,
            self._swap_bytes,
            self._forge,
            self._pack_anew,
            self._roll_all_back,
        ]

    def _put(self, path, data):
        files.put(self.remote, path, data)

    def _overwrite(self, chance, paths, known):
        self._put(chance.choice(paths), b'{"evil": %d}' % chance.randrange(10**9))

    def _put_back(self, chance, paths, known):
        path = chance.choice([path for path in known if ".huracan" in path] or known)
        self._put(path, chance.choice(self.loot[path]))

    def _delete(self, chance, paths, known):
        remove_whatever(self.remote, chance.choice(paths))

    def _plant(self, chance, paths, known):
        candle = "BTC-USDT_1d_20240101_20240103.parquet"
        honest = ["data/a", "data/evil", "data/d/evil", "data/staged/a", *CONFIGS, "hamilton/configs/EVILUSDT.json"]
        path = chance.choice([*honest, f"data/candles/{candle}", f"data/candles/BTC/{candle}"])
        self._put(f"{chance.choice([ENGINE, STAGING])}/{path}", b'{"planted": %d}' % chance.randrange(10**9))

    def _carry_across(self, chance, paths, known):
        """One file into the other root folder, or a whole history: heads, lists and the log, with or without trust."""
        root, other = chance.sample([ENGINE, STAGING], 2)
        history = [path for path in known if path.startswith(f"{root}/.huracan/")]
        if chance.random() < 0.5:
            history = [path for path in history if "/trust/" not in path]
        carried = history if chance.random() < 0.5 else [chance.choice([p for p in known if p.startswith(root)])]
        for path in carried:
            self._put(other + path.removeprefix(root), self.loot[path][-1])

    def _touch(self, chance, paths, known):
        """The same bytes under another revision."""
        path = chance.choice(paths)
        remove_whatever(self.remote, path)
        self._put(path, self.loot[path][-1])

    def _swap_bytes(self, chance, paths, known):
        """Honest content at another path."""
        one, other = chance.choice(known), chance.choice(paths)
        self._put(other, chance.choice(self.loot[one]))

    def _roll_all_back(self, chance, paths, known):
        for path in known:
            if "/heads/" in path or chance.random() < 0.3:
                self._put(path, self.loot[path][0])

    def _forge(self, chance, paths, known):
        """A later head over an earlier list, signed with the revoked key."""
        path = chance.choice([path for path in known if "/heads/" in path] or known)
        try:
            newest = head.linked(self.loot[path][-1], head_history.digest_of(self.loot[path][-1]))
        except HuracanError:
            return
        data = chance.choice(self._bodies(known))
        later = msgspec.structs.replace(
            newest,
            seq=newest.seq + chance.choice([1, 2, 1000]),
            epoch=newest.epoch + chance.choice([0, 0, 1]),
            prev=head.digest(newest),
            body_sha256=hashlib.sha256(data).digest(),
            body_len=len(data),
        )
        self._put(path, head.carrying(signed_files.sign_head(later, [STOLEN]), data))

    def _pack_anew(self, chance, paths, known):
        """A head or its copy in the log as it is signed, with no body, or another behind it."""
        path = chance.choice([path for path in known if path.endswith(".hzh")] or known)
        with contextlib.suppress(HuracanError):
            signed = unpack(head.FORM, chance.choice(self.loot[path])).signed
            self._put(path, head.carrying(signed, chance.choice([b"", b"rubbish", *self._bodies(known)])))

    def _bodies(self, known):
        """Every body he ever saw, also those that heads carry."""
        bodies = [data for path in known if "/bodies/" in path for data in self.loot[path]]
        for path in (path for path in known if path.endswith(".hzh")):
            for data in self.loot[path]:
                with contextlib.suppress(HuracanError):
                    bodies.append(unpack(head.FORM, data).carried)
        return [data for data in bodies if data] or [b"none yet"]


class Beginning:
    """What every schedule begins with: two root folders, three publishers with one key, and readers who pinned it."""

    def __init__(self, dropbox, folder):
        dropbox.reset()
        self.dropbox, self.folder = dropbox, folder
        clock, machines = Clock(dropbox.world.clock.now()), {}
        for name, root in PUBLISHERS.items():
            machine = machines[name] = Publisher(dropbox, folder / name, clock=clock, root=root)
            machine.remote.wire = MemoryWire(machine.remote.wire.endpoint, dropbox)
            if name != "one":  # one key for all: two root folders, and two machines in one of them
                machine.take_key_of(machines["one"])
            if name != "two":
                machine.roots().begin()
        self.pins = {ENGINE: machines["one"].pin(), STAGING: machines["staging"].pin()}
        machines["one"].roots().publish_next(_enrol_stolen)
        machines["one"].roots().publish_next(_revoke_stolen)
        (folder / "two" / "home").mkdir(exist_ok=True)
        for root, pin in self.pins.items():
            reader = Machine(dropbox, folder / reader_name(root), scopes=READ, clock=clock, root=root)
            reader.remote.wire = MemoryWire(reader.remote.wire.endpoint, dropbox)
            reader.reader().pin(pin)
        dropbox.keep()


def reader_name(root):
    return f"reader{root}".replace("/", "-")


def _enrol_stolen(newest, now_ms):
    made, policy = rotation.renewed(newest, now_ms=now_ms), newest.find("*")
    signers = {key.public: key.label for key in newest.keys if key.id in policy.key_ids}
    return rotation.with_channel(made, "*", signers=signers | {STOLEN.public: "stolen"})


def _revoke_stolen(newest, now_ms):
    made = rotation.renewed(newest, now_ms=now_ms)
    return rotation.revoked(made, newest, sshsig.key_id(STOLEN.public), reason="stolen")


class Schedule:
    """One seed's world and what is known of it."""

    WORK: ClassVar = {
        "push": 6,
        "publish": 4,
        "restore_then_push": 4,
        "renew": 1,
        "roll_back": 1,
        "rotate": 1,
        "renew_champions": 1,
        "engine_set": 4,
        "commit": 2,
        "rename": 2,
        "get_then_push": 2,
        "pod_restores": 3,
        "migrate": 1,
        "revoke": 1,
        "lose_state": 2,
        "pass_time": 2,
        "lie": 1,
    }
    """What machines do, and how often."""

    def __init__(self, seed, beginning, folder, *, meddles=None):
        self.dropbox = dropbox = beginning.dropbox
        dropbox.go_back()
        self.seed, self.beginning, self.folder = seed, beginning, folder
        self.chance = random.Random(seed)
        self.meddles = self.chance.choice(MEDDLES) if meddles is None else meddles
        self.clock = Clock(dropbox.world.clock.now())
        self.lock = threading.Lock()
        self.counts, self.op = {}, 0
        self.quiet = True
        self.problems, self.accepted, self.refused, self.trouble = [], 0, 0, {}
        self.made = {ENGINE: set(), STAGING: set()}  # (path, hash) that an honest machine made
        self.sets = {ENGINE: set(), STAGING: set()}  # published whole
        self.stated = set()  # (root, digest) of heads that honest machines signed
        self.number = 0
        self.thief = Thief(dropbox, folder / "thief")
        self.publishers = [self.publisher(name, root) for name, root in PUBLISHERS.items()]
        self.pins = beginning.pins
        self.readers = [(self.reader(root), root, {}) for root in (ENGINE, STAGING)]
        self.judged = {}
        self.always = seed % ALWAYS == 0

    # --- machines -------------------------------------------------------------------------------------------------

    def publisher(self, name, root):
        machine = Publisher(self.dropbox, self.folder / name, clock=Skewed(self.clock), root=root)
        machine.sets = self.folder / name / "sets"
        machine.sets.mkdir()
        return self.as_it_was(machine, name)

    def reader(self, root):
        machine = Machine(self.dropbox, self.folder / reader_name(root), scopes=READ, clock=self.clock, root=root)
        return self.as_it_was(machine, reader_name(root))

    def as_it_was(self, machine, name):
        """The machine with the key and the state that it had at the beginning, on a wire on which the thief sits."""
        was = self.beginning.folder / name
        shutil.copytree(was / "home", machine.home)
        if machine.key:
            shutil.copy2(was / machine.key.name, machine.key)
        machine.remote.wire = MemoryWire(machine.remote.wire.endpoint, self.dropbox, self.around)
        return machine

    # --- between two requests -------------------------------------------------------------------------------------

    def around(self, url, *, answered):
        """The thief's moment, and death's. Which one it is depends on the seed and on how often a route was called."""
        if self.quiet:
            return
        with self.lock:
            moment = (url.rpartition("/2/")[2], answered)
            number = self.counts[moment] = self.counts.get(moment, 0) + 1
            chance = random.Random(f"{self.seed} {self.op} {moment} {number}")
            if chance.random() < self.meddles:
                self.thief.act(chance)
            if chance.random() < KILLED:
                raise Killed

    # --- what machines do -----------------------------------------------------------------------------------------

    def fresh(self):
        self.number += 1
        return json.dumps({"seed": self.seed, "number": self.number}).encode()

    def edit(self, machine):
        for path in self.chance.sample(PATHS, self.chance.choice([1, 1, 2])):
            target = machine.src / path
            if target.exists() and self.chance.random() < 0.15:
                target.unlink()
            else:
                self.write(machine, target, f"data/{path}", self.fresh())

    def write(self, machine, target, path, data):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.made[machine.remote.root].add((path, content_hash(data)))

    def push(self, machine):
        self.edit(machine)
        machine.push(f"{machine.remote.root}/data")

    def publish(self, machine):
        for path in CONFIGS:
            self.write(machine, machine.sets / path, path, self.fresh())
        whole = {(path, content_hash((machine.sets / path).read_bytes())) for path in CONFIGS}
        self.sets[machine.remote.root].add(frozenset(whole))
        src, machine.src = machine.src, machine.sets
        try:
            machine.publish(machine.remote.root)
        finally:
            machine.src = src

    def restore_then_push(self, machine):
        machine.restore(f"{machine.remote.root}/data", machine.src)
        if self.chance.random() < 0.5:
            self.edit(machine)
        machine.push(f"{machine.remote.root}/data")

    def engine_set(self, machine):
        """The engine puts its configs where Hamilton reads, and signs them once all are there."""
        context, whole = self.engine(machine), set()
        for path in CONFIGS:
            content = self.fresh()
            self.made[machine.remote.root].add((path, content_hash(content)))
            whole.add((path, content_hash(content)))
            target = f"{machine.remote.root}/{path}"
            note_put(context, context.sender.put_content(content, target), target, content)
        self.sets[machine.remote.root].add(frozenset(whole))
        publish_noted(context)

    def engine(self, machine):
        settings = Settings(app_folder=machine.remote.root.strip("/"), strict=True)
        return EngineContext(
            login=Chosen("engine", None),
            layout=settings.layout,
            operations=machine.context(),
            outbox=Outbox(machine.home),
            sender=Sender(machine.remote, machine.home),
            boundary=ErrorBoundary(strict=True),
            logged=LoggedOnce(),
            read_revisions=ReadRevisions(),
            rules=settings.rules,
            parquet_metadata=True,
            stop=StopSignal(),
            now=utc_now,
            dated=False,
            allow_secrets=False,
            may_sign=True,
            is_given=True,
        )

    def commit(self, machine):
        """A driver commits what a worker has staged: new content, and whatever lies in the folder of this machine."""
        self.edit(machine)
        sources = [path for path in sorted(machine.src.rglob("*")) if path.is_file()]
        staged = {path: f"staged/{path.relative_to(machine.src).as_posix()}" for path in sources[:3]}
        for path, name in staged.items():
            if (f"data/{path.relative_to(machine.src).as_posix()}", content_hash(path.read_bytes())) in self.made[
                machine.remote.root
            ]:
                self.made[machine.remote.root].add((f"data/{name}", content_hash(path.read_bytes())))
        receipts = stage(machine.remote, staged, clock=machine.clock)
        with (context := machine.context()).pair(machine.home / "from-workers", f"{machine.remote.root}/data") as pair:
            _Commit(context, pair, None, overwrite=True).run([receipts])

    def rename(self, machine):
        """Files get other names here, and are copied inside Dropbox; what came from there may be among them."""
        sources = [path for path in sorted(machine.src.rglob("*")) if path.is_file()]
        for path in sources[: self.chance.choice([1, 2, 3])]:
            name = path.relative_to(machine.src).as_posix()
            self.number += 1
            target = machine.src / f"renamed-{self.number}"
            if (f"data/{name}", digest := content_hash(path.read_bytes())) in self.made[machine.remote.root]:
                self.made[machine.remote.root].add((f"data/{target.name}", digest))
            path.rename(target)
        machine.push(f"{machine.remote.root}/data", delete=self.chance.random() < 0.5)

    def get_then_push(self, machine):
        """One file is fetched by itself, wherever it comes from, and lies among what is pushed."""
        path = self.chance.choice([*PATHS, "evil", "d/evil"])
        options = SimpleNamespace(
            remote=f"{machine.remote.root}/data/{path}",
            local=str(machine.src / path),
            overwrite=True,
            wait=0.0,
            channel=None,
            unsigned=self.chance.random() < 0.5,
        )
        quiet = SimpleNamespace(output=SimpleNamespace(say=lambda _: None))
        (machine.src / path).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(HuracanError):
            get._file(options, machine.context(), reading.find(options, quiet, machine.context()))
        machine.push(f"{machine.remote.root}/data")

    def pod_restores(self, machine):
        """A reader restores the folder, or what its channel lists; what it calls signed, honest machines have made."""
        root = machine.remote.root
        reader = next(reader for reader, of, _ in self.readers if of == root)
        self.number += 1
        to = self.folder / f"restored-{self.number}"
        channel = self.chance.choice([None, None, "data"])
        report = reader.restore(f"{root}/data", to, channel=channel)
        lying = {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if path.is_file()}
        believed = {
            f"data/{path}": content_hash(data) for path, data in lying.items() if path not in report.unsigned_files
        }
        if report.verified_by and (foreign := believed.items() - self.made[root]):
            self.problems.append(f"{root} was restored as signed, and nobody made {sorted(p for p, _ in foreign)}")

    def migrate(self, machine):
        layout = Layout(machine.remote.root.strip("/"))
        migrate.carry_out(machine.remote, migrate.plan(machine.remote, layout), layout)
        machine.restore(f"{machine.remote.root}/data", machine.src)
        machine.push(f"{machine.remote.root}/data")

    def revoke(self, machine):
        """Whoever holds the root key revokes the stolen key once more; then everything is signed again."""
        machine.roots().publish_next(_revoke_stolen)

    def renew_champions(self, machine):
        machine.renew(channel="champions", root=machine.remote.root)

    def renew(self, machine):
        machine.renew(channel="data", root=machine.remote.root)

    def roll_back(self, machine):
        machine.roll_back(self.chance.choice([1, 2]), root=machine.remote.root)

    def rotate(self, machine):
        machine.roots().publish_next(lambda newest, now_ms: rotation.renewed(newest, now_ms=now_ms))

    def lose_state(self, machine):
        """Pods are born every day."""
        shutil.rmtree(machine.home, ignore_errors=True)
        self.push(machine)

    def pass_time(self, machine):
        seconds = self.chance.choice([60, 3600, 30 * 3600, 5 * DAY_S])
        self.clock.now += seconds
        self.dropbox.advance(seconds)

    def lie(self, machine):
        """One push under a clock that is years off."""
        machine.clock.ahead = self.chance.choice([-YEARS_S, YEARS_S, 600, -600])
        try:
            self.push(machine)
        finally:
            machine.clock.ahead = 0

    def step(self):
        """One thing that somebody does, and then what readers make of it."""
        self.op += 1
        self.counts.clear()
        work = getattr(self, self.chance.choices(list(self.WORK), list(self.WORK.values()))[0])
        machine = self.chance.choice(self.publishers)
        self.quiet = False
        try:
            work(machine)
        except HuracanError as error:
            code = error.code or type(error).__name__
            self.trouble[code] = self.trouble.get(code, 0) + 1
        except Killed:
            self.trouble["killed"] = self.trouble.get("killed", 0) + 1
        finally:
            self.quiet = True
        for reader, root, marks in self.readers:
            self.judge(reader, root, marks)

    # --- what readers accept --------------------------------------------------------------------------------------

    def judge(self, machine, root, marks):
        if self.is_as_before(root) and not self.always:
            return
        for channel in ("data", "champions"):
            try:
                snapshot = machine.reader().latest(channel)
                entries = {(item.path, item.content_hash) for item in snapshot._items}
            except HuracanError:
                self.refused += 1
                continue
            self.accepted += 1
            mark = (snapshot.head.epoch, snapshot.head.seq, snapshot.digest)
            before = marks.get(channel, (0, 0, b""))
            if mark[:2] < before[:2] or (mark[:2] == before[:2] and mark[2] != before[2]):
                self.problems.append(f"{root} {channel} went from {before[:2]} to {mark[:2]}")
            marks[channel] = mark
            if (root, snapshot.digest) not in self.stated:
                self.problems.append(f"{root} {channel} {mark[:2]}: no honest machine signed that head")
            if foreign := entries - self.made[root]:
                self.problems.append(f"{root} {channel} {mark[:2]}: nobody made {sorted(p for p, _ in foreign)}")
            if channel == "champions" and frozenset(entries) not in self.sets[root]:
                self.problems.append(f"{root} {channel} {mark[:2]}: a set that nobody published")

    def is_as_before(self, root):
        """Whether nothing has changed in a root folder since it was judged last: a reader would find what he found."""
        below = f"{root.lower()}/.huracan/"
        newest = max((seq for path, seq in self.dropbox.account.latest.items() if path.startswith(below)), default=0)
        now = newest, self.clock.now
        before, self.judged[root] = self.judged.get(root), now
        return now == before


class Skewed:
    """A clock that may be off."""

    def __init__(self, clock):
        self.clock, self.ahead = clock, 0

    def __call__(self):
        return self.clock() + self.ahead


_verified_once = functools.lru_cache(maxsize=4096)(sshsig.verify)
"""The same four values give the same answer: machines that hold the same files need not count again."""


def run(seed, beginning, folder, *, steps=6, **options):
    """Play one schedule; the `Schedule`, with what went wrong."""
    schedule = Schedule(seed, beginning, folder, **options)
    real, verify = channel_publisher.signed_files.sign_head, sshsig.verify

    def sign(payload, signers):
        data = real(payload, signers)
        if STOLEN not in signers:
            root = next(name for name, pin in schedule.pins.items() if payload.root_id == parse_pin(pin).root_id)
            schedule.stated.add((root, head_history.digest_of(data)))
        return data

    said, threading.excepthook = threading.excepthook, _dies_silently
    signed_files.sign_head, sshsig.verify = sign, _verified_once
    fewest, renames.FEWEST = renames.FEWEST, 1  # also one renamed file is copied inside Dropbox
    try:
        for _ in range(steps):
            schedule.step()
            if schedule.problems:
                break
    finally:
        _wait_for_looks()
        signed_files.sign_head, sshsig.verify, threading.excepthook, renames.FEWEST = real, verify, said, fewest
    return schedule


def _wait_for_looks():
    """A push that was killed may have left the look at its channel under way, which is to die as silently as it did."""
    for thread in threading.enumerate():
        if thread.name == "huracan-signing":
            thread.join(60)


def _dies_silently(arguments):
    """A thread that was killed with its machine tells nobody."""
    if not isinstance(arguments.exc_value, Killed):
        sys.__excepthook__(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
