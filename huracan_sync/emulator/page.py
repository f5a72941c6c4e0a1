"""The pages for people: one look for all, nothing fetched from anywhere."""

from html import escape

from huracan_sync.emulator.world import World

_STYLE = "body{font-family:sans-serif}"


def document(title: str, body: str) -> str:
    """A whole HTML page."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def home(world: World) -> str:
    """What the emulator holds."""
    return document("Dropbox emulator", f"<p>{len(world.accounts)} accounts</p>")
