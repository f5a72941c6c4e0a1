"""How much one append carries: as many files as its header and its body may hold, at least one.

Push, the filesystem's transaction, and workers that stage pack by this one rule.
"""

from __future__ import annotations

from huracan_sync.remote import upload_session


class AppendBody:
    """What is in one append so far."""

    def __init__(
        self, *, header_limit: int = upload_session.HeaderBudget.FIRST, body_limit: int = upload_session.BODY
    ) -> None:
        """Nothing yet; never more bytes of header and of content than these, unless one file alone has them."""
        self._header_limit = header_limit
        self._body_limit = body_limit
        self._header = upload_session.ARG_OVERHEAD
        self._content = 0
        self._is_empty = True

    def takes(self, session: str, size: int) -> bool:
        """Add a file, if there is room for it; whether there was."""
        header = self._header + upload_session.entry_length(session, size)
        content = self._content + size
        if not self._is_empty and (header > self._header_limit or content > self._body_limit):
            return False
        self._header, self._content, self._is_empty = header, content, False
        return True
