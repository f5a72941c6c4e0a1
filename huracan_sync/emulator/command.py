"""`huracan-sync emulator`: its options, and how the server is started. Cheap to import; `run` loads the server."""

import argparse
import errno
import sys
from importlib import import_module
from pathlib import Path

ABOUT = "a local Dropbox, for tests of anything that speaks the Dropbox API"
TEACH = """\
When it is ready it prints one line of JSON:

  {"url": "http://127.0.0.1:PORT", "app_key": "...", ...}

All of Dropbox's hosts are served at that one address (URL):
POST URL/2/files/list_folder, URL/2/files/upload, URL/oauth2/token, and in a
browser URL/oauth2/authorize (a page to click Allow on) and URL/ (what the
account holds, and the latest requests).

Get a token as a test would, and use it:

  curl -s URL/emulator/token -d '{}'
  curl -s URL/2/files/list_folder -H "Authorization: Bearer TOKEN" \\
    -H "Content-Type: application/json" -d '{"path": ""}'

Make it behave badly, and see what happened:

  curl -s URL/emulator/faults \\
    -d '{"route": "files/upload", "nth": 2, "fault": "reset", "when": "after"}'
  curl -s URL/emulator/config -d '{"latency_ms": 80, "page_size": 10}'
  curl -s URL/emulator/clock  -d '{"advance_s": 14401}'
  curl -s URL/emulator/log

GET URL/emulator/faults lists every kind of fault, GET URL/emulator/config every
setting. Clients with Dropbox's addresses built in can be pointed here with
--tls, --port 443 and a hosts file; they have to trust DIR/ca.pem. In pytest,
the fixture `dropbox_emulator` gives every test a fresh account; ask for it by
`pytest -p huracan_sync.emulator.pytest_plugin`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the emulator's description and options."""
    parser.description = (
        ABOUT[0].upper() + ABOUT[1:] + ".\nIt listens on this machine only, unless --host says otherwise."
    )
    parser.epilog = TEACH
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="listen there (default: any free port)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="listen at this address, 0.0.0.0 in a container (default: %(default)s). Anybody who can reach it can use "
        "it, control endpoints included",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep everything there (default: nothing outlives the emulator)"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="N", help="add this to every answer")
    parser.add_argument(
        "--bandwidth-mbit", type=float, default=0.0, metavar="N", help="of the whole line, each way (default: no limit)"
    )
    parser.add_argument(
        "--tls",
        type=Path,
        metavar="DIR",
        help="serve https; DIR/ca.pem is written for clients, and is good for Dropbox's names",
    )
    parser.add_argument(
        "--header-limit",
        type=int,
        default=65536,
        metavar="BYTES",
        help="most bytes of request headers (default: %(default)s; Dropbox's own limit is not published)",
    )
    parser.add_argument(
        "--app-folder", action="store_true", help="the apps see a folder of their own instead of the whole Dropbox"
    )


def _port(text: str) -> int:
    """A TCP port, or 0 for any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it. Returns the exit code."""
    try:
        from huracan_sync.emulator.serving.server import serve  # noqa: PLC0415  the server's libraries are an extra

        if options.tls:
            import_module("huracan_sync.emulator.serving.tls")  # this needs one library more
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("huracan_sync"):
            raise
        where = "with --tls " if error.name == "cryptography" else ""
        sys.stderr.write(
            f"the emulator {where}needs {error.name}: in the checkout, pip install -r requirements/emulator.txt\n"
        )
        return 78
    if not _is_loopback(options.host):
        sys.stderr.write(
            f"warning: anybody who can reach {options.host} can use this emulator, its control endpoints included\n"
        )
    try:
        serve(
            options.port,
            options.data,
            host=options.host,
            latency_ms=options.latency_ms,
            bandwidth_mbit=options.bandwidth_mbit,
            tls=options.tls,
            header_limit=options.header_limit,
            app_folder=options.app_folder,
        )
    except OSError as error:
        sys.stderr.write(f"the emulator cannot start: {error}\n")
        if error.errno == errno.EADDRINUSE:
            sys.stderr.write("  hint: another program uses this port; name another one, or --port 0 for any free one\n")
        return 69
    except KeyboardInterrupt:
        return 130
    return 0
