"""An emulator in a process of its own, and the handle by which a test or script drives it. Standard library only.

with Emulator.start() as emulator:
token = emulator.token(["files.content.write"])["access_token"]
...  # POST emulator.url + "/2/files/upload"
print(emulator.log()["requests"])
"""

import http.client
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

Json = dict[str, Any]


class Emulator:
    """A running emulator; `with` stops it at the end of the block.

    Attributes:
        url: base URL of all of Dropbox's hosts: `url + "/2/files/upload"`, `url + "/oauth2/token"`, ...
        app_key: a public app (PKCE) with all scopes.
        read_only_app_key: a public app that may only read.
        account_id: the account that is used where none is named.
        ca: path of the CA's certificate that clients have to trust, with `--tls`; else None.
        ready: the line of JSON that the command printed. Besides the above: `control` (base URL of the control
            endpoints), `confidential_app_key` and `confidential_app_secret` (an app with a secret).
        process: the process, if `start` made it.
    """

    def __init__(self, ready: Json, process: "subprocess.Popen[str] | None" = None) -> None:
        self.ready = ready
        self.url: str = ready["url"]
        self.app_key: str = ready["app_key"]
        self.read_only_app_key: str = ready["read_only_app_key"]
        self.ca: str | None = ready.get("ca")
        self.account_id: str = ready["account_id"]
        self.process = process
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def start(cls, *options: str) -> Self:
        """Start one, and wait until it is ready.

        Args:
            options: of the command `huracan-sync emulator`, such as `"--port", "8080"`; any free port by default.

        Raises:
            RuntimeError: it did not start; the reason is on stderr.
        """
        # -P: the folder one happens to be in must not decide which modules the server finds.
        command = [sys.executable, "-P", "-m", "huracan_sync.emulator", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)  # noqa: S603
        assert process.stdout  # noqa: S101  it was asked for
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator did not start (exit code {process.wait()})")
        return cls(json.loads(line), process)

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        self._disconnect()
        if self.process:
            self.process.terminate()
            self._reap()

    def kill(self) -> None:
        """End it without warning (SIGKILL)."""
        self._disconnect()
        if self.process:
            self.process.kill()
            self._reap()

    def _reap(self) -> None:
        assert self.process and self.process.stdout  # noqa: S101, PT018  callers have looked
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Self:
        """Until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    # -- control --------------------------------------------------------------------------------------------------

    def control(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """Call a control endpoint: `control("clock", {"advance_s": 60})`. GET without a body, POST with one.

        Raises:
            ValueError: the emulator refused; the text says why.
        """
        verb = method or ("GET" if body is None else "POST")
        data = None if body is None else json.dumps(body)
        status, answer = self._call(verb, f"/emulator/{path}".rstrip("/"), data)
        if status != 200:
            raise ValueError(answer.get("error", f"status {status}"))
        return answer

    def reset(self) -> None:
        """Forget everything: a fresh account, no tokens, no faults, an empty log."""
        self.account_id = self.control("reset", {})["account_id"]

    def token(
        self,
        scopes: list[str] | None = None,
        *,
        expires_in: float | None = None,
        app_key: str | None = None,
        account_id: str | None = None,
    ) -> Json:
        """Tokens as if somebody had logged in.

        Args:
            scopes: of the token; all of the app's by default.
            expires_in: seconds until the access token ends; 0 for one that has ended. Four hours by default.
            app_key: the app; the public one with all scopes by default.
            account_id: the account; the newest by default.

        Returns:
            `access_token`, `refresh_token`, `app_key`, `account_id`, `scope` (separated by spaces), `expires_in`.
        """
        wanted = {"scopes": scopes, "expires_in": expires_in, "app_key": app_key, "account_id": account_id}
        tokens: Json = self.control("token", {name: value for name, value in wanted.items() if value is not None})
        return tokens

    def log(self, recent: int = 1000) -> Json:
        """What clients did since the last reset of the log; calls of control endpoints are not counted.

        Returns:
            `requests` (route to count), `total`, `bytes_in`, `bytes_out`, `uploaded_bytes`, `downloaded_bytes` (of file
            content), `refusals` (route to count by status and error), `faults` (kind to count), and `recent`: the
            latest requests, oldest first, each with `route`, `status` (0: cut), `path`, `error`, `fault`, `ms`, ...
        """
        log: Json = self.control(f"log?recent={recent}")
        return log

    def faults(self, *rules: Json) -> None:
        """Add fault rules; without one, remove them all."""
        if rules:
            self.control("faults", list(rules))
        else:
            self.control("faults", method="DELETE")

    def config(self, **settings: Any) -> Json:
        """Change settings; returns them all."""
        config: Json = self.control("config", settings) if settings else self.control("config")
        return config

    def advance(self, seconds: float) -> None:
        """Move the virtual clock."""
        self.control("clock", {"advance_s": seconds})

    def env(self, home: Path) -> dict[str, str]:
        """The environment in which huracan-sync talks to this emulator and keeps its state in `home`."""
        env = {"HURACAN_SYNC_API": self.url, "HURACAN_SYNC_HOME": str(home)}
        return {**env, "HURACAN_SYNC_CA": self.ca} if self.ca else env

    # -- the connection -------------------------------------------------------------------------------------------

    def _call(self, verb: str, path: str, data: str | None) -> tuple[int, Json]:
        for last in (False, True):
            connection = self._connect()
            try:
                connection.request(verb, path, data, {"Content-Type": "application/json"} if data else {})
                response = connection.getresponse()
                return response.status, json.loads(response.read())
            except (http.client.HTTPException, ConnectionError):
                self._disconnect()  # a connection that lay idle may have been closed
                if last:
                    raise
        raise AssertionError

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
            if parts.scheme == "https":
                context = ssl.create_default_context(cafile=self.ca)
                self._connection = http.client.HTTPSConnection(host, port, timeout=30, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=30)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
