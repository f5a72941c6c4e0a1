"""What the verbs that move files share: their options, the login with its limits, the printed plan."""

from __future__ import annotations

import argparse

from huracan_sync.auth.connect import connect
from huracan_sync.cli.invocation import DONE, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.cli.output import Watching
from huracan_sync.errors import UsageError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.throttle import TokenBucket
from huracan_sync.transfer.pair import PairPlan
from huracan_sync.transfer.progress import wait_in_words


def add_direction(parser: argparse.ArgumentParser, source: str) -> None:
    """Options of a one-way copy. `source` says where the copy comes from: `on the disk` or `in Dropbox`."""
    parser.add_argument("--delete", action="store_true", help=f"also delete what was synced and is gone {source}")
    parser.add_argument("--overwrite", action="store_true", help=f"where both differ, let what is {source} win")
    parser.add_argument(
        "--force", action="store_true", help="go on although a guard objects (emptied or vanished folder)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Options about time and bandwidth."""
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="S", help="seconds to wait for another process (60)"
    )
    parser.add_argument("--bandwidth-limit", metavar="RATE", help="bytes a second, like 500k or 10M (default: none)")


def remote_of(options: argparse.Namespace, invocation: Invocation, monitor: Watching) -> Remote:
    """The Dropbox of the login that was asked for, held to the bandwidth limit. Its waits are shown."""
    throttle = TokenBucket(_rate(options.bandwidth_limit)) if options.bandwidth_limit else None
    pacing = Pacing(observe=lambda wait: monitor.note(wait_in_words(wait)))
    return connect(env=invocation.env, credentials=credentials(options, invocation), pacing=pacing, throttle=throttle)


def _rate(text: str) -> float:
    units = {"k": 1024, "m": 1024**2, "g": 1024**3}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        rate = float(number) * unit
    except ValueError:
        rate = 0.0
    if not 1024 <= rate < float("inf"):
        raise UsageError(f"--bandwidth-limit {text!r} is no rate", hint="bytes a second, at least 1k: 500k, 10M, 1.5M")
    return rate


def dry_run(invocation: Invocation, plan: PairPlan) -> int:
    """Print the plan of an operation."""
    lines, problems = list(plan.steps.lines()), list(map(str, plan.problems))
    words = [*lines, *(f"problem   {problem}" for problem in problems)] or ["nothing to do"]
    invocation.output.document({"plan": lines, "problems": problems}, words)
    return DONE
