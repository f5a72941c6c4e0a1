"""SIGKILL for real: `push` and `restore` die at random moments; the next run carries on, and everything is compared."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import warm
from transfer_world import MIB, ROOT, content, local_tree

from huracan_sync.tree.content_hash import content_hash

SMALL, SLOTS, LARGE_EVERY = 12, 40, 3  # files written anew in a round, the names they share, rounds with a large one
STARTED = 0.15  # seconds in which Python has only begun: nothing to interrupt yet


class Storm:
    """Rounds of new content, pushed and restored by processes of which many are killed."""

    def __init__(self, world, seed):
        self.world, self.seed, self.kills = world, seed, 0
        self.random = random.Random(seed)
        self.whole = {"push": 0.6, "restore": 0.6}  # seconds that an undisturbed run took last
        self.env = {**os.environ, **world.dropbox.env(world.home), "HURACAN_APP_KEY": world.dropbox.app_key}
        token = world.home.parent / "token"
        token.touch(mode=0o600)
        token.write_text(world.dropbox.token()["refresh_token"])
        self.env["HURACAN_REFRESH_TOKEN_FILE"] = str(token)
        world.dropbox.config(latency_ms=20)

    def run(self, kills):
        number = 0
        while self.kills < kills:
            self.write(number)
            self.to_its_end("push", self.world.src, ROOT)
            self.to_its_end("restore", ROOT, self.world.dst, "--overwrite")
            number += 1

    def write(self, number):
        names = (self.random.randrange(SLOTS) for _ in range(SMALL))
        files = {f"d/f{n}": content((self.seed, number, n), self.random.randrange(300_000)) for n in names}
        if number % LARGE_EVERY == 0:
            files["large"] = content((self.seed, number), self.random.randrange(9, 26) * MIB)
        self.world.write(files)

    def to_its_end(self, *words):
        """Kill, and carry on, until a run ends by itself; then compare. Half of the recoveries are killed too."""
        while self.dies(words, self.random.uniform(STARTED, self.whole[words[0]])):
            self.kills += 1
            if self.random.random() < 0.5 and not self.dies(words, None):
                break
        if words[0] == "push":  # nothing missing, nothing twice, no `(1)`, no conflicted copy
            here = {path: content_hash(data).hex() for path, data in local_tree(self.world.src).items()}
            assert self.world.there() == here
        else:
            assert local_tree(self.world.dst) == local_tree(self.world.src)

    def dies(self, words, moment):
        """Whether the run was killed `moment` seconds after its start; one that ended before must have ended well."""
        command = [sys.executable, "-m", "huracan_sync", *map(str, words), "--json"]
        begun = time.monotonic()
        with warm.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                out, _ = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, _ = process.communicate()
        if process.returncode == -signal.SIGKILL:
            return True
        assert process.returncode == 0, out
        self.whole[words[0]] = max(time.monotonic() - begun, 2 * STARTED)
        assert json.loads(out)["failed"] == []
        return False


@pytest.mark.slow
def test_kills(world):
    Storm(world, seed=1).run(4)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
def test_300_kills(world, seed):
    Storm(world, seed).run(150)


@pytest.mark.long
@pytest.mark.skipif(not os.environ.get("HURACAN_SOAK"), reason="half an hour long: set HURACAN_SOAK=1")
@pytest.mark.parametrize("seed", range(10, 20))
def test_5000_kills(world, seed):
    Storm(world, seed).run(500)
