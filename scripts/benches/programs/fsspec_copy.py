"""dropboxdrivefs, by `open`, `write` and `read`: `fsspec_copy.py up|down FOLDER REMOTE`.

Its `put` asks first what lies at the target, and ends when nothing does.
"""

import os
import sys
from pathlib import Path

from dropboxdrivefs import DropboxDriveFileSystem


def main(way: str, folder: Path, remote: str) -> None:
    drive = DropboxDriveFileSystem(token=os.environ["PEER_ACCESS_TOKEN"])
    if way == "up":
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                with drive.open(f"{remote}/{path.relative_to(folder).as_posix()}", "wb") as file:
                    file.write(path.read_bytes())
        return
    for found in drive.ls(remote, recursive=True):
        if found["type"] == "file":
            place = folder / found["name"][len(remote) + 1 :]
            place.parent.mkdir(parents=True, exist_ok=True)
            with drive.open(found["name"], "rb") as file:
                place.write_bytes(file.read())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
