"""The ASGI application: it tells control endpoints and the page for people from the requests of clients."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from huracan_sync.emulator.serving.bandwidth import Link
from huracan_sync.emulator.serving.control import Control
from huracan_sync.emulator.serving.exchange import Exchange
from huracan_sync.emulator.serving.guard import Guard, refusal
from huracan_sync.emulator.serving.page import HEADERS, home
from huracan_sync.emulator.state.world import World


class Application:
    """The emulator as an ASGI application. Requests of clients bypass Starlette's router: their paths are a table."""

    def __init__(self, world: World, guard: Guard | None = None) -> None:
        async def page(request: Request) -> Response:
            before = request.query_params.get("before", "")
            number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
            return HTMLResponse(home(world, number), headers=HEADERS)

        inside = Starlette(routes=[Route("/", page), *Control(world).routes()])
        self._world = world
        self._link = Link(world)
        self._local = Mount("/", app=inside).app
        self._guard = guard or Guard()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        control = path in {"/", "/emulator"} or path.startswith("/emulator/")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        reason = self._guard.refuse(scope["scheme"], headers, (scope.get("client") or ("",))[0], control=control)
        if reason:
            answer = refusal(reason)
            await Response(answer.body, answer.status, dict(answer.headers))(scope, receive, send)
        elif control:
            await self._local(scope, receive, send)
        else:
            await Exchange(self._world, self._link, scope, receive, send).run()
