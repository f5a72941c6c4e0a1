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


def save(folder: Path) -> int:
    remote = connect("engine")
    report: PushReport = push(
        folder, "/Engine/data", remote=remote, channel="data", options=PushOptions(delete=True, overwrite=False)
    )
    for failure in report.failed:
        error: HuracanError = failure.error
        print(failure.path, error.hint)  # noqa: T201
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
