"""What the fault matrix strikes: jobs and their calls, misfortunes, what each may come to, and where other rows stand.

A cell is (job, operation, fault, place). Most jobs are struck at a call: the operation is a route, and the place is the
first, a middle or the last call of it. Of the jobs `disk` and `names` the place is a file: the first, middle or last.
"""

import itertools

from huracan_sync import errors

FIRST = ["files/list_folder", "files/list_folder/continue", "files/upload"]
FRESH = ["files/list_folder", "files/list_folder/continue", "files/download_zip"]
PUSH = [
    "files/list_folder/continue",
    "files/upload_session/start_batch",
    "files/upload_session/append_batch",
    "files/upload_session/start",
    "files/upload_session/append_v2",
    "files/upload_session/finish_batch_v2",
    "files/delete_batch",
    "files/delete_batch/check",
]
RESTORE = ["files/list_folder/continue", "files/download_zip", "files/get_metadata"]
RANGES = ["files/download"]
MIGRATE = ["files/move_batch_v2", "files/move_batch/check_v2", "files/copy_batch_v2", "files/copy_batch/check_v2"]
TOKEN, LONGPOLL = "oauth2/token", "files/list_folder/longpoll"
JOBS = {
    "first": FIRST,
    "push": PUSH,
    "fresh": FRESH,
    "restore": RESTORE,
    "ranges": RANGES,
    "token": [TOKEN],
    "follow": [LONGPOLL],
    "migrate": MIGRATE,
}
OPERATIONS = [(job, route) for job, routes in JOBS.items() for route in routes]
PLACES = ("first", "middle", "last")

# What must come through in the very run it strikes (True), or may end it, or one file of it, in one of these errors.
SERVICE = (errors.Unavailable,)
FAULTS = {
    "429 json": ({"fault": "rate_limited", "form": "json"}, True),
    "429 date": ({"fault": "rate_limited", "form": "date", "retry_after": 3}, True),
    "429 text": ({"fault": "rate_limited", "form": "text"}, True),
    "429 body": ({"fault": "rate_limited", "form": "body"}, True),
    "429 bare": ({"fault": "rate_limited", "form": "none"}, True),
    "429 page": ({"fault": "rate_limited", "form": "html"}, True),
    "lock": ({"fault": "too_many_write_operations"}, True),
    "500 html": ({"fault": "server_error", "status": 500, "body": "html"}, True),
    "502 empty": ({"fault": "server_error", "status": 502, "body": "empty"}, True),
    "503 json": ({"fault": "server_error", "status": 503, "body": "json"}, True),
    "504 text": ({"fault": "server_error", "status": 504, "body": "text"}, True),
    "500 octets": ({"fault": "server_error", "status": 500, "body": "octet_stream"}, True),
    "500 grpc": ({"fault": "server_error", "status": 500, "body": "grpc"}, True),
    "400 page": ({"fault": "server_error", "status": 400, "body": "html"}, True),
    "401 page": ({"fault": "server_error", "status": 401, "body": "html"}, True),
    "contention": ({"fault": "too_many_write_operations", "form": "conflict"}, True),
    "kept back": ({"fault": "error", "tags": ["path", "restricted_content"]}, (errors.PathRefused,)),
    "to be exported": ({"fault": "error", "tags": ["unsupported_file"]}, (errors.PathRefused,)),
    "news of nothing": ({"fault": "longpoll_noise"}, True),
    "500 after": ({"fault": "server_error", "status": 500, "body": "html", "when": "after"}, True),
    "reset before": ({"fault": "reset"}, True),
    "reset within": ({"fault": "reset", "offset": 10}, True),
    "reset after": ({"fault": "reset", "when": "after"}, True),
    "close before": ({"fault": "close"}, True),
    "close after": ({"fault": "close", "when": "after"}, True),
    "truncate": ({"fault": "truncate", "fraction": 0.5, "when": "after"}, True),
    "wrong length": ({"fault": "wrong_length", "when": "after"}, True),
    "stall": ({"fault": "stall", "seconds": 2, "point": "answer"}, True),
    "half open": ({"fault": "stall", "seconds": 2, "point": "request"}, True),
    "stall within": ({"fault": "stall", "seconds": 2, "point": "body", "offset": 1}, True),
    "slow": ({"fault": "slow", "bytes_per_s": 40_000_000}, True),
    "slow loris": ({"fault": "slow", "bytes_per_s": 1}, True),
    "portal": ({"fault": "captive_portal"}, SERVICE),
    "expired token": ({"fault": "expired_access_token"}, True),
    "revoked token": ({"fault": "invalid_access_token"}, (errors.Revoked,)),
    "suspended": ({"fault": "user_suspended"}, (errors.NotAuthorized,)),
    "missing scope": ({"fault": "missing_scope"}, (errors.MissingScope,)),
    "login withdrawn": ({"fault": "token_error", "tags": ["invalid_grant", "withdrawn"]}, (errors.Revoked,)),
    "granted less": ({"fault": "scope", "scope": ["files.metadata.read"]}, (errors.MissingScope,)),
    "granted more": ({"fault": "scope", "scope": ["sharing.read"]}, ("SCOPE_WIDENED", errors.MissingScope)),
    "full": ({"fault": "insufficient_space"}, (errors.OutOfSpace,)),
    "session lost": ({"fault": "session_lost"}, True),
    "wrong offset": ({"fault": "incorrect_offset", "offset": 0}, True),
    "hash refused": ({"fault": "error", "tags": ["content_hash_mismatch"]}, True),
    "hash refused for good": ({"fault": "error", "tags": ["content_hash_mismatch"]}, (errors.ContentMismatch,)),
    "cursor reset": ({"fault": "cursor_reset"}, True),
    "ignored range": ({"fault": "ignore_range"}, True),
    "no such name": ({"fault": "error", "tags": ["path", "malformed_path"]}, (errors.HuracanError,)),
    "disallowed name": ({"fault": "error", "tags": ["path", "disallowed_name"]}, (errors.HostilePath,)),
    "page twice": ({"fault": "pages", "form": "duplicate"}, True),
    "page turned": ({"fault": "pages", "form": "reorder"}, True),
    "page lost": ({"fault": "pages", "form": "missing"}, (errors.Conflict,)),
    "page empty": ({"fault": "pages", "form": "empty"}, True),
    "damaged": ({"fault": "corrupt", "seed": 5}, True),
    "job failed": ({"fault": "job_failed"}, SERVICE),
    # What befalls a call on this side of the wire (`fault_calls.HERE`).
    "no name": (None, True),
    "no name any more": (None, (errors.Unreachable,)),
    "impostor": (None, (errors.TlsRefused,)),
    "slept 6 h": ({"fault": "reset"}, True),
}
LASTING = {"hash refused for good", "no name any more"}
"""Not that call alone, but every one from it on."""

SESSIONS = [route for route in PUSH if "upload_session" in route and "start" not in route]
UPLOADS = [route for route in PUSH + FIRST if "upload" in route]
CONTENT = ["files/upload", "files/upload_session/append_batch", "files/upload_session/append_v2"]
LISTINGS = ["files/list_folder", "files/list_folder/continue"]
# One of each kind of call: what is slow costs real seconds, and the wire knows no other differences.
KINDS = ["files/list_folder/continue", *CONTENT[1:], SESSIONS[-1], "files/download", "files/download_zip", MIGRATE[0]]
ONLY = {
    "session lost": SESSIONS,
    "wrong offset": SESSIONS,
    "cursor reset": ["files/list_folder/continue", LONGPOLL],
    "ignored range": ["files/download"],
    "full": UPLOADS,
    "hash refused": CONTENT,
    "hash refused for good": CONTENT,
    "no such name": ["files/upload", "files/upload_session/finish_batch_v2"],
    "disallowed name": ["files/upload"],
    "contention": ["files/upload", "files/delete_batch", *MIGRATE[::2]],
    "kept back": ["files/download", "files/download_zip"],
    "to be exported": ["files/download"],
    "news of nothing": [LONGPOLL],
    "damaged": ["files/download", "files/download_zip"],  # what is not content is kept whole by TLS
    "job failed": ["files/delete_batch", "files/move_batch_v2", "files/copy_batch_v2"],
    "half open": KINDS,
    "slow": KINDS,
    "stall within": KINDS,
    "slow loris": KINDS,
    **{name: LISTINGS for name in FAULTS if name.startswith("page ")},
    **{name: [TOKEN] for name in ("login withdrawn", "granted less", "granted more")},
}
SPELLED = {
    "429 page",
    "500 octets",
    "500 grpc",
    "429 date",
    "429 text",
    "429 body",
    "502 empty",
    "503 json",
    "504 text",
}
"""Other spellings of what another row says: how an answer is read does not depend on its place, the first will do."""
PARTIAL = {"truncate", "500 html", "close after", "cursor reset", *(name for name in FAULTS if "page " in name)}
"""What leaves a listing half read. To the first look at an account the others are what they are to every later one."""
AUTHORITY = {"expired token", "revoked token", "suspended", "missing scope"}
NOT = {TOKEN: AUTHORITY | {"lock"}, LONGPOLL: AUTHORITY | {"lock"}}
"""A call that carries no access token, and writes nothing, cannot be refused for either."""


def allowed(job, route, fault):
    """What the run that is struck may come to: True, or classes of errors."""
    if job == "follow":  # nothing of this ends it: it tells, waits and goes on, which the job itself asserts
        return (errors.Unavailable, errors.RateLimited)
    return FAULTS[fault][1]


CALLS = [
    (job, route, fault, place)
    for (job, route), fault, place in itertools.product(OPERATIONS, FAULTS, PLACES)
    if route in ONLY.get(fault, [route])
    and fault not in NOT.get(route, ())
    and (place == "first" or fault not in SPELLED)
    and not (job in {"first", "fresh"} and route == LISTINGS[1] and fault not in PARTIAL)
]

# --- struck at a file ---------------------------------------------------------------------------------------------

NAMES = {
    "conflict with a file": errors.Conflict,
    "conflict with a folder": errors.Conflict,
    "conflict with a file for its folder": errors.Conflict,
    "name Dropbox does not take": errors.HostilePath,
}
BATCH = "files/upload_session/finish_batch_v2"
WAYS = ["files/upload", BATCH, "files/upload_session/append_v2"]
"""One file alone, many in a batch, a large one in parts."""

DISK = {
    "reading": {
        "unreadable file": errors.LocalFailure,
        "unreadable folder": errors.LocalFailure,
        "vanished file": errors.FileChanged,
        "folder becomes a link": errors.LocalFailure,
        "too many open files": (errors.LocalFailure, errors.Unreachable),
    },
    "writing": {
        "read-only folder": errors.LocalFailure,
        "read-only disk": errors.LocalFailure,
        "quota": errors.DiskFull,
        "vanished file": errors.FileChanged,
        "folder becomes a link": errors.LocalFailure,
        "too many open files": (errors.LocalFailure, errors.Unreachable),
    },
}
CELLS = [
    *CALLS,
    *(
        ("names", way, row, place)
        for way in WAYS
        for row in NAMES
        for place in (PLACES if way == BATCH else PLACES[:1])
    ),
    *(("disk", way, row, place) for way, rows in DISK.items() for row in rows for place in PLACES),
]

ELSEWHERE = {
    "local: no space left, at every file": "transfer/test_full_disk.py::test_full_at_every_file",
    "local: no space left, within a large file": "transfer/test_full_disk.py::test_full_in_the_middle_of_a_large_file",
    "local: no space left for the journal": "transfer/test_full_disk.py::test_no_room_for_the_journal",
    "local: a state folder that is read-only": (
        "operations/test_odd_worlds.py::test_a_state_folder_that_cannot_be_written_is_said"
    ),
    "local: a log that is truncated and written anew while it is sent": (
        "operations/test_push.py::test_a_log_that_is_rotated_while_it_is_sent_is_sent_anew_as_a_whole"
    ),
    "local: a disk that cannot be watched": (
        "engine/daemon/test_scheduler.py::test_a_disk_that_cannot_be_watched_is_said_and_survived"
    ),
    "local: a disk that takes two names for one": (
        "journeys/test_folding_disk.py::test_a_restore_writes_neither_and_names_both"
    ),
    "local: a healthy parquet that nobody here can judge": (
        "disk/test_parquet.py::test_an_encrypted_footer_cannot_be_judged"
    ),
    "local: a tree deeper than names can be": (
        "disk/test_hostile_disk.py::test_a_tree_too_deep_is_reported_and_the_rest_is_taken"
    ),
    "local: a locale that is not UTF-8": (
        "operations/test_restore.py::test_a_locale_that_is_not_utf8_is_refused_before_anything_is_written"
    ),
    "local: the rights of a file that is replaced": (
        "disk/test_hostile_disk.py::test_the_rights_of_a_replaced_file_survive"
    ),
    "local: a fork in the middle of a commit": (
        "engine/test_ends_and_forks.py::test_a_forked_worker_goes_on_whatever_its_parent_held"
    ),
    "local: a fork while a file is being written": (
        "fs/test_fs_faults.py::test_what_was_being_written_at_a_fork_belongs_to_the_parent"
    ),
    "local: the end of the program": ("engine/test_ends_and_forks.py::test_uploads_at_the_end_of_a_program_arrive"),
    "local: output that cannot be written": (
        "engine/test_output_never_decides.py::test_a_log_that_cannot_be_written_changes_no_answer"
    ),
    "one file that may not be read or written, by its path": (
        "operations/test_one_file_alone.py::test_a_file_that_may_not_be_downloaded_fails_alone"
    ),
    "local: a file that changes while it is read": (
        "operations/test_push.py::test_a_file_that_changes_while_it_is_read_is_never_sent_mixed"
    ),
    "429 beyond all patience": "auth/test_tokens.py::test_a_pause_too_long_is_told_at_once",
    "entries of a commit that are refused for now": (
        "transfer/test_upload_alone.py::test_entries_of_a_commit_that_are_refused_for_now_are_committed_again_alone"
    ),
    "session older than it lives": "transfer/test_resume.py::test_an_old_session_or_one_of_the_future_is_not_trusted",
    "session that Dropbox forgot between two runs": (
        "transfer/test_resume.py::test_a_session_that_dropbox_forgot_is_begun_anew"
    ),
    "damage that lasts": "operations/test_restore.py::test_lasting_damage_is_refused",
    "TLS: a certificate nobody vouches for": "remote/test_http.py::test_an_impostor_is_terminal",
    "token: many faults in a row": "auth/test_tokens.py::test_faults_that_pass",
    "token: clocks that jump": "auth/test_tokens.py::test_threat_36_steps_of_the_wall_clock_change_nothing",
    "no network for hours": (
        "engine/test_continuous.py::test_hours_without_a_network_are_survived_and_made_up_for_in_one_pass"
    ),
    "move: a conflict with a file, a folder, a file for its folder": (
        "operations/test_migrate.py::test_a_place_that_was_taken_meanwhile_is_left_to_who_took_it"
    ),
    "bytes that Dropbox says are others are read anew once": (
        "transfer/test_upload_alone.py::test_bytes_that_never_arrive_as_they_were_sent_are_read_anew_once"
    ),
    "local: no space left for a lock": "transfer/test_full_disk.py::test_a_full_disk_keeps_nobody_from_a_lock",
    "a copy whose original changes before it is deleted": (
        "operations/test_migrate.py::test_no_copy_is_deleted_once_its_original_is_gone"
    ),
}
"""Rows of the matrix that are whole tests of their own."""


def named(cell):
    return "-".join(cell).replace("files/", "").replace(" ", "_")
