"""What an answer of Dropbox means: our error, and whether the same call may be made again, and after how long.

This is the only place where the tags of an API error are read, and the only one that decides on a retry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from huracan_sync.errors import (
    CallRefused,
    Conflict,
    ContentMismatch,
    HostilePath,
    HuracanError,
    MissingScope,
    NotAuthorized,
    NotFound,
    OutOfSpace,
    PathRefused,
    RateLimited,
    ServiceFault,
    Unreachable,
    UsageError,
)
from huracan_sync.remote.http import Answer

MAX_PAUSE_S = 3600.0
"""A pause longer than this is not believed."""
FAULT_ATTEMPTS = 8
"""How often a call is made that the service fails, before its error is raised."""
NETWORK_ATTEMPTS = 5
"""How often a call is made that gets no answer at all."""
PAGE_ATTEMPTS = 2
"""How often a call is made that a front end refuses with a page: Dropbox's own 400 and 401 are text and JSON."""
SAME_BYTES = 2
"""How often the same bytes are sent that arrived as others: beyond that, they are wrong here."""


_SCOPE_OF_APP = re.compile(r"does not have the required scope '([a-z_.]{1,64})'")
"""In plain text: that the app itself lacks a scope is told by a 400, where a login's lack is a 401 with a tag."""


class CursorReset(ServiceFault):
    """The cursor is no longer valid: list again and compare."""

    retryable = False


class TokenExpired(NotAuthorized):
    """The access token is no longer good; another may be."""


class SessionLost(ServiceFault):
    """An upload session that cannot be gone on with: unknown, expired or closed, or it expects other bytes."""

    retryable = False


class Verdict(msgspec.Struct, frozen=True):
    """What to do about an answer that is no success."""

    error: HuracanError
    retry: bool = False
    attempts: int | None = FAULT_ATTEMPTS
    """How often the call is made at most, where it may be made again; None: as long as patience lasts."""
    after_s: float | None = None
    """What the server asked for; None when it did not say."""
    throttled: bool = False
    """The server objects to how much we do at once."""
    committed: bool | None = False
    """Whether the call may have taken effect: False no, None unknown."""


def of_silence(error: Unreachable) -> Verdict:
    """What it means that no whole answer came."""
    committed = None if error.facts.get("sent") else False
    return Verdict(error, retry=True, attempts=NETWORK_ATTEMPTS, committed=committed)


def verdict_of(error: HuracanError) -> Verdict:
    """What to do about an error whose answer is not at hand any more, as the token route raises them."""
    if isinstance(error, Unreachable):
        return of_silence(error)
    after = error.facts.get("retry_after_s")
    attempts = None if isinstance(error, RateLimited) else FAULT_ATTEMPTS
    return Verdict(error, retry=error.retryable, attempts=attempts, after_s=after if isinstance(after, float) else None)


def judge(route: str, answer: Answer, now: datetime) -> Verdict | None:
    """The meaning of an answer, None for a success."""
    status = answer.status
    if 200 <= status < 300:
        return None
    if status == 409:
        return _judge_409(route, answer)
    if status == 429:
        return _judge_429(route, answer, now)
    if is_stray_page(answer):
        fault = ServiceFault(f"a page came with status {status} instead of an answer to {route}", route=route)
        return Verdict(fault, retry=True, attempts=PAGE_ATTEMPTS)
    if status >= 500:
        pause = retry_after(answer, now)
        asked: dict[str, Any] = {} if pause is None else {"retry_after_s": pause}
        error = ServiceFault(f"Dropbox answered {status} to {route}", route=route, status=status, **asked)
        return Verdict(error, retry=True, after_s=pause, committed=None)
    if status == 400:
        return Verdict(_meaning_of_400(route, _text(answer)))
    if status in {401, 403}:
        return Verdict(_refused_login(route, status, answer))
    if status == 431:
        text = f"the argument header of {route} is too large for the server"
        return Verdict(CallRefused(text, code="HEADER_TOO_LARGE", route=route))
    return Verdict(CallRefused(f"Dropbox answered {status} to {route}: {_text(answer)}", route=route, status=status))


def _judge_429(route: str, answer: Answer, now: datetime) -> Verdict:
    pause = retry_after(answer, now)
    later = f"run the same command again in {pause:.0f} s; it carries on where it stopped" if pause else None
    error = RateLimited(f"Dropbox asks to slow down ({route})", hint=later, route=route, retry_after_s=pause)
    return Verdict(error, retry=True, attempts=None, after_s=pause, throttled=True)


_TEAM = (
    "log in as one member of the team with `huracan-sync authorize`; a token of the whole team is for no one's files"
)
_OF_LOGIN = {
    "user_suspended": ("the account is suspended", "its owner, or the team's administrator, can say why"),
    "invalid_account_type": ("the kind of this account does not have it", "it takes another plan, or another account"),
    "paper_access_denied": ("the account may not use Paper", ""),
    "invalid_select_user": ("no such team member", _TEAM),
    "invalid_select_admin": ("no such team administrator", _TEAM),
}
"""What is wrong with a login or account, by the tag of a 401, 403 or 409: in words, and what to do."""


def _refused_login(route: str, status: int, answer: Answer) -> HuracanError:
    """A 401 or 403: the login, or what the account may do."""
    error: Any = _decoded(answer).get("error")
    tag = error.get(".tag", "") if isinstance(error, dict) else ""
    if tag == "missing_scope":
        scope = str(error.get("required_scope", ""))
        return MissingScope(f"the login lacks the scope {scope}, which {route} needs", scope=scope, route=route)
    if tag in {"expired_access_token", "invalid_access_token"}:
        return TokenExpired(f"the access token is no longer valid ({tag})", route=route, tag=tag)
    if tag in _OF_LOGIN:
        return _of_login(route, tag)
    if status == 403:
        return NotAuthorized(f"Dropbox does not allow this account {route}: {tag or _text(answer)}", route=route)
    return NotAuthorized(f"Dropbox refuses the login: {tag or _text(answer)}", route=route, tag=tag)


def _of_login(route: str, tag: str) -> HuracanError:
    words, hint = _OF_LOGIN[tag]
    return NotAuthorized(f"Dropbox refuses {route}: {words} ({tag})", hint=hint, route=route, tag=tag)


def _meaning_of_400(route: str, text: str) -> HuracanError:
    """A 400 speaks in plain text, also about logins."""
    if scope := _SCOPE_OF_APP.search(text):
        return MissingScope(f"the app lacks the scope {scope[1]}, which {route} needs", scope=scope[1], route=route)
    if "Dropbox Business team" in text or "Dropbox-API-Select-User" in text:
        return NotAuthorized(f"the token is one of a whole team: {text}", hint=_TEAM, route=route)
    if "No auth function available" in text or "Authorization" in text:
        hint = "check that the token was copied whole, without quotes; `huracan-sync authorize` makes a new one"
        return NotAuthorized(f"Dropbox cannot read the login: {text}", hint=hint, route=route)
    return CallRefused(f"Dropbox answered 400 to {route}: {text}", route=route, status=400)


def _judge_409(route: str, answer: Answer) -> Verdict:
    detail = _decoded(answer)
    if not isinstance(detail.get("error"), dict):
        return Verdict(ServiceFault(f"Dropbox answered 409 to {route} without saying why", route=route), retry=True)
    return judge_failure(route, detail["error"])


def judge_failure(route: str, failure: Mapping[str, Any]) -> Verdict:
    """The meaning of an endpoint error: the `error` of a 409, or the `failure` of one entry of a batch."""
    tags = spell(failure)
    last = tags[-1] if tags else ""
    summary = "/".join(tags)
    if last in {"too_many_write_operations", "too_many_requests"}:
        error_ = RateLimited(f"Dropbox asks to slow down ({route})", route=route)
        return Verdict(error_, retry=True, attempts=None, throttled=True)
    if last == "internal_error":
        return Verdict(ServiceFault(f"Dropbox failed at {route}: {summary}", route=route), retry=True, committed=None)
    if last == "content_hash_mismatch":
        message = f"the bytes Dropbox received by {route} were not those that were sent"
        hint = "run it again; if it stays so, something on this machine or its network changes bytes"
        error = ContentMismatch(message, hint=hint, route=route)
        return Verdict(error, retry=True, attempts=SAME_BYTES)  # damaged on the way: they may arrive whole
    return Verdict(_plain_failure(route, tags, last, summary, failure))


def _plain_failure(
    route: str, tags: tuple[str, ...], last: str, summary: str, failure: Mapping[str, Any]
) -> HuracanError:
    session = "upload_session" in route
    if last == "incorrect_offset":
        offset = _find(failure, "correct_offset")
        return SessionLost(f"the session goes on at {offset}", route=route, correct_offset=offset)
    if session and (last in {"not_found", "closed", "not_closed"} or last.startswith("concurrent_session")):
        return SessionLost(f"the upload session cannot be gone on with: {summary}", route=route, tags=summary)
    if last == "not_found":
        return NotFound(f"nothing lies there in Dropbox ({route}: {summary})", route=route, tags=summary)
    if "conflict" in tags:
        hint = "look at what lies there; once it is moved away, the same command goes on"
        message = f"something else lies there in Dropbox ({summary})"
        return Conflict(message, hint=hint, route=route, tags=summary, with_=last)
    if last == "reset":
        return CursorReset("Dropbox no longer knows the cursor", route=route)
    if last in {"malformed_path", "disallowed_name"}:
        return HostilePath(f"Dropbox does not take this name ({last})", hint="rename the file", route=route)
    if last in {"not_folder", "not_file"}:
        return UsageError(f"that is {last.replace('_', ' a ')} in Dropbox", route=route, tags=summary)
    return _refused(route, tags, last, summary)


def _refused(route: str, tags: tuple[str, ...], last: str, summary: str) -> HuracanError:
    """The meaning of a tag that is in one of the tables below, or in none."""
    if tags and tags[0] in _OF_LOGIN:
        return _of_login(route, tags[0])
    if last in _FULL:
        words, advice = _FULL[last]
        return OutOfSpace(f"{words} ({last})", hint=advice, route=route)
    if last in _OF_PATH and route != DOWNLOAD_ZIP:
        words, advice = _OF_PATH[last]
        return PathRefused(f"{words} ({summary})", hint=advice, route=route, tags=summary)
    words, advice = _OF_CALL.get(last, (f"Dropbox refused {route}", None))
    return CallRefused(f"{words}: {summary}", hint=advice, route=route, tags=summary)


DOWNLOAD_ZIP = "files/download_zip"

_OWNER = "the owner of that folder in Dropbox can allow it"
_OF_PATH = {
    "no_write_permission": ("Dropbox does not allow to write there", _OWNER),
    "no_permission": ("Dropbox does not allow this there", _OWNER),
    "team_folder": ("Dropbox does not allow this in a team folder", _OWNER),
    "operation_suppressed": ("the rules of the team forbid this there", _OWNER),
    "cant_move_shared_folder": ("a shared folder cannot be moved there", _OWNER),
    "restricted_content": ("Dropbox keeps this content back", "open it on dropbox.com to see why"),
    "unsupported_file": ("this file cannot be downloaded as it is", "export it on dropbox.com"),
    "too_large": ("the file is too large for Dropbox", "2 TB is the most that a file may hold"),
    "too_many_files": ("it holds too many files for one request", "work on the folders in it"),
    "locked": ("somebody has locked the file in Dropbox", "the person who locked it can unlock it there"),
    "access_restricted": ("the team has restricted this", "the team's administrator can allow it"),
    "unsupported_content_type": ("Dropbox does not do this with such a file", "look at it on dropbox.com"),
    "encryption_not_supported": ("that folder takes only files that Dropbox's own apps encrypt", "use another folder"),
}
"""What concerns one path and nothing else, by its tag: in words, and what to do."""
_FULL = {
    "insufficient_space": ("the Dropbox account is full", None),
    "team_folder_insufficient_space": ("the team folder is full", None),
    "member_folder_insufficient_space": ("the team member's folder is full", None),
    "upload_traffic_limit_reached": ("no more may be uploaded this month", "go on next month, or with a larger plan"),
}
"""What has no room left, by the tag of a write: in words, and what to do where that is not to free space."""
_SHARED = "do it on dropbox.com, or folder by folder"
_ROOM = "free some space there"
_OF_CALL = {
    "payload_too_large": ("a request may carry 150 MiB", "send it as a file with `push` or `put`, which split it"),
    "insufficient_quota": ("the account has no room for what is copied or moved", _ROOM),
    "team_folder_insufficient_quota": ("the team folder has no room for it", _ROOM),
    "member_folder_insufficient_quota": ("the team member's folder has no room for it", _ROOM),
    "cant_copy_shared_folder": ("Dropbox copies no shared folder", _SHARED),
    "cant_nest_shared_folder": ("Dropbox puts no shared folder into another", _SHARED),
    "cant_move_folder_into_itself": ("a folder cannot be moved into itself", "choose another place"),
    "cant_transfer_ownership": ("what lies there would belong to somebody else", _SHARED),
    "cant_move_into_vault": ("this cannot be moved into the Vault", _SHARED),
    "cant_move_into_family": ("this cannot be moved into the Family Room", _SHARED),
}
"""What a call as a whole is refused for, where it is nobody's fault: in words, and what to do."""


def spell(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of an API error, outermost first: `("path", "conflict", "file")`."""
    tags = []
    inner: object = error
    while isinstance(inner, Mapping) and isinstance(inner.get(".tag"), str):
        tag = inner[".tag"]
        tags.append(tag)
        # A struct lies beside its tag and may carry the next union as `reason`; a union lies under the tag's name,
        # where an optional text that is not set may stand as a null.
        below = inner.get(tag)
        inner = below if isinstance(below, Mapping) else inner.get("reason")
    return tuple(tags)


def _find(value: object, name: str) -> int:
    """The first integer of this name anywhere in an error, or -1."""
    if isinstance(value, Mapping):
        if isinstance(value.get(name), int):
            return int(value[name])
        return max((_find(inner, name) for inner in value.values()), default=-1)
    return -1


def retry_after(answer: Answer, now: datetime | None = None) -> float | None:
    """How long to wait: the header as seconds or as a date, or `retry_after` of the JSON body; None if unsaid.

    A date is compared with that of the answer, else with `now`; without either it says nothing.
    """
    header = answer.headers.get("Retry-After", "").strip()
    if header:
        try:
            return _bounded(float(header))
        except ValueError:
            pass
        then, since = moment(header), moment(answer.headers.get("Date", "")) or now
        if then and since:
            return _bounded((then - since).total_seconds())
    error: object = _decoded(answer).get("error")
    pause = error.get("retry_after") if isinstance(error, dict) else None
    return _bounded(pause) if isinstance(pause, int | float) and not isinstance(pause, bool) else None


def moment(date: str) -> datetime | None:
    """The moment that the date of a header means, None when it means none."""
    import email.utils  # noqa: PLC0415 - start-up time: 6 ms, and the first answer needs it

    try:
        read = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _bounded(seconds: float) -> float:
    # A NaN compares false with everything; max and min in this order turn it into 0. An integer may be any.
    return float(min(max(0.0, seconds), MAX_PAUSE_S))


def _decoded(answer: Answer) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_stray_page(answer: Answer) -> bool:
    """Whether a front end refused the call, and not Dropbox."""
    return answer.status in {400, 401} and answer.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _text(answer: Answer) -> str:
    """The beginning of a body for a person, on one line."""
    return " ".join(answer.body[:300].decode("utf-8", "replace").split())
