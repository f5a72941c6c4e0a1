"""Run the command line and be killed at one step of publishing: `killed.py STEP before|after ARGUMENTS...`."""

import itertools
import os
import signal
import sys

from huracan_sync.cli import main
from huracan_sync.signing.executor import Executor

step, when = int(sys.argv[1]), sys.argv[2]
numbers = itertools.count(1)
do = Executor._do


def killed(self, asked):
    number = next(numbers)
    if (number, when) == (step, "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    result = do(self, asked)
    if (number, when) == (step, "after"):
        os.kill(os.getpid(), signal.SIGKILL)
    return result


Executor._do = killed
sys.exit(main(sys.argv[3:]))
