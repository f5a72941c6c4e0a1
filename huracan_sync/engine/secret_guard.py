"""A look at what is about to be sent: configuration files hold passwords and tokens more often than they should."""

from __future__ import annotations

from pathlib import Path

from huracan_sync.auth.secret_scan import scan
from huracan_sync.errors import SecretInFile

MOST_SCANNED = 4 * 1024 * 1024


def refuse_secrets(path: Path) -> None:
    """Let a file pass in which no secret is found.

    Raises:
        SecretInFile: one is.
    """
    with path.open("rb") as file:
        text = file.read(MOST_SCANNED).decode("utf-8", "replace")
    if found := scan(text):
        kinds = ", ".join(sorted({finding.kind for finding in found}))
        raise SecretInFile(f"{path.name} holds a secret ({kinds}) and is not sent", path=str(path), kinds=kinds)
