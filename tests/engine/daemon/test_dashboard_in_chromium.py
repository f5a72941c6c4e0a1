"""The page in a real browser: what a person sees, by day and by night, on a wide screen and a narrow one."""

import contextlib
import json
import re
import signal
import struct
import time

import pytest
from browser import chromium, needs_chromium
from sampled import slow
from test_dashboard import KINDS, NOW, told

from huracan_sync.engine.daemon.dashboard.page import Page
from huracan_sync.engine.daemon.dashboard.samples import Samples

pytestmark = needs_chromium
WIDE = "--window-size=1280,1100"
NIGHT = "--blink-settings=preferredColorScheme=0"

CONTRASTS = """
const ink = colour => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  c.fillStyle = colour; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const light = rgb => rgb.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = element => { while (element && getComputedStyle(element).backgroundColor.endsWith(', 0)'))
  element = element.parentElement; return getComputedStyle(element || document.body).backgroundColor; };
return ['h1', 'dt', 'dd', 'thead th', 'tbody th', 'tr.ill td:last-child', 'figcaption', 'footer'].map(name => {
  const element = document.querySelector(name);
  const [a, b] = [getComputedStyle(element).color, behind(element)].map(c => light(ink(c)));
  return [name, (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]; });
"""


@pytest.fixture
def page():
    samples = Samples()
    for n in range(120):
        samples.take(told(requests=n * 3, bytes_sent=(n // 10) * 9_000_000, token_requests=n // 50), NOW - 600 + n * 5)
    made = Page(0, lambda: told(requests=357, pending=1), samples, lambda: NOW)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def window():
    """As wide as a screen; a Chromium takes a second to start."""
    with chromium(WIDE) as browser:
        yield browser


def size_of(picture):
    assert picture.startswith(b"\x89PNG")
    return struct.unpack(">II", picture[16:24])


@pytest.mark.parametrize("scheme", [slow("day"), slow("night")])
def test_it_is_drawn_by_day_and_by_night(page, window, scheme):
    with contextlib.nullcontext(window) if scheme == "day" else chromium(WIDE, NIGHT) as browser:
        browser.go(page.url)
        text = browser.read("token refreshes")
        assert browser.complaints() == []  # nothing was blocked, nothing is missing
        for words in ("not everything is in step", "models: no <network> today", "20 s ago", "4.8 MiB"):
            assert words in text
        assert browser.evaluate("return document.querySelectorAll('tbody tr').length") == len(KINDS)
        boxes = "return [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)"
        assert all(height > 80 for height in browser.evaluate(boxes))
        bars = "return [...document.querySelectorAll('figure')].map(f => f.querySelectorAll('rect').length)"
        assert browser.evaluate(bars)[0] >= 5
        curves = "return [...document.querySelectorAll('path.line')].map(p => p.getTotalLength())"
        assert all(length > 300 for length in browser.evaluate(curves))
        dark = browser.evaluate("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", dark))) < 200) == (scheme == "night")
        faint = [(name, ratio) for name, ratio in browser.evaluate(CONTRASTS) if ratio < 4.5]
        assert faint == []  # as WCAG asks of text
        assert size_of(browser.picture())[0] == 1280


@pytest.mark.slow
def test_on_a_telephone_state_and_remedy_are_there_without_sideways_scrolling(page, window):
    window.resize(390, 900)
    window.go(page.url)
    assert "models: no <network> today (try again later)" in window.read("token refreshes")
    wide, seen = window.evaluate("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen <= 640
    table, card = window.evaluate(
        "const card = document.querySelector('.card'); return [card.scrollWidth, card.clientWidth]"
    )
    assert table <= card
    label = "return getComputedStyle(document.querySelector('tbody td'), '::before').content"
    assert "last success" in window.evaluate(label)


@pytest.mark.slow
def test_it_follows_what_runs_without_being_asked(machine):
    machine.write({"models/a.bin": b"a"})
    process = machine.start("run", "--http", "0")
    until = time.monotonic() + 120
    while not (machine.home / "run.json").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    url = json.loads((machine.home / "run.json").read_bytes())["page"]
    with chromium() as browser:
        browser.go(url)
        assert "all is in step" in browser.read("all is in step", within=60)
        assert re.search(r"models\s+\d+ s ago\s+1\s", browser.text)
        machine.write({"models/b.bin": b"b", "models/c.bin": b"c"})
        while not re.search(r"models\s+\d+ s ago\s+3\s", browser.text):
            assert time.monotonic() < until + 15
            time.sleep(0.2)
        assert browser.complaints() == []
        assert browser.evaluate("return document.title") == "all is in step - huracan-sync"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
