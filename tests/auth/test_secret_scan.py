"""Hard-coded secrets: found by place and kind, never shown, and words that only look alike left alone."""

import os
import secrets
import string
import time

import pytest
from sampled import sampled

from huracan_sync.auth.secret_scan import (
    ACCESS_TOKEN,
    APP_SECRET,
    BOT_TOKEN,
    PASSWORD,
    REFRESH_TOKEN,
    UNREADABLE,
    Finding,
    scan,
    scan_tree,
)

# Put together here, so that no scanner takes this file for a leak.
SHORT_LIVED = "sl." + "u.AFq3_x-9Zk" * 10
LEGACY = "k3Jx-9_QaZ" * 6 + "AAAA"
SECRET = "9x2k" + "q7m1p0z" + "w4tb"
BOT = "12345" + "67890:" + "AAF3_x-9ZkQaZ" * 2 + "AAF3_x-9Z"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f'access_token = "{SHORT_LIVED}"', ACCESS_TOKEN),
        (f"access_token = os.getenv('DROPBOX_ACCESS_TOKEN') or '{SHORT_LIVED}'", ACCESS_TOKEN),
        (f"dbx = dropbox.Dropbox('{SHORT_LIVED}')  # é", ACCESS_TOKEN),
        (f"export DROPBOX_ACCESS_TOKEN={SHORT_LIVED}", ACCESS_TOKEN),
        (f"curl -H 'Authorization: Bearer {SHORT_LIVED}'", ACCESS_TOKEN),
        (f'{{"access_token": "{LEGACY}"}}', ACCESS_TOKEN),
        (f"DROPBOX_REFRESH_TOKEN={LEGACY}", REFRESH_TOKEN),
        (f"  refresh_token: '{LEGACY}'", REFRESH_TOKEN),
        (f'refresh_token: str = "{LEGACY}"', REFRESH_TOKEN),
        (f'APP_SECRET = "{SECRET}"', APP_SECRET),
        (f"dropbox_app_secret: {SECRET}", APP_SECRET),
        (f"client-secret={SECRET}", APP_SECRET),
        (f'"appSecret": "{SECRET}",', APP_SECRET),
        (f'telegram = "{BOT}"', BOT_TOKEN),
        ("dsn: postgresql://trader:" + "hunter2" + "@db.internal:5432/x", PASSWORD),
    ],
)
def test_found(line, kind):
    findings = scan(f"# a comment\n\n{line}\n")
    assert [(f.line, f.kind) for f in findings] == [(3, kind)]
    assert line[findings[0].column - 1] not in string.whitespace + "'\":="


@pytest.mark.parametrize(
    "line",
    [
        "access_token = os.getenv('DROPBOX_ACCESS_TOKEN')",
        "access_token = settings.dropbox.access_token_of_the_engine",
        "refresh_token = load_refresh_token_from_the_keyring2()",
        'access_token = "sl.keyring:engine"',
        'access_token: "${DROPBOX_ACCESS_TOKEN}"',
        "app_secret = 'your_app_secret_1'",
        "app_secret = 'xxxxxxxxxxxxxxx1'",
        "refresh_token=<the refresh token goes here 1234>",
        "app_secret: null",
        "from xsl.transform_very_long_module_name2 import Transformer",
        "model.sl.some_attribute_of_the_layer_Nr2",
        "sl.some_long_function_name_of_a_module()",
        "dsn: postgresql://${USER}:${PASSWORD}@db/x",
        "see https://example.org:8080/path@2x.png",
        "12:30:45 2026-01-01 00:00:00.000000 INFO token_endpoint answered",
        "access_token_expires_in = 14400000000000000",
    ],
)
def test_left_alone(line):
    assert scan(line) == []


def test_several_on_a_line_and_none_twice():
    line = f'Client("{SHORT_LIVED}", app_secret="{SECRET}")'
    assert scan(line) == [
        Finding(1, line.index("sl.") + 1, ACCESS_TOKEN),
        Finding(1, line.index(SECRET) + 1, APP_SECRET),
    ]


def test_a_tree(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "settings.py").write_text(f'a = 1\ntoken = "{SHORT_LIVED}"\n')
    (tmp_path / "src" / "good.py").write_text("access_token = os.environ['X']\n")
    (tmp_path / "deploy.env").write_bytes(b"\xff\xfe\nDROPBOX_APP_SECRET=" + SECRET.encode() + b"\r\n")
    (tmp_path / "model.bin").write_bytes(b"\0" + SHORT_LIVED.encode())
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(SHORT_LIVED)
    (tmp_path / "link").symlink_to(tmp_path / "src" / "settings.py")
    found = list(scan_tree(tmp_path))
    assert [(f.path, f.finding.line, f.finding.kind) for f in found] == [
        ("deploy.env", 2, APP_SECRET),
        ("src/settings.py", 2, ACCESS_TOKEN),
    ]
    assert SHORT_LIVED not in repr(found)
    assert SECRET not in repr(found)


def test_this_project_holds_none():
    """The rule we give others holds here; the tests' own canaries are made when they run."""
    from pathlib import Path

    root = Path(__file__).parent.parent.parent
    found = [f for part in ("huracan_sync", "scripts", "tests") for f in scan_tree(root / part)]
    assert [(f.path, f.finding.line, f.finding.kind) for f in found] == []


def test_random_text_is_quick():
    text = secrets.token_urlsafe(200_000) + "\n" + "access_token = " * 5000
    scan(text)


ENDLESS = {
    "letters": "a" * 1_000_000,
    "a vocabulary": '{"token_vocab": "' + "a" * 1_000_000 + '"}',
    "names": "access_token" * 90_000,
    "a name and spaces": "access_token:" + " " * 1_000_000 + "x",
    "names and spaces": ("refresh_token: " + " " * 50) * 15_000,
    "types": "access_token: " + "str | " * 160_000 + "x",
    "an open quote": 'app_secret = "' + "a1" * 500_000,
    "open quotes": 'app_secret = "a1' * 65_000,
    "bare": "app_secret=" + "a1" * 500_000 + "!",
    "schemes": "a+" * 500_000,
    "urls": "postgres://user:" * 60_000,
    "a url without an end": "postgres://" + "u" * 500_000 + ":" + "p" * 500_000,
    "short-lived": "sl." * 330_000,
    "many short-lived": f"{SHORT_LIVED[:26]} " * 38_000,
    "digits": "1234567890:" * 90_000,
    "the same": "refresh_token='" + "x" * 1_000_000 + "'",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(ENDLESS, 16))
def test_one_line_of_a_megabyte_takes_no_longer_than_many_lines(name):
    """In proportion: ten times as much takes about ten times as long, not a hundred times."""

    def seconds(text):
        began = time.process_time()
        scan(text)
        return time.process_time() - began

    line = ENDLESS[name]
    tenth = max(min(seconds(line[: len(line) // 10]) for _ in range(3)), 1e-3)
    assert seconds(line) < 30 * tenth + 0.1


def test_a_deep_tree_is_walked_and_what_is_not_looked_at_is_told(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1100):  # deeper than functions may nest
            os.mkdir("a", dir_fd=here)
            inner = os.open("a", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(os.open("x.py", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        (tmp_path / "top.py").write_text(SHORT_LIVED)
        found = [(each.path, each.finding.kind) for each in scan_tree(tmp_path)]
        assert found == [("/".join(["a"] * 32), UNREADABLE), ("top.py", ACCESS_TOKEN)]
    finally:
        os.unlink("x.py", dir_fd=here)
        for _ in range(1100):
            outer = os.open("..", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = outer
            os.rmdir("a", dir_fd=here)
        os.close(here)
