"""A handler that shows all it can of an error: its locals, those of its causes, by Python and by rich."""

import contextlib
import io
import traceback

import pytest
from canaries import found_in
from rich.console import Console
from rich.traceback import Traceback

from huracan_sync import secret


def in_tracebacks(error):
    """Everything it prints of an error."""
    plain = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    screen = Console(file=io.StringIO(), width=400)
    shown = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_length=1000, locals_max_string=10000
    )
    screen.print(shown)
    return plain + screen.file.getvalue() + repr(error) + str(vars(error))


@contextlib.contextmanager
def shows_no_secret(test_file, *values):
    """The block must raise, and what it raises shows neither `values` nor any `Secret` made in the block.

    Frames of the test itself are left out: a test's functions hold what they like.
    """
    before = set(secret._known)
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - Ctrl-C is one of them
        ours = {__file__, contextlib.__file__, test_file}
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename in ours:
            own = own.tb_next
        error.__traceback__ = own
        shown = in_tracebacks(error)
    else:
        pytest.fail("it did not fail")
    canaries = {*values, *(value for value in secret._known - before if len(value) >= 8)}
    assert canaries
    assert found_in(shown.encode(), canaries) == []
