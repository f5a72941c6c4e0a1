"""Clients that were written for Dropbox, by others, do their work on the emulator: unchanged, and without a refusal."""

import dropbox as sdk
import pytest
from dropbox import file_transfer
from peer_clients import MIB, TREE, Maestral, Rclone, allow, find, hashes, make

pytestmark = pytest.mark.peers


@pytest.fixture(params=["rclone (Debian)", "rclone (current)"])
def rclone(request, tmp_path, dropbox):
    program = find(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not here: apt-get install rclone, or bash scripts/test_peers.sh")
    return Rclone(program, tmp_path, dropbox)


def test_rclone_syncs_both_ways(rclone, account, tmp_path):
    src, dst = tmp_path / "src", tmp_path / "dst"
    make(src, TREE)
    token = rclone.log_in()
    assert token["refresh_token"]
    account.routes()

    rclone("copy", src, "dbx:data", "--dropbox-chunk-size", "1M")
    assert account.files("/data") == hashes(src)
    requests, refused = account.routes()
    assert requests["files/upload_session/finish_batch_v2"] >= 1 or requests["files/upload_session/finish"] >= 1
    assert set(refused) <= {"files/list_folder", "files/get_metadata"}  # where there is nothing yet

    listed = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in rclone("ls", "dbx:data").splitlines()}
    assert listed == TREE
    rclone("check", src, "dbx:data", "--checksum")
    assert account.routes()[1] == {}

    make(src, {"empty": b"no more", "new/one": 10})
    (src / "four").unlink()
    rclone("check", src, "dbx:data", code=1)
    rclone("sync", src, "dbx:data")
    assert account.files("/data") == hashes(src)
    rclone("sync", "dbx:data", dst)
    assert hashes(dst) == hashes(src)
    assert account.routes()[1] == {}


def test_rclone_commits_in_batches(rclone, account, tmp_path):
    make(tmp_path / "src", {f"{n % 3}/{n}": 100 + n for n in range(40)})
    rclone.log_in()
    account.routes()
    rclone("sync", tmp_path / "src", "dbx:data", "--dropbox-batch-mode", "sync", "--transfers", 8)
    assert account.files("/data") == hashes(tmp_path / "src")
    requests, refused = account.routes()
    assert requests["files/upload_session/finish_batch_v2"] < 40
    assert set(refused) <= {"files/list_folder", "files/get_metadata"}


def test_rclone_moves_copies_and_removes(rclone, account, tmp_path):
    make(tmp_path / "src", {"a/x": 10, "a/y": 20, "b": 5 * MIB})
    rclone.log_in()
    rclone("copy", tmp_path / "src", "dbx:")
    rclone("moveto", "dbx:a/x", "dbx:a/z")
    rclone("copyto", "dbx:a/y", "dbx:c/copy of y")
    rclone("move", "dbx:a", "dbx:moved")
    assert sorted(account.files()) == ["b", "c/copy of y", "moved/y", "moved/z"]
    assert sorted(rclone("lsf", "-R", "--files-only", "dbx:").splitlines()) == [
        "b",
        "c/copy of y",
        "moved/y",
        "moved/z",
    ]
    account.write("/text", b"0123456789")
    assert rclone("cat", "--offset", 3, "--count", 4, "dbx:text") == "3456"
    rclone("purge", "dbx:moved")
    rclone("deletefile", "dbx:b")
    assert sorted(account.files()) == ["c/copy of y", "text"]
    assert '"used":' in rclone("about", "--json", "dbx:")


# --- the official SDK ---------------------------------------------------------------------------------------------


@pytest.fixture
def client(dropbox):
    tokens = dropbox.token()
    return sdk.Dropbox(oauth2_refresh_token=tokens["refresh_token"], app_key=tokens["app_key"], max_retries_on_error=0)


@pytest.mark.parametrize("parallel", [0, 4])
def test_the_sdk_moves_files(client, account, tmp_path, parallel):
    src, dst = tmp_path / "src", tmp_path / "dst"
    make(src, {**TREE, "large": 21 * MIB + 5})
    uploader, downloader = file_transfer.Uploader(client), file_transfer.Downloader(client)
    for path in hashes(src):
        options = file_transfer.UploadOptions(parallel_uploads=parallel)
        uploader.upload(file_transfer.FileUpload(str(src / path)), sdk.files.CommitInfo(f"/data/{path}"), options)
    assert account.files("/data") == hashes(src)
    if parallel:
        (src / "empty").unlink()  # it asks for the first byte, and does not understand that there is none
    for path in hashes(src):
        (dst / path).parent.mkdir(parents=True, exist_ok=True)
        options = file_transfer.DownloadOptions(parallel_downloads=parallel)
        downloader.download(f"/data/{path}", file_transfer.File(str(dst / path)), options)
    assert hashes(dst) == hashes(src)
    assert account.routes()[1] == {}


def test_the_sdk_logs_in_and_lists(dropbox, account):
    flow = sdk.DropboxOAuth2FlowNoRedirect(dropbox.app_key, use_pkce=True, token_access_type="offline")
    result = flow.finish(allow(flow.start()))
    with sdk.Dropbox(oauth2_refresh_token=result.refresh_token, app_key=dropbox.app_key) as client:
        assert client.users_get_current_account().account_id == result.account_id == dropbox.account_id
        client.files_create_folder_v2("/folder")
        written = client.files_upload(b"1", "/folder/x", mode=sdk.files.WriteMode.add)
        found = client.files_list_folder("", recursive=True).entries
        assert {each.path_display for each in found} >= {"/folder", "/folder/x"}
        conflict = sdk.files.WriteMode.update("0" * 9)
        with pytest.raises(sdk.exceptions.ApiError) as refused:
            client.files_upload(b"2", "/folder/x", mode=conflict)
        assert refused.value.error.get_path().reason.is_conflict()
        assert client.files_get_metadata("/folder/x").rev == written.rev
        cursor = client.files_list_folder_get_latest_cursor("", recursive=True).cursor
        client.files_delete_v2("/folder")
        assert client.files_list_folder_longpoll(cursor).changes
        assert client.files_list_folder_continue(cursor).entries
        dropbox.advance(5 * 3600)
        assert client.files_list_folder("").entries == []  # with a token that it renewed


# --- Maestral -----------------------------------------------------------------------------------------------------


def test_maestral_syncs_both_ways(dropbox, account, tmp_path):
    if find("maestral") is None:
        pytest.skip("Maestral is not here: bash scripts/test_peers.sh installs it beside the SDK it can live with")
    make(tmp_path / "theirs", TREE)
    for path, data in {path: (tmp_path / "theirs" / path).read_bytes() for path in TREE}.items():
        account.write(f"/{path}", data)
    with Maestral(tmp_path, dropbox) as maestral:
        assert maestral("link", allow(maestral("link_url"))) == 0
        account.routes()
        maestral("start")
        assert maestral("settle", 0.5) == ["Up to date", []]
        assert hashes(maestral.folder) == hashes(tmp_path / "theirs")  # the first sync, down

        make(maestral.folder, {"ours/1": 10, "ours/2": 5 * MIB, "BTC/with space.json": b"changed"})
        (maestral.folder / "four").unlink()
        account.write("/theirs too", b"meanwhile")
        assert maestral("settle", 2.5) == ["Up to date", []]
        assert (maestral.folder / "theirs too").read_bytes() == b"meanwhile"
        there = account.files()
        assert there == hashes(maestral.folder)  # up
        assert "four" not in there
        assert there.keys() >= {"ours/1", "ours/2"}
    requests, refused = account.routes()
    assert requests["files/list_folder/longpoll"] >= 1
    assert set(refused) <= {"files/get_metadata"}  # it looks where nothing is yet
