"""The errors an API call can end with, and the shapes Dropbox gives them.

    ApiError            any answer that is not a success; knows its status, headers and body
     ├─ BadInput            400, a text that says what is wrong
     ├─ Refusal             401, an AuthError
     ├─ RateLimited         429
     └─ Failure             409, the endpoint's own union; 403 AccessError; 422 for the path root

A `Failure` is written by its tags from outside in: `Failure("path", "conflict", "file")`. What a member's struct brings
lies beside the innermost tag: `Failure("incorrect_offset", correct_offset=9)`.
"""

import json
import secrets
from typing import Any

Json = dict[str, Any]
Headers = list[tuple[str, str]]

# On every error that the API itself answers with.
POLICY = ("Content-Security-Policy", "sandbox allow-forms allow-scripts")


class ApiError(Exception):
    """An answer other than success."""

    status = 500

    def headers(self) -> Headers:
        """Return the headers that only errors have."""
        return [POLICY]

    def content_type(self) -> str:
        """Return the value of Content-Type."""
        return "application/json"

    def body(self) -> bytes:
        """Return the body of the answer."""
        return b""


class BadInput(ApiError):
    """400: a request that is wrong whatever the account holds."""

    status = 400

    def __init__(self, text: str, *, function: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.function = function

    def content_type(self) -> str:  # noqa: D102
        return "text/plain; charset=utf-8"

    def body(self) -> bytes:  # noqa: D102
        return f'Error in call to API function "{self.function}": {self.text}'.encode("utf-8", "replace")


class JsonError(ApiError):
    """An error with `error_summary` and `error`; `tags` are the tags of the latter from outside in."""

    def __init__(self, *tags: str) -> None:
        super().__init__("/".join(tags))
        self.tags = tags

    def error(self) -> Json:
        """Return the `error` object."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return the tags joined by slashes, and the random dots that keep clients from comparing it whole."""
        return "/".join(self.tags) + "/" + "." * secrets.randbelow(4)

    def body(self) -> bytes:  # noqa: D102
        return json.dumps({"error_summary": self.summary(), "error": self.error()}).encode()


class Failure(JsonError):
    """409: what the endpoint's own specification calls an error."""

    status = 409

    def __init__(self, *tags: str, **fields: Any) -> None:
        super().__init__(*tags)
        self.fields = fields

    def under(self, *tags: str) -> "Failure":
        """Return the same error as a member of outer unions."""
        return Failure(*tags, *self.tags, **self.fields)

    def error(self) -> Json:  # noqa: D102
        inner: Json = {".tag": self.tags[-1], **self.fields}
        for tag in reversed(self.tags[:-1]):
            inner = {".tag": tag, tag: inner}
        return inner


class UploadFailed(Failure):
    """The 409 of files/upload: a struct, so `reason` where other routes repeat the tag; the bytes are kept."""

    def __init__(self, failure: Failure, session: str) -> None:
        super().__init__("path", *failure.tags)
        self.reason = failure
        self.session = session

    def error(self) -> Json:  # noqa: D102
        reason = self.reason.error()
        if self.reason.tags == ("malformed_path",):
            reason["malformed_path"] = None  # recorded so: an optional value that is spelled although it is unset
        return {".tag": "path", "reason": reason, "upload_session_id": self.session}

    def body(self) -> bytes:  # noqa: D102
        value = {"error_summary": self.summary(), "error": self.error()}
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class Refusal(JsonError):
    """401: the token is missing, ended, or not allowed to do this."""

    status = 401

    def __init__(self, tag: str, **fields: Any) -> None:
        super().__init__(tag)
        self.fields = fields

    def error(self) -> Json:  # noqa: D102
        return {".tag": self.tags[0], **self.fields}

    def headers(self) -> Headers:  # noqa: D102
        return [POLICY, ("WWW-Authenticate", 'Bearer realm="Dropbox-API"')]


class AccessDenied(Failure):
    """403: the account may not."""

    status = 403


class PathRootRefused(Failure):
    """422: the Dropbox-API-Path-Root header names what this user may not use."""

    status = 422


class RateLimited(JsonError):
    """429. `error` has no tag of its own; lock contention tells its pause only in the header.

    `form` chooses what a client must cope with: `json` (seconds in the header), `date` (an HTTP date there), `text` (no
    JSON, only the header), `body` (JSON, no header), `none` (neither).
    """

    status = 429

    def __init__(self, reason: str, retry_after: int = 1, *, form: str = "json", date: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.form = form
        self.date = date

    def error(self) -> Json:  # noqa: D102
        silent = self.reason == "too_many_write_operations" or self.form == "none"
        return {"reason": {".tag": self.reason}, **({} if silent else {"retry_after": self.retry_after})}

    def headers(self) -> Headers:  # noqa: D102
        pause = {"body": "", "none": "", "date": self.date}.get(self.form, str(self.retry_after))
        return [POLICY, *([("Retry-After", pause)] if pause else [])]

    def content_type(self) -> str:  # noqa: D102
        return "text/plain; charset=utf-8" if self.form == "text" else "application/json"

    def body(self) -> bytes:  # noqa: D102
        return b"Too many requests" if self.form == "text" else super().body()
