"""Links that need no token, copy references, and save_url."""

import json
import mimetypes
import re
from typing import Any
from urllib.parse import urlsplit

from huracan_sync.emulator.calls.call import Answer, Call, route
from huracan_sync.emulator.calls.request_body import Body, store
from huracan_sync.emulator.routes import commits, jobs
from huracan_sync.emulator.routes.downloads import content_of, serve
from huracan_sync.emulator.spec import arguments, idents
from huracan_sync.emulator.spec.failures import ApiError, Failure, RateLimited
from huracan_sync.emulator.spec.schema import Invalid
from huracan_sync.emulator.state import metadata
from huracan_sync.emulator.state.clock import stamp
from huracan_sync.emulator.state.content import content_hash
from huracan_sync.emulator.state.records import Blob, Link, Reference
from huracan_sync.emulator.state.tree import Node
from huracan_sync.emulator.state.view import View, aimed
from huracan_sync.emulator.state.world import World

Json = dict[str, Any]
READ = "files.content.read"
WRITE = "files.content.write"
_TEMPORARY_S = 4 * 3600
_REFERENCE_S = 30 * 365.25 * 24 * 3600
_GET = "/cd/0/get/"
_PUT = "/apitul/1/"
# Dropbox serves links from a domain of their own. Here a file must not become a page of the emulator's origin.
_HARMLESS = [
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Content-Disposition", "attachment"),
    ("X-Content-Type-Options", "nosniff"),
]
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
# Python's own table only: what the machine knows beside it must not change an answer.
_TYPES = mimetypes.MimeTypes(filenames=())


@route("files/get_temporary_link", arguments.TEMPORARY_LINK, READ)
async def get_temporary_link(call: Call) -> Json:
    """Return a link to the current revision of a file; it works for four hours."""
    path = call.arg["path"]
    try:
        if path.startswith("rev:"):
            revision = call.view.revision(path[4:])
            described = metadata.of_revision(call.view, revision)
        else:
            node, revision = call.view.file(path)
            described = metadata.of(call.view, node, tagged=False)
    except Failure as failure:
        raise failure.under("path") from None
    link = _keep(call, _TEMPORARY_S, rev=revision.rev)
    return {"metadata": described, "link": f"{call.base_url}{_GET}{link.secret}/file"}


@route("files/get_temporary_upload_link", arguments.UPLOAD_LINK, WRITE)
async def get_temporary_upload_link(call: Call) -> Json:
    """Return a link for one upload. Whether it can succeed shows when it is used."""
    link = _keep(call, call.arg["duration"], commit=json.dumps(call.arg["commit_info"]).encode())
    return {"link": f"{call.base_url}{_PUT}{link.secret}"}


def _keep(call: Call, seconds: float, *, rev: str = "", commit: bytes = b"") -> Link:
    link = Link(
        secret=idents.link_token(),
        account_id=call.account.person.account_id,
        app_key=call.app.app_key,
        expires=call.world.clock.now() + seconds,
        rev=rev,
        commit=commit,
    )
    call.world.links[link.secret] = link
    call.world.ledger.keep(link)
    return link


def open_link(world: World, secret: str, headers: dict[str, str]) -> Answer:
    """Answer the GET of a temporary link."""
    link = world.links.get(secret)
    if link is None or not link.rev:
        return Answer(404, _TEXT, b"Not Found")
    if link.expires <= world.clock.now():
        return Answer(410, _TEXT, b"Gone")
    revision = world.accounts[link.account_id].revisions[link.rev]
    name = revision.path.rpartition("/")[2]
    kind = _TYPES.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return serve(world, revision, _HARMLESS, headers, kind)


async def use_upload_link(call: Call, secret: str) -> Answer:
    """Answer the POST to a temporary upload link. Every commit error is a 409 without JSON."""
    world = call.world
    link = world.links.get(secret)
    if link is None or not link.commit:
        return Answer(409, _TEXT, b"The temporary upload link does not exist.")
    if link.used or link.expires <= world.clock.now():
        what = b"recently consumed" if link.used else b"expired"
        return Answer(410, _TEXT, b"Temporary upload link has been " + what + b".")
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/octet-stream", "text/plain"}:
        return Answer(400, _TEXT, b"Content-Type must be application/octet-stream.")
    account, app = world.accounts[link.account_id], world.apps[link.app_key]
    call.admit(app, View.of(account, app, astral=world.settings.astral_names))
    return await _consume(call, link, call.body)


async def _consume(call: Call, link: Link, body: Body) -> Answer:
    world = call.world
    received = await store(body, world.content, limit=world.settings.max_request_bytes)
    call.check_not_reset()
    if received.too_large:
        return Answer(409, _TEXT, b"The upload is too large.")
    part = received.parts[0]
    blob = world.blob(content_hash(part.digests), part.length, part.extents)
    info = json.loads(link.commit)
    info["mode"] = tuple(info["mode"])
    link.used = True
    world.ledger.keep(link)
    try:
        await commits.commit(call, info, blob)
    except (ApiError, Invalid) as error:
        if isinstance(error, RateLimited):
            link.used = False
            raise
        return Answer(409, _TEXT, b"Upload failed.")
    return Answer.of({"content-hash": blob.content_hash})


# -- copy references ----------------------------------------------------------------------------------------------


@route("files/copy_reference/get", arguments.READ, WRITE)
async def copy_reference_get(call: Call) -> Json:
    """Return a reference by which another account may copy an item."""
    try:
        node = call.view.find(call.arg["path"])
    except Failure as failure:
        raise failure.under("path") from None
    reference = Reference(idents.short_id(), call.account.person.account_id, call.app.app_key, node.node_id)
    call.world.references[reference.reference] = reference
    call.world.ledger.keep(reference)
    expires = stamp(call.world.clock.now() + _REFERENCE_S)
    return {"metadata": metadata.of(call.view, node), "copy_reference": reference.reference, "expires": expires}


@route("files/copy_reference/save", arguments.COPY_REFERENCE_SAVE, WRITE)
async def copy_reference_save(call: Call) -> Json:
    """Copy the item that a copy reference names."""
    reference = call.world.references.get(call.arg["copy_reference"])
    if reference is None:
        raise Failure("invalid_copy_reference")
    if reference.app_key != call.app.app_key:
        raise Failure("no_permission")
    source = call.world.accounts[reference.account_id]
    node = source.nodes.get(reference.node_id)
    if node is None:
        raise Failure("not_found")
    _free(call)
    await call.take_write_lock()
    return {"metadata": metadata.of(call.view, _copy(call, node))}


def _free(call: Call) -> None:
    try:
        there = aimed(call.view, call.arg["path"], arguments.PATH).there
    except Failure as failure:
        raise failure.under("path") from None
    if there:
        raise Failure("path", "conflict", "folder" if there.is_folder else "file")


def _copy(call: Call, node: Node) -> Node:
    _free(call)
    target = aimed(call.view, call.arg["path"], arguments.PATH)
    if target.parent.below(node):
        raise Failure("path", "operation_suppressed")
    return call.account.copy(node, call.view.make(target), target.name, call.moment)


# -- save_url -----------------------------------------------------------------------------------------------------


def _path_of(url: str) -> str | None:
    """Return the path of an http address; None for anything else."""
    try:
        return urlsplit(url).path if re.match(r"\Ahttps?://[^/\s]", url) else None
    except ValueError:
        return None


@route("files/save_url", arguments.SAVE_URL, WRITE)
async def save_url(call: Call) -> Json:
    """Start a job. The emulator has no network: only its own temporary links can be saved."""
    path = _path_of(call.arg["url"])
    if path is None:
        raise Failure("invalid_url")
    try:
        aimed(call.view, call.arg["path"], arguments.PATH)
    except Failure as failure:
        raise failure.under("path") from None

    async def work() -> Json:
        secret = path.removeprefix(_GET).removesuffix("/file")
        link = call.world.links.get(secret)
        if link is None or not link.rev or link.expires <= call.world.clock.now():
            return {".tag": "failed", "failed": {".tag": "download_failed"}}
        revision = call.world.accounts[link.account_id].revisions[link.rev]
        blob = Blob(revision.content_hash, revision.size, content_of(call.world, revision))
        info = {**arguments.COMMIT({"path": call.arg["path"]}), "autorename": True}
        try:
            node = commits.place(call, info, blob)
        except Failure as failure:
            return {".tag": "failed", "failed": failure.under("path").error()}
        return {".tag": "complete", **commits.bare(call, node)}

    return jobs.launch(call, "save_url", work, short=True)
