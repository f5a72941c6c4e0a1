"""The doors of the emulator: the page, the control endpoints, and everything else for clients."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from huracan_sync.emulator.serving.control import Control, local_only
from huracan_sync.emulator.serving.exchange import Exchange
from huracan_sync.emulator.serving.line import Line
from huracan_sync.emulator.serving.page import home
from huracan_sync.emulator.state.world import World


class Clients:
    """Whatever a client of Dropbox may ask, on any of its hosts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.line = Line(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await Exchange(self.world, self.line, scope, receive, send).run()


def make_app(world: World) -> "Doors":
    """The ASGI application for a world."""
    return Doors(world)


class Doors:
    """The first look at a request: its path says which door it goes through."""

    def __init__(self, world: World) -> None:
        async def page(_: Request) -> Response:
            return HTMLResponse(home(world))

        inside = Starlette(routes=[Route("/", page), *Control(world).routes()])
        self._ours = local_only(Mount("/", app=inside).app)
        self._clients = Clients(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Those of clients do not pass Starlette's router: they are many, and their paths are a table."""
        path = scope["path"]
        ours = path in {"/", "/emulator"} or path.startswith("/emulator/")
        await (self._ours if ours else self._clients)(scope, receive, send)
