import errno
import os

import pytest

from huracan_sync.errors import DiskFull, LocalFailure, local_failure


def failed(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_a_full_disk_whatever_was_tried(number):
    failure = local_failure(failed(number), "a/b", "write")
    assert type(failure) is DiskFull
    assert failure.facts["path"] == "a/b"


@pytest.mark.parametrize(("verb", "word"), [("read", "read"), ("write", "written"), ("remove", "removed")])
def test_others_say_what_was_tried_where_and_why(verb, word):
    failure = local_failure(failed(errno.EACCES), "a/b", verb)
    assert type(failure) is LocalFailure
    assert str(failure).startswith(f"a/b cannot be {word}: Permission denied")
    assert failure.hint
    assert failure.facts["errno"] == errno.EACCES


def test_a_name_is_shown_in_ascii():
    assert "\x1b" not in str(local_failure(failed(errno.EIO), "a\x1b[31mb", "read"))
