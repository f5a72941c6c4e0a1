"""Compare the real Dropbox with what this project believes of it, and record its answers again.

    python scripts/live.py --app-key K --folder /scratch

For people who have an account and an app (App Console; "App folder" is enough) with the scopes account_info.read,
files.metadata.read, files.content.read and files.content.write. One command

 1. asks for consent and logs in (a second time for the recording of a login),
 2. plays the conformance scenarios of tests/contract/conformance against the service,
 3. records cassettes/ again,
 4. writes a report of every difference, which can be pasted into an issue,
 5. removes what it made, and withdraws its logins.

Everything happens below the one folder, which must not exist yet, or be empty. A scenario that would read or write
anything outside it, or needs what only the emulator has, is skipped and listed. Tokens, account ids, names and e-mail
addresses are taken out of report and cassettes; nothing is written that still looks like one. Some 250 scenarios send
about 2,000 requests and 60 MB, and take ten minutes.

The exit code is 0 if nothing differs, 1 if something does or could not be cleaned up, 64 if the command cannot be used
so, 69 if Dropbox cannot be reached, 77 without a login or a scope. With HURACAN_SYNC_API it runs against an emulator,
as its own test does.
"""

import argparse
import fnmatch
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "worlds"))

import cassette_flows as flows
import cassette_tools as tools
from record_cassettes import record, write_as_another_client
from scenario_player import SCENARIOS, Player, alternatives, shown_answer

from huracan_sync import __version__
from huracan_sync.auth import pkce, token_endpoint
from huracan_sync.cli.runner import exit_code
from huracan_sync.emulator.routes.table import ROUTES
from huracan_sync.errors import Conflict, HuracanError, NotAuthorized, UsageError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.delete import remove_folder
from huracan_sync.remote.files import create_folder
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.secret import Secret

Json = dict[str, Any]
Ask = Callable[[str, str], str]
READS = {"account_info.read", "files.metadata.read", "files.content.read"}
SCOPES = frozenset(READS | {"files.content.write"})
PATHS = {"path", "from_path", "to_path", "paths", "destination"}
"""The fields of arguments that hold paths."""


# -- what may be played ------------------------------------------------------------------------------------------


def why_not(scenario: Json, values: Mapping[str, str]) -> str:
    """Why a scenario is not played against the real service; empty if it is."""
    lacking = [name for name in scenario.get("needs", []) if name not in values]
    if lacking:
        return "needs " + ", ".join(lacking)
    for step in scenario["steps"]:
        if "control" in step:
            return "needs the emulator's control endpoints"
        reason = _outside(step) if "call" in step else ""
        if reason:
            return reason
    return ""


def _outside(step: Json) -> str:
    """What a step would do beyond the scratch folder and the login; empty if nothing."""
    route = ROUTES.get(step["call"])
    if route is None:
        return ""
    writes = route.scope is not None and route.scope.endswith(".write")
    succeeds = any(200 in _as_list(one.get("status", 200)) for one in alternatives(step))
    if succeeds and route.scope is not None and route.scope not in SCOPES:
        return f"needs the scope {route.scope}"
    outside = [path for path in _paths(_argument(step)) if not _is_inside(path)]
    if outside and (writes or succeeds):
        return f"{step['call']} would {'write' if writes else 'look'} at {outside[0]!r}, outside the folder"
    return ""


def _argument(step: Json) -> Any:
    literal = step.get("raw_body") or step.get("raw_arg")
    if literal is None:
        return step.get("arg")
    try:
        return json.loads(literal)
    except ValueError:
        return None  # what is no JSON names no path


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            for path in _as_list(inner) if name in PATHS else ():
                if isinstance(path, str):
                    yield path
            yield from _paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner)


def _is_inside(path: str) -> bool:
    """Whether a path lies in the scenario's folder, or is what the scenario itself was told (an id, a rev)."""
    below = path.removeprefix("/") if path.startswith("/${") else path  # a doubled slash
    if below.startswith("ns:"):
        below = below.removeprefix("ns:${home}")
    return below != "" and not below.startswith(("/", "ns:"))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- the login ---------------------------------------------------------------------------------------------------


@dataclass
class Login:
    """A login of this run, with what reports must not say."""

    app_key: str
    refresh_token: str
    access_token: str
    wire: Wire
    secrets: dict[str, str] = field(default_factory=dict)
    account: Json = field(default_factory=dict)
    """What Dropbox says of the account, so that it can be taken out of the report."""

    def token(self, scopes: frozenset[str] = SCOPES) -> str:
        """A fresh access token of these scopes."""
        grant = token_endpoint.refresh(self.wire, self.app_key, Secret(self.refresh_token), scopes)
        self.secrets[grant.access_token.reveal()] = "ACCESS-TOKEN"
        return grant.access_token.reveal()

    def remote(self) -> Remote:
        """For what this script itself asks and does: as patient as the product."""
        return Remote(self.wire, OwnTokens(self))


class OwnTokens:
    """Access tokens for the calls of this script itself."""

    def __init__(self, login: Login) -> None:
        self._login, self._token = login, Secret(login.access_token)

    def token(self) -> Secret:
        """The newest."""
        return self._token

    def renew(self, rejected: Secret) -> Secret:
        """A fresh one."""
        if rejected == self._token:
            self._token = Secret(self._login.token())
        return self._token


def log_in(app_key: str, endpoint: Endpoint, ask: Ask) -> Login:
    """Ask for consent, and log in."""
    wire = Wire(endpoint)
    request = pkce.begin(endpoint.web, app_key, SCOPES, None, now=time.monotonic(), entropy=os.urandom)
    code = pkce.pasted(ask("To compare the service", request.url)).code
    grant = token_endpoint.exchange_code(wire, app_key, code, request.verifier, None)
    assert grant.refresh_token is not None  # noqa: S101  it was asked for
    refresh, access = grant.refresh_token.reveal(), grant.access_token.reveal()
    known = {refresh: "REFRESH-TOKEN", access: "ACCESS-TOKEN", grant.account_id: "ACCOUNT-ID", app_key: "APP-KEY"}
    return Login(app_key, refresh, access, wire, known)


def ask_person(why: str, url: str) -> str:
    """Show the address of the consent page, and take the code that the page shows."""
    print(f"\n{why}, open this, click Allow, and paste the code here:\n\n  {url}\n", file=sys.stderr)
    return input("code: ").strip()


# -- the scratch folder ------------------------------------------------------------------------------------------


def take(login: Login, folder: str) -> bool:
    """Take the scratch folder for this run. Returns whether it was made.

    Raises:
        UsageError: something is there already; it is left alone.
    """
    remote = login.remote()
    try:
        if create_folder(remote, folder):
            return True
        is_empty = not remote.rpc("files/list_folder", {"path": folder, "limit": 1}, dict[str, Any])["entries"]
    except Conflict:
        is_empty = False
    if not is_empty:
        raise UsageError(
            f"{folder} is there already and is not an empty folder",
            hint="name a folder that does not exist: this command removes what it finds there in the end",
        )
    return False


def clear(login: Login, folder: str, *, made: bool) -> bool:
    """Remove what this run made; nothing else is below the folder. Returns whether all of it is gone."""
    gone = True
    for path in [folder] if made else [f"{folder}/scenarios", f"{folder}/cassettes"]:
        try:
            remove_folder(login.remote(), path)
        except HuracanError as error:
            print(f"{path} could not be removed: {error}\n  hint: delete it by hand", file=sys.stderr)
            gone = False
    return gone


def withdraw(login: Login) -> bool:
    """Withdraw this run's login. Returns whether it is withdrawn."""
    try:
        login.remote().rpc("auth/token/revoke", None, object)
    except NotAuthorized:
        return True  # the answer to the call before was lost
    except HuracanError as error:
        hint = "withdraw it at https://www.dropbox.com/account/connected_apps"
        print(f"the login could not be withdrawn: {error}\n  hint: {hint}", file=sys.stderr)
        return False
    return True


# -- playing and recording ---------------------------------------------------------------------------------------


@dataclass
class Report:
    """What came of a run."""

    passed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    """Of a scenario that differs: the grounds of what was expected, and the answer that came."""
    cassettes: dict[str, str] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether anything differs from what was expected."""
        return bool(self.differences) or any(
            not word.startswith(("the same", "new")) for word in self.cassettes.values()
        )


def play_all(login: Login, folder: str, only: str, report: Report) -> None:
    """Play every scenario that can be played."""
    endpoint = login.wire.endpoint
    values = {
        "app_key": login.app_key,
        "refresh_token": login.refresh_token,
        "read_only_token": login.token(frozenset({"files.metadata.read", "files.content.read"})),
        "api": endpoint.api,
        "web": endpoint.web,
    }
    hosts = {"api": endpoint.api, "content": endpoint.content, "notify": endpoint.notify}
    player = Player(hosts, login.token(), values, root=f"{folder}/scenarios")
    for path in sorted(SCENARIOS.glob("*.json")):
        scenario = json.loads(path.read_text(encoding="utf-8"))
        name = scenario["name"]
        if not fnmatch.fnmatch(name, only):
            continue
        reason = why_not(scenario, values)
        if reason:
            report.skipped[name] = reason
            continue
        print(f"\r{name:<60}", end="", file=sys.stderr, flush=True)
        try:
            lines = player.play(scenario)
        except Exception as error:  # noqa: BLE001  an answer of an unexpected shape is a difference, not the end
            lines = [f"{type(error).__name__}: {error}"]
        if lines:
            report.differences[name] = lines
            report.answers[name] = _evidence(scenario, player.last)
        else:
            report.passed.append(name)
    print(file=sys.stderr)


def _evidence(scenario: Json, last: tuple[Json, Json] | None) -> str:
    grounds = "".join(f"expected by: {ground}\n" for ground in scenario["grounds"])
    return grounds + (shown_answer(last[1]) if last else "no answer")


class LiveStage(flows.Stage):
    """A machine on which a cassette is recorded against the real service."""

    def __init__(self, folder: Path, login: Login, root: str, ask: Ask, env: Mapping[str, str]) -> None:
        facts = {
            "app_key": login.app_key,
            "refresh_token": login.refresh_token,
            "read_only_refresh_token": login.refresh_token,  # narrowed whenever an access token is asked for
            "now": int(time.time()),
            "root": root,
        }
        super().__init__(folder, facts, env)
        self._ask = ask
        self._content = login.wire.endpoint.content
        self._token = login.token()  # now: while a flow is recorded, every request is

    def code(self, url: str) -> str:
        """A person consents; the code."""
        return self._ask("To record a login", url)

    def stranger_writes(self, path: str, data: bytes) -> None:
        """Somebody else changes a file."""
        write_as_another_client(self._content, self._token, path, data)


def record_all(login: Login, folder: str, into: Path, ask: Ask, report: Report) -> None:
    """Record every flow that the real service can be asked for, and say what came differently than before."""
    endpoint = login.wire.endpoint
    against = "Dropbox" if endpoint.is_dropbox else f"huracan-sync emulator {__version__}"
    env = {} if endpoint.is_dropbox else {"HURACAN_SYNC_API": endpoint.api}
    for flow in flows.FLOWS:
        name = flow.__name__
        if name in flows.ONLY_EMULATED:
            continue
        print(f"\rrecording {name:<50}", end="", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="live-") as place:
            stage = LiveStage(Path(place), login, f"{folder}/cassettes/{name}", ask, env)
            try:
                record(flow, stage, against, into)
            except (Exception, SystemExit) as error:  # noqa: BLE001  a flow that fails is what this is to find out
                report.cassettes[name] = f"failed: {type(error).__name__}: {error}"
                continue
        report.cassettes[name] = _compared(tools.CASSETTES / f"{name}.yaml", into / f"{name}.yaml")
    print(file=sys.stderr)


def _compared(old: Path, new: Path) -> str:
    """What came of a flow, and the statuses of its answers, beside those of the cassette that was there before."""
    if not old.exists():
        return "new"
    before, now = tools.load(old), tools.load(new)
    if before["came"] != now["came"]:
        return f"came differently: {now['came']} instead of {before['came']}"
    codes = [[each["response"]["status"]["code"] for each in kept["interactions"]] for kept in (before, now)]
    if sorted(codes[0]) == sorted(codes[1]):  # requests that run side by side come in any order
        return "the same"
    return f"the same came of it, by answers of {codes[1]} instead of {codes[0]}"


# -- the report --------------------------------------------------------------------------------------------------


def written(report: Report, login: Login, service: str) -> str:
    """The report as Markdown, with nothing in it that is secret or personal.

    Raises:
        SystemExit: something in it still looks like a secret.
    """
    counts = f"{len(report.passed)} as expected, {len(report.differences)} different, {len(report.skipped)} skipped"
    lines = [
        f"# {service}, compared with huracan-sync {__version__}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}. Scenarios: {counts}.",
        "",
    ]
    for name, found in report.differences.items():
        lines += [f"## {name}", "", *(f"- {line}" for line in found), "", "```", report.answers[name], "```", ""]
    if report.cassettes:
        lines += ["## Cassettes", "", *(f"- {name}: {word}" for name, word in report.cassettes.items()), ""]
    if report.skipped:
        lines += ["## Skipped", "", *(f"- {name}: {reason}" for name, reason in report.skipped.items()), ""]
    text = _without_secrets("\n".join(lines), login)
    found = tools.secrets_in(text)
    if found:
        raise SystemExit(f"the report still holds {', '.join(found)}: nothing was written")
    return text


def _without_secrets(text: str, login: Login) -> str:
    pencil = tools.Pencil({secret: word for secret, word in login.secrets.items() if secret})
    pencil.learn(login.account)
    text = str(pencil.blacken(text))
    for what, pattern in tools.SECRETS.items():
        text = pattern.sub(f"({what})", text)
    return text


def _folder(text: str) -> str:
    path = "/" + text.strip("/")
    if path == "/" or "//" in path:
        raise argparse.ArgumentTypeError("it must be a folder below the root, such as /scratch")
    return path


def main(arguments: Sequence[str] | None = None, *, ask: Ask = ask_person) -> int:
    """Compare, record, report, clean up. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app-key", required=True, metavar="K", help="the key of your app, from the App Console")
    parser.add_argument("--folder", required=True, type=_folder, help="a folder in Dropbox for this alone")
    parser.add_argument("--only", default="*", metavar="GLOB", help="only the scenarios with such names")
    parser.add_argument("--no-cassettes", action="store_true", help="record nothing")
    parser.add_argument("--cassettes", type=Path, default=tools.CASSETTES, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--report", type=Path, default=Path("live-report.md"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    report = Report()
    try:
        endpoint = Endpoint.from_environment(os.environ)
        _check_writable(options.report)
        login = log_in(options.app_key, endpoint, ask)
    except HuracanError as error:
        return _said(error)
    cleaned = True
    try:
        login.account = login.remote().rpc("users/get_current_account", None, dict[str, Any])
        made = take(login, options.folder)
        try:
            play_all(login, options.folder, options.only, report)
            if not options.no_cassettes:
                record_all(login, options.folder, options.cassettes, ask, report)
        finally:
            cleaned = clear(login, options.folder, made=made)
        service = "Dropbox" if endpoint.is_dropbox else "An emulator"
        options.report.write_text(written(report, login, service), encoding="utf-8")
    except HuracanError as error:
        return _said(error)
    finally:
        cleaned &= withdraw(login)
    print(f"{options.report}: {len(report.differences)} differences", file=sys.stderr)
    return int(report.differs or not cleaned)


def _check_writable(report: Path) -> None:
    """Raise `UsageError` where no report can be written: before ten minutes of work, not after."""
    try:
        report.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(f"no report can be written to {report}: {error.strerror}", hint="name another file") from error


def _said(error: HuracanError) -> int:
    print(f"{error}\n  hint: {error.hint}", file=sys.stderr)
    return 64 if isinstance(error, UsageError) else exit_code(error)


if __name__ == "__main__":
    sys.exit(main())
