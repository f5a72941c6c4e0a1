"""Chromium without a screen, driven over WebDriver by plain HTTP requests: Debian's two packages and nothing else."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """One window."""

    def __init__(self, driver, session):
        self._at = f"{driver}/session/{session}"

    def go(self, url):
        _ask(f"{self._at}/url", {"url": url})

    @contextlib.contextmanager
    def another_tab(self):
        """A tab that is closed at the end of the block."""
        ours = _ask(f"{self._at}/window")
        _ask(f"{self._at}/window", {"handle": _ask(f"{self._at}/window/new", {"type": "tab"})["handle"]})
        try:
            yield
        finally:
            request = urllib.request.Request(f"{self._at}/window", method="DELETE")  # noqa: S310
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
            _ask(f"{self._at}/window", {"handle": ours})

    def resize(self, width, height):
        _ask(f"{self._at}/window/rect", {"width": width, "height": height})

    def click(self, css):
        _ask(f"{self._at}/element/{self._find(css)}/click", {})

    def value(self, css):
        return _ask(f"{self._at}/element/{self._find(css)}/attribute/value")

    @property
    def url(self):
        return _ask(f"{self._at}/url")

    @property
    def text(self):
        # At once: an element may go stale under a click.
        return self.evaluate("return document.body ? document.body.innerText : ''")

    def evaluate(self, script):
        """What a script returns that runs in the page."""
        return _ask(f"{self._at}/execute/sync", {"script": script, "args": []})

    def picture(self):
        """The window as it looks, a PNG."""
        return base64.b64decode(_ask(f"{self._at}/screenshot"))

    def complaints(self):
        """What the browser has complained of since it was asked last."""
        return [entry["message"] for entry in _ask(f"{self._at}/se/log", {"type": "browser"})]

    def read(self, words, within=60):
        """The page's text once it has these words: a click returns before the next page has come."""
        until = time.monotonic() + within
        while words not in self.text and time.monotonic() < until:
            time.sleep(0.01)
        return self.text

    def _find(self, css):
        return _ask(f"{self._at}/element", {"using": "css selector", "value": css})[_ELEMENT]


def _ask(url, arguments=None):
    data = None if arguments is None else json.dumps(arguments).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from None


needs_chromium = pytest.mark.skipif(
    not shutil.which("chromium") or not shutil.which("chromedriver"),
    reason="needs chromium and chromedriver (Debian: chromium chromium-driver)",
)
"""For every test that opens a window: decided before the test starts anything."""


@contextlib.contextmanager
def chromium(*options):
    """A window of a Chromium of its own; `options` as its command line takes them."""
    with tempfile.TemporaryDirectory() as profile:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            for line in driver.stdout:
                if found := re.search(r"started successfully on port (\d+)", line):
                    break
            address = f"http://127.0.0.1:{found[1]}"
            chrome = {"binary": shutil.which("chromium"), "args": [*_QUIET, *options, f"--user-data-dir={profile}"]}
            capabilities = {"alwaysMatch": {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}}
            # Pages come over a network: an element is looked for until it is there.
            capabilities["alwaysMatch"]["timeouts"] = {"implicit": 5000}
            session = _ask(f"{address}/session", {"capabilities": capabilities})["sessionId"]
            try:
                yield Browser(address, session)
            finally:
                request = urllib.request.Request(f"{address}/session/{session}", method="DELETE")  # noqa: S310
                urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
        finally:
            driver.terminate()
            driver.wait(120)
            driver.stdout.close()
