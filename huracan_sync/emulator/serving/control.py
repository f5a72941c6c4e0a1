"""The control endpoints, under /emulator: for tests and for people, from this machine only.

    GET  /emulator                  what there is: accounts, apps, settings
    POST /emulator/reset            forget everything and start over
    POST /emulator/account          {"given_name", "surname", "email", "quota_bytes", "suspended", "account_id"}
    POST /emulator/apps             {"app_key", "name", "app_folder", "scopes", "redirect_uris", "secret"}
    POST /emulator/token            {"app_key", "scopes", "expires_in", "account_id"}
    POST /emulator/code             {"app_key", "redirect_uri", "code_challenge", "scope", "token_access_type", ...}
    POST /emulator/revoke           {"app_key", "account_id"}: the person unlinks the app
    GET, POST, DELETE /emulator/faults
    GET  /emulator/log, POST /emulator/log/reset
    POST /emulator/clock            {"advance_s": n}
    GET, POST /emulator/config
    POST /emulator/cursors/reset    every cursor issued so far is invalid

A field that an endpoint does not know is a 400 that says so. Calls here are neither counted nor slowed.
"""

import fnmatch
import json
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from huracan_sync.emulator.routes import oauth
from huracan_sync.emulator.routes.listing import forget_cursors
from huracan_sync.emulator.routes.table import ROUTES
from huracan_sync.emulator.spec import idents
from huracan_sync.emulator.state import faults, settings
from huracan_sync.emulator.state.records import App
from huracan_sync.emulator.state.tree import Account
from huracan_sync.emulator.state.world import ALL_SCOPES, REDIRECT_URIS, World

Json = dict[str, Any]
_AS_IT_IS = {"X-Content-Type-Options": "nosniff"}  # a page of another site cannot take it for a script


class Refused(Exception):
    """A control call that is refused; the text says why."""


class Control:
    """The control endpoints of one emulator."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """Return the table for Starlette's router."""
        table: dict[str, dict[str, Callable[[Json], Any]]] = {
            "": {"GET": self.overview},
            "/reset": {"POST": self.reset},
            "/account": {"POST": self.account},
            "/apps": {"GET": lambda _: self.overview({})["apps"], "POST": self.apps},
            "/token": {"POST": self.token},
            "/code": {"POST": self.code},
            "/revoke": {"POST": self.revoke},
            "/faults": {"GET": self.list_faults, "POST": self.add_faults, "DELETE": self.clear_faults},
            "/log": {"GET": self.log},
            "/log/reset": {"POST": self.reset_log},
            "/clock": {"GET": self.time, "POST": self.clock},
            "/config": {"GET": lambda given: self.config(_take(given)), "POST": self.config},
            "/cursors/reset": {"POST": self.reset_cursors},
        }
        return [Route("/emulator" + path, self._endpoint(works), methods=list(works)) for path, works in table.items()]

    def _endpoint(self, works: dict[str, Callable[[Json], Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                raw = await request.body()
                # What a GET brings only chooses what is shown: nothing is changed by following a link.
                posted = request.method in {"POST", "DELETE"}
                given = json.loads(raw or b"{}") if posted else dict(request.query_params)
                result = works[request.method if request.method != "HEAD" else "GET"](given)
            except (Refused, ValueError, RecursionError) as error:
                return JSONResponse({"error": str(error)}, 400, _AS_IT_IS)
            self.world.settle()
            return JSONResponse(result, headers=_AS_IT_IS)

        return answer

    # -- state ----------------------------------------------------------------------------------------------------

    def overview(self, _: Json) -> Json:
        """Return accounts, apps, settings and time."""
        world = self.world
        apps = [
            {
                "app_key": app.app_key,
                "name": app.name,
                "app_folder": app.app_folder,
                "confidential": app.secret is not None,
                "scopes": app.scopes,
                "redirect_uris": app.redirect_uris,
            }
            for app in world.apps.values()
        ]
        accounts = [self._account(account) for account in world.accounts.values()]
        return {"accounts": accounts, "apps": apps, "config": self.config({}), "time": world.clock.stamp()}

    def _account(self, account: Account) -> Json:
        person = account.person
        return {
            "account_id": person.account_id,
            "name": f"{person.given_name} {person.surname}".strip(),
            "email": person.email,
            "namespace": person.namespace,
            "used": account.used,
            "items": len(account.nodes) - 1,
            "suspended": person.suspended,
            "default": person.account_id == self.world.default_account_id,
        }

    def reset(self, given: Json) -> Json:
        """Forget everything."""
        _take(given)
        self.world.reset()
        return {"account_id": self.world.default_account_id}

    def account(self, given: Json) -> Json:
        """Create an account, which is then the default; or, with account_id, change one."""
        fields = _take(
            given,
            given_name=(str, "Ada"),
            surname=(str, "Emulated"),
            email=(str, ""),
            quota_bytes=(int | None, None),
            suspended=(bool | None, None),
            account_id=(str, ""),
        )
        if fields["account_id"]:
            account = self._find(fields["account_id"])
        else:
            account = self.world.add_account(fields["given_name"], fields["surname"], fields["email"])
        for name in ("quota_bytes", "suspended"):
            if fields[name] is not None:
                setattr(account.person, name, fields[name])
        self.world.ledger.keep(account.person)
        return self._account(account)

    def _find(self, account_id: str) -> Account:
        account = self.world.accounts.get(account_id or self.world.default_account_id)
        if account is None:
            raise Refused(f"no account has the id {account_id!r}")
        return account

    def apps(self, given: Any) -> Json:
        """Register an app, or change one. `secret` true makes it confidential."""
        known = self.world.apps.get(str(given.get("app_key"))) if isinstance(given, dict) else None
        fields = _take(
            given,
            app_key=(str, ""),
            name=(str, known.name if known else "App"),
            app_folder=(bool, known.app_folder if known else False),
            scopes=(list[str], known.scopes if known else ALL_SCOPES),
            redirect_uris=(list[str], known.redirect_uris if known else REDIRECT_URIS),
            secret=(bool, bool(known and known.secret)),
        )
        secret = (known.secret if known and known.secret else idents.short_id()[:15]) if fields["secret"] else None
        for uri in fields["redirect_uris"]:
            urlsplit(uri)  # a ValueError says what is wrong with it
        if "/" in fields["name"] or not fields["name"].strip():
            raise Refused("an app's name is also the name of its folder: it cannot be empty or hold a slash")
        app = App(
            fields["app_key"] or idents.short_id()[:15].lower(),
            fields["name"],
            secret,
            fields["app_folder"],
            sorted({"account_info.read", *fields["scopes"]}),
            list(fields["redirect_uris"]),
        )
        self.world.register(app)
        return {**msgspec.structs.asdict(app), "app_secret": secret}

    # -- tokens ---------------------------------------------------------------------------------------------------

    def token(self, given: Json) -> Json:
        """Return tokens as after a complete login. `expires_in` 0 gives an expired access token."""
        fields = _take(
            given,
            app_key=(str, ""),
            scopes=(list[str] | str | None, None),
            expires_in=(float | None, None),
            account_id=(str, ""),
        )
        app, account = self._app(fields["app_key"]), self._find(fields["account_id"])
        scopes = fields["scopes"].split() if isinstance(fields["scopes"], str) else fields["scopes"]
        scopes = app.scopes if scopes is None else scopes
        self._within(app, scopes)
        grant, refresh = self.world.grant(app, account.person.account_id, scopes, offline=True)
        lifetime = self.world.settings.token_lifetime_s if fields["expires_in"] is None else fields["expires_in"]
        return {
            "access_token": self.world.issue(grant, scopes, lifetime),
            "refresh_token": refresh,
            "app_key": app.app_key,
            "account_id": account.person.account_id,
            "scope": " ".join(sorted(scopes)),
            "expires_in": lifetime,
        }

    def code(self, given: Json) -> Json:
        """Return an authorization code, as if a person had clicked Allow."""
        names = "app_key redirect_uri code_challenge code_challenge_method scope token_access_type state account_id"
        fields = _take(given, **dict.fromkeys(names.split(), (str, "")))
        app, account = self._app(fields.pop("app_key")), self._find(fields.pop("account_id"))
        method = fields["code_challenge_method"] or ("S256" if fields["code_challenge"] else "")
        access = fields["token_access_type"] or "offline"
        given_fields = {name: value for name, value in fields.items() if value}
        query = {**given_fields, "client_id": app.app_key, "response_type": "code"}
        try:
            request = oauth.read(self.world, {**query, "code_challenge_method": method, "token_access_type": access})
        except oauth.Unacceptable as error:
            raise Refused(str(error)) from None
        return {"code": oauth.allow(self.world, request, account.person.account_id)}

    def revoke(self, given: Json) -> Json:
        """Unlink an app, as a person can: all its tokens for that account are revoked."""
        fields = _take(given, app_key=(str, ""), account_id=(str, ""))
        app, account_id = self._app(fields["app_key"]), self._find(fields["account_id"]).person.account_id
        revoked = 0
        for grant in self.world.grants.values():
            if grant.app_key == app.app_key and grant.account_id == account_id and not grant.revoked:
                grant.revoked = True
                self.world.keep_grant(grant)
                revoked += 1
        return {"revoked": revoked}

    def _app(self, app_key: str) -> App:
        app = self.world.apps.get(app_key or next(iter(self.world.apps)))
        if app is None:
            raise Refused(f"no app has the key {app_key!r}")
        return app

    def _within(self, app: App, scopes: list[str]) -> None:
        beyond = sorted(set(scopes) - set(app.scopes))
        if beyond:
            raise Refused(f"the app {app.app_key} does not have the scopes {', '.join(beyond)}")

    # -- behaviour ------------------------------------------------------------------------------------------------

    def list_faults(self, _: Json) -> Json:
        """Return the rules, with how many calls each saw and applied to, and all kinds of faults."""
        return {"faults": self.world.faults.report(), "kinds": faults.KINDS}

    def add_faults(self, given: Any) -> Json:
        """Add rules: one, or a list."""
        rules = given if isinstance(given, list) else given.get("faults", [given]) if isinstance(given, dict) else []
        read = [faults.read(rule) for rule in rules]
        for rule in read:
            _must_match_a_route(rule.route)
            _must_be_shown(rule)
        self.world.faults.add(read)
        return self.list_faults({})

    def clear_faults(self, _: Json) -> Json:
        """Remove all faults."""
        self.world.faults = faults.Faults()
        return self.list_faults({})

    def log(self, given: Json) -> Json:
        """Return what clients did since the last reset."""
        return self.world.traffic.report(int(_take(given, recent=(int | str, 1000))["recent"]))

    def reset_log(self, given: Json) -> Json:
        """Begin a new log."""
        _take(given)
        self.world.traffic = type(self.world.traffic)()
        return self.world.traffic.report()

    def time(self, given: Json) -> Json:
        """Return the virtual time."""
        _take(given)
        return self.clock({})

    def clock(self, given: Json) -> Json:
        """Move the virtual clock."""
        self.world.advance(_take(given, advance_s=(float, 0.0))["advance_s"])
        return {"time": self.world.clock.stamp(), "offset_s": self.world.clock.offset_s}

    def config(self, given: Json) -> Json:
        """Change settings; the answer has them all."""
        if given:
            self.world.settings = settings.changed(self.world.settings, given)
        plain: Json = msgspec.structs.asdict(self.world.settings)
        return plain

    def reset_cursors(self, given: Json) -> Json:
        """Invalidate every cursor issued so far."""
        forget_cursors(self._find(_take(given, account_id=(str, ""))["account_id"]))
        return {}


def _must_match_a_route(pattern: str) -> None:
    """Refuse a rule that no route matches: it would never apply, and its test would pass for no reason.

    Raises:
        Refused: no route matches; the text names the nearest.
    """
    known = [*ROUTES, "oauth2/token", "oauth2/authorize", "temporary_link", "temporary_upload_link", "unknown"]
    if not fnmatch.filter(known, pattern):
        near = get_close_matches(pattern, known, n=1, cutoff=0.0)[0]
        raise Refused(f"no route is called {pattern!r}; the nearest is {near!r}")


def _must_be_shown(rule: faults.Rule) -> None:
    """Refuse a rule whose fault makes no difference to any route that it matches.

    Raises:
        Refused: so it is; the text names the routes that it makes one to.
    """
    shown_by = faults.SHOWN_BY.get(rule.fault)
    if shown_by and not fnmatch.filter(shown_by, rule.route):
        raise Refused(f"{rule.fault} makes no difference to {rule.route!r}, only to {', '.join(shown_by)}")


def _take(given: Any, **fields: tuple[Any, Any]) -> Json:
    """Return the fields of a control call, each of its type, or its default.

    Raises:
        ValueError: a field nobody knows, or of another type.
    """
    if not isinstance(given, dict):
        raise Refused("an object is expected")
    known = {name: default for name, (_, default) in fields.items()}
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise ValueError(f"no field is called {unknown[0]!r}" + (f"; there are {', '.join(fields)}" if fields else ""))
    try:
        taken = {name: msgspec.convert(value, fields[name][0]) for name, value in given.items()}
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return {**known, **taken}
