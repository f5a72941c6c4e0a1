"""The probe of `doctor --self-test`: what it says of a healthy account, and of each thing that may be wrong."""

import pytest

from huracan_sync.engine.selftest import self_test


def test_a_healthy_account_passes_and_is_left_as_it_was(machine):
    steps = list(self_test(machine.sync().context))
    assert [(step.name, step.good) for step in steps] == [
        (name, True) for name in ("authentication", "engine", "folder", "file", "clean")
    ]
    assert machine.stranger.paths() == []
    assert steps[0].says.endswith("is not there yet")


@pytest.mark.parametrize(
    ("route", "fault", "bad"),
    [
        ("*", "invalid_access_token", ["authentication"]),
        ("files/upload", "insufficient_space", ["engine"]),
        ("files/download", "corrupt", ["file"]),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_is_tried(machine, route, fault, bad):
    sync = machine.sync()
    machine.dropbox.faults(
        {"route": route, "fault": fault, "nth": 1} if fault == "corrupt" else {"route": route, "fault": fault}
    )
    steps = list(self_test(sync.context))
    assert [step.name for step in steps if not step.good] == bad
    assert all(step.hint or step.name == "file" for step in steps if not step.good)
    machine.dropbox.faults()
    assert machine.stranger.paths() == []


def test_a_reader_learns_what_it_may_not(machine):
    from huracan_sync.engine import DropboxSync

    steps = list(self_test(DropboxSync(machine.token(["files.metadata.read", "files.content.read"])).context))
    assert [(step.name, step.good) for step in steps] == [("authentication", True), ("engine", False)]
    assert "files.content.write" in steps[1].says
