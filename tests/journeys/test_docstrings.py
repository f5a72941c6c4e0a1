"""The examples in the docstrings of what the package hands out run as they are printed, one after the other."""

import doctest
import os

import huracan_sync

EXAMPLES = ["push", "PushReport", "PushOptions", "restore", "RestoreReport", "RestoreOptions", "stage", "commit"]
"""In this order: the later ones find what the earlier ones did."""


def test_the_examples_run(plain_machine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HURACAN_APP_FOLDER", "Runpodhuracan")
    (tmp_path / "data" / "candles").mkdir(parents=True)
    for name in ("a.json", "b.json"):
        (tmp_path / "data" / "candles" / name).write_text("[]")
    (tmp_path / "metrics.json").write_text("{}")
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
    said = []
    for name in EXAMPLES:
        found = doctest.DocTestParser().get_doctest(getattr(huracan_sync, name).__doc__, {}, name, None, 0)
        assert found.examples, name
        runner.run(found, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    assert os.listdir(tmp_path / "elsewhere")  # noqa: PTH208


USES = {
    "DropboxSync": "DropboxSync(app_folder=",
    "Grant": '`connect("engine").lend()`',
    "Hamilton": '`Hamilton.open("hamilton")',
    "HuracanError": "`print(error, error.hint)`",
    "Snapshot": "`snapshot.read(path)`",
    "connect": '`connect("engine")`',
}
"""What the others show of their use, in their sentences; the readers' closure has no lines to spare."""


def test_every_public_name_shows_its_use():
    shown = {name: getattr(huracan_sync, name).__doc__ for name in huracan_sync.__all__ if name != "DROPBOX_AVAILABLE"}
    assert [name for name, doc in shown.items() if not (">>> " in doc or USES.get(name, "?") in doc)] == []
    assert shown.keys() == {*EXAMPLES, *USES}
