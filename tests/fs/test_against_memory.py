"""Random sequences of operations: the Dropbox filesystem does what fsspec's `memory://` does."""

from collections import Counter

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from huracan_sync.fs import DropboxFileSystem

FOLDERS = ["/d0", "/d1", "/d0/d2", "/d0/d2/d3"]
FILES = ["/f0", *(f"{folder}/f{n}" for folder in FOLDERS[:3] for n in range(2))]
folders, files = st.sampled_from(FOLDERS), st.sampled_from(FILES)
anything = st.sampled_from(["", *FOLDERS, *FILES])
contents = st.tuples(st.sampled_from([0, 1, 7, 300, 1_100_000, 9_000_000]), st.integers(0, 3))


def blob(content):
    size, seed = content
    return (bytes((seed + at) % 251 for at in range(4093)) * (size // 4093 + 1))[:size]


class Machine(RuleBasedStateMachine):
    """One client that believes what it knows, or two that take turns and ask; `memory` is what must come of it."""

    def __init__(self, emulator, taken):
        super().__init__()
        self.emulator = emulator
        self.taken = taken

    @initialize(alone=st.booleans())
    def begin(self, alone):
        self.emulator.reset()
        tokens = [self.emulator.token()["access_token"] for _ in range(1 if alone else 2)]
        ttl = 3600.0 if alone else 0.0
        self.clients = [DropboxFileSystem(token=t, metadata_ttl=ttl, skip_instance_cache=True) for t in tokens]
        self.memory = MemoryFileSystem(global_store=False, skip_instance_cache=True)

    def both(self, client, call):
        """Both give the same, or both refuse."""
        outcomes = []
        for fs in (self.clients[client % len(self.clients)], self.memory):
            try:
                outcomes.append(("gives", call(fs)))
            except OSError as error:
                outcomes.append(("refuses", error))
        ours, theirs = outcomes
        assert ours[0] == theirs[0], (ours, theirs)
        if ours[0] == "gives":
            assert ours[1] == theirs[1]
        return ours[0] == "gives"

    def make_way(self, path):
        """Dropbox makes the folders of what is written, and keeps them; so must the model."""
        folder = path.rpartition("/")[0]
        if folder:
            self.memory.makedirs(folder, exist_ok=True)

    clients_ = st.integers(0, 1)

    @rule(client=clients_, path=files, content=contents)
    def pipe(self, client, path, content):
        self.make_way(path)
        self.both(client, lambda fs: fs.pipe(path, blob(content)))

    @rule(client=clients_, path=files, pieces=st.lists(st.binary(max_size=9), max_size=4))
    def write_in_pieces(self, client, path, pieces):
        self.make_way(path)

        def write(fs):
            with fs.open(path, "wb") as file:
                for piece in pieces:
                    file.write(piece)

        self.both(client, write)

    @rule(client=clients_, path=files)
    def write_and_fail(self, client, path):
        with pytest.raises(ZeroDivisionError), self.clients[client % len(self.clients)].open(path, "wb") as file:  # noqa: PT012 - the block fails
            file.write(b"never")
            raise ZeroDivisionError

    @rule(client=clients_, path=files)
    def create(self, client, path):
        self.make_way(path)
        self.both(client, lambda fs: fs.pipe_file(path, b"created", mode="create"))

    @rule(client=clients_, written=st.dictionaries(files, contents, max_size=6), commits=st.booleans())
    def transaction(self, client, written, commits):
        try:
            with self.clients[client % len(self.clients)].transaction:
                for path, content in written.items():
                    self.clients[client % len(self.clients)].pipe(path, blob(content))
                assert commits
        except AssertionError:
            return
        for path, content in written.items():
            self.make_way(path)
            self.memory.pipe(path, blob(content))

    @rule(client=clients_, path=files)
    def remove(self, client, path):
        self.both(client, lambda fs: fs.rm(path))
        assert not self.clients[client % len(self.clients)].exists(path)

    @rule(client=clients_, path=folders)
    def remove_tree(self, client, path):
        self.both(client, lambda fs: fs.rm(path, recursive=True))

    @rule(client=clients_, path=folders)
    def mkdir(self, client, path):
        self.make_way(path)
        self.both(client, lambda fs: fs.mkdir(path))

    @rule(client=clients_, path=folders)
    def makedirs(self, client, path):
        self.both(client, lambda fs: fs.makedirs(path, exist_ok=True))

    @rule(client=clients_, path=folders)
    def rmdir(self, client, path):
        self.both(client, lambda fs: fs.rmdir(path))

    @rule(client=clients_, source=files, goal=files, moves=st.booleans())
    def relocate(self, client, source, goal, moves):
        if self.memory.exists(source):
            self.make_way(goal)
        self.both(client, lambda fs: fs.mv(source, goal) if moves else fs.cp(source, goal))
        self.both(client, lambda fs: (fs.exists(source), fs.exists(goal)))

    @rule(client=clients_, source=folders, goal=st.sampled_from(["/d4", "/d1/d5", "/d1"]), moves=st.booleans())
    def relocate_tree(self, client, source, goal, moves):
        if self.memory.exists(goal) or f"{goal}/".startswith(f"{source}/") or not self.memory.exists(source):
            return
        self.make_way(goal)
        call = (lambda fs: fs.mv(source, goal, recursive=True)) if moves else None
        self.both(client, call or (lambda fs: fs.cp(source, goal, recursive=True)))

    @rule(client=clients_, path=files, start=st.integers(-30, 30), end=st.none() | st.integers(-30, 2_000_000))
    def read_range(self, client, path, start, end):
        self.both(client, lambda fs: fs.cat_file(path, start, end))

    @rule(
        client=clients_, path=files, at=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 2_000_000)), max_size=3)
    )
    def read_open(self, client, path, at):
        def read(fs):
            with fs.open(path, "rb") as file:
                found = []
                for start, length in at:
                    file.seek(start)
                    found.append(file.read(length))
                return found

        self.both(client, read)

    @rule(client=clients_, path=anything)
    def look(self, client, path):
        self.both(client, lambda fs: (fs.exists(path), fs.isdir(path), fs.isfile(path)))
        self.both(client, lambda fs: {key: fs.info(path)[key] for key in ("name", "size", "type")})
        if self.memory.exists(path):
            self.both(client, lambda fs: sorted(fs.ls(path, detail=False)))

    @rule(client=clients_, depth=st.none() | st.integers(1, 3))
    def find_everything(self, client, depth):
        self.both(client, lambda fs: fs.find("/", maxdepth=depth, withdirs=True))

    @rule(
        client=clients_, pattern=st.sampled_from(["/*", "/d0/*", "/**/f1", "/d*/f*", "/d0/d2/**", "/f[01]", "/none*"])
    )
    def glob(self, client, pattern):
        self.both(client, lambda fs: sorted(fs.glob(pattern)))

    @rule(client=clients_, path=st.sampled_from(["", *FOLDERS]))
    def walk(self, client, path):
        if self.memory.exists(path):
            self.both(client, lambda fs: sorted((at, sorted(d), sorted(f)) for at, d, f in fs.walk(path)))
            self.both(client, lambda fs: fs.du(path))

    @invariant()
    def both_clients_hold_the_same_tree(self):
        if hasattr(self, "memory"):
            self.taken["steps"] += 1
            expected = {path: self.memory.cat(path) for path in self.memory.find("/")}
            for client in self.clients:
                found = client.find("/", detail=True)
                assert {path: info["size"] for path, info in found.items()} == {p: len(c) for p, c in expected.items()}


def run(emulator, examples, steps):
    """How many steps were taken: sequences may end early."""
    taken = Counter()
    run_state_machine_as_test(
        lambda: Machine(emulator, taken),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate],  # the first that fails is shown as it is: each step costs requests
            suppress_health_check=list(HealthCheck),
        ),
    )
    return taken["steps"]


@pytest.mark.slow
def test_it_does_what_memory_does(dropbox, environment):
    run(dropbox, examples=6, steps=20)


@pytest.mark.slow
def test_it_does_what_memory_does_over_5000_steps(dropbox, environment):
    left = 5000
    while left > 0:
        left -= run(dropbox, examples=1 + left // 50, steps=50)
