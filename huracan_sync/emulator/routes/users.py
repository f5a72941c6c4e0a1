"""users/*, check/* and auth/token/revoke."""

from typing import Any

from huracan_sync.emulator.calls.call import Call, route
from huracan_sync.emulator.routes import commits
from huracan_sync.emulator.spec import arguments
from huracan_sync.emulator.spec.failures import Failure
from huracan_sync.emulator.state.records import Person

Json = dict[str, Any]
INFO = "account_info.read"


def _account(person: Person) -> Json:
    short = person.given_name[:1] + person.surname[:1]
    return {
        "account_id": person.account_id,
        "name": {
            "given_name": person.given_name,
            "surname": person.surname,
            "familiar_name": person.given_name,
            "display_name": f"{person.given_name} {person.surname}".strip(),
            "abbreviated_name": short.upper(),
        },
        "email": person.email,
        "email_verified": True,
        "disabled": person.suspended,
    }


@route("users/get_current_account", arguments.VOID, INFO)
async def get_current_account(call: Call) -> Json:
    """Return the account of the token."""
    person = call.account.person
    return {
        **_account(person),
        "country": "DE",
        "locale": "en",
        "referral_link": "https://www.dropbox.com/referrals/" + person.uid,
        "is_paired": False,
        "account_type": {".tag": "basic"},
        "root_info": {
            ".tag": "user",
            "root_namespace_id": person.namespace,
            "home_namespace_id": person.namespace,
        },
    }


@route("users/get_account", arguments.GET_ACCOUNT, "sharing.read")
async def get_account(call: Call) -> Json:
    """Return any account of the emulator."""
    account = call.world.accounts.get(call.arg["account_id"])
    if account is None:
        raise Failure("no_account")
    return {**_account(account.person), "is_teammate": account is call.account}


@route("users/get_space_usage", arguments.VOID, INFO)
async def get_space_usage(call: Call) -> Json:
    """Return the bytes used and allowed."""
    allocation = {".tag": "individual", "allocated": commits.quota(call)}
    return {"used": call.account.used, "allocation": allocation}


@route("check/user", arguments.ECHO, INFO)
async def check_user(call: Call) -> Json:
    """Return the query, to any client with a token."""
    return {"result": call.arg["query"]}


@route("check/app", arguments.ECHO, None, auth="app")
async def check_app(call: Call) -> Json:
    """Return the query, to any client with an app's key and secret."""
    return {"result": call.arg["query"]}


@route("auth/token/revoke", arguments.VOID, None)
async def revoke(call: Call) -> None:
    """Revoke the token, its refresh token, and all access tokens of that."""
    assert call.grant  # noqa: S101  the gate has looked
    call.grant.revoked = True
    call.world.keep_grant(call.grant)
