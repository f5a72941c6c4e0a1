"""Names that programs act on by themselves are told from those that only look like them."""

import pytest

from huracan_sync.tree.active_names import active, is_active


@pytest.mark.parametrize(
    "path",
    [".git/config", ".GIT/HEAD", "data/.git", "a/.ssh/authorized_keys", ".bashrc", "home/.Bashrc", ".config/fish/x",
     ".vscode/tasks.json", ".envrc", "x/.husky/pre-commit", ".netrc"],
)  # fmt: skip
def test_active(path):
    assert is_active(path)


@pytest.mark.parametrize(
    "path",
    ["git/config", "a.git", "config", ".gitignore", ".github/x", "bashrc", "my.bashrc", "a/HEAD", ".env"],
)
def test_not_active(path):
    assert not is_active(path)
    assert active([path], [path]) == set()


@pytest.mark.parametrize("folder", ["", "candles/", "a/b/"])
def test_a_folder_that_git_takes_for_a_repository(folder):
    names = [f"{folder}{name}" for name in ("HEAD", "config", "objects/info/x", "refs/heads/x", "a.csv")]
    assert active(names, names) == {f"{folder}HEAD"}
    for missing in names[2:4]:
        assert active(names, [name for name in names if name != missing]) == set()
    assert active([f"{folder}a.csv"], names) == set()
