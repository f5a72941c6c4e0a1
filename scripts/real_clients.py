"""Run any client of Dropbox, unchanged, against the emulator:  python scripts/real_clients.py [options] -- COMMAND ...

The command runs in namespaces of its own: a network with nothing in it but loopback, where Dropbox's host names lead to
an emulator on port 443, and an /etc/hosts and certificate bundle that say so. Nothing of the machine is changed, and
nothing the command does can reach Dropbox. It ends with the command's exit code. For example:

    python scripts/real_clients.py -- curl -s https://api.dropboxapi.com/2/check/user
    python scripts/real_clients.py --latency-ms 80 -- bash

The command finds in its environment:
    DROPBOX_EMULATOR        the emulator's ready line: url, control, app_key, ... (JSON)
    SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, NODE_EXTRA_CA_CERTS     the emulator's certificate authority

Needs Linux, `unshare` and `mount` (util-linux), and either root or the right to make user namespaces (sysctl
kernel.unprivileged_userns_clone=1, and kernel.apparmor_restrict_unprivileged_userns=0 where there is AppArmor; in a
container, --privileged or --cap-add SYS_ADMIN).
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from huracan_sync.emulator.running import Emulator
from huracan_sync.emulator.serving.tls import HOSTS

CANNOT = 78
BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
_UP, _GET_FLAGS, _SET_FLAGS = 0x1, 0x8913, 0x8914  # IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS


def unshare() -> list[str]:
    """The words before a command that give it namespaces of its own."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "--net", "--"]


def why_not() -> str | None:
    """Why it cannot be done on this machine, in words; None if it can."""
    for tool in ("unshare", "mount"):
        if not shutil.which(tool):
            return f"there is no `{tool}` (util-linux) here"
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no private namespaces here ({tried.stderr.strip()}): run as root, or allow user namespaces"
    return None


def raise_loopback() -> None:
    """A new network has a loopback, but it is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", asked)[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def cover(path: str, with_file: Path) -> None:
    """Let `path` read as another file, in this mount namespace only."""
    subprocess.run(["mount", "--bind", str(with_file), path], check=True)


def inside(options: argparse.Namespace) -> int:
    """In the namespaces: hosts, emulator, command."""
    raise_loopback()
    with tempfile.TemporaryDirectory(prefix="real-clients-") as name:
        folder = Path(name)
        hosts = folder / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {host}\n" for host in HOSTS), encoding="ascii")
        cover("/etc/hosts", hosts)
        shape = ["--latency-ms", str(options.latency_ms), "--bandwidth-mbit", str(options.bandwidth_mbit)]
        with Emulator.start("--port", "443", "--tls", str(folder / "tls"), *shape) as emulator:
            ca = str(emulator.ca)
            for bundle in filter(os.path.exists, BUNDLES):
                cover(bundle, Path(ca))
            names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
            env = {**os.environ, **dict.fromkeys(names, ca), "DROPBOX_EMULATOR": json.dumps(emulator.ready)}
            for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
                env.pop(proxy, None)  # there is no way out of here
            return _run(options.command, env)


def _run(command: list[str], env: dict[str, str]) -> int:
    try:
        with subprocess.Popen(command, env=env) as running:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda sent, _: running.send_signal(sent))
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the command as well
            code = running.wait()
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the namespaces, then be `inside`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="N", help="of every answer")
    parser.add_argument("--bandwidth-mbit", type=float, default=0.0, metavar="N", help="of the whole line, each way")
    parser.add_argument("--check", action="store_true", help="only say whether it can be done here")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    if options.inside:
        return inside(options)
    reason = why_not()
    if reason:
        print(f"real_clients: {reason}", file=sys.stderr)
        return CANNOT
    if options.check or not options.command:
        return 0 if options.check else parser.error("a command is missing")
    again = [sys.executable, __file__, "--inside", *given]
    return os.execvp("unshare", [*unshare(), *again])  # noqa: S606  nothing else is left to do here


if __name__ == "__main__":
    sys.exit(main())
