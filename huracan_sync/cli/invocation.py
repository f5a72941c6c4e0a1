"""One call of the command line: what a verb is given beside its options, and the exit codes it answers with."""

from __future__ import annotations

from huracan_sync.auth.keystore.secret_io import Environment
from huracan_sync.auth.keystore.store import Store
from huracan_sync.cli.output import Output

DONE, FAILURES, USAGE = 0, 1, 2
REFUSED, UNAVAILABLE, LATER, UNAUTHORIZED, CONFIGURATION, INTERRUPTED = 65, 69, 75, 77, 78, 130


class Invocation:
    """What a verb is given beside its options: the environment and where to speak."""

    def __init__(self, env: Environment, output: Output) -> None:
        self.env = env
        self.output = output
        self.store: Store | None = None
        """The secrets of this machine, once they are asked for (cli/login_options.py)."""
        self.reads_only = ""
        """The profile that the verb works with, if it is a reader's."""
        self.only_reader = ""
        """The only login here, if it is a reader's and the verb needs another."""
