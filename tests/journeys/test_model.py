"""Our client and the emulator together behave as three dictionaries would, whatever happens in whatever order."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from transfer_world import MIB, ROOT, World, content, local_tree

from huracan_sync.operations.restore import restore
from huracan_sync.tree.content_hash import content_hash

NAMES = ["a", "b.log", "sub/c", "sub/deep/d", "Größe.json", "BTC/BTC-USDT:USDT_1m.bin"]
SIZES = [0, 1, 1000, 200_000, 9 * MIB]
names, sizes, seeds = st.sampled_from(NAMES), st.sampled_from(SIZES), st.integers(0, 5)


def machine(dropbox):  # noqa: C901 - the rules of one machine
    """The state machine, bound to a running emulator."""

    class Model(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            dropbox.reset()
            self.folder = tempfile.TemporaryDirectory()
            self.world = World(dropbox, Path(self.folder.name))
            self.here, self.there, self.base = {}, {}, {}

        def teardown(self):
            self.folder.cleanup()

        # --- somebody changes something ---------------------------------------------------------------------------

        @rule(name=names, size=sizes, seed=seeds)
        def write_here(self, name, size, seed):
            self.here[name] = content((name, seed), size)
            self.world.write({name: self.here[name]})

        @rule(name=names)
        def delete_here(self, name):
            if self.here.pop(name, None) is not None:
                (self.world.src / name).unlink()

        @rule(name=names, size=sizes, seed=seeds)
        def write_there(self, name, size, seed):
            self.there[name] = content((name, "theirs", seed), size)
            self.world.foreign_write(name, self.there[name])

        @rule(name=names)
        def delete_there(self, name):
            if self.there.pop(name, None) is not None:
                self.world.foreign_delete(name)

        @rule()
        def lose_the_journal(self):
            (self.world.home / "journal.db").unlink(missing_ok=True)
            for rest in self.world.home.glob("journal.db-*"):
                rest.unlink()
            self.base = {}

        @rule()
        def lose_the_cursors(self):
            dropbox.control("cursors/reset", {})

        @rule(hours=st.integers(1, 24 * 8))
        def let_time_pass(self, hours):
            dropbox.advance(hours * 3600)

        @rule()
        def start_again(self):
            self.world.remote = self.world.connect()

        # --- our verbs, and what they must do ---------------------------------------------------------------------

        @rule(delete=st.booleans(), overwrite=st.booleans())
        def push(self, delete, overwrite):
            report = self.world.push(delete=delete, overwrite=overwrite, force=True)
            assert {f.path for f in report.failed} == self.follow(
                self.here, self.there, delete=delete, overwrite=overwrite, target_may_lead=False
            )

        @rule(delete=st.booleans(), overwrite=st.booleans())
        def restore(self, delete, overwrite):
            report = self.world.restore(to=self.world.src, delete=delete, overwrite=overwrite, force=True)
            assert {f.path for f in report.failed} == self.follow(
                self.there, self.here, delete=delete, overwrite=overwrite, target_may_lead=True
            )

        def follow(self, source, target, *, delete, overwrite, target_may_lead):
            """Move the dictionaries as the laws say; the paths that conflict."""
            stuck = set()
            for name in NAMES:
                base, lead, other = self.base.get(name), source.get(name), target.get(name)
                if lead is not None and lead == other:
                    self.base[name] = lead
                elif lead is None and other is None:
                    self.base.pop(name, None)
                elif lead is None:
                    if delete and base is not None:
                        if other == base:
                            del target[name], self.base[name]
                        else:
                            stuck.add(name)
                elif other is None or other == base or overwrite:
                    target[name] = self.base[name] = lead
                elif not (target_may_lead and lead == base):
                    stuck.add(name)
            return stuck

        # --- what always holds ------------------------------------------------------------------------------------

        @invariant()
        def both_sides_are_the_dictionaries(self):
            assert local_tree(self.world.src) == self.here
            assert self.world.there() == {name: content_hash(data).hex() for name, data in self.there.items()}

        @invariant()
        def an_unchanged_second_push_is_free(self):
            if self.here and self.here == self.there == self.base:
                report = self.world.push()
                assert (report.uploaded, report.bytes_sent) == (0, 0)

    return Model


def run(dropbox, examples, steps):
    run_state_machine_as_test(
        machine(dropbox),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


def test_model(dropbox):
    run(dropbox, 3, 25)


@pytest.mark.long
def test_model_200_times_50_steps(dropbox):
    run(dropbox, 200, 50)


def test_a_second_machine_restores_what_the_first_pushed(dropbox, tmp_path):
    """Two homes, one account: nothing of the first machine's memory is needed."""
    world = World(dropbox, tmp_path)
    world.write(dict.fromkeys(NAMES, 1000))
    world.push()
    report = restore(ROOT, world.dst, remote=world.connect(), home=tmp_path / "other")
    assert report.downloaded == len(NAMES)
    assert local_tree(world.dst) == local_tree(world.src)
