"""Listings as Dropbox answers them, said in advance: what changes between two pages is the test's to choose."""

import json

FILE = {"id": "id:1", "rev": "0123456789abcdef0", "size": 1, "content_hash": "00" * 32,
        "client_modified": "2026-01-01T00:00:00Z", "server_modified": "2026-01-01T00:00:00Z"}  # fmt: skip


def item(kind, name, path=None):
    """An entry at `/f/name`."""
    path = path or f"/f/{name}"
    more = FILE if kind == "file" else {"id": "id:2"} if kind == "folder" else {}
    return {".tag": kind, "name": path.rpartition("/")[2], "path_display": path, "path_lower": path.lower(), **more}


def page(*entries, more=False):
    """A page of a listing."""
    return {"entries": list(entries), "cursor": "c", "has_more": more}


class Told:
    """A client that answers what it is told to, in order; an exception among it is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def rpc(self, _route, _arg, _type):
        """The next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()
