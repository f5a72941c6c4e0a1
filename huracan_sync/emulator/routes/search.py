"""search_v2 and its deprecated form: by the words of names only, without delay and without duplicates."""

import json
import re
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterator
from typing import Any

from huracan_sync.emulator.calls.call import Answer, Call, route
from huracan_sync.emulator.spec import arguments, idents
from huracan_sync.emulator.spec.failures import BadInput, Failure
from huracan_sync.emulator.spec.schema import Invalid
from huracan_sync.emulator.state import metadata, names
from huracan_sync.emulator.state.tree import Node

Json = dict[str, Any]
READ = "files.metadata.read"
_MOST = 10_000
_CATEGORIES = {
    "image": {"jpg", "jpeg", "png", "gif", "webp", "tif", "tiff", "bmp", "heic"},
    "document": {"doc", "docx", "docm", "odt", "rtf", "txt", "md"},
    "pdf": {"pdf"},
    "spreadsheet": {"xls", "xlsx", "xlsm", "ods", "csv"},
    "presentation": {"ppt", "pptx", "pptm", "odp", "key"},
    "audio": {"mp3", "wav", "mid", "flac", "ogg", "m4a"},
    "video": {"mov", "wmv", "mp4", "avi", "mkv", "webm"},
    "paper": {"paper"},
}


@route("files/search_v2", arguments.SEARCH, READ)
async def search(call: Call) -> Answer:
    """Return the first page. A folder that does not exist has no matches; it is no error."""
    return Answer.of(_page(call, call.arg, 0), compact=True)


@route("files/search/continue_v2", arguments.SEARCH_CONTINUE, READ)
async def list_continue(call: Call) -> Answer:
    """Return the next page."""
    try:
        asked, start = json.loads(b64decode(call.arg["cursor"], validate=True))
        arg = arguments.SEARCH(asked)
        start = int(start)
    except (BadBase64, ValueError, TypeError, OverflowError, RecursionError, Invalid):
        raise BadInput(f"{call.place}: cursor: invalid cursor") from None
    return Answer.of(_page(call, arg, max(0, start)), compact=True)


def _page(call: Call, arg: Json, start: int) -> Json:
    options = arg["options"] or arguments.SEARCH_OPTIONS({})
    if not arg["query"].strip():
        raise Failure("invalid_argument")
    fields = arg["match_field_options"] or {}
    found = list(_found(call, arg["query"], options))[:_MOST]
    end = start + options["max_results"]
    matches = []
    for entry in found[start:end]:
        match = {"match_type": {".tag": "filename"}, "metadata": {".tag": "metadata", "metadata": entry}}
        if fields.get("include_highlights") or arg["include_highlights"]:
            match["highlight_spans"] = [{"highlight_str": entry["name"], "is_highlighted": True}]
        matches.append(match)
    more = end < len(found)
    return {"has_more": more, "matches": matches} | ({"cursor": _cursor(arg, end)} if more else {})


def _cursor(arg: Json, start: int) -> str:
    plain = json.loads(json.dumps(arg))
    if plain["options"]:
        options = plain["options"]
        for name in ("file_status", "order_by"):
            options[name] = options[name][0] if options[name] else None
        options["file_categories"] = [tag for tag, _ in options["file_categories"] or ()] or None
    return idents.search_cursor(json.dumps([plain, start]).encode())


def _found(call: Call, query: str, options: Json) -> Iterator[Json]:
    try:
        top = call.view.find(options["path"] or "")
    except Failure:
        return
    if options["file_status"][0] == "deleted":
        root = names.lower(top.path()) + "/"
        for path, tombstone in call.account.tombstones.items():
            if path.startswith(root) and _matches(path.rpartition("/")[2], query):
                yield metadata.of_tombstone(call.view, tombstone)
        return
    nodes = [node for node in top.walk() if node is not top and _wanted(node, query, options)]
    if options["order_by"] == ("last_modified_time", None):
        nodes.sort(key=lambda node: node.seq, reverse=True)
    for node in nodes:
        yield metadata.of(call.view, node)


def _wanted(node: Node, query: str, options: Json) -> bool:
    if not _matches(node.name, query):
        return False
    ending = node.name.rpartition(".")[2].lower() if "." in node.name else ""
    endings = [wanted.lstrip(".").lower() for wanted in options["file_extensions"] or ()]
    if endings and (node.is_folder or ending not in endings):
        return False
    kinds = [tag for tag, _ in options["file_categories"] or ()]
    return not kinds or _category(node, ending) in kinds


def _category(node: Node, ending: str) -> str:
    if node.is_folder:
        return "folder"
    return next((category for category, endings in _CATEGORIES.items() if ending in endings), "others")


def _matches(name: str, query: str) -> bool:
    """Return whether every word of the query is a word of the name; the last may be the beginning of one."""
    name, query = names.lower(name), names.lower(names.compose(query))
    words = {name, *name.split(), *re.split(r"[\W_]+", name)}
    *whole, last = query.split()
    return all(word in words for word in whole) and any(word.startswith(last) for word in words if word)


@route("files/search", arguments.SEARCH_OLD, READ)
async def search_old(call: Call) -> Json:
    """Search by the deprecated form, paged by number."""
    arg = call.arg
    if not arg["query"].strip():
        raise Failure("invalid_argument")
    try:
        call.view.find(arg["path"])
    except Failure as failure:
        raise failure.under("path") from None
    status = "deleted" if arg["mode"][0] == "deleted_filename" else "active"
    options = arguments.SEARCH_OPTIONS({"path": arg["path"], "file_status": status})
    found = list(_found(call, arg["query"], options))
    end = arg["start"] + arg["max_results"]
    matches = [{"match_type": {".tag": "filename"}, "metadata": entry} for entry in found[arg["start"] : end]]
    return {"matches": matches, "more": end < len(found), "start": min(end, len(found))}
