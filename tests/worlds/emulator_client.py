"""How the emulator's own tests call it: plain requests, nothing of ours in between."""

import json
from urllib.parse import urlencode

import urllib3

HTTP = urllib3.PoolManager(maxsize=32, retries=False, timeout=30)


class Client:
    """A client with one token."""

    def __init__(self, url, token, http=HTTP):
        self.url, self.token, self.http = url, token, http

    def rpc(self, route, arg, **headers):
        """Status and JSON (or text) of an RPC call."""
        return parsed(self.raw_rpc(route, arg, **headers))

    def raw_rpc(self, route, arg, **headers):
        body = json.dumps(arg).encode()
        return self._send(route, {"Content-Type": "application/json", **headers}, body)

    def upload(self, path, data, route="files/upload", **arg):
        """Status and JSON of an upload."""
        return self.content(route, {"path": path, **arg}, data)

    def content(self, route, arg, data):
        """Status and JSON of an upload-style call."""
        return parsed(self.raw_content(route, arg, data))

    def raw_content(self, route, arg, data):
        headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Arg": json.dumps(arg)}
        return self._send(route, headers, data)

    def download(self, path, **headers):
        """The response of a download."""
        return self._send("files/download", {"Dropbox-API-Arg": json.dumps({"path": path}), **headers}, b"")

    def ls(self, path="", **arg):
        """All entries of a listing, and the last cursor."""
        status, page = self.rpc("files/list_folder", {"path": path, **arg})
        assert status == 200, page
        return self.more(page)

    def more(self, page):
        """The entries of a page and of all that follow it, and the last cursor."""
        entries = list(page["entries"])
        while page["has_more"]:
            _, page = self.rpc("files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        return entries, page["cursor"]

    def since(self, cursor):
        """What changed since a cursor, and the next cursor."""
        status, page = self.rpc("files/list_folder/continue", {"cursor": cursor})
        assert status == 200, page
        return self.more(page)

    def _send(self, route, headers, body):
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        headers = {name: value for name, value in headers.items() if value is not None}
        return self.http.request("POST", f"{self.url}/2/{route}", headers=headers, body=body)


def parsed(response):
    text = response.data.decode()
    return response.status, json.loads(text) if "json" in response.headers.get("Content-Type", "") else text


def post_form(url, form):
    """The response to a form, as an HTML page or an OAuth client sends it."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return HTTP.request("POST", url, headers=kind, body=urlencode(form).encode(), redirect=False)


def client(dropbox, **token):
    """A client of the fixture's account."""
    return Client(dropbox.url, dropbox.token(**token)["access_token"])
