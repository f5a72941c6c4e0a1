"""`Route`, the definition of one API function, and `Call`, what a handler gets: one authenticated call."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from huracan_sync.emulator.calls.request_body import Body, Disconnected
from huracan_sync.emulator.spec.failures import Headers, RateLimited
from huracan_sync.emulator.spec.schema import Kind
from huracan_sync.emulator.state.faults import Rule
from huracan_sync.emulator.state.records import App, Grant, Token
from huracan_sync.emulator.state.tree import Account, Moment
from huracan_sync.emulator.state.view import View
from huracan_sync.emulator.state.world import World

Style = Literal["rpc", "upload", "download"]


@dataclass
class Answer:
    """A response. `length` is needed when the body is not bytes and its length is known."""

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""
    length: int | None = None
    error: str | None = None

    @classmethod
    def of(cls, value: Any, *, compact: bool = False) -> "Answer":
        """Return a 200 with this value as JSON: spaced, as most services print it, or compact, as some do."""
        separators = (",", ":") if compact else None
        return cls(
            headers=[("Content-Type", "application/json")], body=json.dumps(value, separators=separators).encode()
        )


def header_json(value: Any) -> str:
    """Encode JSON for a header: ASCII only, DEL escaped too."""
    return json.dumps(value).replace("\x7f", "\\u007f")


@dataclass
class Call:
    """One authenticated call with its argument. `token`, `view` and `account` are set if the route's auth is `user`."""

    world: World
    route: "Route"
    body: Body
    headers: dict[str, str]
    query: dict[str, str]
    base_url: str
    moment: Moment
    place: str = ""
    arg: Any = None
    token: Token | None = None
    grant: Grant | None = None
    quirks: list[Rule] = field(default_factory=list)
    struck: list[Rule] = field(default_factory=list)  # every rule that struck this call, for the log
    resets: int = 0
    twin: str = ""  # the same for the same listing by the same caller
    _app: App | None = None
    _view: View | None = None

    @property
    def app(self) -> App:
        """The calling app."""
        assert self._app  # noqa: S101  the gate has looked
        return self._app

    @property
    def view(self) -> View:
        """The part of the account that the caller sees."""
        assert self._view  # noqa: S101
        return self._view

    @property
    def account(self) -> Account:
        """The account whose files the call is about."""
        return self.view.account

    def admit(self, app: App, view: View | None) -> None:
        """Set the calling app, and the part of the account that it sees."""
        self._app, self._view = app, view

    def check_not_reset(self) -> None:
        """Check, after a wait, that the emulator was not reset meanwhile.

        Raises:
            Disconnected: it was reset meanwhile, and with it the token.
        """
        if self.world.resets != self.resets:
            raise Disconnected

    @property
    def account_id(self) -> str | None:
        """The id of the account the call is about, if it is known."""
        return self._view.account.person.account_id if self._view else None

    def quirk(self, kind: str) -> Rule | None:
        """Return the scripted fault of this kind that applies to this call, if there is one."""
        return next((rule for rule in self.quirks if rule.fault == kind), None)

    async def take_write_lock(self, *, patient: bool = False) -> None:
        """Take the account's write lock, as Dropbox's namespaces have one: wait for it or be refused, by the settings.

        Args:
            patient: wait, however the lock is set; jobs do.

        Raises:
            RateLimited: somebody else holds the lock.
        """
        settings, account = self.world.settings, self.account
        if not settings.write_lock_ms:
            return
        clock = asyncio.get_running_loop().time
        while account.locked_until > clock():
            if settings.write_lock_mode == "refuse" and not patient:
                raise RateLimited("too_many_write_operations")
            await asyncio.sleep(account.locked_until - clock())
        account.locked_until = clock() + settings.write_lock_ms / 1000
        await asyncio.sleep(settings.write_lock_ms / 1000)
        self.check_not_reset()
        self.moment = self.world.moment()


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One function of the API."""

    name: str
    argument: Kind
    scope: str | None
    style: Style
    host: Literal["api", "content", "notify"]
    auth: Literal["user", "app", "none"]
    handler: Handler


ROUTES: dict[str, Route] = {}


def route(
    name: str,
    argument: Kind,
    scope: str | None,
    *,
    style: Style = "rpc",
    host: Literal["api", "content", "notify"] | None = None,
    auth: Literal["user", "app", "none"] = "user",
) -> Callable[[Handler], Handler]:
    """Register a handler for a route. The handler returns a value to encode as JSON, or an `Answer`."""

    def register(handler: Handler) -> Handler:
        where = host or ("api" if style == "rpc" else "content")
        ROUTES[name] = Route(name, argument, scope, style, where, auth, handler)
        return handler

    return register
