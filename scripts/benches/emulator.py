"""Is the emulator fast enough not to be the bottleneck? Client and server share this machine's cores."""

import argparse
import http.client
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from benches.figures import Figure, at_least, at_most

from huracan_sync.emulator.running import Emulator

ABOUT = "the local Dropbox: requests, bytes and batches a second, and its memory"
PART = 8 * 1024 * 1024
MB = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--connections", type=int, default=4, metavar="N", help="clients at once, each a process")
    parser.add_argument("--megabytes", type=int, default=800, metavar="N", help="how much to upload and download")
    parser.add_argument("--requests", type=int, default=6000, metavar="N", help="how many small requests")
    parser.add_argument("--data", type=Path, metavar="DIR", help="measure with persistence, in this folder")


class Client:
    """A client that costs little itself."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.token = token

    def call(self, route: str, arg: object, data: bytes | None = None) -> bytes:
        """The body of a successful answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if data is None:
            headers["Content-Type"], body = "application/json", json.dumps(arg).encode()
        else:
            headers["Content-Type"], headers["Dropbox-API-Arg"], body = (
                "application/octet-stream",
                json.dumps(arg),
                data,
            )
        self.connection.request("POST", f"/2/{route}", body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{route}: {response.status} {answer[:200]!r}")
        return answer


def _small(url: str, token: str, worker: int, count: int) -> None:
    client = Client(url, token)
    client.call("files/upload", {"path": f"/small/{worker}"}, b"x")
    for _ in range(count):
        client.call("files/get_metadata", {"path": f"/small/{worker}"})


def _up(url: str, token: str, worker: int, count: int) -> None:
    client, body = Client(url, token), bytearray(os.urandom(PART))
    for number in range(count):
        body[:16] = worker.to_bytes(8, "big") + number.to_bytes(8, "big")  # content that was not there before
        client.call("files/upload", {"path": f"/large/{worker}-{number}"}, body)


def _down(url: str, token: str, worker: int, count: int) -> None:
    client = Client(url, token)
    for number in range(count):
        client.connection.request(
            "POST",
            "/2/files/download",
            headers={
                "Authorization": f"Bearer {token}",
                "Dropbox-API-Arg": json.dumps({"path": f"/large/{worker}-{number}"}),
            },
        )
        response = client.connection.getresponse()
        buffer = bytearray(1 << 20)
        while response.readinto(buffer):
            pass


def _batch(client: Client, count: int, folder: str) -> float:
    """How long committing a batch takes, in ms."""
    ids = json.loads(client.call("files/upload_session/start_batch", {"num_sessions": count}))["session_ids"]
    for start in range(0, count, 50):
        entries = [
            {"cursor": {"session_id": each, "offset": 0}, "length": 2048, "close": True}
            for each in ids[start : start + 50]
        ]
        client.call("files/upload_session/append_batch", {"entries": entries}, os.urandom(2048 * len(entries)))
    commits = [
        {"cursor": {"session_id": each, "offset": 2048}, "commit": {"path": f"{folder}/{number}.parquet"}}
        for number, each in enumerate(ids)
    ]
    return _ms(lambda: client.call("files/upload_session/finish_batch_v2", {"entries": commits}))


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _peak(emulator: Emulator) -> float:
    """The most memory the server has had, in MiB."""
    assert emulator.process  # noqa: S101  it was started here
    status = Path(f"/proc/{emulator.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _one_large_file(client: Client, size: int) -> None:
    """A file of `size` bytes through one upload session."""
    session = json.loads(client.call("files/upload_session/start", {}, b""))["session_id"]
    for offset in range(0, size, PART):
        cursor = {"session_id": session, "offset": offset}
        client.call("files/upload_session/append_v2", {"cursor": cursor}, os.urandom(PART))
    arg = {"cursor": {"session_id": session, "offset": size}, "commit": {"path": f"/one/{size}"}}
    client.call("files/upload_session/finish", arg, b"")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    lasting = ["--data", str(options.data)] if options.data else []
    with Emulator.start(*lasting) as emulator, ProcessPoolExecutor(options.connections) as pool:
        token = emulator.token(expires_in=1e6)["access_token"]
        client = Client(emulator.url, token)

        def together(work: Callable[[str, str, int, int], None], count: int) -> float:
            share = count // options.connections
            jobs = [pool.submit(work, emulator.url, token, worker, share) for worker in range(options.connections)]
            return _ms(lambda: [job.result() for job in jobs])

        together(_small, options.connections)  # the processes are there
        parts = options.megabytes * MB // PART // options.connections * options.connections
        _one_large_file(client, 64 * 1024 * 1024)
        before = _peak(emulator)
        _one_large_file(client, 512 * 1024 * 1024)
        grown = _peak(emulator) - before
        figures = [
            at_least("small requests", options.requests / together(_small, options.requests) * 1000, "requests/s", 300),
            at_least("uploads of 8 MiB", parts * PART / MB / together(_up, parts) * 1000, "MB/s", 300),
            at_least("downloads of 8 MiB", parts * PART / MB / together(_down, parts) * 1000, "MB/s", 300),
            at_most("finish_batch_v2 of 1,000", min(_batch(client, 1000, f"/batch{n}") for n in range(3)), "ms", 50),
            Figure(
                "download_zip of 1,000", _ms(lambda: client.call("files/download_zip", {"path": "/batch0"}, b"")), "ms"
            ),
            Figure("a page of 2,000 entries", _ms(lambda: _list(client)), "ms"),
            at_most("memory grown from 64 to 512 MiB files", grown, "MiB", 16),
            Figure("memory at most", _peak(emulator), "MiB"),
        ]
        if not lasting:
            figures.append(at_most("a fresh account", _ms(emulator.reset), "ms", 50))
        return figures


def _zip(client: Client) -> None:
    client.call("files/download_zip", {"path": "/batch0"}, b"")


def _list(client: Client) -> None:
    client.call("files/list_folder", {"path": "", "recursive": True, "limit": 2000})
