"""Which root folder a remote folder belongs to, and what its channel is called."""

import pytest
from expecting import raises

from huracan_sync.errors import HuracanError, UsageError
from huracan_sync.manifest.scope import channel_of, scope_of

# remote folder, the profile's root -> its root, and the folder below it
SCOPES = [
    ("/Runpodhuracan", "/Runpodhuracan", "/Runpodhuracan", ""),
    ("/Runpodhuracan/data/candles", "/Runpodhuracan", "/Runpodhuracan", "data/candles"),
    ("/runpodhuracan/data", "/Runpodhuracan", "/Runpodhuracan", "data"),
    ("/Elsewhere/a/b", "/Runpodhuracan", "/Elsewhere", "a/b"),
    ("/Elsewhere", "/Runpodhuracan", "/Elsewhere", ""),
    ("/Runpodhuracan2/data", "/Runpodhuracan", "/Runpodhuracan2", "data"),
    ("/Deep/root/data", "/Deep/root", "/Deep/root", "data"),
    ("/Deep/other", "/Deep/root", "/Deep", "other"),
    ("no slash/x", "/R", "/no slash", "x"),
]


@pytest.mark.parametrize(("folder", "profile", "root", "prefix"), SCOPES)
def test_the_root_of_a_folder(folder, profile, root, prefix):
    scope = scope_of(folder, profile)
    assert (scope.root, scope.prefix) == (root, prefix)
    assert scope.path("x.json") == (f"{prefix}/x.json" if prefix else "x.json")


@pytest.mark.parametrize("folder", ["/R/.huracan", "/R/.huracan/heads", "/R/.HURACAN/heads"])
def test_where_signatures_lie_is_nobodys_to_sync(folder):
    with raises(UsageError, match="where signatures lie"):
        scope_of(folder, "/R")


@pytest.mark.parametrize("folder", ["/a/../b", "/a/./b", "/a/\x00"])
def test_what_is_no_folder(folder):
    with raises(HuracanError):
        scope_of(folder, "/R")


# remote folder -> the channel it has where nobody named one
CHANNELS = [
    ("/R/data/candles", "candles"),
    ("/R/data/Candles/", "candles"),
    ("/R", "r"),
    ("/R/My Models (new)", "my-models-new"),
    ("/R/Größe", "gr-e"),
    ("/R/...", "all"),
    ("/R/日本", "all"),
    ("/R/a.b_c-d", "a.b_c-d"),
    ("/R/" + "x" * 80, "x" * 63),
]


@pytest.mark.parametrize(("folder", "channel"), CHANNELS)
def test_the_channel_of_a_folder(folder, channel):
    assert channel_of(folder) == channel
