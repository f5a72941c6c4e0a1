"""A simulated year of pushes with one login: clocks that jump, tokens that end early, kills, faults. Nobody is asked.

The emulator's clock and the machine's run through 365 days together; what happens to the machine's clock alone, and to
the login, comes in turns. Every push is the real verb over a real socket.
"""

import os
from datetime import UTC, datetime

import pytest
from login_machine import Machine
from sampled import slow

from huracan_sync.auth.keystore.vault_key import KeySources
from huracan_sync.errors import HuracanError
from huracan_sync.operations.push import PushOptions, push
from huracan_sync.remote.client import Remote
from huracan_sync.remote.http import Wire
from huracan_sync.remote.rate_limit import Pacing

HOUR, DAY = 3600.0, 86400.0
SERVES_S = 4 * HOUR - 300


class Year:
    """An engine machine for a year."""

    def __init__(self, dropbox, emulator, folder):
        self.dropbox = dropbox
        self.machine = Machine(emulator, folder / "home")
        self.machine.log_in(folder)
        self.asked = []  # whoever is asked for anything
        self.machine.sources = KeySources(ask=lambda: self.asked.append("the vault's passphrase") or "")
        self.clocks = self.machine.clocks
        self.boots = 0
        self.disturbed = 0  # how often a token may have ended before its time
        self.source = folder / "src"
        self.source.mkdir()
        (self.source / "BTCUSDT.bin").write_bytes(b"0" * 1000)
        self.failed = []
        self.passed = 0.0
        self.start()
        self.other = self.remote

    def start(self):
        """A new process: it knows what the disk knows."""
        tokens = self.machine.tokens(pacing=Pacing(sleep=self.pass_, chance=lambda: 0.0))
        pacing = Pacing(clock=lambda: self.clocks.since_boot, sleep=self.pass_)
        now = lambda: datetime.fromtimestamp(self.clocks.wall, UTC)  # noqa: E731
        account = self.dropbox.account_id
        self.remote = Remote(
            Wire(self.machine.endpoint), tokens, pacing=pacing, identity=lambda: account, root="/Engine", now=now
        )

    def pass_(self, seconds):
        """Time passes, for Dropbox and for us."""
        self.passed += seconds
        self.clocks.pass_(seconds)
        self.dropbox.advance(seconds)

    def push(self, number):
        if number % 12 == 0:
            (self.source / "BTCUSDT.bin").write_bytes(b"%d" % number * 100)
        try:
            report = push(
                self.source, "/Engine/models", remote=self.remote, home=self.machine.home,
                options=PushOptions(wait_s=0.0),
            )  # fmt: skip
            self.failed += [(number, failure) for failure in report.failed]
        except HuracanError as error:
            self.failed.append((number, error))

    # ---- what happens to a machine in a year ------------------------------------------------------------------------

    def nothing_happens(self):
        pass

    def dropbox_ends_the_access_token_early(self):
        self.disturbed += 1
        self.dropbox.faults({"route": "files/*", "fault": "expired_access_token", "times": 1})

    def the_clock_is_set_back(self):
        self.clocks.wall -= 5 * HOUR

    def the_clock_is_set_ahead(self):
        self.clocks.wall += 7 * HOUR

    def the_process_is_killed(self):
        self.start()

    def the_machine_boots(self):
        self.boots += 1
        self.disturbed += 1
        self.clocks.boot_id, self.clocks.since_boot = f"boot {self.boots}", 5.0
        self.start()

    def the_machine_boots_in_1970(self):
        """Its battery is empty; the right time comes from the network later, as the next step ahead."""
        self.clocks.wall, self.right = 0.0, self.clocks.wall
        self.the_machine_boots()

    def the_network_sets_the_clock(self):
        self.clocks.wall = self.right

    def the_machine_sleeps(self):
        self.pass_(9 * HOUR)

    def the_machine_sleeps_and_its_clock_with_it(self):
        self.dropbox.advance(9 * HOUR)  # as macOS counts
        self.passed += 9 * HOUR
        self.clocks.wall += 9 * HOUR
        self.disturbed += 1

    def the_token_route_fails(self):
        self.dropbox.faults({"route": "oauth2/token", "fault": "server_error", "times": 2})

    def the_token_route_breaks_off_after_its_work(self):
        self.dropbox.faults({"route": "oauth2/token", "fault": "reset", "when": "after", "times": 1})

    def the_token_route_asks_for_a_pause(self):
        self.dropbox.faults({"route": "oauth2/token", "fault": "rate_limited", "retry_after": 3, "times": 1})

    def refresh_tokens_are_replaced(self):
        self.dropbox.config(rotate_refresh_tokens=True)

    def they_are_no_longer(self):
        self.dropbox.config(rotate_refresh_tokens=False)

    def another_process_goes_on(self):
        self.remote, self.other = self.other, self.remote


_OF = ("the_", "they_", "dropbox_", "refresh_", "another_", "nothing_")
EVENTS = [name for name in vars(Year) if name.startswith(_OF)]


def live(year, *, every_s):
    """365 days with a push every so many seconds; how many pushes there were."""
    pushes, a_while = 0, max(1, round(DAY / 2 / every_s))
    while year.passed < 365 * DAY:
        if pushes % a_while == 0:  # something happens twice a day, or as often as anything is pushed
            year.dropbox.faults()
            getattr(year, EVENTS[pushes // a_while % len(EVENTS)])()
        year.push(pushes)
        year.pass_(every_s)
        pushes += 1
    return pushes


@pytest.mark.parametrize(
    "every_s",
    [
        slow(2 * DAY),
        pytest.param(900, marks=pytest.mark.long),
        pytest.param(
            300,
            marks=[
                pytest.mark.long,
                pytest.mark.skipif(not os.environ.get("HURACAN_SOAK"), reason="long: set HURACAN_SOAK=1"),
            ],
        ),
    ],
    ids=["every two days", "every 15 minutes", "every 5 minutes"],
)
def test_a_simulated_year(dropbox, emulator, tmp_path, every_s):
    year = Year(dropbox, emulator, tmp_path)
    pushes = live(year, every_s=every_s)
    assert year.failed == []
    assert year.asked == []
    assert pushes > 365 * DAY / every_s * 0.9  # a machine that sleeps does not push
    log = emulator.log()
    refused = sum(log["refusals"]["oauth2/token"].values())
    assert refused > 30  # there was misfortune
    # One refresh for every token that ended, by its age, by Dropbox or because no clock could tell its age.
    assert log["requests"]["oauth2/token"] - refused <= year.passed / SERVES_S + year.disturbed + 1
