"""Whatever fails, a traceback that shows locals shows no token: of a call, a stream, the SDK, the engine's class."""

import http.client

import pytest
from login_people import FULL
from sampled import slow
from traceback_scan import shows_no_secret

from huracan_sync.auth.connect import connect
from huracan_sync.engine import DropboxSync
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.secret import Secret


@pytest.fixture
def token(dropbox):
    return dropbox.token(list(FULL))["access_token"]


@pytest.fixture
def remote(dropbox, token, home):
    pacing = Pacing(patience_s=0.0, sleep=lambda _: None)
    return connect(env=dropbox.env(home), access_token=Secret(token), pacing=pacing)


def call(remote):
    remote.rpc("files/list_folder", {"path": ""}, dict)


def stream(remote):
    remote.stream("files/download", {"path": "/x"})


def send(remote):
    remote.send("files/upload", {"path": "/x"}, b"content", dict)


def through_the_sdk(remote):
    remote.sdk().files_list_folder("")


@pytest.mark.parametrize(
    ("act", "fault"),
    [(act, "reset") for act in (call, stream, send, through_the_sdk)]
    + [(call, "error")]
    + [slow((call, fault)) for fault in ("truncate", "server_error", "missing_scope")]
    + [slow((through_the_sdk, "error"))],
)
def test_threat_23_a_call_that_fails(dropbox, remote, token, act, fault, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the SDK's own retries
    dropbox.faults({"route": "files/*", "fault": fault, "tags": ["path", "no_write_permission"]})
    with shows_no_secret(__file__, token):
        act(remote)


@pytest.mark.parametrize("act", [call, slow(stream), send, slow(through_the_sdk)])
def test_threat_23_ctrl_c_in_the_middle_of_a_call(remote, token, act, monkeypatch):
    def interrupted(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(http.client.HTTPConnection, "endheaders", interrupted)
    with shows_no_secret(__file__, token):
        act(remote)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["reset", "expired_access_token", "invalid_access_token"])
def test_a_pasted_token_that_is_refused(dropbox, token, home, monkeypatch, fault):
    for name, value in dropbox.env(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("threading.Event.wait", lambda *_: False)
    dropbox.faults({"route": "files/*", "fault": fault})
    with shows_no_secret(__file__, token):
        DropboxSync(access_token=token)
        raise AssertionError


@pytest.mark.parametrize("wrong", ["x" * 60, "sl.short"])
def test_a_pasted_token_that_is_none(wrong):
    with shows_no_secret(__file__, wrong):
        DropboxSync(access_token=wrong)
