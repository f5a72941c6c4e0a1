"""Record the client's conversations anew, into cassettes/, which the tests replay without a server.

    python scripts/record_cassettes.py [FLOW ...]              against the emulator
    python scripts/record_cassettes.py --live [FLOW ...]       against Dropbox, with a login of your own

The flows are in tests/worlds/cassette_flows.py. Tokens, codes, ids of accounts, names and e-mail addresses are
blackened before anything is written, and nothing is written that still looks like one; read the difference before you
commit it all the same. Every cassette says what it was recorded against.

--live needs an app of your own (App Console, "App folder" is enough, with the scopes files.metadata.read,
files.content.read and files.content.write) and asks for consent three times: for a login that may write, for one that
only reads, and for the flow `login`. It writes below /huracan-sync-cassettes, removes that afterwards, and withdraws
both logins. What only the emulator can do (misfortune on demand) keeps its old cassette. This way has not been walked
yet: the project has no Dropbox account to walk it with.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "worlds"))

import cassette_flows as flows
import cassette_tools as tools

from huracan_sync import __version__
from huracan_sync.auth import pkce, token_endpoint
from huracan_sync.auth.scopes import profile_named
from huracan_sync.emulator.running import Emulator
from huracan_sync.errors import NotFound
from huracan_sync.remote.http import Endpoint, Wire

ROOT = Path(__file__).resolve().parents[1]
READS = ["files.metadata.read", "files.content.read"]


class EmulatorStage(flows.Stage):
    """A machine of a recording against the emulator."""

    def __init__(self, folder: Path, dropbox: Emulator) -> None:
        self.dropbox = dropbox
        dropbox.reset()
        facts = {
            "app_key": dropbox.app_key,
            "refresh_token": dropbox.token([*READS, "files.content.write"])["refresh_token"],
            "read_only_refresh_token": dropbox.token(READS)["refresh_token"],
            "now": int(time.time()),
        }
        super().__init__(folder, facts, {"HURACAN_SYNC_API": dropbox.url})

    def code(self, url: str) -> str:
        """Allow, and bring the code."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        names = ("code_challenge", "code_challenge_method", "scope", "token_access_type")
        fields = {name: asked[name] for name in names}
        code: str = self.dropbox.control("code", {"app_key": asked["client_id"], **fields})["code"]
        return code

    def expire(self) -> None:
        """Five hours later."""
        self.dropbox.advance(5 * 3600)

    def misfortune(self, *rules: dict[str, object]) -> None:
        """As scripted."""
        self.dropbox.faults(*rules)

    def stranger_writes(self, path: str, data: bytes) -> None:
        """By another client."""
        _write(self.dropbox.url, self.dropbox.token()["access_token"], path, data)


class LiveStage(flows.Stage):
    """A machine of a recording against Dropbox itself."""

    def __init__(self, folder: Path, logins: dict[str, str]) -> None:
        super().__init__(folder, {**logins, "now": int(time.time())})

    def code(self, url: str) -> str:
        """Allow, and bring the code."""
        return _consent("the flow `login`", url)

    def stranger_writes(self, path: str, data: bytes) -> None:
        """By another client."""
        token = self.remote().tokens.token().reveal()
        _write("https://content.dropboxapi.com", token, path, data)


def _write(base: str, token: str, path: str, data: bytes) -> None:
    """As another client; its request is not recorded."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/octet-stream",
        "Dropbox-API-Arg": json.dumps({"path": path, "mode": "overwrite"}),
        "X-Stranger": "yes",
    }
    request = urllib.request.Request(f"{base}/2/files/upload", data, headers)  # noqa: S310  a base of ours
    urllib.request.urlopen(request).close()  # noqa: S310


def _consent(why: str, url: str) -> str:
    print(f"\nFor {why}, open this, click Allow, and paste the code here:\n\n  {url}\n", file=sys.stderr)
    return input("code: ").strip()


# -- what is recorded against ------------------------------------------------------------------------------------


@contextmanager
def against_the_emulator() -> Iterator[Callable[[Path], flows.Stage]]:
    """Stages on the emulator."""
    with Emulator.start() as dropbox:
        yield lambda folder: EmulatorStage(folder, dropbox)


@contextmanager
def against_dropbox() -> Iterator[Callable[[Path], flows.Stage]]:
    """Stages on the real service: two logins, which are withdrawn in the end, and a folder that is removed."""
    app_key = input("the app's key: ").strip()
    logins = {"app_key": app_key}
    for profile, name in (("engine", "refresh_token"), ("hamilton", "read_only_refresh_token")):
        request = pkce.begin(Endpoint().web, app_key, profile_named(profile).scopes, None, now=time.monotonic())
        code = pkce.pasted(_consent(f"a login of the profile {profile}", request.url)).code
        grant = token_endpoint.exchange_code(Wire(Endpoint()), app_key, code, request.verifier, None)
        assert grant.refresh_token is not None  # noqa: S101  it was asked for
        logins[name] = grant.refresh_token.reveal()
    with tempfile.TemporaryDirectory(prefix="record-live-") as name:
        cleaner = LiveStage(Path(name), logins)
        _remove(cleaner)
        try:
            yield lambda folder: LiveStage(folder, logins)
        finally:
            _remove(cleaner)
            for which in ("refresh_token", "read_only_refresh_token"):
                remote = cleaner.remote(which)
                token_endpoint.revoke(remote.wire, remote.tokens.token())


def _remove(stage: flows.Stage) -> None:
    with contextlib.suppress(NotFound):
        stage.remote().rpc("files/delete_v2", {"path": flows.ROOT}, msgspec.Raw)


# -- recording ---------------------------------------------------------------------------------------------------


def record(flow: Callable[[flows.Stage], object], stage: flows.Stage, against: str) -> None:
    """Record one flow, blacken it, look at it once more, write it.

    Raises:
        SystemExit: something in it still looks like a secret; nothing was written.
    """
    raw = stage.folder / "raw.yaml"
    with tools.recorder("all").use_cassette(str(raw)):
        came = flow(stage)
    known = {
        "app_key": "APP-KEY",
        "refresh_token": "REFRESH-TOKEN",
        "read_only_refresh_token": "READ-ONLY-REFRESH-TOKEN",
    }
    interactions = tools.load(raw)["interactions"]
    interactions, pencil = tools.blackened(interactions, {stage.facts[name]: word for name, word in known.items()})
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    cassette = {
        "recorded_against": against,
        "recorded": day,
        "flow": flow.__name__,
        "facts": pencil.blacken(stage.facts),
        "came": pencil.blacken(came),
        "interactions": interactions,
        "version": 1,
    }
    heading = [
        f"Recorded {day} against {against}, by scripts/record_cassettes.py: {flow.__name__}.",
        "Tokens, codes, accounts and names are blackened; bodies of uploads are told by their digests.",
    ]
    path = tools.CASSETTES / f"{flow.__name__}.yaml"
    found = tools.secrets_in(tools.text(heading, cassette))
    if found:
        raise SystemExit(f"{flow.__name__} still holds {', '.join(found)}: nothing was written")
    tools.save(path, heading, cassette)
    print(f"{path.relative_to(ROOT)}: {len(interactions)} exchanges", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record the flows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", action="store_true", help="against Dropbox, with a login of your own")
    parser.add_argument("flows", nargs="*", metavar="FLOW", help=", ".join(flow.__name__ for flow in flows.FLOWS))
    options = parser.parse_args(arguments)
    unknown = set(options.flows) - {flow.__name__ for flow in flows.FLOWS}
    if unknown:
        parser.error(f"no flow is called {', '.join(sorted(unknown))}")
    chosen = [flow for flow in flows.FLOWS if not options.flows or flow.__name__ in options.flows]
    if options.live:
        chosen = [flow for flow in chosen if flow.__name__ not in flows.ONLY_EMULATED]
    against = "Dropbox" if options.live else f"huracan-sync emulator {__version__}"
    with against_dropbox() if options.live else against_the_emulator() as stage_in:
        for flow in chosen:
            with tempfile.TemporaryDirectory(prefix="record-") as name:
                record(flow, stage_in(Path(name)), against)
    return 0


if __name__ == "__main__":
    sys.exit(main())
