"""The shapes in which an error leaves the emulator, as the recordings have them."""

import json

import pytest

from huracan_sync.emulator.spec.failures import (
    POLICY,
    AccessDenied,
    ApiError,
    BadInput,
    Failure,
    PathRootRefused,
    RateLimited,
    Refusal,
    UploadFailed,
)


def said(error):
    return json.loads(error.body())["error"]


def test_tags_lie_in_each_other_and_fields_beside_the_innermost():
    failure = Failure("incorrect_offset", correct_offset=9)
    assert said(failure) == {".tag": "incorrect_offset", "correct_offset": 9}
    assert said(failure.under("lookup_failed")) == {
        ".tag": "lookup_failed",
        "lookup_failed": {".tag": "incorrect_offset", "correct_offset": 9},
    }
    summary = json.loads(failure.under("a", "b").body())["error_summary"]
    assert summary.rstrip(".") == "a/b/incorrect_offset/"


def test_an_upload_says_its_reason_and_where_its_bytes_are():
    error = UploadFailed(Failure("conflict", "file"), "pid_upload_session:1")
    assert said(error) == {
        ".tag": "path",
        "reason": {".tag": "conflict", "conflict": {".tag": "file"}},
        "upload_session_id": "pid_upload_session:1",
    }
    assert said(UploadFailed(Failure("malformed_path"), "s"))["reason"] == {
        ".tag": "malformed_path",
        "malformed_path": None,
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError(), 500),
        (BadInput("x"), 400),
        (Refusal("expired_access_token"), 401),
        (AccessDenied("invalid_account_type"), 403),
        (Failure("x"), 409),
        (PathRootRefused("no_permission"), 422),
        (RateLimited("too_many_requests"), 429),
    ],
)
def test_every_kind_has_its_status_and_the_policy(error, status):
    assert (error.status, POLICY in error.headers()) == (status, True)


def test_bad_input_is_a_sentence():
    error = BadInput("no", function="files/upload")
    assert error.body() == b'Error in call to API function "files/upload": no'
    assert error.content_type() == "text/plain; charset=utf-8"
    assert ("WWW-Authenticate", 'Bearer realm="Dropbox-API"') in Refusal("x").headers()


# how a limit is told -> the header, and the pause in the body (None: no JSON)
FORMS = {
    "json": ("7", 7),
    "date": ("Thu, 01 Jan 2026 00:00:07 GMT", 7),
    "text": ("7", None),
    "body": (None, 7),
    "none": (None, "silent"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_limit_is_told_in_every_form(form):
    header, pause = FORMS[form]
    error = RateLimited("too_many_requests", 7, form=form, date="Thu, 01 Jan 2026 00:00:07 GMT")
    assert dict(error.headers()).get("Retry-After") == header
    if pause is None:
        assert (error.body(), error.content_type()) == (b"Too many requests", "text/plain; charset=utf-8")
    else:
        assert said(error).get("retry_after", "silent") == pause


def test_contention_tells_its_pause_in_the_header_only():
    error = RateLimited("too_many_write_operations", 3)
    assert (dict(error.headers())["Retry-After"], said(error)) == (
        "3",
        {"reason": {".tag": "too_many_write_operations"}},
    )
