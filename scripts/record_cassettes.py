"""Record the client's conversations into cassettes/, which the tests replay without a server.

    python scripts/record_cassettes.py [FLOW ...]              against the emulator

The flows are in tests/worlds/cassette_flows.py. Tokens, codes, ids of accounts, names and e-mail addresses are
blackened before anything is written, and nothing is written that still looks like one; read the difference before you
commit it all the same. Every cassette says what it was recorded against. scripts/live.py records them against Dropbox
itself, except for what only the emulator can do (faults on demand).
"""

import argparse
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "worlds"))

import cassette_flows as flows
import cassette_tools as tools

from huracan_sync import __version__
from huracan_sync.emulator.running import Emulator

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
        write_as_another_client(self.dropbox.url, self.dropbox.token()["access_token"], path, data)


def write_as_another_client(base: str, token: str, path: str, data: bytes) -> None:
    """As another client; its request is not recorded."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/octet-stream",
        "Dropbox-API-Arg": json.dumps({"path": path, "mode": "overwrite"}),
        "X-Stranger": "yes",
    }
    request = urllib.request.Request(f"{base}/2/files/upload", data, headers)  # noqa: S310  a base of ours
    urllib.request.urlopen(request).close()  # noqa: S310


# -- what is recorded against ------------------------------------------------------------------------------------


@contextmanager
def against_the_emulator() -> Iterator[Callable[[Path], flows.Stage]]:
    """Stages on the emulator."""
    with Emulator.start() as dropbox:
        yield lambda folder: EmulatorStage(folder, dropbox)


# -- recording ---------------------------------------------------------------------------------------------------


def record(
    flow: Callable[[flows.Stage], object], stage: flows.Stage, against: str, into: Path = tools.CASSETTES
) -> None:
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
    path = into / f"{flow.__name__}.yaml"
    found = tools.secrets_in(tools.text(heading, cassette))
    if found:
        raise SystemExit(f"{flow.__name__} still holds {', '.join(found)}: nothing was written")
    tools.save(path, heading, cassette)
    print(f"{path.name}: {len(interactions)} exchanges", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record the flows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flows", nargs="*", metavar="FLOW", help=", ".join(flow.__name__ for flow in flows.FLOWS))
    options = parser.parse_args(arguments)
    unknown = set(options.flows) - {flow.__name__ for flow in flows.FLOWS}
    if unknown:
        parser.error(f"no flow is called {', '.join(sorted(unknown))}")
    chosen = [flow for flow in flows.FLOWS if not options.flows or flow.__name__ in options.flows]
    against = f"huracan-sync emulator {__version__}"
    with against_the_emulator() as stage_in:
        for flow in chosen:
            with tempfile.TemporaryDirectory(prefix="record-") as name:
                record(flow, stage_in(Path(name)), against)
    return 0


if __name__ == "__main__":
    sys.exit(main())
