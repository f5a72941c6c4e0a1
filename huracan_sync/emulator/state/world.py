"""The state of one emulator: apps, grants, accounts with their files, sessions, settings, faults.

Only the event loop's thread changes it, between two awaits; so nothing here is locked.
"""

import asyncio
import secrets
from collections import deque
from pathlib import Path
from typing import Any

from huracan_sync.emulator.spec import idents
from huracan_sync.emulator.state.clock import Clock, stamp
from huracan_sync.emulator.state.content import Content
from huracan_sync.emulator.state.faults import Faults
from huracan_sync.emulator.state.ledger import Ledger, Records
from huracan_sync.emulator.state.records import (
    App,
    Blob,
    Extent,
    FileRequest,
    Grant,
    Job,
    Link,
    Note,
    Person,
    Piece,
    Place,
    Reference,
    Revision,
    Session,
    Token,
    Tombstone,
)
from huracan_sync.emulator.state.settings import Settings
from huracan_sync.emulator.state.traffic import Traffic
from huracan_sync.emulator.state.tree import Account, Moment

APP_KEY = "emulatorfullapp"
READ_ONLY_APP_KEY = "emulatorreadapp"
CONFIDENTIAL_APP_KEY = "emulatorconfapp"
CONFIDENTIAL_APP_SECRET = "emulatorsecret0"  # noqa: S105  as public as the emulator
READ_SCOPES = ["account_info.read", "files.content.read", "files.metadata.read"]
_REQUESTS = ["file_requests.read", "file_requests.write"]
_SHARING = ["sharing.read", "sharing.write"]
ALL_SCOPES = sorted([*READ_SCOPES, *_REQUESTS, *_SHARING, "files.content.write", "files.metadata.write"])
QUOTA_BYTES = 2 * 1024**4
REDIRECT_URIS = [f"http://{host}:{port}/" for host in ("127.0.0.1", "localhost") for port in (53682, 53683, 53684)]


class World:
    """The emulator's state. With a folder it survives a restart, also after a kill."""

    def __init__(
        self, folder: Path, settings: Settings | None = None, *, lasting: bool = False, app_folder: bool = False
    ) -> None:
        self.started_with = settings or Settings()
        self.ending = False
        self.resets = 0  # how many there were; a call that began before one changes nothing after it
        self._app_folder = app_folder
        self.settings = self.started_with
        self.clock = Clock()
        self.faults = Faults()
        self.traffic = Traffic()
        self.content = Content(folder / "content")
        self.ledger = Ledger(folder if lasting else None)
        self._empty()
        records = self.ledger.load()
        if records:
            self._load(records)
            self.content.sweep()
        else:
            self._begin()

    def _empty(self) -> None:
        self.cursor_key = secrets.token_bytes(32)
        self.apps: dict[str, App] = {}
        self.grants: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.tokens: dict[str, Token] = {}
        self.accounts: dict[str, Account] = {}
        self.blobs: dict[str, Blob] = {}
        self.sessions: dict[str, Session] = {}
        self.pieces: dict[str, dict[int, Piece]] = {}
        self.jobs: dict[str, Job] = {}
        self.running: set[asyncio.Task[None]] = set()
        self.polls: dict[str, int] = {}
        self.links: dict[str, Link] = {}
        self.references: dict[str, Reference] = {}
        self.file_requests: dict[str, FileRequest] = {}
        self.codes: dict[str, Any] = {}
        self.answered: set[str] = set()  # consent pages
        self.listings: dict[Any, Any] = {}
        self.listing_now: set[str] = set()
        self.calls: dict[str, deque[float]] = {}  # when a user of an app called lately
        self.default_account_id = ""

    def _begin(self) -> None:
        self.ledger.keep(Note("cursor_key", self.cursor_key))
        for key, name, secret, scopes in (
            (APP_KEY, "Emulator", None, ALL_SCOPES),
            (READ_ONLY_APP_KEY, "Emulator read only", None, READ_SCOPES),
            (CONFIDENTIAL_APP_KEY, "Emulator confidential", CONFIDENTIAL_APP_SECRET, ALL_SCOPES),
        ):
            folder = self._app_folder and secret is None
            self.register(App(key, name, secret, folder, list(scopes), list(REDIRECT_URIS)))
        self.add_account()
        self.settle()

    def reset(self) -> None:
        """Start over: remove accounts, tokens, files, settings, faults, log, and reset the clock."""
        for task in self.running:
            task.cancel()
        waiting = [account.changed for account in self.accounts.values()]
        self.resets += 1
        self.ledger.clear()
        self.content.clear()
        self._empty()
        self.settings = self.started_with
        self.clock = Clock()
        self.faults = Faults()
        self.traffic = Traffic()
        self._begin()
        for changed in waiting:
            changed.set()

    def settle(self) -> None:
        """Store what changed, and wake waiting long polls."""
        self.ledger.flush()
        for account in self.accounts.values():
            account.settle()

    def end_waits(self) -> None:
        """Let long polls answer, because the emulator ends."""
        self.ending = True
        for account in self.accounts.values():
            account.changed.set()

    def close(self) -> None:
        """Close files."""
        self.ledger.close()

    # -- time -----------------------------------------------------------------------------------------------------

    def moment(self) -> Moment:
        """Return the current instant, for one call."""
        now = self.clock.now()
        return Moment(now, stamp(now))

    def advance(self, seconds: float) -> None:
        """Move the clock.

        Raises:
            ValueError: too far.
        """
        self.clock.advance(seconds)
        self.ledger.keep(Note("clock_offset", repr(self.clock.offset_s).encode()))

    # -- accounts, apps, tokens -----------------------------------------------------------------------------------

    def register(self, app: App) -> App:
        """Add an app, or change one."""
        self.apps[app.app_key] = app
        self.ledger.keep(app)
        return app

    def add_account(self, given_name: str = "Ada", surname: str = "Emulated", email: str = "") -> Account:
        """Create an empty account, which becomes the default."""
        uid = idents.number()
        person = Person(
            account_id=idents.account_id(),
            uid=uid,
            namespace=idents.number(),
            prefix=idents.account_prefix(),
            root_id="root",
            given_name=given_name,
            surname=surname,
            email=email or f"ada.{uid}@example.com",
            quota_bytes=QUOTA_BYTES,
        )
        self.ledger.keep(person)
        self.default_account_id = person.account_id
        self.ledger.keep(Note("default_account", person.account_id.encode()))
        account = self.accounts[person.account_id] = Account(person, self.ledger)
        return account

    def grant(self, app: App, account_id: str, scopes: list[str], *, offline: bool) -> tuple[Grant, str]:
        """Create a grant and return it with its refresh token (empty if access is not offline)."""
        refresh = idents.refresh_token() if offline else ""
        printed = idents.fingerprint(refresh) if offline else None
        grant = Grant(idents.short_id(), app.app_key, account_id, sorted(scopes), printed)
        self.keep_grant(grant)
        return grant, refresh

    def keep_grant(self, grant: Grant) -> None:
        """Store a grant as it is now."""
        self.grants[grant.grant_id] = grant
        for refresh in (grant.refresh, grant.successor):
            if refresh:
                self.refresh_tokens[refresh] = grant
        self.ledger.keep(grant)

    def issue(self, grant: Grant, scopes: list[str], expires_in: float | None) -> str:
        """Issue an access token of a grant. With `expires_in` None it does not expire."""
        secret = idents.access_token(self.settings.token_length)
        expires = None if expires_in is None else self.clock.now() + expires_in
        token = Token(idents.fingerprint(secret), grant.grant_id, sorted(scopes), expires)
        self.tokens[token.fingerprint] = token
        self.ledger.keep(token)
        return secret

    # -- content --------------------------------------------------------------------------------------------------

    def blob(self, content_hash: str, size: int, extents: list[Extent]) -> Blob:
        """Return the content with this hash; stored if it is new."""
        known = self.blobs.get(content_hash)
        if known is None:
            known = self.blobs[content_hash] = Blob(content_hash, size, extents)
            self.content.use(extents)
            self.ledger.keep(known)
        return known

    def _load(self, records: Records) -> None:
        kinds: dict[type[Any], list[Any]] = {}
        for record in records.values():
            kinds.setdefault(type(record), []).append(record)

        def each(kind: type[Any]) -> list[Any]:
            return kinds.get(kind, [])

        notes = {note.name: note.value for note in each(Note)}
        self.cursor_key = notes["cursor_key"]
        self.default_account_id = notes["default_account"].decode()
        self.clock = Clock(float(notes.get("clock_offset", b"0")))
        self.apps = {app.app_key: app for app in each(App)}
        for grant in each(Grant):
            self.keep_grant(grant)
        self.tokens = {token.fingerprint: token for token in each(Token)}
        self.blobs = {blob.content_hash: blob for blob in each(Blob)}
        self.sessions = {session.session_id: session for session in each(Session)}
        for piece in each(Piece):
            self.pieces.setdefault(piece.session_id, {})[piece.number] = piece
        for holder in [*each(Blob), *each(Piece)]:
            self.content.use(holder.extents)
        self.jobs = {job.job_id: job for job in each(Job)}
        self.links = {link.secret: link for link in each(Link)}
        self.references = {reference.reference: reference for reference in each(Reference)}
        self.file_requests = {request.request_id: request for request in each(FileRequest)}
        for person in each(Person):
            account = self.accounts[person.account_id] = Account(person, self.ledger)
            account.restore(*(_of(person, each(kind)) for kind in (Place, Tombstone, Revision)))
        self.ledger.flush()


def _of(person: Person, records: list[Any]) -> list[Any]:
    return [record for record in records if record.account_id == person.account_id]
