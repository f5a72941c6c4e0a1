"""The jobs that the fault matrix strikes, each with the state before it, its run, and what must be true after it."""

import functools
import itertools
import shutil

import login_machine
import reader_world
import transfer_world
from remote_peer import RemotePeer
from transfer_world import MIB, ROOT, Tokens, World, local_tree

from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.operations import migrate
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.source import RemoteSource
from huracan_sync.tree.content_hash import content_hash
from huracan_sync.tree.layout import Layout

SMALL = {f"d{n % 3}/f{n}": 3000 + n for n in range(25)}
LARGE = {"large/a": 9 * MIB}
TRANSFER = {"whole_up_to": 4 * MIB, "part_size": 4 * MIB}
HOUR = 3600
GENERATIONS = 4
content = functools.lru_cache(transfer_world.content)


class Machine(World):
    """A machine whose login is the real one: its access tokens come from a refresh token that was delivered to it."""

    def __init__(self, dropbox, folder):
        self.folder, self._logins = folder, itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        self.login = login_machine.Machine(dropbox, folder / "login")
        self.log_in()
        super().__init__(dropbox, folder)

    def log_in(self):
        """A person logs in anew."""
        granted = self.dropbox_tokens()
        self.login.delivered(self.folder, granted["refresh_token"], f"token {next(self._logins)}")

    def dropbox_tokens(self):
        return self.login.emulator.token(sorted(self.login.profile.needed))

    def connect(self, **pacing):
        remote = super().connect(**pacing)
        credentials, clocks = self.login.credentials(), self.login.clocks
        remote.tokens = AccessTokens(credentials, remote.wire, clocks=clocks, pacing=remote.pacing)
        return remote

    def later(self, seconds, dropbox=None):
        """Time passes for the service and for every clock here: the machine slept, or had nothing to do."""
        (dropbox or self.dropbox).advance(seconds)
        self.login.clocks.pass_(seconds)
        self.time.ahead += seconds

    def write(self, files):
        super().write({path: content(path, data) if isinstance(data, int) else data for path, data in files.items()})


def fresh(dropbox, folder):
    """A machine and an account that nothing has happened to."""
    dropbox.reset()
    return Machine(dropbox, folder)


class Files:
    """Push or restore of a folder."""

    def __init__(self, job):
        self.job = job

    def prepare(self, world):
        """The state before: together the jobs use every operation, deletions and single files among them."""
        world.dropbox.config(page_size=12)
        if self.job == "first":
            for n in range(30):
                world.foreign_write(f"theirs/{n}", b"a file of somebody else")
            world.write({"single": 2000, "double": 10})
        elif self.job == "token":
            world.write({"single": 2000, "double": 10, "triple": 1})
        elif self.job == "ranges":
            world.write(LARGE | {"single": 10})
            world.push()
        else:
            world.write(SMALL | {f"gone/{n}": 10 for n in range(4)} | {"single": 10})
            world.push()
        if self.job == "push":
            for n in range(4):
                (world.src / f"gone/{n}").unlink()
            world.foreign_write("theirs/0", b"a file of somebody else")  # something to continue with
            world.write({path: content("new", 3500) for path in list(SMALL)[:20]} | LARGE)
        elif self.job == "restore":
            world.restore()
            world.write({path: content("new", 3500) for path in list(SMALL)[:20]} | LARGE)
            (world.src / "single").unlink()
            world.push(delete=True, transfer=TRANSFER)

    def run(self, world, **options):
        """The job; the errors of what failed in it."""
        if self.job == "token":  # each part begins when the access token of the one before has ended
            failed = self._push(world, **options)
            world.later(5 * HOUR)
            failed += world.restore(**options).failed
            world.later(5 * HOUR)
            failed += self._push(world, **options)
        elif self.job in {"first", "push"}:
            failed = self._push(world, **options)
        else:
            failed = world.restore(delete=True, force=True, **options).failed
        return [failure.error for failure in failed]

    @staticmethod
    def _push(world, **options):
        return world.push(delete=True, transfer=TRANSFER, force=True, **options).failed

    def check_nothing_wrong(self, world):
        """Whatever the run came to: what lies in a place is right."""
        ours = hashes(world)
        older = {**SMALL, **{f"gone/{n}": 10 for n in range(4)}, "single": 10}
        for path, digest in world.there().items():
            before = content_hash(content(path, older[path])).hex() if path in older else None
            assert path.startswith("theirs") or digest in {ours.get(path), before}, path
        for path, data in local_tree(world.dst).items():
            if not path.endswith(".part"):
                right = (world.src / path).read_bytes() if path in ours else None
                assert data in {right, content(path, older.get(path, 0))}

    def check_done(self, world):
        """Both sides hold the same, and nothing else."""
        there = world.there()
        assert {path: digest for path, digest in there.items() if not path.startswith("theirs")} == hashes(world)
        if self.job in {"fresh", "restore", "ranges", "token"}:
            assert local_tree(world.dst) == local_tree(world.src)

    def after_a_lost_page(self, world):
        """What a listing withheld, nobody can miss; that nothing was deleted by it is what counts. A new look finds it,
        but not what was to be deleted: without a memory of it, that is somebody else's.
        """
        shutil.rmtree(world.home)
        assert self.run(world, overwrite=True) == []
        for path in [path for path in world.there() if path.startswith("gone/") and self.job == "push"]:
            world.foreign_delete(path)
        if self.job == "restore":
            (world.dst / "single").unlink(missing_ok=True)


def hashes(world):
    return {path: content_hash(data).hex() for path, data in local_tree(world.src).items()}


class Follow:
    """A reader that waits for news of a signed set, and a publisher who makes some each time he has read."""

    def prepare(self, world):
        wire = Wire(Endpoint.from_environment(world.dropbox.env(world.home)))
        self.writer = Remote(wire, Tokens(world.dropbox), root=ROOT)
        self.story = reader_world.World(world.folder / "reader", peer=self._peer(world))
        self._publish(1)
        self.observed, self.last = [], None

    def _peer(self, world):
        return RemotePeer(self.writer, RemoteSource(world.remote, ROOT, sleep=world.time.sleep))

    def _publish(self, sequence):
        self.story.publish({"models/champion": b"generation %d" % sequence})

    def run(self, world, **_):
        self.story.peer = self._peer(world)
        reader, met, seen = self.story.new_reader(), [], []
        for snapshot in reader.follow(
            "champions", stop=lambda: seen[-1:] == [GENERATIONS], observe=met.append, poll_s=30
        ):
            seen.append(snapshot.sequence)
            assert snapshot.read("models/champion") == b"generation %d" % snapshot.sequence
            if snapshot.sequence < GENERATIONS:
                self._publish(snapshot.sequence + 1)
        assert seen == list(range(seen[0], GENERATIONS + 1))
        return met

    def check_nothing_wrong(self, world):
        self.check_done(world)

    def check_done(self, world):
        self.story.peer = self._peer(world)
        assert self.story.new_reader().latest("champions").sequence == GENERATIONS


APP, COINS = "/Runpodhuracan", ("BTC", "ETH", "SOL")
CANDLES = f"{APP}/data/candles"
LAYOUT = Layout()


class Migrate:
    """Candles and contracts that lie where earlier writers put them: to be moved, copied, or deleted as copies."""

    def prepare(self, world):
        for coin in COINS:
            name = f"{coin}-USDT_1m_20250101_20250601.parquet"
            self._write(world, f"{CANDLES}/{coin}/{name}", coin.encode())
            self._write(world, f"{CANDLES}/{name}", coin.encode())
            self._write(world, f"{APP}/2025-11-01/huracan/champion/{coin}.json", b"{}" + coin.encode())
        self.before = self._there(world)

    def _write(self, world, path, data):
        world.foreign("files/upload", {"path": path, "mode": "overwrite"}, data)

    def _there(self, world):
        entries = world.foreign("files/list_folder", {"path": "", "recursive": True, "limit": 2000})["entries"]
        return {entry["path_display"]: entry["content_hash"] for entry in entries if entry[".tag"] == "file"}

    def run(self, world, **options):
        made = migrate.plan(world.remote, LAYOUT)
        return [failure.error for failure in migrate.carry_out(world.remote, made, LAYOUT, **options).failed]

    def check_nothing_wrong(self, world):
        there = self._there(world)
        assert set(there.values()) == set(self.before.values())
        assert set(there) <= set(self.before) | self._after()

    def check_done(self, world):
        self.check_nothing_wrong(world)
        assert set(self._there(world)) == self._after()

    def _after(self):
        kept = {path for path in self.before if "/champion/" in path}
        placed = {f"{CANDLES}/{coin}USDT/{coin}-USDT_1m_20250101_20250601.parquet" for coin in COINS}
        return kept | placed | {f"/huracan/champion/{coin}.json" for coin in COINS}


def job_of(name):
    return {"follow": Follow, "migrate": Migrate}.get(name, functools.partial(Files, name))()
