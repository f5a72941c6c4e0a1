"""Dropbox as one login sees it, reading and writing.

A call that may not be repeated blindly (the swap of a signed head) says `repeatable=False` and gets `Unreachable` or
`ServiceFault` with the fact `committed=None` when nobody knows whether it took effect.

The official SDK decodes an entry of a listing in 55 µs and takes 0.2 s to import; this client does
the first in under 1 µs. `sdk()` returns the official SDK's client, logged in as the same account, for everything else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from huracan_sync.errors import NotAuthorized, Unreachable, UsageError
from huracan_sync.remote.errors import NETWORK_ATTEMPTS
from huracan_sync.remote.grant import STAGING, Grant, Lender
from huracan_sync.remote.http import CHUNK, Body
from huracan_sync.remote.rate_limit import Wait
from huracan_sync.remote.read_client import Call, Download, Ranged, ReadOnly, Tokens, header_safe
from huracan_sync.secret import Secret
from huracan_sync.tree.content_hash import BLOCK_SIZE

if TYPE_CHECKING:
    import dropbox

__all__ = ["Download", "Ranged", "Remote", "Tokens", "header_safe"]

T = TypeVar("T")


def no_seal() -> None:
    """The default: a login that was made by hand keeps no key, and what is staged with it is not sealed."""


class Remote(ReadOnly):
    """One login's Dropbox. Thread-safe; opens no connection before the first call."""

    seal: Callable[[], Secret | None] = staticmethod(no_seal)
    """The key that receipts are sealed with, of this machine or of the grant."""

    def rpc(self, route: str, arg: object, result: type[T], *, repeatable: bool = True, commit: bool = False) -> T:
        """Call an RPC route.

        Args:
            route: like `files/list_folder`.
            arg: anything msgspec can encode; None for a route without an argument.
            result: the type of the answer.
            repeatable: whether making the call twice does no harm.
            commit: whether it writes to the namespace, so that it waits for the one before it.
        """
        call = self._rpc_call(route, arg, repeatable=repeatable, commit=commit)
        return self._decoded(route, self._repeat(call, self._whole).body, result)

    def send(
        self,
        route: str,
        arg: object,
        body: Body,
        result: type[T],
        *,
        size: int | None = None,
        repeatable: bool = True,
        commit: bool = False,
    ) -> T:
        """Call an upload route with `body`, which must be readable again for a second attempt.

        Args:
            route: like `files/upload_session/append_v2`.
            arg: the argument; it travels in a header.
            body: the bytes, or a list of pieces.
            result: the type of the answer.
            size: bytes in all, when `body` is a list.
            repeatable: whether making the call twice does no harm.
            commit: whether it writes to the namespace.
        """
        headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Arg": header_safe(arg)}
        if size is not None:
            headers["Content-Length"] = str(size)
        url = f"{self.wire.endpoint.content}/2/{route}"
        answer = self._repeat(Call(route, url, headers, body, repeatable, commit), self._whole)
        return self._decoded(route, answer.body, result)

    def pieces(self, route: str, arg: object, result: type[T], part: Ranged) -> Iterator[tuple[T, int, memoryview]]:
        """Call a download route for a part of a file and read it piece by piece; every block of the file ends one.

        When the body breaks off, it goes on after the last piece.

        Args:
            route: like `files/download`.
            arg: the argument.
            result: the type of what describes the whole file.
            part: which bytes.

        Returns:
            What describes the whole file, where in the file the piece begins, and the piece, which the next replaces.

        Raises:
            NotFound: nothing lies there.
            ServiceFault: `RANGE_IGNORED`, other bytes came than were asked for, every time.
        """
        at, failures, buffer = part.start, 0, memoryview(bytearray(CHUNK))
        while at < part.end:
            rest = Ranged(at, part.end)
            call = self._download_call(route, arg, rest)
            with self._repeat(call, lambda call, token, rest=rest: self._opened(call, token, rest)) as stream:  # type: ignore[misc]
                described = self._decoded(route, stream.headers.get("Dropbox-API-Result", "").encode(), result)
                try:
                    while at < part.end:
                        piece = buffer[: min(CHUNK, part.end - at, BLOCK_SIZE - at % BLOCK_SIZE)]
                        stream.fill(piece)
                        yield described, at, piece
                        at, failures = at + len(piece), 0
                except Unreachable as broken:
                    failures += 1
                    if failures >= NETWORK_ATTEMPTS:
                        raise
                    wait = Wait(self.pacing.backoff(failures), str(broken), route, failures)
            if at < part.end:
                self.pacing.pause(wait)

    @contextlib.contextmanager
    def cut_short(self) -> Iterator[None]:
        """Within the block no call goes on: what other threads wait for ends at once, with `Stopped`."""
        with self.wire.cut_short():
            self.pacing.hurry.set()
            try:
                yield
            finally:
                self.pacing.hurry.clear()

    def lend(
        self,
        scopes: Iterable[str] = STAGING,
        *,
        share: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> Grant:
        """A short-lived part of this login for a worker. It never holds the refresh token.

        Args:
            scopes: what the worker may do; by default put content into upload sessions, and nothing else.
            share: how much of the login's rate each worker may use: `1 / workers`.
            clock: seconds since 1970.

        Raises:
            UsageError: the share is not above 0 and at most 1.
            NotAuthorized: this login cannot lend (it is a short-lived token itself), or lacks the scopes.
        """
        if not 0 < share <= 1:
            raise UsageError(f"a worker cannot have the share {share} of a login", hint="lend with share=1 / workers")
        if not isinstance(self.tokens, Lender):
            raise NotAuthorized(
                "a short-lived token cannot be lent", hint="run `huracan-sync authorize` on the driver once"
            )
        wanted = frozenset(scopes)
        token, lifetime_s = self.tokens.lend(wanted)
        account = self.place.removeprefix(f"{self.wire.endpoint.namespace}/")
        expires_s = clock() + lifetime_s
        scopes = tuple(sorted(wanted))
        seal = self.seal() or Secret("")
        return Grant(token, account, self.wire.endpoint, self.root, scopes, expires_s, share, seal)

    def sdk(self) -> dropbox.Dropbox:
        """The official SDK's client over the same tokens and the same hosts."""
        from huracan_sync.remote.sdk import SdkClient  # noqa: PLC0415 - 0.2 s that most verbs do not need

        return SdkClient(self)

    def _check_allowed(self, route: str) -> None:
        """Every route is allowed."""
