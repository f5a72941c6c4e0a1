"""The source over a login: what it answers where Dropbox answers otherwise, and where the wire breaks."""

import pytest
from machines import READ, Tokens

from huracan_sync.errors import HuracanError, NotAuthorized, NotFound, ServiceFault, Unreachable, VaultRefused
from huracan_sync.hamilton import Hamilton
from huracan_sync.remote.client import Remote
from huracan_sync.remote.errors import CursorReset
from huracan_sync.remote.http import Endpoint, Wire
from huracan_sync.remote.parallel import several
from huracan_sync.remote.rate_limit import Pacing
from huracan_sync.remote.read_client import LongpollResult, ReadOnly
from huracan_sync.remote.source import FLOOR_S, RemoteSource
from huracan_sync.tree.content_hash import content_hash

ROOT = "/Runpodhuracan"
DATA = bytes(range(256)) * 80_000  # 19.5 MiB


@pytest.fixture
def writer(dropbox, tmp_path):
    wire = Wire(Endpoint.from_environment(dropbox.env(tmp_path)))
    return Remote(wire, Tokens(dropbox, [*READ, "files.content.write"]), root=ROOT)


@pytest.fixture
def source(dropbox, tmp_path):
    wire = Wire(Endpoint.from_environment(dropbox.env(tmp_path)))
    return RemoteSource(ReadOnly(wire, Tokens(dropbox, READ), root=ROOT, pacing=Pacing(sleep=lambda _: None)))


def put(writer, path, data):
    writer.send("files/upload", {"path": f"{ROOT}/{path}", "mode": "overwrite"}, data, dict)


def read(source, path, start=0, end=20_480_000):
    with source.stream(path, start, end) as pieces:
        return b"".join(pieces)


def test_a_large_answer_to_a_small_question(writer, source):
    put(writer, "a", b"0123456789")
    assert source.fetch("a", 10) == b"0123456789"
    assert source.fetch("a", 3) == b"0123"


@pytest.mark.parametrize("place", ["nothing", "folder", "rev:015f0000000000000000abcd", "a//b"])
def test_nothing_that_can_be_read(place, writer, source):
    put(writer, "folder/file", b"x")
    for ask in (lambda: source.fetch(place, 1), lambda: read(source, place), lambda: read(source, place, 1, 2)):
        with pytest.raises(NotFound):
            ask()


def test_a_keyring_that_is_locked_does_not_mean_that_nothing_is_there(writer, source):
    put(writer, "a", b"0123456789")

    class Locked:
        def token(self):
            raise VaultRefused("the keyring is locked", code="KEYRING")

    source._remote.tokens = Locked()
    for ask in (lambda: source.fetch("a", 1), lambda: read(source, "a"), lambda: source.cursor("")):
        with pytest.raises(NotAuthorized, match="locked") as caught:
            ask()
        assert "unlock the keyring" in caught.value.hint


def test_an_answer_that_breaks_off_goes_on_where_it_was(writer, source, dropbox):
    put(writer, "a", DATA)
    dropbox.faults({"route": "files/download", "fault": "truncate", "offset": 5_000_000, "nth": [1, 3]})
    assert read(source, "a") == DATA
    assert dropbox.log()["requests"]["files/download"] == 4  # the whole; then two parts, the second of them twice


def test_a_small_file_is_asked_for_again(writer, source, dropbox):
    put(writer, "a", DATA)
    dropbox.faults({"route": "files/download", "fault": "truncate", "offset": 5, "nth": [1, 2]})
    assert source.fetch("a", 100) == DATA[:101]
    dropbox.faults({"route": "files/download", "fault": "truncate", "offset": 5})
    with pytest.raises(Unreachable):
        source.fetch("a", 100)


def test_what_moved_and_what_lies_there_now(writer, source):
    put(writer, ".huracan/heads/a.hzh", b"1")
    put(writer, ".huracan/trust/1.hzt", b"2")
    cursor = source.cursor(".huracan")
    assert source.changed(".huracan", cursor)[1] == {}
    put(writer, ".huracan/heads/a.hzh", b"3")
    writer.rpc("files/delete_v2", {"path": f"{ROOT}/.huracan/trust"}, dict)
    after, moved = source.changed(".huracan", cursor)
    assert moved == {".huracan/heads/a.hzh": content_hash(b"3"), ".huracan/trust": b""}
    assert after != cursor


def test_a_cursor_that_is_no_longer_known(writer, source, dropbox):
    put(writer, ".huracan/heads/a.hzh", b"1")
    cursor = source.cursor(".huracan")
    dropbox.control("cursors/reset", {})
    assert source.changed(".huracan", cursor) is None
    assert source.wait(cursor, 30) is True


def test_the_pause_that_a_long_poll_asks_for(writer, source, dropbox):
    slept = []
    source = RemoteSource(source._remote, sleep=slept.append)
    put(writer, ".huracan/heads/a.hzh", b"1")
    cursor = source.cursor(".huracan")
    put(writer, ".huracan/heads/a.hzh", b"2")
    dropbox.config(longpoll_backoff_s=7)
    assert source.wait(cursor, 30) is True
    assert slept == [7]


@pytest.mark.parametrize("status", [400, 401])
def test_a_long_poll_that_a_front_end_refuses_is_made_once_more(writer, source, dropbox, status):
    put(writer, ".huracan/heads/a.hzh", b"1")
    cursor = source.cursor(".huracan")
    put(writer, ".huracan/heads/a.hzh", b"2")
    dropbox.faults({"route": "*/longpoll", "fault": "server_error", "status": status, "times": 1})
    assert source.wait(cursor, 30) is True
    dropbox.faults()
    dropbox.faults({"route": "*/longpoll", "fault": "server_error", "status": status})
    with pytest.raises(ServiceFault):
        source.wait(cursor, 30)
    assert dropbox.log()["requests"]["files/list_folder/longpoll"] == 4


class Noise:
    """An account where something changes all the time, elsewhere."""

    root, place = ROOT, "here"

    def __init__(self, *answers):
        self.now, self.calls, self.answers = 0.0, 0, list(answers)

    def longpoll(self, cursor, timeout_s):
        self.calls += 1
        self.now += 0.05
        answer = self.answers.pop(0) if self.answers else LongpollResult(changes=True)
        if isinstance(answer, HuracanError):
            raise answer
        return answer

    def sleep(self, seconds):
        self.now += seconds

    def source(self):
        return RemoteSource(self, clock=lambda: self.now, sleep=self.sleep)


def test_noise_in_the_account_costs_at_most_a_call_a_second():
    noise = Noise()
    source = noise.source()
    while noise.now < 60:
        assert source.wait("cursor", 30) is True
    assert 2 * noise.calls <= 62  # each wait, and the look after it


def test_the_first_change_is_told_at_once_and_what_did_not_change_is_waited_for_again():
    noise = Noise(LongpollResult(changes=False))
    source = noise.source()
    assert source.wait("cursor", 30) is False
    noise.now += 30
    assert source.wait("cursor", 30) is True
    assert noise.now < 31


def test_a_cursor_that_is_reset_again_and_again_is_no_storm():
    noise = Noise(*(CursorReset("reset") for _ in range(5)))
    source = noise.source()
    for _ in range(5):
        assert source.wait("cursor", 30) is True
    assert noise.now > 4 * FLOOR_S


def test_one_root_is_told_from_another(source):
    other = RemoteSource(source._remote, "/Other")
    assert other.place != source.place == RemoteSource(source._remote, ROOT.upper()).place


def test_several_at_once_end_with_the_first_failure():
    assert list(several(str, range(100))) == [str(number) for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(several(lambda number: 1 // (number - 3), range(100)))


def test_hamilton_opens_by_his_profile(dropbox, writer, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text(dropbox.token(READ, app_key=dropbox.read_only_app_key)["refresh_token"])
    token.chmod(0o400)
    env = dropbox.env(tmp_path / "home")
    env |= {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.read_only_app_key}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    hamilton = Hamilton.open("hamilton")
    assert dropbox.log()["requests"] == {}
    with pytest.raises(NotFound, match="no trust file"):
        hamilton.pin(f"hz2:{'a' * 26}:SHA256:{'A' * 43}")
