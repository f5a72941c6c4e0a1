"""Scripted errors for single paths: the call about one file, or its entry of a batch, fails; its neighbours work."""

from typing import Any

from huracan_sync.emulator.calls.call import Call
from huracan_sync.emulator.spec import idents
from huracan_sync.emulator.spec.failures import Failure, UploadFailed
from huracan_sync.emulator.state import names

Json = dict[str, Any]
_OF_CONTENT = {f"files/{name}" for name in ("download", "export", "get_preview", "get_temporary_link", "get_thumbnail")}
_UPLOADS = {"files/upload", "files/alpha/upload"}


def shaped(call: Call, tags: list[str], fields: dict[str, Any]) -> Failure:
    """Return the error with these tags in the shape that the call's route gives it."""
    name = call.route.name
    if name in _UPLOADS and tags[0] == "path" and len(tags) > 1:
        return UploadFailed(Failure(*tags[1:], **fields), idents.session_id())
    if tags == ["path", "insufficient_space"] and name.startswith(("files/move", "files/copy")):
        return Failure("insufficient_quota") if "copy" in name else Failure("to", "insufficient_space")
    return Failure(*tags, **fields)


def strike(call: Call, arg: Any) -> None:
    """Fail if a rule applies to one of the paths in `arg`, which is an argument or an entry of a batch.

    Raises:
        Failure: as scripted.
    """
    if not call.world.faults.for_paths or not isinstance(arg, dict):
        return
    commit = arg.get("commit") or {}
    for path in (arg.get("path"), arg.get("from_path"), arg.get("to_path"), commit.get("path")):
        if isinstance(path, str):
            _strike_path(call, _shown(call, path), restricted=call.route.name in _OF_CONTENT)


def strike_restricted(call: Call, paths: list[str]) -> None:
    """Fail if the content at one of these paths is restricted: a zip of a folder has all files or does not come.

    Raises:
        Failure: `path/restricted_content`.
    """
    if call.world.faults.for_paths:
        for path in paths:
            _strike_path(call, path, restricted=True, errors=False)


def _strike_path(call: Call, path: str, *, restricted: bool, errors: bool = True) -> None:
    kinds = {"error"} if errors else set()
    kinds |= {"restricted_content"} if restricted else set()
    for rule in call.world.faults.draw_path(call.route.name, names.lower(path), kinds):
        call.struck.append(rule)
        if rule.fault == "restricted_content":
            raise Failure("path", "restricted_content")
        raise shaped(call, rule.tags or [], rule.fields)


def _shown(call: Call, path: str) -> str:
    """Return the path that an id or a rev leads to; any other path as it is."""
    try:
        if path.startswith("rev:"):
            return call.view.shown(call.view.revision(path[4:]).path)
        return call.view.find(path).path(call.view.root) if path.startswith("id:") else path
    except Failure:
        return path
