"""A browser for scripts: opens a consent page of the emulator, clicks Allow, follows the redirect home.

Set `BROWSER="python scripts/click_allow.py %s"` and `huracan-sync authorize` finds it as any other browser.
"""

import re
import sys
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3


def click(url: str) -> None:
    """Open the page at `url`, submit its form with Allow, go where it leads."""
    host = urlsplit(url).hostname or ""
    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise SystemExit("this only clicks on pages of an emulator on this machine")
    http = urllib3.PoolManager(retries=False, timeout=30)
    page = http.request("GET", url).data.decode()
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    account = re.search(r'<option value="([^"]+)" selected', page)
    fields = {name: unescape(value) for name, value in form.items()} | {"decision": "allow"}
    if account:
        fields["account_id"] = unescape(account[1])
    action = unescape(re.findall(r'<form method="post" action="([^"]+)"', page)[0])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = http.request("POST", urljoin(url, action), body=urlencode(fields), headers=headers, redirect=False)
    home = answer.headers.get("Location", "")
    if not home:
        raise SystemExit(f"Allow led nowhere (status {answer.status})")
    http.request("GET", urljoin(url, home))


if __name__ == "__main__":
    click(sys.argv[1])
