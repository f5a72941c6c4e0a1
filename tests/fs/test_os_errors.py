"""The library's errors as a file system's user expects them."""

import errno

import pytest

from huracan_sync import errors
from huracan_sync.errors import Conflict, HuracanError, UsageError
from huracan_sync.fs.os_errors import as_os_error, code_of, os_error
from huracan_sync.manifest.refusals import refused

# our error -> errno, and the class that Python makes of it
CODES = [
    (errors.NotFound("x"), errno.ENOENT, FileNotFoundError),
    (errors.HostilePath("x"), errno.EINVAL, OSError),
    (UsageError("x"), errno.EINVAL, OSError),
    (UsageError("x", tags="path/not_folder"), errno.ENOTDIR, NotADirectoryError),
    (UsageError("x", tags="path/not_file"), errno.EISDIR, IsADirectoryError),
    (UsageError("x", tags="path/other"), errno.EINVAL, OSError),
    (Conflict("x"), errno.EEXIST, FileExistsError),
    (Conflict("x", with_="folder"), errno.EISDIR, IsADirectoryError),
    (Conflict("x", with_="file_ancestor"), errno.ENOTDIR, NotADirectoryError),
    (Conflict("x", with_="file"), errno.EEXIST, FileExistsError),
    (errors.NotAuthorized("x"), errno.EACCES, PermissionError),
    (errors.PathRefused("x"), errno.EACCES, PermissionError),
    (errors.ConfigError("x"), errno.EACCES, PermissionError),
    (errors.OutOfSpace("x"), errno.ENOSPC, OSError),
    (errors.DiskFull("x"), errno.ENOSPC, OSError),
    (errors.RateLimited("x"), errno.EBUSY, OSError),
    (errors.Busy("x"), errno.EBUSY, OSError),
    (errors.LocalFailure("x"), errno.EIO, OSError),
    (errors.ContentMismatch("x"), errno.EIO, OSError),
    (errors.ServiceFault("x"), errno.EIO, OSError),
    (refused("CHANNEL_NAME", "x"), errno.EINVAL, OSError),
    (refused("FORK", "x"), errno.EIO, OSError),
    (HuracanError("x"), errno.EIO, OSError),
]


@pytest.mark.parametrize(("error", "code", "kind"), CODES, ids=repr)
def test_the_errno_of_an_error(error, code, kind):
    translated = os_error(error, "/r/x")
    assert (code_of(error), translated.errno, type(translated)) == (code, code, kind)
    assert (translated.filename, translated.__cause__) == ("/r/x", error)


def test_the_hint_is_in_the_message():
    assert str(os_error(UsageError("it is wrong", hint="write it right"), "/x")).startswith(
        "[Errno 22] it is wrong (write it right)"
    )
    assert "()" not in str(os_error(UsageError("it is wrong"), "/x"))


def test_within_the_block_they_leave_as_os_errors():
    with pytest.raises(FileNotFoundError) as caught, as_os_error("/r/x"):
        raise errors.NotFound("nothing is there")
    assert isinstance(caught.value.__cause__, errors.NotFound)
    with pytest.raises(KeyError), as_os_error("/r/x"):
        raise KeyError("what is not ours stays as it is")
