"""The settings of `POST /emulator/config`. Only data and its checking."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Everything that can be changed while the emulator runs. `null` removes a limit."""

    # the way there and back
    latency_ms: Amount = 0.0  # added to every answer, half before the work and half after
    bandwidth_mbit: Amount = 0.0  # of the whole link, each direction; 0 is as fast as it goes
    header_limit: Positive = 65536  # bytes of all request headers; more is a 431
    header_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0  # for the headers of a request; then it is cut off
    max_connections: Positive = 1000  # open at once; further ones are closed at once
    gzip: bool = True  # JSON of 1 KiB or more is compressed for clients that accept it
    # listing
    page_size: Positive | None = None  # most entries of a page, whatever `limit` says
    default_page_size: Positive = 500  # without `limit`
    deleted_children: bool = False  # a deleted folder is reported with everything below it
    rename_order: Literal["deleted_first", "created_first", "random"] = "deleted_first"
    longpoll_cap_s: Amount | None = None  # answer a long poll after at most so many real seconds
    longpoll_jitter_s: Amount = 0.0  # up to so much longer than `timeout`; the service says up to 90
    longpoll_backoff_s: Count | None = None  # the `backoff` of its answers
    # tokens
    token_lifetime_s: Positive = 14400
    token_length: Annotated[int, msgspec.Meta(ge=40, le=8192)] = 140
    rotate_refresh_tokens: bool = False  # a refresh brings a new refresh token; its use ends the old one
    code_lifetime_s: Positive = 600
    # writing
    write_lock_ms: Amount = 0.0  # how long a commit holds the account's namespace
    write_lock_mode: Literal["refuse", "wait"] = "refuse"  # what a second one meanwhile gets: a 429, or its turn
    quota_bytes: Count | None = None  # overrides the account's
    case_rename: Literal["ignored", "conflict", "applied"] = "ignored"  # what move does when only the case differs
    astral_names: bool = True  # names may hold characters beyond the BMP
    max_request_bytes: Positive = 150 * 1024 * 1024
    max_file_bytes: Positive = 2**41 - 2**22
    session_lifetime_s: Positive = 7 * 24 * 3600
    # pacing
    rate_limit_requests: Positive | None = None  # calls of one user of an app within `rate_limit_window_s`
    rate_limit_window_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    rate_limit_retry_after: Count = 1
    refuse_twin_listings: bool = False  # 429 for a listing while the same one of the same user is under way
    # jobs
    job_ms: Amount = 0.0  # how long an asynchronous job takes
    job_polls: Count = 0  # how many checks answer in_progress at least


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """Return the settings with some of them changed.

    Raises:
        ValueError: a name no setting has (the text names the nearest), or a value that does not fit.
    """
    known = list(Settings.__struct_fields__)
    for name in changes:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            raise ValueError(f"no setting is called {name!r}" + (f"; the nearest is {near[0]!r}" if near else ""))
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **changes}, Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
