"""How the engine synced before, faithfully restated: `old_engine.py up|down FOLDER REMOTE`.

One file after the other. Up: `get_metadata`, then the whole file from memory through `files/upload`, whether it changed
or not. Down: one page of a listing after the other, then every file through `files/download` into memory.
"""

import contextlib
import os
import sys
from pathlib import Path

import dropbox


def up(dbx: dropbox.Dropbox, folder: Path, remote: str) -> None:
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        target = f"{remote}/{path.relative_to(folder).as_posix()}"
        with contextlib.suppress(dropbox.exceptions.ApiError):
            dbx.files_get_metadata(target)
        dbx.files_upload(path.read_bytes(), target, mode=dropbox.files.WriteMode.overwrite)


def down(dbx: dropbox.Dropbox, folder: Path, remote: str) -> None:
    page = dbx.files_list_folder(remote, recursive=True)
    while True:
        for entry in page.entries:
            if isinstance(entry, dropbox.files.FileMetadata):
                place = folder / entry.path_display[len(remote) + 1 :]
                place.parent.mkdir(parents=True, exist_ok=True)
                _, response = dbx.files_download(entry.path_display)
                place.write_bytes(response.content)
        if not page.has_more:
            return
        page = dbx.files_list_folder_continue(page.cursor)


if __name__ == "__main__":
    client = dropbox.Dropbox(oauth2_refresh_token=os.environ["PEER_REFRESH_TOKEN"], app_key=os.environ["PEER_APP_KEY"])
    {"up": up, "down": down}[sys.argv[1]](client, Path(sys.argv[2]), sys.argv[3])
