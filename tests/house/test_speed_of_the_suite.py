"""The default suite stays quick: of a test with the emulator it takes one case, and such tests do not become many more.

A test with the emulator computes for some fifty milliseconds, one in pure code for two.
"""

from collections import Counter

MOST = 1_600
"""Tests of the default suite that ask the emulator. Before this grows: is the test's promise held by another one?"""


def with_the_emulator(items):
    return [item for item in items if "dropbox_server" in item.fixturenames]


def test_of_many_cases_one_is_taken(request):
    found = with_the_emulator(item for item in request.session.items if hasattr(item, "callspec"))
    found = [
        item for item in found if not item.get_closest_marker("every_case") and not item.get_closest_marker("slow")
    ]
    assert {test: n for test, n in Counter(item.nodeid.partition("[")[0] for item in found).items() if n > 1} == {}


def test_not_many_ask_the_emulator(request):
    items = with_the_emulator(request.session.items)
    assert len([item for item in items if not item.get_closest_marker("slow")]) <= MOST
