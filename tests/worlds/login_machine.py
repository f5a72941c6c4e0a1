"""One machine with a login, whose clocks a test moves, against a running emulator."""

import json
import secrets

from huracan_sync.auth import login_record
from huracan_sync.auth.credentials import Credentials, Login
from huracan_sync.auth.keystore.store import Store
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.token_cache import Clocks, Now
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret


class Machine:
    """One machine: its state folder, its environment, its clocks, and the processes on it."""

    def __init__(self, emulator, home, env=None, profile=None):
        self.emulator = emulator
        self.home = home
        self.env = {} if env is None else env
        self.profile = profile or Profile()
        self.endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url})
        self.clocks = FakeClocks()
        self.slept = []
        self.sources = None

    def credentials(self):
        store = Store(self.home / "auth", self.env, sources=self.sources)
        return Credentials(self.profile, self.endpoint.namespace, store, self.env)

    def tokens(self, **changes):
        """The token source of a process that just started."""
        pacing = Pacing(sleep=self.slept.append, chance=lambda: 0.5)
        fields = {"clocks": self.clocks, "pacing": pacing, **changes}
        return AccessTokens(self.credentials(), Wire(self.endpoint), **fields)

    def delivered(self, tmp_path, refresh_token, name="token"):
        """Deliver a refresh token as a file, as a platform's secret store does."""
        path = tmp_path / name
        path.write_text(refresh_token + "\n")
        path.chmod(0o400)
        self.env |= {"HURACAN_REFRESH_TOKEN_FILE": str(path), "HURACAN_APP_KEY": self.emulator.app_key}

    def log_in(self, tmp_path, scopes=None):
        """A stored login, as `authorize` would leave it."""
        path = tmp_path / "vault key"
        path.write_bytes(secrets.token_bytes(32))
        path.chmod(0o400)
        self.env |= {"HURACAN_VAULT_KEY_FILE": str(path)}
        granted = self.emulator("token", scopes=scopes or sorted(self.profile.needed))
        login = Login(
            self.endpoint.namespace, self.profile.name, self.profile.read_only, granted["app_key"],
            granted["account_id"], tuple(granted["scope"].split()), 0,
        )  # fmt: skip
        credentials = self.credentials()
        credentials.store.put(login.refresh_token, Secret(granted["refresh_token"]))
        login_record.write(credentials.folder, login)
        return login


class FakeClocks(Clocks):
    """Clocks that tests set: seconds of use, steps of the wall clock, another boot."""

    def __init__(self):
        self.boot_id, self.since_boot, self.wall = "boot-1", 1000.0, 1_700_000_000.0

    def now(self):
        return Now(self.boot_id, self.since_boot, self.wall)

    def pass_(self, seconds):
        self.since_boot += seconds
        self.wall += seconds


def status_with(machine, token, route="files/list_folder", arg=None, *, wire=None):
    """The status of a call with this token."""
    answer = (wire or Wire(machine.endpoint)).exchange(
        f"{machine.endpoint.api}/2/{route}",
        headers={"Content-Type": "application/json"},
        token=token,
        body=json.dumps({"path": ""} if arg is None else arg).encode(),
    )
    return answer.status
