"""file_requests/*: they can be created, read and counted, but not uploaded to."""

import json
from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.spec import arguments, idents
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state.records import FileRequest

Json = dict[str, Any]
READ, WRITE = "file_requests.read", "file_requests.write"


@route("file_requests/create", arguments.FILE_REQUEST, WRITE)
async def create(call: Call) -> Json:
    """Create a file request for a folder, which need not exist yet."""
    arg = call.arg
    try:
        there = call.view.find(arg["destination"])
    except Failure as failure:
        there = None
        if failure.tags == ("malformed_path",):
            raise Failure("validation_error") from None
    if there is not None and not there.is_folder:
        raise Failure("not_a_folder")
    request_id = idents.short_id()[:20]
    answer = {
        "id": request_id,
        "url": f"https://www.dropbox.com/request/{request_id}",
        "title": arg["title"],
        "destination": arg["destination"],
        "created": call.moment.stamp,
        "is_open": arg["open"],
        "file_count": 0,
    }
    if arg["deadline"]:
        answer["deadline"] = {"deadline": arg["deadline"]["deadline"]}
    if arg["description"] is not None:
        answer["description"] = arg["description"]
    request = FileRequest(request_id, call.account.person.account_id, json.dumps(answer).encode())
    call.world.file_requests[request_id] = request
    call.world.ledger.keep(request)
    return answer


@route("file_requests/get", arguments.GET_FILE_REQUEST, READ)
async def get(call: Call) -> Json:
    """Return a file request of this account."""
    request = call.world.file_requests.get(call.arg["id"])
    if request is None or request.account_id != call.account.person.account_id:
        raise Failure("not_found")
    answer: Json = json.loads(request.answer)
    return answer


@route("file_requests/count", arguments.VOID, READ)
async def count(call: Call) -> Json:
    """Return how many file requests this account has."""
    mine = [each for each in call.world.file_requests.values() if each.account_id == call.account.person.account_id]
    return {"file_request_count": len(mine)}
