"""fsspec's own suite, whole, on a fresh account."""

import fsspec.tests.abstract as suite
import pytest


class Fixtures(suite.AbstractFixtures):
    @pytest.fixture
    def fs(self, dropbox_fs):
        return dropbox_fs

    @pytest.fixture
    def fs_path(self):
        return "/abstract"

    @pytest.fixture
    def fs_sanitize_path(self):
        return lambda path: path


@pytest.mark.slow  # other people's program; reading by it stands for it by default
class TestCopy(Fixtures, suite.AbstractCopyTests):
    pass


class TestGet(Fixtures, suite.AbstractGetTests):
    pass


@pytest.mark.slow  # other people's program; reading by it stands for it by default
class TestPut(Fixtures, suite.AbstractPutTests):
    pass


class TestOpen(Fixtures, suite.AbstractOpenTests):
    pass


class TestPipe(Fixtures, suite.AbstractPipeTests):
    pass
