"""The wire: where it goes, what it ignores, and how it says that nobody answered."""

import contextlib
import gzip
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from huracan_sync.errors import ServiceFault, TlsRefused, Unreachable, UsageError
from huracan_sync.remote import pools
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import MOST_ANSWER, Endpoint, Wire


def answer_with(*raw):
    """A server that reads a request and answers each connection with the next of `raw`; returns its URL."""
    server = socket.create_server(("127.0.0.1", 0))
    seen = []

    def serve():
        for data in raw:
            connection, _ = server.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                head, _, body = request.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                while len(body) < length:  # a server that closes with bytes unread resets the connection
                    body += connection.recv(65536)
                seen.append(request)
                connection.sendall(data)
        server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", seen


def keep_answering(answers):
    """A server that answers many requests on a connection; returns its URL and its connections."""
    server, connections = socket.create_server(("127.0.0.1", 0)), []
    left = iter(answers)

    def serve():
        while len(connections) < 2:
            connection, _ = server.accept()
            connections.append(connection)
            with connection:
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + next(left))
        server.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", connections


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.dropboxapi.com",
        "http://evil.example",
        "https://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "http://10.0.0.1",
        "127.0.0.1:80",
        "http://user@127.0.0.1:80",
        "http://127.0.0.1:80/path",
    ],
)
def test_only_an_emulator_on_this_machine(url):
    with pytest.raises(UsageError, match="not the URL of an emulator") as caught:
        Endpoint.from_environment({"HURACAN_SYNC_API": url})
    assert caught.value.hint


def test_the_emulator_has_credentials_of_its_own():
    assert Endpoint.from_environment({}).namespace == "dropbox"
    emulator = Endpoint.from_environment({"HURACAN_SYNC_API": "http://127.0.0.1:8080/"})
    assert emulator.api == emulator.content == emulator.notify == "http://127.0.0.1:8080"
    assert emulator.namespace == "emulator:127.0.0.1:8080"
    assert not emulator.is_dropbox


def test_the_environment_changes_nothing(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login a password b\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("DROPBOX_DOMAIN", "DROPBOX_API_HOST", "DROPBOX_API_DOMAIN"):
        monkeypatch.setenv(name, ".evil.example")
    monkeypatch.setenv("NETRC", str(netrc))
    url, seen = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    answer = Wire(Endpoint.from_environment({"HURACAN_SYNC_API": url})).exchange(
        url + "/2/x", headers={"Authorization": "Bearer canary"}, body=b"null"
    )
    assert (answer.status, answer.body) == (200, b"ok")
    assert b"Authorization: Bearer canary" in seen[0]
    assert b"User-Agent: huracan-sync\r\n" in seen[0]  # who says nothing of itself is taken for a robot
    assert Endpoint.from_environment({"DROPBOX_DOMAIN": ".evil.example"}).api == "https://api.dropboxapi.com"


def test_a_refused_connection_was_never_sent():
    with pytest.raises(Unreachable, match="cannot be reached") as caught:
        Wire(Endpoint()).exchange(f"http://127.0.0.1:{closed_port()}/2/x", headers={})
    assert caught.value.facts["sent"] is False


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"nonsense\r\n\r\n"],
    ids=["reset", "cut", "bad"],
)
def test_a_broken_answer_may_have_arrived(raw):
    url, _ = answer_with(raw)
    with pytest.raises(Unreachable) as caught:
        Wire(Endpoint()).exchange(url + "/2/x", headers={})
    assert caught.value.facts["sent"] is True
    assert "0x" not in str(caught.value)  # a sentence, not an object's address


def test_a_redirect_is_not_followed():
    url, _ = answer_with(b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n")
    assert Wire(Endpoint()).exchange(url + "/2/x", headers={}).status == 302


def test_the_meter_counts_requests_and_bytes():
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnull"
    content = ok.replace(b"\r\n\r\n", b"\r\nDropbox-API-Result: {}\r\n\r\n")
    url, _ = answer_with(ok, ok, ok, content)
    wire = Wire(Endpoint())
    before = wire.meter.read()
    wire.exchange(url + "/2/files/upload", headers={"Content-Type": "application/octet-stream"}, body=b"abc")
    wire.exchange(url + "/2/files/list_folder", headers={"Content-Type": "application/json"}, body=b"{}")
    wire.exchange(url + "/oauth2/token", headers={}, body=b"x=1")
    wire.exchange(url + "/2/files/download", headers={})
    used = wire.meter.read() - before
    assert (used.requests, used.token_requests, used.bytes_sent, used.bytes_received) == (3, 1, 3, 4)


@pytest.fixture
def stranger(tmp_path):
    """A server with a certificate of its own that answers every request; its URL, and the certificate."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = f"-newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    subprocess.run(f"openssl req -x509 {made}".split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                while tls.recv(65536):
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}", cert
    server.shutdown(socket.SHUT_RDWR)
    thread.join(120)
    server.close()


def test_an_impostor_is_terminal(stranger):
    with pytest.raises(TlsRefused) as caught:
        Wire(Endpoint()).exchange(f"{stranger[0]}/2/x", headers={})
    assert caught.value.retryable is False


@pytest.mark.slow
def test_who_is_vouched_for_by_another_of_the_bundle_is_believed_too(stranger, tmp_path, monkeypatch):
    """Few certificates are taken in at first; they are a part of those that count, and not a wider one."""
    url, cert = stranger
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(Path(pools._bundle()).read_text() + f'\n# Label: "Somebody"\n{cert.read_text()}')
    monkeypatch.setattr(pools, "_bundle", lambda: str(bundle))
    first = pools._likely_context()
    assert 0 < len(first.get_ca_certs()) < len(pools.tls_context(None).get_ca_certs())
    with contextlib.closing(Wire(Endpoint())) as wire:
        for _ in range(2):
            assert wire.exchange(f"{url}/2/x", headers={}).body == b"ok"


@pytest.mark.slow
def test_a_bundle_that_does_not_tell_is_taken_in_whole(stranger, monkeypatch):
    url, cert = stranger
    monkeypatch.setattr(pools, "_bundle", lambda: str(cert))
    assert pools._likely_context() is None
    with contextlib.closing(Wire(Endpoint())) as wire:
        assert wire.exchange(f"{url}/2/x", headers={}).body == b"ok"


def test_the_wire_is_cheap_to_import():
    code = "import sys, huracan_sync.remote.http; print(sorted({'requests', 'dropbox', 'keyring'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_throttle_sees_every_byte_of_both_ways():
    url, _ = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"x" * 600000)
    asked = []
    wire = Wire(Endpoint(), throttle=lambda size: asked.append(size) or 0.0)
    answer = wire.exchange(url + "/2/x", headers={}, body=memoryview(b"y" * 10))
    assert len(answer.body) == 600000
    assert sum(asked) == 600010


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1?x", "http://127.0.0.1#x",
     "http://[::1]x", "http://127.0.0.1:-1", "//127.0.0.1", "http://", "http://127.0.0.1:0"],
)  # fmt: skip
def test_an_address_that_is_none_is_said(url):
    with pytest.raises(UsageError, match="is not the URL of an emulator"):
        Endpoint.from_environment({"HURACAN_SYNC_API": url})


def test_the_official_client_uses_our_own_tls(tmp_path, monkeypatch):
    """The context of requests writes the keys of every connection where SSLKEYLOGFILE says."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    client = Remote(Wire(Endpoint()), None).sdk()
    for url in ("https://api.dropboxapi.com/x", "https://content.dropboxapi.com/x"):
        adapter = client._session.get_adapter(url)
        context = adapter.poolmanager.connection_pool_kw["ssl_context"]
        assert context.keylog_filename is None
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("throttle", [None, lambda _: 0.0])
def test_a_body_is_read_into_a_buffer(packed, throttle):
    content = bytes(range(256)) * 1000
    body = gzip.compress(content) if packed else content
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    url, _ = answer_with(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (encoding, len(body), body))
    buffer = bytearray(len(content) - 1)
    wire = Wire(Endpoint(), throttle=throttle)
    with wire.open(f"{url}/2/x", headers={}) as stream:
        stream.fill(memoryview(buffer))
        assert bytes(buffer) == content[:-1]
        stream.fill(memoryview(buffer)[:1])
        assert buffer[0] == content[-1]
        with pytest.raises(Unreachable, match="before its time"):
            stream.fill(memoryview(buffer)[:1])
    wire.close()


@pytest.mark.parametrize(
    "cut", [b"Content-Length: 10\r\n\r\nshort", b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"]
)
def test_a_body_that_is_cut_short_fills_nothing(cut):
    url, _ = answer_with(b"HTTP/1.1 200 OK\r\n" + cut)
    with Wire(Endpoint()).open(f"{url}/2/x", headers={}) as stream, pytest.raises(Unreachable) as caught:
        stream.fill(memoryview(bytearray(10)))
    assert caught.value.facts["sent"] is True


def test_a_connection_is_used_again_only_when_its_answer_was_read():
    """Also one that is packed or chunked, whose end is told by what follows its last byte."""
    packed = gzip.compress(b"null")
    answers = [
        b"Content-Length: 4\r\n\r\nnull",
        b"Content-Length: 0\r\n\r\n",
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed),
        b"Content-Length: 4\r\n\r\nnull",
    ]
    url, connections = keep_answering(answers * 2)
    wire = Wire(Endpoint())
    for _ in range(2):
        for number in range(3):
            assert wire.exchange(f"{url}/2/x", headers={}).body == (b"" if number == 1 else b"null")
        with wire.open(f"{url}/2/x", headers={}):
            pass  # left unread
    wire.close()
    assert len(connections) == 2


@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_that_would_fill_the_memory_is_refused(*, packed):
    """A proxy, or whoever stands between, may answer with a few bytes that unpack to gigabytes."""
    body = gzip.compress(bytes(MOST_ANSWER + 1), 1) if packed else bytes(MOST_ANSWER + 1)
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    head = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (encoding, len(body))
    url, _ = answer_with(head + body)
    wire = Wire(Endpoint(url, url, url, url))
    with pytest.raises(ServiceFault, match="more than"):
        wire.exchange(f"{url}/2/x", headers={})
