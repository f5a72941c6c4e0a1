"""The page for people: accounts and their files, requests, apps.

One style for all pages, in light and dark; nothing is loaded from elsewhere. The page reloads its content every two
seconds, and keeps open folders open.
"""

from collections.abc import Iterator
from html import escape

import msgspec

from huracan_sync.emulator.state.settings import Settings
from huracan_sync.emulator.state.traffic import Request, Traffic
from huracan_sync.emulator.state.tree import Account, Node
from huracan_sync.emulator.state.world import World

_MOST_NODES = 2000  # of a tree; more would not be read
_MOST_SIBLINGS = 200
_MOST_REQUESTS = 60

_STYLE = """
:root{color-scheme:light dark;--ink:#1e1919;--soft:#736c64;--line:#e4ded5;--paper:#fff;--back:#f7f5f2;--blue:#0061fe;
--good:#0a7d3c;--warn:#9b5b00;--bad:#c3201f;--tint:#eef3ff}
@media(prefers-color-scheme:dark){:root{--ink:#f4f1ec;--soft:#a39c93;--line:#3a3632;--paper:#1f1d1b;--back:#161412;
--blue:#5c9dff;--good:#5fce8f;--warn:#e8b45a;--bad:#ff7b75;--tint:#1d2740}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header{display:flex;flex-wrap:wrap;gap:4px 24px;align-items:baseline;padding:20px 28px 8px}
.brand{font-weight:700;font-size:20px;letter-spacing:-.01em;margin:0}.brand span{color:var(--blue);font-weight:500}
header p{margin:0;color:var(--soft)}header .brand{color:var(--ink)}
main.columns{display:grid;grid-template-columns:minmax(300px,5fr) minmax(420px,8fr);gap:20px;padding:12px 28px 40px;
align-items:start}
@media(max-width:900px){main.columns{grid-template-columns:minmax(0,1fr)}}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:16px 20px;min-width:0}
section+section{margin-top:20px}section table+h2{margin-top:16px}.column{min-width:0}
h1{font-size:26px;line-height:1.2;margin:8px 0 16px}h2{font-size:15px;margin:0 0 10px}
h2 small,.soft,small{color:var(--soft);font-weight:400}
code,td.mono{font:12.5px/1.6 ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
details details,.file{margin-left:18px}summary{cursor:pointer;border-radius:6px;padding:1px 4px}
summary:hover,.file:hover{background:var(--tint)}
.file{display:flex;justify-content:space-between;gap:12px;padding:1px 4px 1px 18px;border-radius:6px}
.file span:first-child{overflow-wrap:anywhere;min-width:0}.file small{white-space:nowrap}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{text-align:left;font-weight:500;color:var(--soft);padding:0 8px 6px 0}
td{border-top:1px solid var(--line);padding:5px 8px 5px 0;vertical-align:top}
td.mono{white-space:nowrap}.log td:nth-child(3){overflow-wrap:anywhere;min-width:170px}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.s2{color:var(--good)}.s3{color:var(--soft)}.s4{color:var(--warn)}.s5,.s0{color:var(--bad)}
.scroll{max-height:640px;overflow:auto}nav{display:flex;gap:14px;margin-top:10px;font-size:13.5px}a{color:var(--blue)}
dl{margin:0;display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 14px}dt{color:var(--soft)}dd{margin:0}
.tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 9px;font-size:12.5px;
color:var(--soft);margin:0 4px 4px 0}
.card{max-width:460px;margin:8vh auto;background:var(--paper);border:1px solid var(--line);border-radius:16px;
padding:32px 36px}
.card ul{padding-left:20px}.card .bad{color:var(--bad)}label{display:block;color:var(--soft);font-size:14px}
select,.code{width:100%;font:inherit;padding:10px;margin-top:4px;border:1px solid var(--line);border-radius:8px;
background:var(--back);color:inherit}
.code{font:14px ui-monospace,monospace}.buttons{display:flex;gap:12px;justify-content:flex-end;margin-top:24px}
button{font:inherit;font-weight:600;padding:10px 22px;border-radius:10px;border:1px solid var(--line);
background:transparent;color:inherit;cursor:pointer}
button.primary{background:var(--blue);border-color:var(--blue);color:#fff}
@media(max-width:600px){header{padding:14px 14px 4px}main.columns{padding:10px 10px 32px;gap:12px}
section{padding:12px 14px}section+section{margin-top:12px}h2 small{overflow-wrap:anywhere}
.card{margin:4vh 10px;padding:24px}td.mono{white-space:normal}
dl{grid-template-columns:minmax(0,1fr)}dd{margin-bottom:6px}.log tr:first-child,.log td:nth-child(n+4){display:none}
.log tr{display:grid;grid-template-columns:minmax(0,1fr) max-content;border-top:1px solid var(--line);padding:4px 0}
.log td{border:0;padding:0}.log td:nth-child(3){grid-column:1/3;min-width:0}}
"""

_SCRIPT = """
setInterval(async () => {
  if (document.hidden) return;
  try {
    const text = await (await fetch(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, 'text/html');
    for (const id of ['top', 'columns']) {
      const old = document.getElementById(id), now = fresh.getElementById(id);
      now.querySelectorAll('details').forEach(d => {
        const same = old.querySelector('details[data-key="' + CSS.escape(d.dataset.key) + '"]');
        if (same) d.open = same.open;
      });
      if (old.innerHTML !== now.innerHTML) old.replaceWith(now);
    }
    document.title = fresh.title;
  } catch (gone) { document.title = 'Dropbox emulator (gone)'; }
}, 2000);
"""


# `same-origin`, not `no-referrer`: with that one a browser sends `Origin: null` with the form of the consent page.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def document(title: str, body: str, *, script: str = "") -> str:
    """Return a complete HTML page."""
    alive = f"<script>{script}</script>" if script else ""
    icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath fill='%230061fe' "
    icon += "d='M2 0 4 1.5 2 3 0 1.5zM6 0l2 1.5L6 3 4 1.5zM2 3l2 1.5L2 6 0 4.5zM6 3l2 1.5L6 6 4 4.5z'/%3E%3C/svg%3E"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="{icon}"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body>{body}{alive}</body></html>"
    )


def home(world: World, before: int | None = None) -> str:
    """Return the page. `before` shows the requests with smaller numbers than this one."""
    count = world.traffic.count
    offset = world.clock.offset_s
    shifted = f" <small>(moved by {offset:+.0f} s)</small>" if offset else ""
    top = (
        '<header id="top"><p class="brand">Dropbox <span>emulator</span></p>'
        f"<p>{count:,} request{'' if count == 1 else 's'} · {size(world.traffic.bytes_in)} in · "
        f"{size(world.traffic.bytes_out)} out</p><p>{world.clock.stamp()}{shifted}</p></header>"
    )
    accounts = "".join(_account(account) for account in world.accounts.values())
    left = f'<div class="column">{accounts}{_apps(world)}</div>'
    right = f'<div class="column">{_requests(world, before)}{_behaviour(world)}</div>'
    columns = f'<main class="columns" id="columns">{left}{right}</main>'
    return document("Dropbox emulator", top + columns, script=_SCRIPT)


def size(count: int) -> str:
    """Format a number of bytes."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _account(account: Account) -> str:
    person = account.person
    name = escape(f"{person.given_name} {person.surname}".strip())
    tree = "".join(_tree(account.root, [_MOST_NODES])) or '<p class="soft">Nothing here yet.</p>'
    off = " · suspended" if person.suspended else ""
    return (
        f"<section><h2>{name} <small>{escape(person.email)} · {size(account.used)} used{off}</small></h2>"
        f'<div class="scroll">{tree}</div></section>'
    )


def _tree(folder: Node, left: list[int]) -> Iterator[str]:
    """Yield the content of a folder; `left` counts down how many items may still be shown."""
    children = sorted((folder.children or {}).values(), key=lambda node: (not node.is_folder, node.name.lower()))
    shown = children[: min(_MOST_SIBLINGS, max(0, left[0]))]
    left[0] -= len(shown)
    for node in shown:
        name = escape(node.name)
        if node.revision:
            details = f"{size(node.revision.size)} · {node.revision.server_modified[:10]}"
            rev = escape(node.revision.rev)
            yield f'<div class="file" title="rev {rev}"><span>{name}</span><small>{details}</small></div>'
        else:
            opened = " open" if node.parent is None or node.parent.parent is None else ""
            inner = "".join(_tree(node, left)) or '<div class="file soft"><span>empty</span></div>'
            key = escape(node.node_id)
            yield f'<details data-key="{key}"{opened}><summary>{name}/</summary>{inner}</details>'
    if len(shown) < len(children):
        yield f'<div class="file soft"><span>and {len(children) - len(shown):,} more</span></div>'


def _requests(world: World, before: int | None) -> str:
    traffic = world.traffic
    start = traffic.count + 1 if before is None else before
    shown = traffic.before(start, _MOST_REQUESTS)
    head = '<tr><th>Route<th>Status<th>What<th style="text-align:right">In<th style="text-align:right">Out'
    head += '<th style="text-align:right">ms</tr>'
    rows = "".join(_row(request) for request in shown)
    table = (
        f'<div class="scroll"><table class="log">{head}{rows}</table></div>' if rows else '<p class="soft">None.</p>'
    )
    title = "Latest requests" if before is None else "Requests"
    span = f" <small>{shown[-1].number:,} to {shown[0].number:,} of {traffic.count:,}</small>" if shown else ""
    inner = f'<div class="scroll">{table}</div>{_pages(traffic, shown, start)}'
    return f"<section><h2>{title}{span}</h2>{inner}</section>"


def _pages(traffic: Traffic, shown: list[Request], start: int) -> str:
    """Return the links to newer and older requests."""
    links = []
    if start <= traffic.count:
        links = ['<a href="/">latest</a>', f'<a href="/?before={start + _MOST_REQUESTS}">newer</a>']
    if shown and shown[-1].number > traffic.count - len(traffic.recent) + 1:
        links.append(f'<a href="/?before={shown[-1].number}">older</a>')
    return f"<nav>{''.join(links)}</nav>" if links else ""


def _row(request: Request) -> str:
    what = [escape(request.path)] if request.path else []
    if request.error:
        what.append(f"<small>{escape(request.error[:160])}</small>")
    if request.fault:
        what.append(f'<span class="tag">scripted: {escape(request.fault)}</span>')
    status = request.status or "cut"
    return (
        f'<tr><td class="mono">{escape(request.route)}<td class="n s{request.status // 100}">{status}'
        f"<td>{'<br>'.join(what)}<td class=n>{_amount(request.bytes_in)}<td class=n>{_amount(request.bytes_out)}"
        f"<td class=n>{request.ms:,.1f}</tr>"
    )


def _amount(count: int) -> str:
    return size(count) if count else ""


def _apps(world: World) -> str:
    cards = []
    for app in world.apps.values():
        kind = f"App folder <code>Apps/{escape(app.name)}</code>" if app.app_folder else "Full Dropbox"
        kind += ", with a secret" if app.secret else ", PKCE without a secret"
        scopes = "".join(f'<span class="tag">{escape(scope)}</span>' for scope in app.scopes)
        uris = (
            "<br>".join(f"<code>{escape(uri)}</code>" for uri in app.redirect_uris) or '<span class="soft">none</span>'
        )
        cards.append(
            f'<details data-key="{escape(app.app_key)}"><summary>{escape(app.name)} <code>{escape(app.app_key)}</code>'
            f"</summary><dl><dt>Type<dd>{kind}<dt>Scopes<dd>{scopes}<dt>Redirects<dd>{uris}</dl></details>"
        )
    return f"<section><h2>Registered apps</h2>{''.join(cards)}</section>"


def _behaviour(world: World) -> str:
    """Return the scripted faults and the changed settings; nothing if there are none."""
    rules = "".join(
        f"<tr><td>{escape(rule['fault'])}<td class=mono>{escape(rule['route'])} {escape(rule['path'] or '')}"
        f"<td class=n>{rule['seen']} seen"
        f"<td class=n>{rule['struck']} struck</tr>"
        for rule in world.faults.report()
    )
    usual = msgspec.structs.asdict(Settings())
    changed = "".join(
        f"<dt>{escape(name)}<dd>{escape(str(value))}"
        for name, value in msgspec.structs.asdict(world.settings).items()
        if value != usual[name]
    )
    parts = f"<h2>Scripted faults</h2><table>{rules}</table>" if rules else ""
    parts += f"<h2>Changed settings</h2><dl>{changed}</dl>" if changed else ""
    return f"<section>{parts}</section>" if parts else ""
