"""What the verbs that move files share: their options, the login with its limits, the printed plan."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

from huracan_sync.auth.connect import connect
from huracan_sync.cli.columns import Whole, ascii_path
from huracan_sync.cli.filter_options import left_out
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.cli.progress import Watching
from huracan_sync.errors import Conflict, UsageError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.steady_rate import SteadyPacing
from huracan_sync.remote.token_bucket import TokenBucket
from huracan_sync.transfer.pair import PairPlan
from huracan_sync.transfer.progress import Failure, wait_in_words
from huracan_sync.tree.filters import Filters
from huracan_sync.tree.plan import Copy
from huracan_sync.tree.units import counted, size_in_words


def add_direction(parser: argparse.ArgumentParser, source: str) -> None:
    """Options of a one-way copy. `source` says where the copy comes from: `on the disk` or `in Dropbox`."""
    parser.add_argument("--delete", action="store_true", help=f"also delete what was synced and is gone {source}")
    parser.add_argument("--overwrite", action="store_true", help=f"where both differ, let what is {source} win")
    parser.add_argument(
        "--force", action="store_true", help="go on although a guard objects (emptied or vanished folder)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done, and do nothing")


def add_bandwidth(parser: argparse.ArgumentParser) -> None:
    """The option about bandwidth."""
    parser.add_argument("--bandwidth-limit", metavar="RATE", help="bytes a second, like 500k or 10M (default: none)")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Options about time and bandwidth."""
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="S", help="seconds to wait for another process (60)"
    )
    add_bandwidth(parser)


def add_vouch(parser: argparse.ArgumentParser) -> None:
    """A person's word for content that nobody has signed."""
    parser.add_argument(
        "--vouch",
        metavar="PATH",
        action="extend",
        nargs="+",
        default=[],
        help="sign these files or folders below LOCAL that came unsigned from Dropbox: you have looked at them",
    )


def add_parquet_metadata(parser: argparse.ArgumentParser) -> None:
    """The option about the `_metadata` file of a dataset."""
    parser.add_argument(
        "--parquet-metadata",
        action="store_true",
        help="LOCAL is a parquet dataset: keep its _metadata file, so that readers need no footer of any file; "
        "later runs keep it too",
    )


def remote_of(options: argparse.Namespace, invocation: Invocation, monitor: Watching) -> Remote:
    """The Dropbox of the login that was asked for, held to the bandwidth limit. Its waits are shown."""
    throttle = TokenBucket(_rate(options.bandwidth_limit)) if options.bandwidth_limit else None
    pacing = SteadyPacing(observe=lambda wait: monitor.note(wait_in_words(wait)))
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


def in_conflict(failures: Sequence[Failure]) -> str:
    """How many of the failures are conflicts, in words; empty for none."""
    count = sum(isinstance(failure.error, Conflict) for failure in failures)
    return f"{counted(count, 'file')} in conflict" if count else ""


def dry_run(
    invocation: Invocation,
    plan: PairPlan,
    requests: Callable[[Sequence[Copy]], int],
    filters: Filters | None = None,
) -> int:
    """Print the plan of an operation, with its totals. Exit code 1 where something waits for a person.

    Args:
        invocation: where to.
        plan: what would be done.
        requests: about how many requests the copies take.
        filters: what decided which files take part.
    """
    from huracan_sync.transfer.estimate import batches  # noqa: PLC0415 - start-up time

    steps, problems = plan.steps, list(map(str, plan.problems))
    sent = [step for step in steps.copies if step.path not in plan.renamed]
    totals = {
        "files": len(sent),
        "bytes": sum(step.entry.size for step in sent),
        "renamed": len(plan.renamed),
        "deletes": len(steps.deletes),
        "conflicts": len(steps.conflicts),
        "problems": len(problems),
        "filtered": left_out(filters),
        "requests": (requests(sent) if sent else 0) + batches(len(plan.renamed)),
    }
    document = {
        "dry_run": True,
        "copies": [_copy(step, plan.renamed.get(step.path)) for step in steps.copies],
        "deletes": [{"path": step.path, "rev": step.entry.rev} for step in steps.deletes],
        "conflicts": [{"path": step.path, "kind": step.kind.value, "why": step.why} for step in steps.conflicts],
        "problems": problems,
        "totals": totals,
    }
    lines = [
        *(Whole(ascii_path(line)) for line in steps.lines(plan.renamed)),
        *(f"problem   {ascii_path(problem)}" for problem in problems),
    ]
    invocation.output.document(document, [*lines, _totals(totals)])
    return FAILURES if steps.conflicts or problems else DONE


def _copy(step: Copy, source: str | None) -> dict[str, object]:
    replaces = step.replaces.rev if step.replaces else None
    return {"path": step.path, "size": step.entry.size, "replaces": replaces, "renamed_from": source}


def renamed_word(*, old_names_go: bool) -> str:
    """What happens to a file that has another name here now: without `--delete` Dropbox keeps the old one too."""
    return "renamed" if old_names_go else "copied inside Dropbox"


def _totals(totals: Mapping[str, int]) -> str:
    names = {"deletes": "to delete", "conflicts": "in conflict", "problems": "unreadable", "filtered": "filtered out"}
    more = [f"{totals[name]:,} {what}" for name, what in names.items() if totals[name]]
    if not totals["requests"]:
        return ", ".join(["nothing to copy", *more])
    size = size_in_words(totals["bytes"])
    what = [f"{totals['files']:,} to copy ({size})"] if totals["files"] else []
    if totals["renamed"]:
        word = renamed_word(old_names_go=totals["deletes"] > 0)
        what.append(f"{totals['renamed']:,} {word}" + ("" if totals["files"] else f" ({size} to send)"))
    return f"{', '.join([*what, *more])}; about {counted(totals['requests'], 'request')}"
