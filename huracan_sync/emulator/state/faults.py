"""Scripted faults: which calls they strike, and which kinds there are. `serving.fault_injection` carries them out.

A rule names a `route` (a glob, `*` for every one) and a `fault`, and says when it strikes, counting calls that match:

    path    calls, or entries of a batch, about a path that matches this glob (`error`, `restricted_content`)
    nth     that call (1 is the first), or a list of them
    every   each n-th
    rate    with this probability, drawn with `seed`
    times   at most so often
    (none)  every call

`when` is `before` (nothing happened yet) or `after` (it happened; only the answer is lost or changed).
"""

import random
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# An answer of this kind is given instead of the real one.
ANSWERS = {
    "rate_limited": "429: `form` json | date | text | body | none | html, `reason`, `retry_after`",
    "too_many_write_operations": "429 as for lock contention; `form` conflict: the 409 that some routes have for it; "
    "in a finish_batch, for the `entries` given",
    "server_error": "`status` (503; 400 to 599) from before the API, with `body` html | empty | octet_stream | grpc | "
    "json | text",
    "captive_portal": "200 with a page of HTML",
    "error": "409 with `tags` from outside in and `fields` beside the innermost: any error of the route; with `path`, "
    "also of one entry of a batch",
    "expired_access_token": "401; the token has expired for good",
    "invalid_access_token": "401; the token and its refresh token are revoked for good",
    "user_suspended": "401",
    "missing_scope": "401, with the scope the route needs",
    "invalid_select_user": "401",
    "invalid_select_admin": "401",
    "route_access_denied": "401",
    "access_denied": "403: an AccessError by its `tags`",
    "insufficient_space": "409 in the shape of the route",
    "token_error": "400 of oauth2/token: `tags` is [error, description]",
}
# This changes what the call finds or does.
QUIRKS = {
    "session_lost": "the upload sessions it names are gone",
    "incorrect_offset": "the upload session forgot what lies beyond `offset`",
    "unsettled_id": "an `id:` that something is written to is not known yet: the 400 of the first seconds",
    "cursor_reset": "every cursor issued so far is invalid",
    "restricted_content": "409 path/restricted_content for the content of a `path`; its metadata is there",
    "longpoll_noise": "a long poll says at once that something changed, though nothing did",
    "ignore_range": "a Range is not looked at: 200 and the whole file",
    "page_size": "a page of a listing has at most `size` entries",
    "pages": "a page of a listing is off: `form` duplicate | reorder | missing | empty",
    "scope": "oauth2/token grants `scope` instead of what was asked",
    "job_failed": "an asynchronous job ends in internal_error",
}
# This happens to the bytes on their way.
WIRES = {
    "reset": "the connection is reset: after `offset` bytes of the request body, else when it is whole; "
    "`when` after: once the work is done",
    "close": "the connection is closed without an answer",
    "truncate": "the answer ends after `offset` bytes, or `fraction` of it, and the connection closes",
    "corrupt": "one bit of the answer's body is flipped, at `offset` or a place drawn with `seed`",
    "wrong_length": "Content-Length says one byte more than comes",
    "stall": "nothing happens for `seconds`, at `point` request | answer | body (after `offset` bytes)",
    "slow": "the answer's body comes at `bytes_per_s`",
}
KINDS = ANSWERS | QUIRKS | WIRES


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One scripted fault."""

    fault: str
    route: str = "*"
    path: str | None = None
    nth: Positive | list[Positive] | None = None
    every: Positive | None = None
    rate: Share | None = None
    seed: int = 0
    times: Positive | None = None
    when: Literal["before", "after"] = "before"
    # what it is like
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    body: Literal["html", "empty", "octet_stream", "grpc", "json", "text"] = "html"
    form: str | None = None
    reason: Literal["too_many_requests", "too_many_write_operations"] = "too_many_requests"
    retry_after: Count = 1
    tags: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    fields: dict[str, Any] = {}
    entries: list[Count] | None = None
    offset: Count | None = None
    fraction: Share = 0.5
    seconds: Amount = 30.0
    point: Literal["request", "answer", "body"] = "answer"
    bytes_per_s: Positive = 1000
    size: Positive = 1
    scope: list[str] = []


_FORMS = {
    "rate_limited": {"json", "date", "text", "body", "none", "html"},
    "too_many_write_operations": {"json", "conflict"},
    "pages": {"duplicate", "reorder", "missing", "empty"},
}


_FOR_PATHS = {"error", "restricted_content"}
_SESSIONS = tuple(
    f"files/upload_session/{name}"
    for name in ("append", "append_v2", "append_batch", "finish", "finish_batch", "finish_batch_v2")
)
_LISTINGS = ("files/list_folder", "files/list_folder/continue")
SHOWN_BY = {
    "session_lost": _SESSIONS,
    "incorrect_offset": _SESSIONS,
    "page_size": _LISTINGS,
    "pages": _LISTINGS,
    "scope": ("oauth2/token",),
    "cursor_reset": ("files/list_folder/continue", "files/list_folder/longpoll"),
    "longpoll_noise": ("files/list_folder/longpoll",),
    "ignore_range": ("files/download", "temporary_link"),
}
"""The only routes that some faults make a difference to."""


def read(value: Any) -> Rule:
    """Read a rule from JSON.

    Raises:
        ValueError: it is not a rule; the text says why.
    """
    try:
        rule = msgspec.convert(value, Rule)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if rule.fault not in KINDS:
        near = get_close_matches(rule.fault, KINDS, n=1, cutoff=0.0)[0]
        known = ", ".join(sorted(KINDS))
        raise ValueError(f"no fault is called {rule.fault!r}; the nearest is {near!r}; there are {known}")
    if rule.form is not None and rule.form not in _FORMS.get(rule.fault, set()):
        raise ValueError(f"{rule.fault} has no form {rule.form!r}")
    if rule.fault in {"error", "token_error", "access_denied"} and not rule.tags:
        raise ValueError(f"{rule.fault} needs `tags`")
    if rule.path is not None and rule.fault not in _FOR_PATHS:
        raise ValueError(f"{rule.fault} cannot be limited to a `path`; these can: {', '.join(sorted(_FOR_PATHS))}")
    if rule.fault == "restricted_content" and rule.path is None:
        raise ValueError("restricted_content needs a `path`")
    return rule


class _Armed:
    """A rule with its counters."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matched = 0
        self.struck = 0
        self.random = random.Random(rule.seed)  # noqa: S311  it has to be repeatable

    def applies(self, route: str, path: str = "") -> bool:
        rule = self.rule
        if not fnmatchcase(route, rule.route) or not (rule.path is None or fnmatchcase(path, rule.path.lower())):
            return False
        self.matched += 1
        if rule.times is not None and self.struck >= rule.times:
            return False
        hits = [
            rule.nth is None or self.matched in (rule.nth if isinstance(rule.nth, list) else [rule.nth]),
            rule.every is None or self.matched % rule.every == 0,
            rule.rate is None or self.random.random() < rule.rate,
        ]
        self.struck += all(hits)
        return all(hits)


class Faults:
    """All rules of an emulator."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, rules: list[Rule]) -> None:
        """Add rules; each begins to count now."""
        self._armed += [_Armed(rule) for rule in rules]

    def draw(self, route: str) -> list[Rule]:
        """Return the rules that apply to this call. Each matching rule counts it."""
        return [armed.rule for armed in self._armed if armed.rule.path is None and armed.applies(route)]

    @property
    def for_paths(self) -> bool:
        """Return whether any rule is limited to a path."""
        return any(armed.rule.path is not None for armed in self._armed)

    def draw_path(self, route: str, path_lower: str, kinds: set[str]) -> list[Rule]:
        """Return the rules of these kinds that are limited to a path and apply to this call or entry."""
        limited = [armed for armed in self._armed if armed.rule.path is not None and armed.rule.fault in kinds]
        return [armed.rule for armed in limited if armed.applies(route, path_lower)]

    def report(self) -> list[dict[str, Any]]:
        """Return the rules, with how many calls each saw and applied to."""
        return [
            {**msgspec.structs.asdict(each.rule), "seen": each.matched, "struck": each.struck} for each in self._armed
        ]
