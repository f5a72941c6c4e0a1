"""The table of all routes. Importing a module of handlers adds its routes; no handler imports the table."""

import asyncio

from huracan_sync.emulator.calls.call import ROUTES, Route, Style
from huracan_sync.emulator.routes import (
    downloads,
    file_requests,
    folders,
    jobs,
    links,
    listing,
    relocation,
    revisions,
    search,
    uploads,
    users,
)
from huracan_sync.emulator.spec.schema import Void

__all__ = ["ROUTES", "TEMPORARY_LINK", "TEMPORARY_UPLOAD_LINK"]

# Named, so that the imports above are seen to be used: they are made for what they register.
HANDLERS = (
    downloads,
    file_requests,
    folders,
    jobs,
    links,
    listing,
    relocation,
    revisions,
    search,
    uploads,
    users,
)


def _link(name: str, style: Style) -> Route:
    return Route(name, Void(), None, style, "content", "none", lambda _: asyncio.sleep(0))


# Not part of the API, but counted and shaped as its content routes are.
TEMPORARY_LINK = _link("temporary_link", "download")
TEMPORARY_UPLOAD_LINK = _link("temporary_upload_link", "upload")
