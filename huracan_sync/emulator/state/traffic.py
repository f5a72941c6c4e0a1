"""The request log: counts by route, bytes, refusals, and the requests themselves. It never holds a token.

Control calls and the page in the browser are not counted.
"""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

RECENT = 1000  # requests in a report that asks for no number
KEPT = 100_000  # requests that are remembered; the page shows all of them


@dataclass(frozen=True)
class Request:
    """One request that was answered, or ended without an answer (`status` 0)."""

    number: int
    at: str  # virtual time
    route: str
    status: int
    ms: float  # real time, from the first byte in to the last byte out
    bytes_in: int
    bytes_out: int
    header_bytes: int
    request_id: str
    account_id: str | None
    error: str | None  # the error_summary, or the first line of a 400
    fault: str | None  # the fault that was scripted for it
    path: str | None  # what it was about, when one path says it


class Traffic:
    """The log since the last reset. Bodies only: headers are not in the byte counts."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.refusals: dict[str, Counter[str]] = {}
        self.faults: Counter[str] = Counter()
        self.recent: deque[Request] = deque(maxlen=KEPT)
        self.bytes_in = 0
        self.bytes_out = 0
        self.uploaded_bytes = 0
        self.downloaded_bytes = 0
        self.count = 0

    def add(self, request: Request, *, style: str) -> None:
        """Count a request; `style` upload and download say that its body is file content."""
        self.count += 1
        self.requests[request.route] += 1
        self.bytes_in += request.bytes_in
        self.bytes_out += request.bytes_out
        if style == "upload":
            self.uploaded_bytes += request.bytes_in
        elif style == "download" and request.status < 300:
            self.downloaded_bytes += request.bytes_out
        if request.status >= 400 or not request.status:
            what = request.error.rstrip(".").rstrip("/") if request.error and request.status != 400 else ""
            name = f"{request.status or 'cut'} {what}".strip()
            self.refusals.setdefault(request.route, Counter())[name] += 1
        if request.fault:
            self.faults[request.fault] += 1
        self.recent.append(request)

    def before(self, number: int, most: int) -> list[Request]:
        """Return the latest requests with smaller numbers, the latest first."""
        forgotten = self.count - len(self.recent)
        last = min(number - 1, self.count) - forgotten
        return [self.recent[index] for index in range(last - 1, max(-1, last - 1 - most), -1)]

    def report(self, recent: int = RECENT) -> dict[str, Any]:
        """Return the log as JSON, the latest requests last."""
        return {
            "requests": dict(sorted(self.requests.items())),
            "total": self.count,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "uploaded_bytes": self.uploaded_bytes,
            "downloaded_bytes": self.downloaded_bytes,
            "refusals": {route: dict(sorted(kinds.items())) for route, kinds in sorted(self.refusals.items())},
            "faults": dict(sorted(self.faults.items())),
            "recent": [asdict(request) for request in list(self.recent)[-recent:]] if recent else [],
        }
