"""One request from a client and its answer, with the simulated bandwidth, latency and faults.

Rules: the body is read to its end before an answer goes out; changes are written to disk before they are answered,
also when the client has gone; every answer has a request id; whatever a client sends, it gets an answer.
"""

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from huracan_sync.emulator.calls.call import Answer, Call, Route
from huracan_sync.emulator.calls.checks import check_call
from huracan_sync.emulator.calls.path_faults import strike
from huracan_sync.emulator.calls.request_body import Body, Disconnected, Message, Receive
from huracan_sync.emulator.routes import links, oauth, table
from huracan_sync.emulator.serving import consent, fault_injection
from huracan_sync.emulator.serving.bandwidth import Link
from huracan_sync.emulator.spec import idents, schema
from huracan_sync.emulator.spec.failures import ApiError, BadInput, JsonError
from huracan_sync.emulator.spec.schema import Invalid
from huracan_sync.emulator.state.faults import ANSWERS, QUIRKS, WIRES, Rule
from huracan_sync.emulator.state.traffic import Request
from huracan_sync.emulator.state.world import World

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
log = logging.getLogger("huracan_sync.emulator")

_PLAIN = Route("", schema.Void(), None, "rpc", "api", "none", lambda _: asyncio.sleep(0))
_GZIP_FROM = 1024
CARRIED = 128 * 1024
"""Bytes that a line of limited bandwidth carries of one answer before it carries some of another."""


class Exchange:
    """One request and its answer."""

    def __init__(self, world: World, link: Link, scope: Scope, receive: Receive, send: Send) -> None:
        self.world = world
        self.scope = scope
        self.send = send
        self.link = link
        self.request_id = idents.request_id()
        self.started = time.perf_counter()
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.header_bytes = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        self.body = Body(receive, link.up if world.settings.bandwidth_mbit else None, self._delay)
        self.route = _PLAIN
        self.name, self.work = self._find()
        self.call: Call | None = None
        self.rules: list[Rule] = []
        self.sent = 0
        self.counted = False
        self.resets = world.resets

    async def run(self) -> None:
        """Read the request, handle it, write changes to disk, answer, and log it."""
        wire = fault_injection.Wire(self.scope.get("emulator.transport"), self.body)
        try:
            if self.headers.get("content-length", "0") == "0" and "transfer-encoding" not in self.headers:
                await self.body.drain()  # nothing to read, so all of it is here
            self.rules = self.world.faults.draw(self.name)
            await wire.before([rule for rule in self.rules if rule.fault in WIRES])
            answer = await self._answer()
            self.world.settle()
            await self._delay()
            await wire.after([rule for rule in self.rules if rule.fault in WIRES])
            await self._respond(answer)
        except (Disconnected, fault_injection.Cut):
            self.world.settle()
            self._count(None)
        except asyncio.CancelledError:  # the server ends
            self.scope["emulator.transport"].abort()
        except OSError:
            if self.resets == self.world.resets:
                log.exception("the answer to %s broke off; this is a bug of the emulator", self.name)
            self.scope["emulator.transport"].abort()

    # -- doing ----------------------------------------------------------------------------------------------------

    def _find(self) -> tuple[str, Callable[[Call], Awaitable[Answer]]]:
        """Return the name for the log and the handler that belong to the path."""
        path, method = self.scope["path"], self.scope["method"]
        if path.startswith("/2/"):
            found = table.ROUTES.get(path[3:])
            if found:
                self.route = found
                allowed = {"POST", "GET"} if found.style == "download" else {"POST"}
                return found.name, self._api if method in allowed else _wrong_method
        plain = {
            ("/oauth2/token", "POST"): ("oauth2/token", oauth.token),
            ("/oauth2/authorize", "GET"): ("oauth2/authorize", self._ask),
            ("/oauth2/authorize", "POST"): ("oauth2/authorize", self._decide),
        }
        named = path.removeprefix("/1") if path.startswith("/1/oauth2/") else path  # the old names, which rclone uses
        if (named, method) in plain:
            return plain[named, method]
        if path.startswith("/cd/0/get/") and method == "GET":
            return "temporary_link", self._link
        if path.startswith("/apitul/1/") and method == "POST":
            return "temporary_upload_link", self._upload_link
        return "unknown", _unknown

    async def _answer(self) -> Answer:
        call = self.call = self._new_call()
        refused = self._headers_too_large()
        try:
            if refused:
                await self.body.drain()
                return refused
            answer = await self._instead("before") or await self._done(call)
            await self.body.drain()
            return await self._instead("after") or answer
        except Disconnected:
            raise
        except ApiError as error:
            await self.body.drain()
            return self._refused(error)
        except Exception:
            log.exception("%s failed; this is a bug of the emulator", self.name)
            await self.body.drain()
            return Answer(
                500, [("Content-Type", "text/plain; charset=utf-8")], b"Internal error of the emulator", error="bug"
            )

    async def _done(self, call: Call) -> Answer:
        try:
            return await self.work(call)
        except ApiError as error:
            return self._refused(error)
        except Invalid as error:  # an id that leads nowhere shows only when it is looked up
            return self._refused(BadInput(f"{call.place}: {error}"))

    async def _api(self, call: Call) -> Answer:
        await check_call(call)
        strike(call, call.arg)
        result = await call.route.handler(call)
        return result if isinstance(result, Answer) else Answer.of(result)

    async def _ask(self, call: Call) -> Answer:
        return consent.consent_page(self.world, call.query)

    async def _decide(self, call: Call) -> Answer:
        raw = await call.body.all(limit=65536) or b""
        return consent.decide(self.world, dict(parse_qsl(raw.decode("latin-1"))))

    async def _link(self, call: Call) -> Answer:
        self.route = table.TEMPORARY_LINK
        secret = self.scope["path"].removeprefix("/cd/0/get/").partition("/")[0]
        return links.open_link(self.world, secret, call.headers)

    async def _upload_link(self, call: Call) -> Answer:
        self.route = table.TEMPORARY_UPLOAD_LINK
        return await links.use_upload_link(call, self.scope["path"].removeprefix("/apitul/1/"))

    async def _instead(self, when: str) -> Answer | None:
        """Return the scripted answer for this call at this point, if there is one."""
        for rule in self.rules:
            if rule.fault in ANSWERS and rule.when == when and self.call:
                scripted = fault_injection.answer(self.call, rule)
                if scripted is not None:
                    await self.body.drain()
                    return self._refused(scripted) if isinstance(scripted, ApiError) else scripted
        return None

    def _new_call(self) -> Call:
        query = self.scope["query_string"].decode("latin-1")
        return Call(
            world=self.world,
            route=self.route,
            body=self.body,
            headers=self.headers,
            query=dict(parse_qsl(query, keep_blank_values=True, errors="replace")),
            base_url=f"{self.scope['scheme']}://{self.headers.get('host', '')}",
            moment=self.world.moment(),
            resets=self.resets,
            struck=self.rules,
            quirks=[rule for rule in self.rules if rule.fault in QUIRKS or rule.fault == "too_many_write_operations"],
        )

    def _headers_too_large(self) -> Answer | None:
        if self.header_bytes + len(self.scope["query_string"]) <= self.world.settings.header_limit:
            return None
        return Answer(431, [("Connection", "close")], b"")

    def _refused(self, error: ApiError) -> Answer:
        if isinstance(error, BadInput):
            error.function = error.function or self.route.name
        headers = [("Content-Type", error.content_type()), *error.headers()]
        if error.status == 401:
            headers.append(("X-Dropbox-Request-Url", self.scope["path"]))
        text = error.summary() if isinstance(error, JsonError) else str(error)
        return Answer(error.status, headers, error.body(), error=text)

    # -- answering ------------------------------------------------------------------------------------------------

    async def _delay(self) -> None:
        if self.world.settings.latency_ms:
            await asyncio.sleep(self.world.settings.latency_ms / 2000)

    async def _respond(self, answer: Answer) -> None:
        body, length = self._packed(answer)
        headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in self._head(answer)]
        if length is not None and answer.status != 304:
            extra = any(rule.fault == "wrong_length" for rule in self.rules)
            headers.append((b"content-length", str(length + extra).encode()))
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        wires = [rule for rule in self.rules if rule.fault in WIRES]
        last = b""
        if wires:
            transport = self.scope.get("emulator.transport")
            async for chunk in fault_injection.shaped(_chunks(body), wires, length, transport):
                await self._write(chunk, more=True)
            body = b""
        for chunk in self._pieces(body):
            if last:
                await self._write(last, more=True)
            last = chunk
        # Counted before its last bytes go, so that a client that has them finds the request in the log.
        self.sent += len(last)
        self._count(answer)
        self.sent -= len(last)
        await self._write(last, more=False)

    def _pieces(self, body: bytes | Iterator[bytes]) -> Iterator[bytes]:
        """The body: on a line of limited bandwidth in small pieces, because that carries answers side by side."""
        for chunk in _chunks(body):
            size = CARRIED if self.world.settings.bandwidth_mbit else max(1, len(chunk))
            yield from (chunk[at : at + size] for at in range(0, len(chunk), size))

    async def _write(self, data: bytes, *, more: bool) -> None:
        if data and self.world.settings.bandwidth_mbit:
            await self.link.down(len(data))
        transport = self.scope.get("emulator.transport")
        if transport is not None and transport.is_closing():
            raise Disconnected  # what nobody reads any more takes no room on the line, and was not sent
        self.sent += len(data)
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    def _packed(self, answer: Answer) -> tuple[bytes | Iterator[bytes], int | None]:
        body = answer.body
        if not isinstance(body, bytes):
            return body, answer.length
        wanted = "gzip" in self.headers.get("accept-encoding", "")
        kind = dict(answer.headers).get("Content-Type", "")
        packable = self.world.settings.gzip and kind.startswith(("application/json", "text/plain"))
        if wanted and packable and len(body) >= _GZIP_FROM and self.route.style != "download":
            body = gzip.compress(body, 1)
            answer.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        return body, len(body)

    def _head(self, answer: Answer) -> list[tuple[str, str]]:
        common = [
            ("Server", "envoy"),
            ("Date", formatdate(usegmt=True)),
            ("X-Dropbox-Request-Id", self.request_id),
            ("X-Dropbox-Response-Origin", "far_remote"),
        ]
        named = {name for name, _ in answer.headers}
        if "Cache-Control" not in named:
            common.append(("Cache-Control", "no-cache"))
        if ("Content-Type", "application/json") in answer.headers:
            common.append(("X-Content-Type-Options", "nosniff"))
        if answer.status < 300:
            spent = time.perf_counter() - self.started
            common.append(("X-Server-Response-Time", str(int(spent * 1000))))
        if self.route.host == "content":
            common.append(("X-Robots-Tag", "noindex, nofollow, noimageindex"))
        return [*answer.headers, *common]

    # -- counting -------------------------------------------------------------------------------------------------

    def _count(self, answer: Answer | None) -> None:
        """Log the request, once. Without an answer its connection was cut."""
        if self.counted:
            return
        self.counted = True
        if self.resets != self.world.resets:
            return  # the log was reset
        if self.call:
            self.world.listing_now.discard(self.call.twin)
        arg = self.call.arg if self.call else None
        path = arg.get("path") or arg.get("from_path") if isinstance(arg, dict) else None
        struck = ", ".join(rule.fault for rule in self.rules)
        request = Request(
            number=self.world.traffic.count + 1,
            at=self.world.clock.stamp(),
            route=self.name,
            status=answer.status if answer else 0,
            ms=round((time.perf_counter() - self.started) * 1000, 2),
            bytes_in=self.body.size,
            bytes_out=self.sent,
            header_bytes=self.header_bytes,
            request_id=self.request_id,
            account_id=self.call.account_id if self.call else None,
            error=answer.error if answer else None,
            fault=struck or None,
            path=path if isinstance(path, str) else None,
        )
        self.world.traffic.add(request, style=self.route.style)


def _chunks(body: bytes | Iterator[bytes]) -> Iterator[bytes]:
    return iter([body]) if isinstance(body, bytes) else body


async def _unknown(call: Call) -> Answer:  # noqa: ARG001  every route gets its call
    return _html(404, "Error (404)", "We can't find the page you're looking for.")


async def _wrong_method(call: Call) -> Answer:  # noqa: ARG001
    answer = _html(405, "Error (405)", "Method not allowed.")
    answer.headers.append(("Allow", "POST"))
    return answer


def _html(status: int, title: str, text: str) -> Answer:
    page = (
        f"<!DOCTYPE html><html><head><title>Dropbox - {title}</title></head><body><h1>{title}</h1>{text}</body></html>"
    )
    return Answer(status, [("Content-Type", "text/html; charset=utf-8")], page.encode())
