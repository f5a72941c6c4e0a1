"""Carries out what `state.faults` describes: answers that are not the real ones, and bytes that do not arrive."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import formatdate
from itertools import pairwise
from typing import Any

from huracan_sync.emulator.calls.call import Answer, Call
from huracan_sync.emulator.calls.path_faults import shaped as shaped_error
from huracan_sync.emulator.calls.request_body import Body, Disconnected
from huracan_sync.emulator.routes import oauth
from huracan_sync.emulator.spec.failures import AccessDenied, ApiError, RateLimited, Refusal
from huracan_sync.emulator.spec.idents import fingerprint
from huracan_sync.emulator.state.faults import Rule

_NOW = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset
_PORTAL = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Accept the terms to go online.</body></html>"
AUTH_ERRORS = {
    "expired_access_token",
    "invalid_access_token",
    "user_suspended",
    "missing_scope",
    "invalid_select_user",
    "invalid_select_admin",
    "route_access_denied",
}
_PAGE = (
    '<!DOCTYPE html><html><head><meta http-equiv="content-type" content="text/html; charset=UTF-8">'
    "<title>Dropbox - {status}</title></head><body><h1>Error</h1>Something went wrong.</body></html>"
)
_BODIES = {
    "empty": ("", b""),
    "octet_stream": ("application/octet-stream", b""),
    "grpc": ("application/grpc", b""),
    "json": (
        "application/json",
        b'{"error": "The server has either erred or is incapable of performing the requested operation."}',
    ),
    "text": ("text/plain; charset=utf-8", b"upstream connect error or disconnect/reset before headers"),
}


class Cut(Exception):
    """The connection was cut, as scripted."""


# -- answers ------------------------------------------------------------------------------------------------------


def answer(call: Call, rule: Rule) -> Answer | ApiError | None:
    """Return the scripted answer of a rule; None where the handler carries the fault out itself."""
    if rule.fault in AUTH_ERRORS:
        return _refusal(call, rule)
    answers: dict[str, Callable[[Call, Rule], Answer | ApiError | None]] = {
        "rate_limited": _rate_limited,
        "too_many_write_operations": _contention,
        "server_error": _server_error,
        "captive_portal": lambda *_: Answer(200, [("Content-Type", "text/html; charset=utf-8")], _PORTAL),
        "insufficient_space": lambda call, _: shaped_error(call, ["path", "insufficient_space"], {}),
        "error": lambda call, rule: shaped_error(call, rule.tags or [], rule.fields),
        "token_error": _token_error,
        "access_denied": lambda _, rule: AccessDenied(*(rule.tags or []), **rule.fields),
    }
    return answers[rule.fault](call, rule)


def _rate_limited(_: Call, rule: Rule) -> ApiError | Answer:
    if rule.form == "html":
        return html_page(429)
    # The machine's time, not the virtual one: a client compares it with its own.
    date = formatdate(time.time() + rule.retry_after, usegmt=True)
    return RateLimited(rule.reason, rule.retry_after, form=rule.form or "json", date=date)


def _contention(call: Call, rule: Rule) -> ApiError | None:
    if rule.entries is not None and "finish_batch" in call.route.name:
        return None  # the route lets these entries fail alone
    if rule.form == "conflict":
        return shaped_error(call, [*_outer(call.route.name), "too_many_write_operations"], {})
    return RateLimited("too_many_write_operations", rule.retry_after)


def _outer(route: str) -> list[str]:
    """Return the union member that holds a route's WriteError; nothing where the error has a member of its own."""
    known = {"upload": "path", "create_folder": "path", "delete": "path_write", "restore": "path_write"}
    name = route.removeprefix("files/").removeprefix("alpha/").removesuffix("_v2")
    if name in {"move", "copy"}:
        return ["from_write"]
    return [known[name]] if name in known else []


def _server_error(_: Call, rule: Rule) -> Answer:
    if rule.body == "html":
        return html_page(rule.status)
    kind, body = _BODIES[rule.body]
    return Answer(rule.status, [("Content-Type", kind)] if kind else [], body)


def html_page(status: int) -> Answer:
    """Return the page that the servers in front of the API answer with."""
    return Answer(status, [("Content-Type", "text/html; charset=utf-8")], _PAGE.format(status=status).encode())


def _token_error(_: Call, rule: Rule) -> Answer:
    error, *description = rule.tags or []
    return oauth.refused(oauth.TokenError(error, *description[:1]))


def _refusal(call: Call, rule: Rule) -> ApiError | None:
    """Return a 401, and make it true for later calls, where it is about the token."""
    world = call.world
    _, _, secret = call.headers.get("authorization", "").partition(" ")
    token = world.tokens.get(fingerprint(secret.strip()))
    if token and rule.fault == "expired_access_token":
        token.expires = world.clock.now()
        world.ledger.keep(token)
    if token and rule.fault == "invalid_access_token":
        world.grants[token.grant_id].revoked = True
        world.keep_grant(world.grants[token.grant_id])
    if rule.fault == "missing_scope":
        return Refusal(rule.fault, required_scope=call.route.scope or "")
    return Refusal(rule.fault)


# -- the connection -----------------------------------------------------------------------------------------------


class Wire:
    """Faults of the connection, before and after the handler."""

    def __init__(self, transport: Any, body: Body) -> None:
        self._transport = transport
        self._body = body

    async def before(self, rules: list[Rule]) -> None:
        """Apply the faults that come before the handler.

        Raises:
            Cut: the connection is gone.
        """
        for rule in rules:
            if rule.fault == "stall" and rule.point == "request":
                await _hold(self._transport, rule.seconds)
            if rule.fault in {"reset", "close"} and rule.when == "before":
                await self._read(rule.offset)
                self._cut(rule)

    async def after(self, rules: list[Rule]) -> None:
        """Apply the faults that come after the handler and before the answer.

        Raises:
            Cut: the connection is gone.
        """
        for rule in rules:
            if rule.fault == "stall" and rule.point == "answer":
                await _hold(self._transport, rule.seconds)
            if rule.fault in {"reset", "close"} and rule.when == "after":
                self._cut(rule)

    async def _read(self, offset: int | None) -> None:
        while offset is None or self._body.size < offset:
            try:
                if not await self._body.chunk():
                    return
            except Disconnected:
                raise Cut from None

    def _cut(self, rule: Rule) -> None:
        if self._transport is not None:
            if rule.fault == "reset":
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
            self._transport.abort()
        raise Cut


async def _hold(transport: Any, seconds: float) -> None:
    """Wait, until the client disconnects at the latest."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end and not (transport is not None and transport.is_closing()):  # noqa: ASYNC110  it has no event
        await asyncio.sleep(min(0.05, end - loop.time()))


async def shaped(
    chunks: Iterator[bytes], rules: list[Rule], length: int | None, transport: Any
) -> AsyncIterator[bytes]:
    """Yield the body of an answer as it will arrive.

    Raises:
        Cut: the rest will not come; the connection closes once what was yielded is out.
    """
    by_fault = {rule.fault: rule for rule in rules}
    flip = _place(by_fault.get("corrupt"), length)
    end = _place(by_fault.get("truncate"), length)
    stall = by_fault.get("stall")
    pause = stall.offset or 0 if stall and stall.point == "body" else None
    at = 0
    for chunk in chunks:
        data = chunk
        if flip is not None and at <= flip < at + len(data):
            data = data[: flip - at] + bytes([data[flip - at] ^ 1]) + data[flip - at + 1 :]
        for part in _cut_at(data, at, [each for each in (pause, end) if each is not None]):
            if stall and pause is not None and at >= pause:
                await _hold(transport, stall.seconds)
                pause = None
            if end is not None and at >= end:
                _close(transport)
            async for piece in _slowly(part, by_fault.get("slow")):
                yield piece
            at += len(part)
    if "wrong_length" in by_fault or (end is not None and at <= end):
        _close(transport)


def _place(rule: Rule | None, length: int | None) -> int | None:
    """Return where in the body a rule applies."""
    if rule is None:
        return None
    if rule.offset is not None:
        return rule.offset
    if rule.fault == "truncate":
        return int((length or 0) * rule.fraction)
    return random.Random(rule.seed).randrange(max(1, length or 1))  # noqa: S311  it has to be repeatable


def _cut_at(data: bytes, start: int, places: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(place - start for place in places if 0 < place - start < len(data))})
    return [data[low:high] for low, high in pairwise(cuts)]


async def _slowly(data: bytes, rule: Rule | None) -> AsyncIterator[bytes]:
    if rule is None:
        yield data
        return
    step = max(1, rule.bytes_per_s // 10)
    for at in range(0, len(data), step):
        await asyncio.sleep(step / rule.bytes_per_s)
        yield data[at : at + step]


def _close(transport: Any) -> None:
    if transport is not None:
        transport.close()
    raise Cut
