"""What a person sees in a terminal of 80 columns, as tmux draws it, held by the files in `screens/`.

After a wanted change: HURACAN_WRITE_SCREENS=1 python -m pytest -m slow tests/cli/test_screens.py, and look at the diff.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from screen import COLUMNS, Screen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux: apt-get install tmux"),
]
ROOT, SCREENS = Path(__file__).parents[2], Path(__file__).parent / "screens"

CHANCE = [
    (r"dbid:\S{35}", "dbid:" + "A" * 35),
    (r"hz2:\w{26}:SHA256:\S{43}", "hz2:" + "r" * 26 + ":SHA256:" + "F" * 43),
    (r"SHA256:[\w+/]{43}", "SHA256:" + "F" * 43),
    (r"ssh-ed25519 AAAA[\w+/]{64}", "ssh-ed25519 AAAA" + "K" * 64),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", lambda m: re.sub(r"\d", "0", m[0])),
    (r"(?<=tmp/scr)\w{8}", "X" * 8),
    (r"127\.0\.0\.1:\d{5}", "127.0.0.1:00000"),
    (r"[\d.]+ \w+/s$", "0 B/s"),
    (r"\d+\.\d s\b", "0.0 s"),
    (r"\b\d+ s ago +", lambda m: "0 s ago".ljust(len(m[0]))),
    (r"inotify has \d+ watches", "inotify has 65536 watches"),
    (r"\b[0-9a-f]{16}\b", "0" * 16),
]
"""What differs from run to run, and something of the same width."""

VALUES = re.compile(r"hz2:|ssh-ed25519|https?://")
"""Lines that hold a value which counts whole; the terminal may break them."""


def without_chance(row):
    for pattern, same_width in CHANCE:
        row = re.sub(pattern, same_width, row)
    return row


@pytest.fixture
def screen(dropbox, tmp_path):
    room = Path(tempfile.mkdtemp(prefix="scr", dir="/tmp"))
    folder = room / "the-machine-of-the-engine"
    folder.mkdir()
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(dropbox.token()["refresh_token"])
    token.chmod(0o400)
    (tmp_path / "sitecustomize.py").write_text("import platform\nplatform.node = lambda: 'lab'\n")
    env = dropbox.env(folder / "state")
    env = {name: value for name, value in env.items() if name.startswith("HURACAN")}
    env |= {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "HURACAN_REFRESH_TOKEN_FILE": token,
        "HURACAN_APP_KEY": dropbox.app_key,
        "HURACAN_SIGNING_KEY_FILE": folder / "signing-key",
    }
    ignored = ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY")
    env |= dict.fromkeys([*ignored, *(name.lower() for name in ignored)], "")
    shown = Screen(folder, env)
    shown.run(f'huracan-sync() {{ {sys.executable} -m huracan_sync "$@"; }}')
    yield shown
    shown.close()
    shutil.rmtree(room)


LONG = "a-folder-with-a-name-of-some-length"
WALK = [
    ("error-not-logged-in", "HURACAN_REFRESH_TOKEN_FILE= huracan-sync push data /Runpodhuracan/data"),
    ("error-usage", "huracan-sync push data /Runpodhuracan/data --delte"),
    ("keys-init", "huracan-sync keys init"),
    ("push-dry-run", "huracan-sync push data /Runpodhuracan/data --dry-run"),
    ("push", "huracan-sync push data /Runpodhuracan/data"),
    ("push-why", "huracan-sync push data /Runpodhuracan/data -vv --exclude '*.csv'"),
    ("ls", "huracan-sync ls -l -R /Runpodhuracan/data"),
    ("", "echo changed > data/BTC.csv; touch data/new; rm data/ETH.csv"),
    ("diff", "huracan-sync diff data /Runpodhuracan/data"),
    ("verify", "huracan-sync verify /Runpodhuracan/data"),
    ("restore", "huracan-sync restore /Runpodhuracan/data elsewhere"),
    ("verify-damaged", "echo x >> elsewhere/BTC.csv; huracan-sync verify elsewhere --channel data"),
    ("", "huracan-sync put data/new /Runpodhuracan/data/BTC.csv --overwrite"),
    ("conflict", "huracan-sync push data /Runpodhuracan/data"),
    ("status", "huracan-sync status"),
    ("keys-show", "huracan-sync keys show"),
    ("doctor", "huracan-sync doctor"),
    ("outbox-list", "huracan-sync outbox list"),
    ("", "mkdir -p many/old; for n in 1 2 3 4; do echo $n > many/old/$n; done"),
    ("", "huracan-sync push many /Runpodhuracan/many; mv many/old many/new"),
    ("push-renamed", "for dry in -n ''; do huracan-sync push many /Runpodhuracan/many --delete $dry; done"),
]  # fmt: skip


def test_each_screen_is_as_it_was_looked_at(screen):
    screen.run(
        f"mkdir -p 'data/{LONG}/{LONG}'; printf 1,2 > data/BTC.csv; printf 3 > data/ETH.csv; "
        f"head -c 9999 /dev/zero > 'data/{LONG}/{LONG}/a file with a name of some length.bin'; "
        f"{sys.executable} {Path(__file__).parent / 'screens' / 'outbox.py'}"
    )
    wrong = []
    for name, command in WALK:
        rows = [without_chance(row) for row in screen.run(command)]
        wide = [row for row in rows if len(row) > COLUMNS and not VALUES.search(row) and LONG not in row]
        assert wide == [], command
        if not name:
            continue
        text = f"$ {command}\n" + "\n".join(rows) + "\n"
        file = SCREENS / f"{name}.txt"
        if os.environ.get("HURACAN_WRITE_SCREENS"):
            file.write_text(text, encoding="utf-8")
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            wrong.append(text)
    assert wrong == [], "\n".join(wrong)


def test_the_bar_of_a_long_push_stays_on_its_line_and_does_not_jump(screen):
    screen.run("mkdir data; for n in 1 2 3 4 5 6 7 8; do head -c 100000 /dev/urandom > data/f$n; done")
    seen = []
    screen.run("huracan-sync push data /Runpodhuracan/data --bandwidth-limit 250k", watch=seen.append)
    bars = [row for rows in seen for row in rows if row.startswith("push ") and "files" in row]
    assert len(bars) > 10, seen[-1:]
    assert all(len(row) <= COLUMNS for row in bars)
    assert len({row.index(" of ") for row in bars}) == 1, bars
    assert max(sum(row.startswith("push ") for row in rows) for rows in seen) == 1
