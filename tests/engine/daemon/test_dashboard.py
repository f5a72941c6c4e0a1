"""The page, its metrics and its health: over a real socket, to whom it answers and what it shows."""

import http.client
import json
import os
import re
import socket
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from expecting import raises

from huracan_sync.engine.daemon import status_file
from huracan_sync.engine.daemon.dashboard.drawing import as_html
from huracan_sync.engine.daemon.dashboard.metrics import as_metrics
from huracan_sync.engine.daemon.dashboard.page import Page
from huracan_sync.engine.daemon.dashboard.samples import Sample, Samples
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.status_reporter import StatusReporter
from huracan_sync.signing.trust_files import TrustFiles

NOW = 1_763_100_000.0
KINDS = [
    State("learning", 300, NOW - 900, NOW - 20, NOW + 280, files=12, sent=3, bytes_sent=5_000_000, passes=4),
    State(
        "models",
        1800,
        NOW - 900,
        last_error="no <network> today",
        last_hint="try again later",
        changed_since=NOW - 40,
        queue=2,
        failures=1,
    ),
]


def told(kinds=KINDS, **more):
    return Status(os.getpid(), NOW - 900, NOW, "dropbox", "Runpodhuracan", kinds, **more)


@pytest.fixture
def page():
    samples = Samples()
    for n in range(10):
        samples.take(told(requests=n * 3, bytes_sent=n * 100_000), NOW - 50 + n * 5)
    made = Page(0, lambda: told(requests=27, pending=1), samples, lambda: NOW)
    made.start()
    yield made
    made.stop()


def ask(page, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(page.url.rsplit(":", 1)[1].strip("/")), timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_the_page_is_for_people(page):
    answer, body = ask(page, "/")
    assert answer.status == 200
    assert "<script" not in body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r"(?:src|href)=.(.{5})", body) == ["data:"]  # it loads nothing
    for word in ("learning", "last success", "20 s ago", "in 5 min", "never", "4.8 MiB", "not everything is in step"):
        assert word in body
    assert "no &lt;network&gt; today" in body
    assert body.count("<svg viewBox") == 4
    assert "requests, a minute" in body
    for svg in re.findall(r"<svg.*?</svg>", body):
        ET.fromstring(svg)  # noqa: S314 - our own


def test_metrics_are_what_prometheus_reads(page):
    answer, body = ask(page, "/metrics?x=1")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'huracan_sync_[a-z_]+(\{kind="[a-z_]+"\})? [0-9.e+-]+')
    assert all(text.startswith("# ") or line.fullmatch(text) for text in body.splitlines())
    assert "huracan_sync_requests_total 27" in body
    assert 'huracan_sync_lag_seconds{kind="models"} 40' in body
    assert 'huracan_sync_last_success_time_seconds{kind="models"}' not in body  # it never succeeded


def test_health_is_a_status(page):
    answer, body = ask(page, "/healthz")
    assert (answer.status, json.loads(body)) == (
        200,
        {"healthy": True, "late": [], "pending": 1, "refused": {}, "not_watching": ""},
    )
    late = Page(0, told, Samples(), lambda: NOW + 3 * 1800)
    late.start()
    answer, body = ask(late, "/healthz")
    late.stop()
    assert (answer.status, json.loads(body)["late"]) == (503, ["learning", "models"])


def test_the_table_is_there_for_machines(page):
    answer, body = ask(page, "/status.json")
    found = json.loads(body)
    assert answer.status == 200
    assert [kind["lag_s"] for kind in found["kinds"]] == [0, 40]


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/", "GET", "evil.example", 421),
        ("/metrics", "GET", "evil.example:80", 421),
        ("/metrics", "GET", "evil.example:{port}", 421),
        ("/", "GET", "127.0.0.1:{port}.evil.example", 421),
        ("/status.json", "GET", "localhost:1", 421),
        ("/", "GET", "localhost", 421),
        ("/", "GET", "", 421),
        ("/", "GET", "LOCALHOST:{port}", 200),
        ("/", "POST", "localhost:{port}", 501),
        ("/", "HEAD", "localhost:{port}", 501),
        ("/", "OPTIONS", "localhost:{port}", 501),
        ("/../../etc/passwd", "GET", "127.0.0.1:{port}", 404),
    ],
)
def test_it_answers_only_what_it_should(page, path, method, host, status):
    port = page.url.rsplit(":", 1)[1].strip("/")
    assert ask(page, path, method, Host=host.format(port=port))[0].status == status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("port", "host", "passes"), [(80, "localhost", True), (80, "[::1]", False), (81, "localhost", False)]
)
def test_the_usual_port_is_not_said(page, port, host, passes):
    page._port = port
    assert page.is_asked_here(host, None) is passes


def test_it_listens_on_this_machine_only(page):
    assert page.url.startswith("http://127.0.0.1:")
    with raises("PORT_TAKEN", match=r"127\.0\.0\.1"):
        Page(int(page.url.rsplit(":", 1)[1].strip("/")), told, Samples(), time.time)


def test_a_page_of_nothing_is_a_page():
    assert "all is in step" in as_html(told([]), [], NOW)
    assert as_metrics(told([]), NOW).endswith("\n")
    assert "<svg" in as_html(told(), [Sample(NOW, 1, 0, 0, 0, 0.0)], NOW)


def test_no_secret_is_shown():
    token = "sl.u." + "A" * 60
    shown = told([State("logs", 300, last_error=f"refused {token}")])
    assert token not in as_html(shown, [], NOW)


HOSTILE = [
    "<script>alert(1)</script>",
    "</style></td></main><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' style='position:fixed",
    "&lt;b&gt; {refresh} %s {0.__class__}",
    "esc\x1b[2J\x1b]0;owned\x07",
    "two\nlines\rback\0",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "]]>--><!--",
    "a" * 255 + "/" + "\U0001f600" * 63,
]


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data):
        self.found.append(("!", ()))


def named(text):
    """A status in which everything that comes from elsewhere is called so."""
    kind = State(text, 300, last_error=text, last_hint=text, refused=2, refusals=[text, text], left_out=1)
    kind.left_out_names = [text]
    well = State("well", 300, NOW, NOW, refused=1, refusals=[text], left_out=1, left_out_names=[text])
    more = {"service": text, "app_folder": text}
    return [
        Status(os.getpid(), NOW, NOW, kinds=kinds, not_watching=text, endings=[text], page=text, **more)
        for kinds in ([kind], [well])
    ]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_is_text_and_nothing_else_on_the_page(name):
    for harmless, hostile in zip(named("harmless"), named(name), strict=True):
        drawn = as_html(hostile, [], NOW)
        assert Elements(drawn).found == Elements(as_html(harmless, [], NOW)).found
        assert not [c for c in drawn if not c.isprintable() and c != "\n"]
        assert drawn.count("\n") == as_html(harmless, [], NOW).count("\n")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_changes_nothing_in_what_machines_read(name):
    _, status = named(name)
    served = Page(0, lambda: status, Samples(), lambda: NOW)
    served.start()
    try:
        for path in ("/healthz", "/status.json"):
            answer, body = ask(served, path)
            assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == (
                "application/json",
                "nosniff",
            )
            assert name in json.dumps(json.loads(body), ensure_ascii=False) or json.dumps(name)[1:-1] in json.dumps(
                json.loads(body)
            )
    finally:
        served.stop()
    assert as_metrics(status, NOW).count("\n") == as_metrics(named("harmless")[1], NOW).count("\n")


def test_what_a_process_left_is_read_by_another(tmp_path):
    assert status_file.read(tmp_path) is None
    (tmp_path / status_file.FILE).write_bytes(b"{")
    assert status_file.read(tmp_path) is None
    status_file.write(tmp_path, told())
    found = status_file.read(tmp_path)
    assert found == told()
    assert found.is_running(NOW + 10)
    assert not found.is_running(NOW + 1000)
    gone = told()
    gone.pid = 2**22 + 1
    status_file.write(tmp_path, gone)
    assert not status_file.read(tmp_path).is_running(NOW)
    rows = found.rows(NOW)
    assert [len(row) for row in rows] == [8, 8, 8]
    assert rows[2][4:6] == ["40 s", "2"]
    assert found.as_dict(NOW)["healthy"] is True
    status_file.write(tmp_path / "file" / "x", told())  # nobody minds


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 421),
        ("http://127.0.0.1.evil.example:80", 421),
        ("null", 421),
        ("http://127.0.0.1:1", 421),
        ("http://127.0.0.1", 421),
        ("http://localhost:{port}", 421),
        ("https://127.0.0.1:{port}", 421),
        ("", 421),
        ("http://127.0.0.1:{port}", 200),
    ],
)
def test_a_page_of_another_site_or_port_is_told_nothing(page, origin, status):
    port = page.url.rsplit(":", 1)[1].strip("/")
    answer, body = ask(page, "/status.json", Origin=origin.format(port=port))
    assert answer.status == status
    assert ("Runpodhuracan" in body) is (status == 200)


def test_a_slow_writer_is_cut_off_and_holds_nothing_up(page, monkeypatch):
    from huracan_sync.engine.daemon.dashboard import page as module

    monkeypatch.setattr(module, "CONNECTION_S", 0.2)
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 3)
    address = ("127.0.0.1", page._server.server_address[1])
    slow = [socket.create_connection(address, timeout=10) for _ in range(3)]
    for connection in slow:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    assert [connection.recv(100) for connection in slow] == [b""] * 3
    for connection in slow:
        connection.close()
    monkeypatch.setattr(module, "CONNECTION_S", 10.0)
    until = time.monotonic() + 10
    while page._server._open and time.monotonic() < until:
        time.sleep(0.01)
    assert ask(page, "/healthz")[0].status == 200


def test_the_last_success_outlives_a_restart():
    state = State("logs", 300, since=NOW, last_success=NOW - 86_400)
    assert state.is_healthy(NOW + 60)  # it has only just begun again
    assert not state.is_healthy(NOW + 2_000)


def test_what_ends_soon_is_on_the_page_and_in_the_metrics(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("HURACAN_SIGNING_KEY_FILE", str(tmp_path / "sign.key"))
    sync = machine.sync()
    trust = TrustFiles(sync.context.operations, "/Runpodhuracan").begin().trust
    ends = trust.expires_ms / 1000
    now = ends - 86_400

    class Idle:
        loops, not_watching = (), ""

        def states(self):
            return [State("learning", 300, now, now)]

    told = StatusReporter(sync.context, Idle(), now=lambda: now).status()
    assert f"ends on {datetime.fromtimestamp(ends, UTC):%Y-%m-%d}" in as_html(told, [], now)
    assert f"huracan_sync_trust_expiry_time_seconds {ends:.15g}" in as_metrics(told, now)
    young = StatusReporter(sync.context, Idle(), now=lambda: ends - 29.9 * 86_400).status()
    assert (young.endings, young.trust_ends) == ([], ends)
