"""Lay the documents out as the pages of one site, with their links turned to where each page lies there.

python scripts/docs_pages.py FOLDER
"""

import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "huracan_sync" / "docs"
ELSEWHERE = {
    ROOT / "README.md": "index.md",
    ROOT / "SECURITY.md": "security.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "huracan_sync" / "manifest" / "FORMAT.md": "format.md",
    ROOT / "huracan_sync" / "emulator" / "README.md": "emulator.md",
    DOCS / "decisions" / "README.md": "decisions.md",
}
LINK = re.compile(r"(\]\()([\w./:-]+)(#[\w-]*)?\)")
REFERENCE = """\
# Reference

The public API, from its docstrings.

"""
MODULES = [
    "huracan_sync.operations.push",
    "huracan_sync.operations.restore",
    "huracan_sync.operations.publish",
    "huracan_sync.auth.connect",
    "huracan_sync.hamilton",
    "huracan_sync.reader",
    "huracan_sync.engine",
    "huracan_sync.engine.settings",
    "huracan_sync.transfer.progress",
    "huracan_sync.errors",
    "huracan_sync.emulator.running",
]


def pages():
    """Every document, and where it lies on the site."""
    return ELSEWHERE | {
        path: path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md")) if path not in ELSEWHERE
    }


def turned(source, places, files):
    """A document with its links turned; pictures and other files it names are added to `files`."""
    here = Path(places[source]).parent

    def turn(match):
        target = match[2]
        if "://" in target:
            return match[0]
        path = Path(os.path.normpath(source.parent / target))
        if path in places:
            place = places[path]
        elif path.is_file():
            place = files[path] = path.name
        else:
            sys.exit(f"{source}: {target} leads nowhere")
        return f"{match[1]}{os.path.relpath(place, here)}{match[3] or ''})"

    return LINK.sub(turn, source.read_text(encoding="utf-8"))


def lay_out(target):
    """Write all pages and the files they name."""
    shutil.rmtree(target, ignore_errors=True)
    places, files = pages(), {}
    for source, place in places.items():
        page = target / place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(turned(source, places, files), encoding="utf-8")
    for source, name in files.items():
        shutil.copy(source, target / name)
    reference = REFERENCE + "".join(f"## {name}\n\n::: {name}\n\n" for name in MODULES)
    (target / "reference.md").write_text(reference, encoding="utf-8")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
