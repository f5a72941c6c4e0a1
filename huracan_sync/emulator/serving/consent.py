"""The consent page: one form with the buttons Allow and Deny, for people and for scripts that click.

Showing it changes nothing: the form itself holds what was asked, sealed, so that no number of pages which another site
lets a browser open takes anything from the one that a person is looking at.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from html import escape
from urllib.parse import parse_qsl, urlencode

from huracan_sync.emulator.calls.call import Answer
from huracan_sync.emulator.routes import oauth
from huracan_sync.emulator.serving.page import HEADERS, document
from huracan_sync.emulator.state.world import World

_HTML = [("Content-Type", "text/html; charset=utf-8"), *HEADERS.items()]
_MEANING = {
    "account_info.read": "See your name, email address and space",
    "files.metadata.read": "See the names of your files and folders",
    "files.metadata.write": "Change the properties of your files",
    "files.content.read": "Read your files",
    "files.content.write": "Write and delete your files",
}
_NONCE = "page"


def consent_page(world: World, query: dict[str, str]) -> Answer:
    """Answer GET /oauth2/authorize with the page."""
    try:
        request = oauth.read(world, query)
    except oauth.Unacceptable as error:
        return _page("Error (400)", f'<p class="bad">{escape(str(error))}</p>', status=400)
    asked = urlsafe_b64encode(urlencode({**query, _NONCE: secrets.token_urlsafe(24)}).encode()).decode()
    scopes = "".join(
        f"<li>{escape(_MEANING.get(each, each))} <code>{escape(each)}</code></li>" for each in request.scopes
    )
    where = f"its own folder, Apps/{escape(request.app.name)}" if request.app.app_folder else "all of this Dropbox"
    return _page(
        f"{request.app.name} would like to",
        f"""<ul class="scopes">{scopes}</ul>
<p>in <b>{where}</b>{", also when you are not here" if request.access == "offline" else ""}.</p>
<form method="post" action="/oauth2/authorize">
<input type="hidden" name="consent" value="{_seal(world, asked)}.{asked}">
<label>Account <select name="account_id">{_accounts(world)}</select></label>
<div class="buttons"><button name="decision" value="deny">Deny</button>
<button class="primary" name="decision" value="allow">Allow</button></div>
</form>""",
    )


def _accounts(world: World) -> str:
    options = []
    for account in world.accounts.values():
        person = account.person
        chosen = " selected" if person.account_id == world.default_account_id else ""
        name = escape(f"{person.given_name} {person.surname} ({person.email})")
        options.append(f'<option value="{escape(person.account_id)}"{chosen}>{name}</option>')
    return "".join(options)


def decide(world: World, form: dict[str, str]) -> Answer:
    """Answer POST /oauth2/authorize: a button was clicked."""
    request = _asked(world, form.get("consent", ""))
    account_id = form.get("account_id") or world.default_account_id
    if request is None or account_id not in world.accounts:
        return _page("Error (400)", '<p class="bad">This page has expired. Start again from the app.</p>', status=400)
    if form.get("decision") != "allow":
        if request.redirect_uri:
            text = "The user chose not to give your app access to their Dropbox account."
            return _redirect(oauth.back(request, error="access_denied", error_description=text))
        return _page("Denied", "<p>The app gets no access. You can close this page.</p>")
    code = oauth.allow(world, request, account_id)
    if request.redirect_uri:
        return _redirect(oauth.back(request, code=code))
    return _page(
        "Access code generated",
        f"""<p>Enter this code into <b>{escape(request.app.name)}</b> to finish the process.</p>
<input class="code" id="auth-code" name="auth-code" readonly value="{escape(code)}" data-token="{escape(code)}"
 onclick="this.select()">""",
    )


def _seal(world: World, asked: str) -> str:
    return hmac.new(world.cursor_key, b"consent\0" + asked.encode(), sha256).hexdigest()


def _asked(world: World, sealed: str) -> oauth.Request | None:
    """What a form of ours asked for; None for another, or for one that was answered before."""
    seal, _, asked = sealed.partition(".")
    if not hmac.compare_digest(seal.encode(), _seal(world, asked).encode()):
        return None
    query = dict(parse_qsl(urlsafe_b64decode(asked).decode(), keep_blank_values=True))
    nonce = query.pop(_NONCE)
    if nonce in world.answered:
        return None
    world.answered.add(nonce)
    try:
        return oauth.read(world, query)
    except oauth.Unacceptable:  # the app has changed since
        return None


def _redirect(url: str) -> Answer:
    return Answer(302, [("Location", url), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")])


def _page(title: str, body: str, *, status: int = 200) -> Answer:
    inner = (
        f'<main class="card"><p class="brand">Dropbox <span>emulator</span></p><h1>{escape(title)}</h1>{body}</main>'
    )
    return Answer(status, list(_HTML), document(title, inner).encode())
