"""The official SDK's client over our tokens, our hosts and a session that takes nothing from the environment.

It is what `DropboxSync._dbx` hands to callers that speak the SDK's language. Its own refresh is replaced by ours,
which is single-flight and always sends the scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dropbox
import requests
from requests.adapters import HTTPAdapter

from huracan_sync.remote.errors import PAGE_ATTEMPTS, is_stray_page
from huracan_sync.remote.http import Answer
from huracan_sync.remote.pools import tls_context
from huracan_sync.secret import Secret, bare

if TYPE_CHECKING:
    from huracan_sync.remote.read_client import ReadOnly


class _OurTls(HTTPAdapter):
    """Connections with our own TLS context: the one of requests writes its keys where `SSLKEYLOGFILE` says."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by requests when it makes its pool."""
        super().init_poolmanager(*args, ssl_context=tls_context(self._ca_file), **kwargs)


class _Session(requests.Session):
    """Knows a page of a front end, which the SDK takes for Dropbox's own word, or fails an assertion about."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Called by the SDK for every request."""
        for _ in range(PAGE_ATTEMPTS):
            response = super().request(*args, **kwargs)
            if response.status_code not in {400, 401} or not _is_stray_page(response):
                return response
        response.status_code = 502  # then the SDK asks again, and says at last that it is the service's fault
        return response


def _is_stray_page(response: Any) -> bool:
    return is_stray_page(Answer(response.status_code, response.headers, response.content))


class SdkClient(dropbox.Dropbox):  # type: ignore[misc] # the SDK publishes no types
    """A `dropbox.Dropbox` whose token is always ours."""

    def __init__(self, remote: ReadOnly) -> None:
        session = _Session()
        session.trust_env = False
        ca_file = remote.wire.endpoint.ca_file
        if ca_file:
            session.verify = ca_file
        session.mount("https://", _OurTls(ca_file))
        # The token is set before every call; the SDK only insists on having one.
        super().__init__(oauth2_access_token="-", session=session, max_retries_on_rate_limit=5, timeout=100)  # noqa: S106
        endpoint = remote.wire.endpoint
        self._host_map = {"api": endpoint.api, "content": endpoint.content, "notify": endpoint.notify}
        self._remote = remote
        self._token = Secret("")

    def check_and_refresh_access_token(self) -> None:
        """Called by the SDK before every request."""
        self._token = self._remote.tokens.token()
        self._oauth2_access_token = self._token.reveal()

    def refresh_access_token(self, *_: object, **__: object) -> None:
        """Called by the SDK after a 401 `expired_access_token`; where and which scopes is ours to know."""
        self._token = self._remote.tokens.renew(self._token)
        self._oauth2_access_token = self._token.reveal()

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Called by the SDK for every route. What it raises leaves the SDK's frames behind: they hold the token."""
        try:
            return super().request(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - all that leaves here
            failure = error
        raise bare(failure)

    def _get_route_url(self, hostname: str, route_name: str) -> str:
        return f"{hostname}/2/{route_name}"

    def __repr__(self) -> str:
        return f"<Dropbox client of {self._remote.place}>"

    def __reduce__(self) -> Any:
        raise TypeError("a Dropbox client holds a token and is not pickled; pass the profile's name instead")
