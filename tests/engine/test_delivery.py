"""What waits in the outbox is delivered each by itself, and what cannot be delivered is said."""

import shutil

from engine_world import noise

from huracan_sync.errors import LocalFailure


def kept(machine, sync, *, remote="a.txt"):
    """One write waits, because Dropbox was not to be had."""
    machine.dropbox.faults({"route": "*", "rate": 1.0, "fault": "server_error", "status": 503})
    assert not sync.write_text(remote, f"of {remote}")
    machine.dropbox.faults()


def test_one_that_breaks_stops_no_other(logged_in, monkeypatch):
    sync = logged_in.sync()
    for name in ("a.txt", "b.txt"):
        kept(logged_in, sync, remote=name)
    sender = sync._context.sender
    real = sender.put_content

    def put(content, path, **how):
        if path.endswith("a.txt"):
            raise RuntimeError("nobody foresaw this")
        return real(content, path, **how)

    monkeypatch.setattr(sender, "put_content", put)
    assert sync.write_text("c.txt", "delivers what waits")
    (left,) = sync.pending
    assert left.remote.endswith("a.txt")
    assert left.error["code"] == "BUG"
    assert logged_in.stranger.paths() == ["/Runpodhuracan/b.txt", "/Runpodhuracan/c.txt"]


def waiting_folder(machine, sync, files):
    machine.write(files)
    machine.dropbox.faults({"route": "*", "rate": 1.0, "fault": "server_error", "status": 503})
    assert sync.upload_reports() == 0
    machine.dropbox.faults()
    (left,) = sync.pending
    return left


def test_a_folder_that_went_meanwhile_is_said(logged_in):
    sync = logged_in.sync()
    waiting_folder(logged_in, sync, {"reports/a.csv": b"1"})
    shutil.rmtree(logged_in.work / "reports")
    assert sync.write_text("c.txt", "delivers what waits")
    assert sync.pending == []
    assert isinstance(sync.last_error, LocalFailure)
    assert "is gone" in str(sync.last_error)


def test_what_only_a_person_can_mend_does_not_wait_for_ever(logged_in):
    sync = logged_in.sync()
    waiting_folder(logged_in, sync, {"reports/a.csv": b"1", "reports/bad .csv": b"2", "reports/ bad.csv": b"3"})
    assert sync.write_text("c.txt", "delivers what waits")
    assert sync.pending == []
    assert any(path.endswith("/reports/a.csv") for path in logged_in.stranger.paths())


def test_a_candle_that_cannot_be_judged_is_kept_beside(logged_in):
    """Changed on both sides and encrypted: nobody can say which holds more, so that neither is lost."""
    ends = (100).to_bytes(4, "little") + b"PARE"
    sealed = {name: b"PARE" + noise(name, 5000) + ends for name in ("one", "mine", "theirs")}
    name = "data/candles/BTCUSDT/BTC-USDT_1d_20250101_20250601.parquet"
    sync = logged_in.sync()
    logged_in.write({name: sealed["one"]})
    assert sync.upload_data_cache() == 1
    logged_in.write({name: sealed["mine"]})
    logged_in.stranger.write(f"/Runpodhuracan/{name}", sealed["theirs"])
    assert sync.upload_data_cache() == 1
    assert sorted(filter(None, map(logged_in.stranger.read, logged_in.stranger.paths()))) == sorted(
        [sealed["mine"], sealed["theirs"]]
    )
