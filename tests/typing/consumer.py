"""What a user's typed code looks like. Type checkers read it; nobody runs it."""

from pathlib import Path

from huracan_sync import (
    DROPBOX_AVAILABLE,
    DropboxSync,
    Grant,
    Hamilton,
    HuracanError,
    PushOptions,
    PushReport,
    RestoreOptions,
    RestoreReport,
    Snapshot,
    commit,
    connect,
    push,
    restore,
    stage,
)
from huracan_sync.emulator.running import Emulator
from huracan_sync.transfer.progress import Silent


class Counting(Silent):
    """A monitor of the user's own."""

    def __init__(self) -> None:
        self.bytes = 0

    def planned(self, files: int, size: int) -> None:
        print(f"{files} files, {size} bytes")  # noqa: T201

    def moved(self, size: int) -> None:
        self.bytes += size


def save(folder: Path) -> int:
    remote = connect("engine")
    report: PushReport = push(
        folder, "/Engine/data", remote=remote, channel="data", options=PushOptions(delete=True, overwrite=False)
    )
    for failure in report.failed:
        error: HuracanError = failure.error
        print(failure.path, error.hint)  # noqa: T201
    push(folder / "more", "/Engine/more", remote=remote, monitor=Counting())
    back: RestoreReport = restore("/Engine/data", folder, remote=remote, options=RestoreOptions(force=True))
    return report.uploaded + report.bytes_sent + report.requests + (report.sequence or 0) + back.downloaded


def spread(files: dict[Path, str]) -> int:
    remote = connect("engine")
    grant: Grant = remote.lend()
    receipts: bytes = stage(grant, files)
    return commit(remote, [receipts], "/Engine/data", channel="data").uploaded


def trade() -> bytes:
    hamilton = Hamilton.open("hamilton")
    snapshot: Snapshot = hamilton.latest("champions")
    leverage = hamilton.config("BTCUSDT").risk_limits.max_leverage
    assert leverage is None or leverage > 0
    for newer in hamilton.follow():
        data: bytes = newer.read("hamilton/roster.json")
        return data
    return hamilton.champion("BTCUSDT").data + snapshot.read("hamilton/roster.json")


def local_dropbox() -> str:
    with Emulator.start("--port", "0") as emulator:
        token = str(emulator.token(["files.metadata.read"])["access_token"])
        return emulator.url + token


def engine() -> int:
    if not DROPBOX_AVAILABLE:
        return 0
    sync = DropboxSync(app_folder="Engine")
    done: bool = sync.upload_file("model.bin", "models/model.bin")
    restored: int = sync.restore_data_cache()
    sync.start_continuous_sync()
    error = sync.last_error
    ended: bool = sync.stop()
    return restored + done + ended + len(sync.pending) + (0 if error is None else len(error.hint))
