"""Who may call the emulator: not a page of another site in this machine's browser, whatever name it uses.

Rules, for every endpoint:

    Host     a local name with the emulator's own port. A foreign name is refused: a site can let its own name resolve
             to 127.0.0.1. Programs that are no browsers (they send no Origin) may call the clients' endpoints by any
             port, because a proxy may stand between, and by Dropbox's names, which a hosts file can lead here.
    Origin   none (no browser), or the same scheme and host as the request went to.
    peer     for the control endpoints and the page: this machine.

An emulator that listens beyond this machine (`--host`) has no name of its own: there only Origin is checked.
"""

import ipaddress
import json
from collections.abc import Mapping

from huracan_sync.emulator.calls.call import Answer

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
DROPBOX_NAMES = frozenset(
    f"{host}.{domain}" for host in ("api", "content", "notify") for domain in ("dropboxapi.com", "dropbox.com")
) | {"www.dropbox.com", "dropbox.com"}
_USUAL_PORTS = {"http": 80, "https": 443}


class Guard:
    """The rules for one emulator, which listens at `port`; None where a test has no port."""

    def __init__(self, port: int | None = None, *, open_to_all: bool = False) -> None:
        self._port = port
        self._open_to_all = open_to_all

    def refuse(self, scheme: str, headers: Mapping[str, str], peer: str, *, control: bool) -> str | None:
        """Why a request is refused; None if it is let through."""
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self._open_to_all:
            if control and not _is_loopback(peer):
                return "control endpoints answer on loopback only"
            if not self._is_ours(scheme, host, control=control, browser=origin is not None):
                return f"the Host {host!r} is not an address of this emulator; use 127.0.0.1:{self._port}"
        if origin is not None and origin.lower() != f"{scheme}://{host}":
            return f"the Origin {origin!r} is another site's"
        return None

    def _is_ours(self, scheme: str, host: str, *, control: bool, browser: bool) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or port.endswith("]"):
            name, port = host, ""
        if not control and (not host or name in DROPBOX_NAMES):
            return True
        if not control and not browser:
            return name in LOCAL_NAMES
        right_port = self._port is None or port == str(self._port) or (not port and self._port == _USUAL_PORTS[scheme])
        return name in LOCAL_NAMES and right_port


def refusal(reason: str) -> Answer:
    """The 403 for a request that is refused."""
    body = json.dumps({"error": reason}).encode()
    return Answer(403, [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")], body)


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
