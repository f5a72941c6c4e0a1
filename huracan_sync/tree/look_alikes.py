"""Names that Dropbox tells apart and a disk may not: those of macOS compare as Unicode does, caseless and decomposed.

Pure.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection

from huracan_sync.tree.paths import ancestors, fold, folders_of


def look_alikes(paths: Collection[str]) -> dict[str, str]:
    """The paths that such a disk takes for another one, or puts into another's folder; each with that other."""
    if all(path.isascii() for path in paths):
        return {}  # they differ in case alone, which Dropbox does not tell apart either
    spellings: dict[str, dict[str, str]] = defaultdict(dict)
    for path in {*paths, *folders_of(paths)}:
        spellings[_caseless(path)].setdefault(fold(path), path)
    several = {key: known for key, known in spellings.items() if len(known) > 1}
    found: dict[str, str] = {}
    for path in paths if several else ():
        for part in (*reversed([*ancestors(path)]), path):
            others = [other for key, other in several.get(_caseless(part), {}).items() if key != fold(part)]
            if others:
                found[path] = min(others)
                break
    return found


def _caseless(path: str) -> str:
    """Equal for what canonical caseless matching (Unicode 3.13, D145) takes for equal."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
