"""Dropbox as one login sees it, for those who only read: calls in, typed answers or typed errors out.

A call waits for its slot, carries a token, is judged, and is made again when that is safe. Callers never retry.

`ReadOnly` knows the routes in `READS` and no other: code that holds one cannot write, whatever its token could do.
`remote.client.Remote` is the half that can.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NoReturn, Protocol, Self, TypeVar

import msgspec

from huracan_sync.errors import ServiceFault, Unreachable, UsageError
from huracan_sync.remote.errors import PAGE_ATTEMPTS, TokenExpired, Verdict, is_stray_page, judge, moment, of_silence
from huracan_sync.remote.http import CHUNK, MOST_ANSWER, Answer, Body, Stream, Wire
from huracan_sync.remote.rate_limit import Pacing, repeat
from huracan_sync.secret import Secret

T = TypeVar("T")
R = TypeVar("R", Answer, Stream)

LONGPOLL = "files/list_folder/longpoll"
READS = frozenset(
    {
        "files/list_folder",
        "files/list_folder/continue",
        "files/list_folder/get_latest_cursor",
        LONGPOLL,
        "files/get_metadata",
        "files/download",
        "files/download_zip",
    }
)
"""Every route that a reader may call."""

RANGE_ATTEMPTS = 2
"""How often a part is asked for where the whole comes: who does not know ranges will not learn them."""


class Tokens(Protocol):
    """Where access tokens come from (auth/access.py). Thread-safe."""

    def token(self) -> Secret:
        """A token that should be good now."""

    def renew(self, rejected: Secret) -> Secret:
        """Another one, because the service refused `rejected`."""


_UTC_NOW = functools.partial(datetime.now, UTC)


class Ranged(msgspec.Struct, frozen=True):
    """A part of a file: from byte `start` up to, not including, byte `end`."""

    start: int
    end: int

    def header(self) -> str:
        """The value of a `Range` header."""
        return f"bytes={self.start}-{self.end - 1}"


class Call(msgspec.Struct, frozen=True):
    """One call as it will be made, as often as it takes."""

    route: str
    url: str
    headers: dict[str, str]
    body: Body = b""
    repeatable: bool = True
    commit: bool = False


class ReadOnly:
    """One login's Dropbox, to be read. Thread-safe; opens no connection before the first call."""

    def __init__(
        self,
        wire: Wire,
        tokens: Tokens,
        *,
        pacing: Pacing | None = None,
        identity: Callable[[], str] = str,
        root: str = "",
        now: Callable[[], datetime] = _UTC_NOW,
    ) -> None:
        """Use `connect` instead, unless you bring tokens of your own.

        Args:
            wire: the connections.
            tokens: the source of access tokens.
            pacing: how much at once, and who watches the waits.
            identity: says whose Dropbox it is; local state is kept by that.
            root: the remote folder that holds everything of the engine (`/Runpodhuracan`).
            now: the wall clock.
        """
        self.wire = wire
        self.tokens = tokens
        self.pacing = pacing or Pacing()
        self.root = root
        self._identity = identity
        self._now = now
        self._dated = ("", now())

    @functools.cached_property
    def place(self) -> str:
        """What local state is kept by: the service and the account on it."""
        return f"{self.wire.endpoint.namespace}/{self._identity()}"

    @property
    def ahead_s(self) -> float:
        """How many seconds Dropbox's clock is ahead of ours, by its last answer; 0 before the first."""
        date, received = self._dated
        sent = moment(date)
        return (sent - received).total_seconds() if sent else 0.0

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a login cannot be sent to another process: it holds connections and a token",
            hint='open it there: huracan_sync.connect("engine")',
        )

    def rpc(self, route: str, arg: object, result: type[T]) -> T:
        """Call an RPC route.

        Args:
            route: like `files/list_folder`.
            arg: anything msgspec can encode; None for a route without an argument.
            result: the type of the answer.
        """
        return self._decoded(route, self._repeat(self._rpc_call(route, arg), self._whole).body, result)

    def _rpc_call(self, route: str, arg: object, *, repeatable: bool = True, commit: bool = False) -> Call:
        body = b"null" if arg is None else msgspec.json.encode(arg)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        return Call(route, f"{self.wire.endpoint.api}/2/{route}", headers, body, repeatable, commit)

    def fetch(
        self, route: str, arg: object, result: type[T], *, limit: int, part: Ranged | None = None
    ) -> tuple[T, bytes]:
        """Call a download route and read the whole body, again if it breaks off.

        Args:
            route: like `files/download`.
            arg: the argument.
            result: the type of what describes the whole file.
            limit: more bytes than this are refused.
            part: only these bytes.

        Raises:
            NotFound: nothing lies there.
            ServiceFault: `RANGE_IGNORED`, other bytes came than were asked for, every time.
        """
        call = self._download_call(route, arg, part)
        answer = self._repeat(call, lambda call, token: self._body(call, token, limit, part))
        return self._decoded(route, answer.headers.get("Dropbox-API-Result", "").encode(), result), answer.body

    def stream(self, route: str, arg: object, part: Ranged | None = None) -> Download:
        """Call a download route and leave the body on the wire. Use as a context manager.

        Args:
            route: like `files/download`.
            arg: the argument.
            part: only these bytes. From the beginning of the file more may come: a whole answer is accepted then.

        Raises:
            NotFound: nothing lies there.
            ServiceFault: `RANGE_IGNORED`, other bytes came than were asked for, every time.
        """
        expected = part if part is not None and part.start else None
        call = self._download_call(route, arg, part)
        return Download(self._repeat(call, lambda call, token: self._opened(call, token, expected)))

    def _download_call(self, route: str, arg: object, part: Ranged | None) -> Call:
        headers = {"Dropbox-API-Arg": header_safe(arg)} | ({} if part is None else {"Range": part.header()})
        return Call(route, f"{self.wire.endpoint.content}/2/{route}", headers)

    def longpoll(self, cursor: str, timeout_s: int) -> LongpollResult:
        """Wait until something below the cursor's folder changes, at most `timeout_s` (30 to 480) seconds.

        No token is sent: this host refuses one. No slot is taken: it is not work.
        """
        body = msgspec.json.encode({"cursor": cursor, "timeout": timeout_s})
        url, headers = f"{self.wire.endpoint.notify}/2/{LONGPOLL}", {"Content-Type": "application/json"}
        for _ in range(PAGE_ATTEMPTS):
            answer = self.wire.exchange(url, headers=headers, body=body, read_timeout=timeout_s + 90.0 + 15.0)
            if not is_stray_page(answer):
                break
        if (verdict := judge(LONGPOLL, answer, self._now())) is not None:
            raise verdict.error
        return self._decoded(LONGPOLL, answer.body, LongpollResult)

    def _check_allowed(self, route: str) -> None:
        """Raise `UsageError` for a route that may not be called here."""
        if route not in READS:
            raise UsageError(f"{route} is not for those who only read", route=route)

    def _repeat(self, call: Call, make: Callable[[Call, Secret], R | Verdict]) -> R:
        """Make the call, with another token when the first has expired, until it succeeds or fails for good."""
        self._check_allowed(call.route)
        token, is_renewed = self.tokens.token(), False

        def once() -> R | Verdict:
            nonlocal token, is_renewed
            outcome = make(call, token)
            if isinstance(outcome, Verdict) and isinstance(outcome.error, TokenExpired) and not is_renewed:
                token, is_renewed = self.tokens.renew(token), True
                outcome = make(call, token)
            return outcome

        result = repeat(once, self.pacing, call.route, repeatable=call.repeatable)
        self.pacing.succeeded()
        return result

    def _whole(self, call: Call, token: Secret) -> Answer | Verdict:
        """Make the call once and read its answer."""
        queue = self.pacing.commit() if call.commit else contextlib.nullcontext()
        try:
            with queue, self.pacing.slot():
                answer = self.wire.exchange(call.url, headers=call.headers, token=token, body=call.body)
        except Unreachable as error:
            return of_silence(error)
        self._dated = (answer.headers.get("Date", ""), self._now())
        return judge(call.route, answer, self._now()) or answer

    def _left_open(self, call: Call, token: Secret) -> Stream | Verdict:
        """Make the call once and leave the body of a success on the wire."""
        try:
            with self.pacing.slot():
                stream = self.wire.open(call.url, headers=call.headers, token=token)
                if 200 <= stream.status < 300:
                    return stream
                with stream:
                    answer = Answer(stream.status, stream.headers, stream.read(most=MOST_ANSWER))
        except Unreachable as error:
            return of_silence(error)
        verdict = judge(call.route, answer, self._now())
        return verdict or Verdict(ServiceFault(f"{call.route} gave no body", route=call.route))

    def _opened(self, call: Call, token: Secret, part: Ranged | None) -> Stream | Verdict:
        """Make a download call once and leave the body on the wire, if it is the one that was asked for."""
        outcome = self._left_open(call, token)
        if isinstance(outcome, Stream) and part is not None and not _is_honoured(outcome, part):
            outcome.close()
            error = ServiceFault(f"{call.route} did not honour the range", code="RANGE_IGNORED", route=call.route)
            return Verdict(error, retry=True, attempts=RANGE_ATTEMPTS)
        return outcome

    def _body(self, call: Call, token: Secret, limit: int, part: Ranged | None) -> Answer | Verdict:
        """Make a download call once and read its body."""
        outcome = self._opened(call, token, part)
        if isinstance(outcome, Verdict):
            return outcome
        with outcome as stream:
            pieces, size = [], 0
            try:
                # In one piece where nothing shapes it: joining pieces would hold everything twice.
                for piece in stream.chunks(CHUNK if self.wire.throttle else limit + 1):
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit:
                        error = ServiceFault(f"{call.route} sent more than {limit} bytes", route=call.route)
                        return Verdict(error, retry=False)
            except Unreachable as broken:
                return of_silence(broken)
        return Answer(stream.status, stream.headers, b"".join(pieces))

    def _decoded(self, route: str, body: bytes, result: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=result)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ServiceFault(
                f"the answer to {route} is not what Dropbox answers: {error}",
                hint="a captive portal or a proxy may stand between; check the network",
                route=route,
            ) from error


class Download:
    """The answer of a download route, its bytes still on the wire."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        return self._stream.chunks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _is_honoured(stream: Stream, part: Ranged) -> bool:
    return stream.status == 206 and stream.headers.get("Content-Range", "").startswith(f"bytes {part.start}-")


class LongpollResult(msgspec.Struct):
    """What a longpoll ended with."""

    changes: bool
    backoff: int = 0
    """Seconds to wait before the next one."""


_NOT_HEADER_SAFE = re.compile("[^\x00-\x7e]")  # this way round it takes no time to compile


def header_safe(arg: object) -> str:
    """The argument as JSON that fits a header: DEL and all beyond ASCII are escaped, as UTF-16 code units."""
    text = msgspec.json.encode(arg).decode()
    return text if text.isascii() and "\x7f" not in text else _NOT_HEADER_SAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
