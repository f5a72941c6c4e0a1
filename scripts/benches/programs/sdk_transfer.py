"""The official SDK's own `file_transfer`, sixteen files at once: `sdk_transfer.py up|down FOLDER REMOTE`.

It has no sync: it sends, or fetches, everything it is given.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dropbox
from dropbox import file_transfer

AT_ONCE = 16


def client() -> dropbox.Dropbox:
    session = dropbox.create_session(max_connections=AT_ONCE * 2)
    return dropbox.Dropbox(
        oauth2_refresh_token=os.environ["PEER_REFRESH_TOKEN"], app_key=os.environ["PEER_APP_KEY"], session=session
    )


def up(dbx: dropbox.Dropbox, folder: Path, remote: str) -> None:
    uploader = file_transfer.Uploader(dbx)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    parts = AT_ONCE if len(files) == 1 else 0

    def send(path: Path) -> None:
        commit = dropbox.files.CommitInfo(
            f"{remote}/{path.relative_to(folder).as_posix()}", mode=dropbox.files.WriteMode.overwrite
        )
        uploader.upload(
            file_transfer.FileUpload(str(path)), commit, file_transfer.UploadOptions(parallel_uploads=parts)
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, files))


def down(dbx: dropbox.Dropbox, folder: Path, remote: str) -> None:
    downloader = file_transfer.Downloader(dbx)
    page = dbx.files_list_folder(remote, recursive=True, limit=2000)
    entries = list(page.entries)
    while page.has_more:
        page = dbx.files_list_folder_continue(page.cursor)
        entries += page.entries
    files = [entry for entry in entries if isinstance(entry, dropbox.files.FileMetadata)]
    parts = AT_ONCE if len(files) == 1 else 0

    def fetch(entry: dropbox.files.FileMetadata) -> None:
        place = folder / entry.path_display[len(remote) + 1 :]
        place.parent.mkdir(parents=True, exist_ok=True)
        options = file_transfer.DownloadOptions(parallel_downloads=parts)
        downloader.download(entry.path_display, file_transfer.File(str(place)), options)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fetch, files))


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]](client(), Path(sys.argv[2]), sys.argv[3])
