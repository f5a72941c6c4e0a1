"""What an answer means: our error, whether the call may be made again, and after how long."""

import json
from datetime import UTC, datetime

import pytest

from huracan_sync import errors
from huracan_sync.remote.errors import (
    MAX_PAUSE_S,
    CursorReset,
    SessionLost,
    TokenExpired,
    judge,
    judge_failure,
    retry_after,
    spell,
)
from huracan_sync.remote.http import Answer

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def answer(status, body=b"", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def error_409(error, summary="x/.."):
    return answer(409, {"error_summary": summary, "error": error})


PATH_CONFLICT = {".tag": "path", "path": {".tag": "conflict", "conflict": {".tag": "file"}}}
UPLOAD_CONFLICT = {
    ".tag": "path",
    "reason": {".tag": "conflict", "conflict": {".tag": "file"}},
    "upload_session_id": "s",
}

MEANINGS = [
    ("files/download", {".tag": "path", "path": {".tag": "not_found"}}, errors.NotFound),
    ("files/delete_v2", {".tag": "path_lookup", "path_lookup": {".tag": "not_found"}}, errors.NotFound),
    ("files/upload", UPLOAD_CONFLICT, errors.Conflict),
    ("files/upload_session/finish", PATH_CONFLICT, errors.Conflict),
    ("files/upload", {".tag": "path", "reason": {".tag": "insufficient_space"}}, errors.OutOfSpace),
    ("files/upload", {".tag": "path", "reason": {".tag": "malformed_path"}}, errors.HostilePath),
    ("files/upload", {".tag": "path", "reason": {".tag": "disallowed_name"}}, errors.HostilePath),
    ("files/upload", {".tag": "path", "reason": {".tag": "no_write_permission"}}, errors.PathRefused),
    ("files/upload", {".tag": "content_hash_mismatch"}, errors.ContentMismatch),
    ("files/upload", {".tag": "payload_too_large"}, errors.CallRefused),
    ("files/list_folder", {".tag": "path", "path": {".tag": "not_folder"}}, errors.UsageError),
    ("files/list_folder/continue", {".tag": "reset"}, CursorReset),
    ("files/upload_session/append_v2", {".tag": "not_found"}, SessionLost),
    ("files/upload_session/append_v2", {".tag": "closed"}, SessionLost),
    ("files/upload_session/append_v2", {".tag": "incorrect_offset", "correct_offset": 9}, SessionLost),
    (
        "files/upload_session/finish_batch_v2",
        {".tag": "lookup_failed", "lookup_failed": {".tag": "not_found"}},
        SessionLost,
    ),
    (
        "files/upload_session/finish_batch_v2",
        {".tag": "lookup_failed", "lookup_failed": {".tag": "incorrect_offset", "correct_offset": 9}},
        SessionLost,
    ),
    ("files/anything", {".tag": "something_new"}, errors.CallRefused),
]


@pytest.mark.parametrize(("route", "error", "kind"), MEANINGS)
def test_every_tag_has_its_error(route, error, kind):
    verdict = judge(route, error_409(error), NOW)
    assert type(verdict.error) is kind
    assert verdict.retry == (kind is errors.ContentMismatch)
    assert str(verdict.error)


def test_an_offset_is_found_where_it_lies():
    for error in (MEANINGS[14][1], MEANINGS[16][1]):
        assert judge_failure("files/upload_session/x", error).error.facts["correct_offset"] == 9


@pytest.mark.parametrize(
    ("error", "tags"),
    [(UPLOAD_CONFLICT, ("path", "conflict", "file")), (PATH_CONFLICT, ("path", "conflict", "file")), ({}, ())],
)
def test_tags_are_spelled(error, tags):
    assert spell(error) == tags


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {".tag": "expired_access_token"}}, TokenExpired),
        ({"error": {".tag": "invalid_access_token"}}, TokenExpired),
        ({"error": {".tag": "missing_scope", "required_scope": "files.content.write"}}, errors.MissingScope),
        ({"error": {".tag": "user_suspended"}}, errors.NotAuthorized),
        (b"", errors.NotAuthorized),
    ],
)
def test_401(body, kind):
    verdict = judge("files/upload", answer(401, body), NOW)
    assert type(verdict.error) is kind
    assert verdict.retry is False


def test_a_missing_scope_is_named():
    body = {"error": {".tag": "missing_scope", "required_scope": "files.content.write"}}
    error = judge("files/upload", answer(401, body), NOW).error
    assert error.facts["scope"] == "files.content.write"
    assert "files.content.write" in str(error)
    assert "Permissions tab" in error.hint


def test_a_scope_that_the_app_lacks_is_named():
    """Dropbox tells this one in plain text, with a 400."""
    said = (
        b'Error in call to API function "files/upload": Your app (ID: 123) is not permitted to access this endpoint '
        b"because it does not have the required scope 'files.content.write'. The owner of the app can enable the scope "
        b"for the app using the Permissions tab on the App Console."
    )
    verdict = judge("files/upload", answer(400, said), NOW)
    assert (type(verdict.error), verdict.retry) == (errors.MissingScope, False)
    assert verdict.error.facts["scope"] == "files.content.write"
    assert "Permissions tab" in verdict.error.hint


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b'{"error": 1}'])
def test_5xx_is_retried_and_may_have_committed(status, body):
    verdict = judge("files/upload", answer(status, body), NOW)
    assert (type(verdict.error), verdict.retry, verdict.committed) == (errors.ServiceFault, True, None)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, errors.CallRefused), (403, errors.NotAuthorized), (431, errors.CallRefused)]
)
def test_what_is_never_retried(status, kind):
    verdict = judge("files/upload", answer(status, b"Error in call to API function"), NOW)
    assert (type(verdict.error), verdict.retry) == (kind, False)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    "body", [b"<html>Dropbox - 400</html>", b"\r\n  <!DOCTYPE html><title>Error", b"\xef\xbb\xbf<html>"]
)
def test_a_page_where_text_or_json_belongs_is_worth_one_more_try(status, body):
    verdict = judge("files/upload", answer(status, body), NOW)
    assert (type(verdict.error), verdict.retry, verdict.attempts) == (errors.ServiceFault, True, 2)
    assert verdict.committed is False


@pytest.mark.parametrize(
    "failure",
    [
        {".tag": "path", "path": {".tag": "restricted_content"}},
        {".tag": "unsupported_file"},
        {".tag": "path", "reason": {".tag": "team_folder"}},
        {".tag": "path_lookup", "path_lookup": {".tag": "locked"}},
        {".tag": "from_write", "from_write": {".tag": "no_write_permission"}},
        {".tag": "too_large"},
    ],
)
@pytest.mark.parametrize("route", ["files/download", "files/delete_batch", "files/move_batch", "files/upload"])
def test_what_concerns_one_path_is_that_paths_matter(route, failure):
    verdict = judge_failure(route, failure)
    assert (type(verdict.error), verdict.retry) == (errors.PathRefused, False)
    assert not isinstance(verdict.error, errors.NotAuthorized | errors.Unavailable | errors.TryLater)


def test_a_folder_that_is_no_zip_is_fetched_otherwise():
    failure = {".tag": "path", "path": {".tag": "restricted_content"}}
    assert type(judge_failure("files/download_zip", failure).error) is errors.CallRefused


def test_an_optional_text_that_is_not_set():
    """A recording of 2026 spells it as a null."""
    failure = {".tag": "path", "reason": {".tag": "malformed_path", "malformed_path": None}}
    assert spell(failure) == ("path", "malformed_path")
    assert type(judge_failure("files/upload", failure).error) is errors.HostilePath


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (401, {"error": {".tag": "user_suspended"}}, "suspended"),
        (403, {"error": {".tag": "invalid_account_type", "invalid_account_type": {".tag": "feature"}}}, "plan"),
        (400, b"the OAuth 2 access token you provided is for an entire Dropbox Business team.", "one member"),
        (400, b"No auth function available for given request", "quotes"),
        (400, b'The given OAuth 2 access token is malformed. Authorization: "Bearer \'x\'"', "quotes"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_login_is_said_with_what_to_do(status, body, word):
    verdict = judge("files/list_folder", answer(status, body), NOW)
    assert (type(verdict.error), verdict.retry) == (errors.NotAuthorized, False)
    assert word in f"{verdict.error} {verdict.error.hint}"
    assert verdict.error.hint


WRITE_LIMIT = {
    "error": {"reason": {".tag": "too_many_write_operations"}},
    "error_summary": "too_many_write_operations/",
}
LIMIT = {"error": {"reason": {".tag": "too_many_requests"}, "retry_after": 15}, "error_summary": "too_many_requests/"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (answer(429, WRITE_LIMIT, Retry_After="1"), 1.0),
        (answer(429, LIMIT), 15.0),
        (answer(429, LIMIT, Retry_After="300"), 300.0),
        (answer(429, b"slow down", Retry_After="2.5"), 2.5),
        (answer(429, b"slow down"), None),
        (answer(429, b"", Retry_After="Thu, 01 Jan 2026 12:00:07 GMT"), 7.0),
        (
            answer(429, b"", Retry_After="Thu, 01 Jan 2026 18:00:07 GMT", Date="Thu, 01 Jan 2026 18:00:00 GMT"),
            7.0,
        ),
        (answer(429, b"", Retry_After="Thu, 01 Jan 2020 00:00:00 GMT"), 0.0),
        (answer(429, b"", Retry_After="-5"), 0.0),
        (answer(429, b"", Retry_After="nan"), 0.0),
        (answer(429, b"", Retry_After="inf"), MAX_PAUSE_S),
        (answer(429, b"", Retry_After="99999999"), MAX_PAUSE_S),
        (answer(429, b"", Retry_After="soon"), None),
        (answer(429, b'{"error": {"retry_after": true}}'), None),
        (answer(429, b"", Retry_After="Fri, 31 Dec 99999999999 23:59:59 GMT"), None),
        (answer(429, b"", Retry_After="Thu, 01 Jan 2026 12:00:07 +99999999999999"), None),
        (answer(429, b"", Retry_After="Thu, 01 Jan 2026 12:00:07 GMT", Date="yesterday"), 7.0),
        (answer(429, b'{"error": {"retry_after": 1%s}}' % (b"0" * 400)), MAX_PAUSE_S),
        (answer(429, b'{"error": %s' % (b"[" * 100_000)), None),
    ],
)
def test_retry_after_in_every_form(given, seconds):
    assert retry_after(given, NOW) == seconds
    verdict = judge("files/upload", given, NOW)
    assert (verdict.retry, verdict.throttled, verdict.after_s) == (True, True, seconds)
    assert (f" in {seconds:.0f} s" if seconds else "again later") in verdict.error.hint


def test_a_409_lock_is_a_throttle():
    error = {".tag": "path", "reason": {".tag": "too_many_write_operations"}}
    verdict = judge("files/upload", error_409(error), NOW)
    assert (type(verdict.error), verdict.retry, verdict.throttled) == (errors.RateLimited, True, True)


def test_success_is_no_verdict():
    assert judge("x", answer(200), NOW) is None
    assert judge("x", answer(206), NOW) is None


def written(tag):
    """As an upload is refused for what concerns its target."""
    return {".tag": "path", "reason": {".tag": tag}}


def looked_up(tag):
    return {".tag": "path", "path": {".tag": tag}}


RELOCATION = "files/move_v2"
TOLD = {
    "payload_too_large": ("files/upload", {".tag": "payload_too_large"}, errors.CallRefused, "150 MiB"),
    "payload_too_large in a session": (
        "files/upload_session/append_v2",
        {".tag": "payload_too_large"},
        errors.CallRefused,
        "`put`",
    ),
    "invalid_account_type": (
        "files/upload",
        {".tag": "invalid_account_type", "invalid_account_type": {".tag": "feature"}},
        errors.NotAuthorized,
        "another plan",
    ),
    "user_suspended": ("files/upload", {".tag": "user_suspended"}, errors.NotAuthorized, "suspended"),
    "insufficient_space": ("files/upload", written("insufficient_space"), errors.OutOfSpace, "free some space"),
    "team_folder_insufficient_space": (
        "files/upload",
        written("team_folder_insufficient_space"),
        errors.OutOfSpace,
        "the team folder is full",
    ),
    "member_folder_insufficient_space": (
        "files/upload",
        written("member_folder_insufficient_space"),
        errors.OutOfSpace,
        "member's folder is full",
    ),
    "upload_traffic_limit_reached": (
        "files/upload",
        written("upload_traffic_limit_reached"),
        errors.OutOfSpace,
        "next month",
    ),
    "access_restricted": ("files/delete_v2", written("access_restricted"), errors.PathRefused, "administrator"),
    "unsupported_content_type": (
        "files/get_metadata",
        looked_up("unsupported_content_type"),
        errors.PathRefused,
        "dropbox.com",
    ),
    "encryption_not_supported": (
        "files/upload",
        {".tag": "encryption_not_supported"},
        errors.PathRefused,
        "another folder",
    ),
    **{
        tag: (RELOCATION, {".tag": tag}, errors.CallRefused, word)
        for tag, word in {
            "insufficient_quota": "free some space",
            "team_folder_insufficient_quota": "the team folder",
            "member_folder_insufficient_quota": "member's folder",
            "cant_copy_shared_folder": "shared folder",
            "cant_nest_shared_folder": "shared folder",
            "cant_move_folder_into_itself": "another place",
            "cant_transfer_ownership": "somebody else",
            "cant_move_into_vault": "Vault",
            "cant_move_into_family": "Family Room",
        }.items()
    },
}
"""What a person can do something about, by what it is: as the specification spells it, our error, and a word of it."""
OURS = {
    "other",
    "properties_error",
    "template_error",
    "length_mismatch",
    "duplicated_or_nested_paths",
    "concurrent_session_data_not_allowed",
    "concurrent_session_close_not_allowed",
    "too_many_shared_folder_targets",
}
"""Documented too, and a mistake of ours where it comes: nobody else can do anything about it."""


@pytest.mark.parametrize("what", TOLD)
def test_what_a_person_can_do_is_said(what):
    route, failure, kind, word = TOLD[what]
    error = judge(route, error_409(failure), NOW).error
    assert type(error) is kind
    assert word in f"{error} {error.hint}"
    assert "report" not in error.hint
    assert what.split()[0] in str(error), "the tag, to search for"


@pytest.mark.parametrize("tag", sorted(OURS))
def test_what_is_a_mistake_of_ours_is_to_be_reported(tag):
    error = judge("files/upload", error_409({".tag": tag}), NOW).error
    assert (type(error), error.hint) == (errors.CallRefused, "please report this with the command you ran")


def test_every_tag_that_the_official_sdk_knows_is_told_or_ours():
    """Of the routes that are called; a new one of the SDK is looked at here."""
    from dropbox import files

    unions = (
        *(files.UploadError, files.WriteError, files.LookupError, files.RelocationError),
        *(files.UploadSessionStartError, files.UploadSessionAppendError, files.UploadSessionLookupError),
        *(files.UploadSessionFinishError, files.UploadSessionAppendBatchError, files.RelocationBatchErrorEntry),
        *(files.DownloadError, files.DownloadZipError, files.DeleteError, files.DeleteBatchError),
        *(files.CreateFolderError, files.GetMetadataError, files.ListFolderError, files.ListFolderContinueError),
        *(files.ListFolderLongpollError, files.UploadSessionAppendBatchEntryError),
    )
    inner = {"path", "path_lookup", "path_write", "from_lookup", "from_write", "to", "lookup_failed"}
    for union in unions:
        for tag in set(union._tagmap) - inner - {"relocation_error"} - OURS:
            failure = {".tag": tag}
            route = "files/upload_session/finish_batch_v2" if "Session" in union.__name__ else "files/upload"
            hint = judge_failure(route, failure).error.hint or ""
            assert "report" not in hint, (union.__name__, tag)
