"""The one loop that makes a call again.

What an answer means, and how often such a call may be made, is decided in `remote.errors`; how long to wait is
`Pacing`'s. Whoever calls through this loop never retries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from huracan_sync.remote.errors import Verdict
from huracan_sync.remote.rate_limit import Pacing, Wait

T = TypeVar("T")


def repeat(call: Callable[[], T | Verdict], pacing: Pacing, route: str, *, repeatable: bool = True) -> T:
    """Call `call` until it succeeds or its verdict is final.

    Args:
        call: makes the call once; returns its result, or the verdict on its failure.
        pacing: how long to wait, and who watches the waits.
        route: what is called, for the observer.
        repeatable: whether making the call twice does no harm.

    Raises:
        HuracanError: of the last verdict. Its fact `committed` is None when the call may have taken effect.
    """
    attempt, waited = 0, 0.0
    while True:
        outcome = call()
        if not isinstance(outcome, Verdict):
            return outcome
        attempt += 1
        pause = _pause_before_retry(outcome, attempt, waited, pacing, repeatable=repeatable)
        if pause is None:
            raise outcome.error
        if outcome.throttled:
            pacing.throttled(pause)
        pacing.pause(Wait(pause, str(outcome.error), route, attempt))
        waited += pause


def _pause_before_retry(
    verdict: Verdict, attempt: int, waited: float, pacing: Pacing, *, repeatable: bool
) -> float | None:
    """Seconds to wait, or None when the call must not be made again."""
    if not verdict.retry:
        return None
    if verdict.committed is None and not repeatable:
        verdict.error.facts["committed"] = None
        return None
    if verdict.attempts is not None and attempt >= verdict.attempts:
        return None
    pause = pacing.backoff(attempt)
    if verdict.after_s is not None:
        # All who were refused together should not return together; and refused calls count against the rate, so many
        # machines that came back every second or two would be refused for ever.
        pause += verdict.after_s
    return pause if waited + pause <= pacing.patience_s else None
