"""What a route is, and what a handler gets to see of one call."""

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
        """A result as JSON, spaced as most services print it, or compact as some do."""
        separators = (",", ":") if compact else None
        return cls(
            headers=[("Content-Type", "application/json")], body=json.dumps(value, separators=separators).encode()
        )


def header_json(value: Any) -> str:
    """JSON that may stand in a header: ASCII, DEL escaped too."""
    return json.dumps(value).replace("\x7f", "\\u007f")


@dataclass
class Call:
    """One authenticated call with its argument. What needs a user is there when the route's auth says so."""

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
    generation: int = 0
    twin: str = ""  # what the same listing by the same caller would be called
    _app: App | None = None
    _view: View | None = None

    @property
    def app(self) -> App:
        """The app that calls."""
        assert self._app  # noqa: S101  the gate has looked
        return self._app

    @property
    def view(self) -> View:
        """What the caller sees of the account."""
        assert self._view  # noqa: S101
        return self._view

    @property
    def account(self) -> Account:
        """Whose files it is about."""
        return self.view.account

    def admit(self, app: App, view: View | None) -> None:
        """Say who calls, and what is seen."""
        self._app, self._view = app, view

    def still(self) -> None:
        """After a wait: whether the world this call began in is still there.

        Raises:
            Disconnected: it was reset meanwhile, and with it the token.
        """
        if self.world.generation != self.generation:
            raise Disconnected

    @property
    def account_id(self) -> str | None:
        """Whose files it is about, if that is known."""
        return self._view.account.person.account_id if self._view else None

    def quirk(self, kind: str) -> Rule | None:
        """The scripted fault of this kind, if one strikes this call."""
        return next((rule for rule in self.quirks if rule.fault == kind), None)

    async def turn(self, *, patient: bool = False) -> None:
        """Wait for the right to write in this account, or be refused it, as the namespace lock is set.

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
        self.still()
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
    """Register a handler for a route. It returns a value for JSON, or an `Answer`."""

    def register(handler: Handler) -> Handler:
        where = host or ("api" if style == "rpc" else "content")
        ROUTES[name] = Route(name, argument, scope, style, where, auth, handler)
        return handler

    return register
