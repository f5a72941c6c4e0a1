"""All routes. Importing a room of handlers registers them."""

import asyncio

from huracan_sync.emulator.calls.calls import ROUTES, Route, Style
from huracan_sync.emulator.routes import (
    downloads,
    file_requests,
    folders,
    jobs,
    links,
    listing,
    people,
    reading,
    relocation,
    search,
    uploads,
)
from huracan_sync.emulator.spec.schema import Void

__all__ = ["ROUTES", "TEMPORARY_LINK", "TEMPORARY_UPLOAD_LINK"]

_ROOMS = (downloads, file_requests, folders, jobs, links, listing, people, reading, relocation, search, uploads)


def _link(name: str, style: Style) -> Route:
    return Route(name, Void(), None, style, "content", "none", lambda _: asyncio.sleep(0))


# Not of the API, but counted and shaped as its content routes are.
TEMPORARY_LINK = _link("temporary_link", "download")
TEMPORARY_UPLOAD_LINK = _link("temporary_upload_link", "upload")
