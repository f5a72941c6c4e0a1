"""What becomes of a failure: an answer, one event, and what is remembered of it."""

import pytest
from dropbox.exceptions import AuthError

from huracan_sync.engine.error_boundary import ErrorBoundary, for_sdk_callers, typed
from huracan_sync.engine.event_log import LoggedOnce, error_fields
from huracan_sync.engine.read_revisions import MOST, ReadRevisions
from huracan_sync.engine.secret_guard import refuse_secrets
from huracan_sync.errors import HuracanError, MissingScope, NotAuthorized, NotFound, Revoked, SecretInFile, Unreachable
from huracan_sync.secret import Secret


def failing(error):
    def work():
        raise error

    return work


# what goes wrong inside -> the class that is remembered
FAILURES = [(Unreachable("no network"), Unreachable), (KeyError("x"), HuracanError), (OSError("disk"), HuracanError)]


@pytest.mark.parametrize(("error", "kind"), FAILURES, ids=repr)
def test_a_failure_becomes_an_answer_and_is_remembered(error, kind):
    boundary = ErrorBoundary(strict=False)
    assert boundary.attempt("upload_failed", False, failing(error)) is False
    assert type(boundary.last_error) is kind
    assert boundary.attempt("upload_failed", False, lambda: True) is True
    assert boundary.last_error is None, "what failed before is over"


@pytest.mark.parametrize(("error", "kind"), FAILURES, ids=repr)
def test_in_strict_mode_it_is_raised(error, kind):
    with pytest.raises(kind):
        ErrorBoundary(strict=True).attempt("upload_failed", False, failing(error))


def test_what_nobody_may_swallow_is_not():
    with pytest.raises(KeyboardInterrupt):
        ErrorBoundary(strict=False).attempt("upload_failed", False, failing(KeyboardInterrupt()))


def test_a_call_within_a_call_forgets_nothing():
    boundary = ErrorBoundary(strict=False)
    with boundary.call():
        boundary.attempt("inner", None, failing(NotFound("x")))
        boundary.attempt("inner", None, lambda: None)
    assert isinstance(boundary.last_error, NotFound)


def test_something_that_is_not_there():
    boundary = ErrorBoundary(strict=False)
    with boundary.call():
        boundary.missing("file_not_found", NotFound("x"))
    assert isinstance(boundary.last_error, NotFound)
    with pytest.raises(NotFound):
        ErrorBoundary(strict=True).missing("file_not_found", NotFound("x"))


def test_what_nobody_foresaw_is_a_bug_with_its_cause():
    cause = KeyError("x")
    bug = typed(cause)
    assert (bug.code, bug.__cause__) == ("BUG", cause)
    known = NotFound("x")
    assert typed(known) is known


# an error of ours -> what the official SDK's callers can ask of it
SDK = [
    (NotAuthorized("x"), "is_expired_access_token"),
    (Revoked("x", tag="invalid_access_token"), "is_invalid_access_token"),
    (MissingScope("x", scope="files.content.write"), "is_missing_scope"),
]


@pytest.mark.parametrize(("error", "question"), SDK, ids=repr)
def test_errors_of_the_login_are_the_sdks_too(error, question):
    both = for_sdk_callers(error)
    assert isinstance(both, AuthError)
    assert isinstance(both, type(error))
    assert getattr(both.error, question)()
    assert (str(both), both.facts, both.hint, both.code) == (str(error), error.facts, error.hint, error.code)


def test_other_errors_stay_as_they_are():
    error = Unreachable("x")
    assert for_sdk_callers(error) is error


def test_an_error_as_fields_holds_no_secret():
    secret = Secret("a-secret-that-nobody-sees")
    fields = error_fields(NotFound(f"it is {secret.reveal()}", hint="look"))
    assert fields == {"error": "it is ***", "error_type": "NotFound", "hint": "look"}
    assert error_fields(ValueError("x")) == {"error": "x", "error_type": "ValueError"}


def test_what_lasts_is_told_once():
    logged = LoggedOnce()
    assert [logged.is_new("a", value) for value in (1, 1, 2, 1)] == [True, False, True, True]
    assert (logged.is_new("b", 1), logged.last("b"), logged.last("c")) == (True, 1, None)


def test_revisions_are_of_what_was_read_last_and_used_once():
    read = ReadRevisions()
    read.note("/a/Größe", "1")
    read.note("/A/GRÖßE", "2")
    assert [read.take("/a/größe") for _ in range(2)] == ["2", None]
    read.note("/empty", "")
    assert read.take("/empty") == ""
    for number in range(MOST + 1):
        read.note(f"/{number}", str(number))
    assert (read.take("/0"), read.take("/1"), read.take(f"/{MOST}")) == (None, "1", str(MOST))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("lines = 3\n", True),
        ("", True),
        ("\x00\xff binary", True),
        ("token = 'sl." + "A1b2C3d4" * 8 + "'\n", False),
    ],
)
def test_a_file_with_a_secret_is_not_sent(tmp_path, text, passes):
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    if passes:
        refuse_secrets(file)
    else:
        with pytest.raises(SecretInFile, match="holds a secret"):
            refuse_secrets(file)
