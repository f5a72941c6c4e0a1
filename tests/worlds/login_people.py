"""What the login tests share: a person who does as told, and a machine that somebody logs in on."""

import secrets
import threading
import urllib.request
from urllib.parse import parse_qs, urlsplit

from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.keystore.store import Store
from huracan_sync.auth.login_flow import Wanted, log_in
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.remote.http import Endpoint, Wire

READ = ("files.content.read", "files.metadata.read")
FULL = ("files.content.read", "files.content.write", "files.metadata.read")


class Operator:
    """A person at a terminal who does with a shown URL what `does` says."""

    def __init__(self, does=None, *, confirms=True, pastes=None):
        self.does = does
        self.confirms = confirms
        self.pastes = pastes
        self.clicking = None
        self.shown = []
        self.seen = []

    def show(self, url, *, opens):
        self.shown.append((url, opens))
        if self.does is not None:
            self.clicking = threading.Thread(target=self.does, args=(url,))
            self.clicking.start()

    def paste(self):
        self.clicking.join(120)
        return self.pastes()

    def confirm(self, identity):
        self.seen.append(identity)
        return self.confirms


class LoginPerson:
    """A machine that somebody logs in on."""

    def __init__(self, emulator, home, tmp_path):
        self.emulator = emulator
        key = tmp_path / "vault key"
        key.write_bytes(secrets.token_bytes(32))
        key.chmod(0o400)
        self.env = {"HURACAN_VAULT_KEY_FILE": str(key)}
        self.home = home
        self.endpoint = Endpoint.from_environment({"HURACAN_SYNC_API": emulator.url})
        self.wire = Wire(self.endpoint)

    def credentials(self, profile=None, app_key="ours"):
        profile = profile or Profile()
        app_key = self.emulator.app_key if app_key == "ours" else app_key
        store = Store(self.home / "auth", self.env)
        return Credentials(profile, self.endpoint.namespace, store, self.env, app_key=app_key)

    def log_in(self, operator, profile=None, app_key="ours", **wanted):
        try:
            return log_in(self.credentials(profile, app_key), self.wire, operator, Wanted(**wanted))
        finally:
            if operator.clicking is not None:
                operator.clicking.join(120)

    def can_write(self, profile=None):
        """Whether the stored login may create a folder."""
        token = AccessTokens(self.credentials(profile), self.wire).token()
        headers = {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}
        body = b'{"path": "/%s"}' % secrets.token_hex(4).encode()
        return (
            self.wire.exchange(f"{self.emulator.url}/2/files/create_folder_v2", headers=headers, body=body).status
            == 200
        )

    def live_grants(self):
        """How many logins the service still honours for our app."""
        return self.emulator("revoke", app_key=self.emulator.app_key)["revoked"]


def answering(emulator, **changes):
    """A person whose browser goes straight back with a code, as after Allow; `changes` alter what it brings."""

    def go(url):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        fields = {n: asked[n] for n in ("redirect_uri", "code_challenge", "code_challenge_method", "scope", "state")}
        code = emulator("code", app_key=asked["client_id"], **fields, **changes)["code"]
        with urllib.request.urlopen(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", timeout=60) as page:  # noqa: S310
            page.read()

    return go
