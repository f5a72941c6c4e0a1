"""The fewest requests that the API allows, and no safety: `bare.py up|down FOLDER REMOTE`.

This is the limit to compare with, not a tool: no retry, no resume, no conflict is noticed, nothing is fsynced, what is
deleted stays. Hashes are compared, so that it moves the right bytes. `PEER_STATE` names the file that remembers what
was sent, and the cursor.
"""

import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

BLOCK = 4 << 20
PART = 16 << 20
SMALL = 8 << 20
"""Bytes: a larger file is sent in a session of its own, and fetched by itself."""
HEADER = 8000
"""Bytes of an argument in a header: with the other headers, less than the 8 KiB that every server takes."""
AT_ONCE = 8
CONTEXT = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
AUTHORIZATION = {"Authorization": f"Bearer {os.environ['PEER_ACCESS_TOKEN']}"}
_of_thread = threading.local()


def _send(host, route, headers, body):
    connections = _of_thread.__dict__
    connection = connections.get(host)
    if connection is None:
        connection = connections[host] = http.client.HTTPSConnection(f"{host}.dropboxapi.com", context=CONTEXT)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.request("POST", f"/2/{route}", body, {**AUTHORIZATION, **headers})
    answer = connection.getresponse()
    if answer.status >= 300:
        sys.exit(f"{route}: {answer.status} {answer.read()[:300]}")
    return answer


def rpc(route, argument):
    body = json.dumps(argument).encode()
    return json.loads(_send("api", route, {"Content-Type": "application/json"}, body).read())


def upload(route, argument, body):
    headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Arg": _compact(argument)}
    return json.loads(_send("content", route, headers, body).read())


def download(route, argument):
    return _send("content", route, {"Dropbox-API-Arg": _compact(argument)}, b"")


def _compact(argument):
    return json.dumps(argument, separators=(",", ":"))


def content_hash(data):
    view = memoryview(data)
    blocks = (hashlib.sha256(view[at : at + BLOCK]).digest() for at in range(0, len(view), BLOCK))
    return hashlib.sha256(b"".join(blocks)).hexdigest()


def _same(path, digest, expected):
    if digest != expected:
        sys.exit(f"{path}: content hash {digest} instead of {expected}")


# -- up ----------------------------------------------------------------------------------------------------------


def up(folder, remote):
    """Send what differs from what was sent before."""
    place = Path(os.environ["PEER_STATE"])
    state = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {"cursor": None, "sent": {}}
    if state["cursor"]:
        state["cursor"] = rpc("files/list_folder/continue", {"cursor": state["cursor"]})["cursor"]
    small = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        target = f"{remote}/{path.relative_to(folder).as_posix()}"
        if path.stat().st_size > SMALL:
            state["sent"][target] = _large(path, target)
            continue
        data = path.read_bytes()
        digest = content_hash(data)
        if state["sent"].get(target) != digest:
            small.append((target, data, digest))
    for first in range(0, len(small), 1000):
        state["sent"] |= _batch(small[first : first + 1000])
    if not state["cursor"]:
        latest = rpc("files/list_folder/get_latest_cursor", {"path": remote, "recursive": True})
        state["cursor"] = latest["cursor"]
    place.write_text(json.dumps(state), encoding="utf-8")


def _batch(items):
    """Many small files: one start, as few appends as headers allow, one commit."""
    sessions = rpc("files/upload_session/start_batch", {"num_sessions": len(items)})["session_ids"]
    appends, length = [[]], 0
    for session, item in zip(sessions, items, strict=True):
        entry = {"cursor": {"session_id": session, "offset": 0}, "length": len(item[1]), "close": True}
        size = len(_compact(entry)) + 1
        if appends[-1] and length + size > HEADER:
            appends.append([])
            length = 0
        appends[-1].append((entry, item[1]))
        length += size

    def append(pairs):
        body = b"".join(data for _, data in pairs)
        argument = {"entries": [entry for entry, _ in pairs], "content_hash": content_hash(body)}
        answer = upload("files/upload_session/append_batch", argument, body)
        if not all(entry[".tag"] == "success" for entry in answer["entries"]):
            sys.exit(f"append_batch: {answer}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(append, appends))
    commits = [
        {"cursor": {"session_id": session, "offset": len(data)}, "commit": {"path": target, "mode": "overwrite"}}
        for session, (target, data, _) in zip(sessions, items, strict=True)
    ]
    answer = rpc("files/upload_session/finish_batch_v2", {"entries": commits})
    hashes = {}
    for (target, _, digest), entry in zip(items, answer["entries"], strict=True):
        _same(target, entry.get("content_hash"), digest)
        hashes[target] = digest
    return hashes


def _large(path, target):
    """One large file: a concurrent session, its parts at once."""
    size = path.stat().st_size
    start = {"session_type": "concurrent"}
    session = upload("files/upload_session/start", start, b"")["session_id"]
    digests = [b""] * -(-size // BLOCK)

    def part(offset):
        with path.open("rb") as file:
            file.seek(offset)
            data = memoryview(file.read(PART))
        for at in range(0, len(data), BLOCK):
            digests[(offset + at) // BLOCK] = hashlib.sha256(data[at : at + BLOCK]).digest()
        cursor = {"session_id": session, "offset": offset}
        last = offset + PART >= size
        upload("files/upload_session/append_v2", {"cursor": cursor, "close": last}, data)

    offsets = range(0, size, PART)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(part, offsets[:-1]))
    part(offsets[-1])  # it closes the session, so it comes last
    cursor = {"session_id": session, "offset": size}
    commit = {"path": target, "mode": "overwrite"}
    answer = upload("files/upload_session/finish", {"cursor": cursor, "commit": commit}, b"")
    digest = hashlib.sha256(b"".join(digests)).hexdigest()
    _same(target, answer["content_hash"], digest)
    return digest


# -- down --------------------------------------------------------------------------------------------------------


def down(folder, remote):
    """Fetch everything: small files as one zip, large ones each in one stream."""
    page = rpc("files/list_folder", {"path": remote, "recursive": True, "limit": 2000})
    entries = page["entries"]
    while page["has_more"]:
        page = rpc("files/list_folder/continue", {"cursor": page["cursor"]})
        entries += page["entries"]
    files = {each["path_display"]: each for each in entries if each[".tag"] == "file"}
    if all(each["size"] > SMALL for each in files.values()):
        for path, each in files.items():
            _stream(path, each["content_hash"], folder / path[len(remote) + 1 :])
        return
    with zipfile.ZipFile(BytesIO(download("files/download_zip", {"path": remote}).read())) as archive:
        for info in archive.infolist():
            inner = info.filename.partition("/")[2]
            place = folder / inner
            if info.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            data = archive.read(info)
            _same(inner, content_hash(data), files[f"{remote}/{inner}"]["content_hash"])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def _stream(path, expected, place):
    place.parent.mkdir(parents=True, exist_ok=True)
    answer, digests = download("files/download", {"path": path}), []
    with place.open("wb") as file:
        while data := answer.read(BLOCK):
            digests.append(hashlib.sha256(data).digest())
            file.write(data)
    _same(path, hashlib.sha256(b"".join(digests)).hexdigest(), expected)


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
