"""Names that programs act on by themselves: a shell, an editor, `git`. Pure.

Somebody who may write to a Dropbox folder must not be able to run commands on the machines that restore it, so files
under these names are restored only when they are signed, or asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from huracan_sync.tree.paths import ancestors, fold, folders_of


def _dotted(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


FOLDERS = _dotted(
    "aws azure bundle bzr cargo config devcontainer direnv docker emacs.d fish git gnupg gradle hg hooks husky idea "
    "ipython jj jupyter kube local mise mozilla mvn nvim ssh svn vim vscode yarn zsh"
)
FILES = _dotted(
    "bash_aliases bash_login bash_logout bash_profile bashrc condarc cshrc curlrc emacs envrc exrc forward gdbinit "
    "git gitattributes gitconfig gitmodules hgrc inputrc irbrc k5login kshrc lldbinit login logout mise.toml my.cnf "
    "netrc npmrc nvimrc pam_environment pdbrc pgpass profile psqlrc pydistutils.cfg pylintrc pypirc pythonrc "
    "pythonrc.py rhosts rprofile rvmrc screenrc shosts sqliterc tcshrc tmux.conf viminfo vimrc wgetrc xinitrc "
    "xprofile xsession yarnrc yarnrc.yml zlogin zlogout zprofile zshenv zshrc"
)
_BARE_REPOSITORY = ("objects", "refs")
"""What `git` asks of a folder beside a file `HEAD`, to take it for a repository and obey the `config` in it."""


def is_active(path: str) -> bool:
    """Whether a program acts on a file of this name, or on one in a folder of this name."""
    *folders, name = fold(path).split("/")
    return name in FILES or name in FOLDERS or not FOLDERS.isdisjoint(folders)


def active(paths: Iterable[str], all_paths: Collection[str]) -> set[str]:
    """Those of the paths that a program acts on.

    Args:
        paths: what is to be judged.
        all_paths: everything that lies there, which makes a repository of a folder with a harmless name.
    """
    folders = folders_of(map(fold, all_paths))
    return {path for path in paths if is_active(path) or _makes_a_repository(fold(path), folders)}


def _makes_a_repository(key: str, folders: set[str]) -> bool:
    if key.rpartition("/")[2] != "head":
        return False
    above = next(ancestors(key), "")
    return all((f"{above}/{name}" if above else name) in folders for name in _BARE_REPOSITORY)
