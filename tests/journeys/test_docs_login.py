"""The guide to logging in does what it says: its commands run as they stand, its errors and exit codes are so."""

import inspect
import os
import re
import sys
from pathlib import Path

import pytest
from terminal import CLICKS_ALLOW, Bare

import huracan_sync
from huracan_sync import errors
from huracan_sync.cli.runner import exit_code

HOUSE = Path(huracan_sync.__file__).parent
GUIDE = (HOUSE / "docs" / "login.md").read_text(encoding="utf-8")
SECTIONS = {title: text for title, _, text in (part.partition("\n") for part in GUIDE.split("\n## ")[1:])}
YES = ("[y/N]", "y")


def commands(title):
    """The lines of a section that a person types."""
    for block in re.findall(r"```console\n(.*?)```", SECTIONS[title], re.DOTALL):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


class Reader(Bare):
    """Somebody with a new machine who follows the guide."""

    def __init__(self, dropbox, folder):
        super().__init__(dropbox, folder)
        self.folder = folder
        self.secret = folder / "secret store"
        bin_ = folder / "bin"
        bin_.mkdir()
        ours = f'"{sys.executable}" -m huracan_sync'
        door = bin_ / "huracan-sync"  # with a port of this test's own: others may log in on this machine meanwhile
        door.write_text(f'#!/bin/sh\nverb=$1; shift\n[ "$verb" != authorize ] || set -- --port {self.port} "$@"\n'
                        f'exec {ours} "$verb" "$@"\n')  # fmt: skip
        door.chmod(0o755)
        self.env |= {"PATH": f"{bin_}{os.pathsep}{self.env['PATH']}", "BROWSER": CLICKS_ALLOW}

    def command(self, *words):
        return list(words)

    def follow(self, lines, answers):
        """Type the lines in one shell; exit code and screen."""
        said = {
            "YOUR_APP_KEY": self.dropbox.app_key,
            "HAMILTONS_APP_KEY": self.dropbox.read_only_app_key,
            "ACCOUNT_ID": self.dropbox.account_id,
            "SECRET_STORE": f"'{self.secret}' && chmod 400 '{self.secret}'",
            "/run/secrets/huracan-refresh-token": f"'{self.secret}'",
        }
        script = "\n".join(["set -e", "umask 077", f"cd '{self.folder}'", *lines])
        for word, value in said.items():
            script = script.replace(word, value)
        return self.at_terminal("bash", "-c", script, answers=answers)


@pytest.fixture
def reader(dropbox, tmp_path):
    return Reader(dropbox, tmp_path)


def test_on_a_machine_with_a_browser(reader, tmp_path):
    reader.with_vault_key(tmp_path)  # a keyring's place is taken by a vault
    code, screen = reader.follow(commands("2. On a machine with a browser"), [YES])
    assert code == 0, screen
    assert "logged in: profile engine" in screen
    assert "ok   login" in screen


@pytest.mark.slow
def test_on_a_machine_without_one(reader, tmp_path):
    reader.with_vault_key(tmp_path)
    del reader.env["BROWSER"]
    first, scripted = commands("3. On a machine without one")
    code, screen = reader.follow([first], [("Paste the code", reader.code_for), YES])
    assert code == 0, screen
    reader.env["BROWSER"] = CLICKS_ALLOW
    code, screen = reader.follow([scripted], [])
    assert (code, '"kept_in":"vault"' in screen) == (0, True), screen


@pytest.mark.slow
def test_in_a_container(reader):
    lines = list(commands("4. In a container"))
    code, screen = reader.follow(lines, [YES, ("Paste the code", reader.code_for), YES])
    assert code == 0, screen
    assert "it is kept in memory only" in " ".join(screen.split())
    assert "kept in the vault" in screen
    assert "and goes before this login" in " ".join(screen.split()), "wherever the lines are broken"
    assert reader.secret.read_text().strip() not in screen


@pytest.mark.slow
def test_hamilton(reader, tmp_path):
    reader.with_vault_key(tmp_path)
    engine = Bare(reader.dropbox, tmp_path / "engine")
    (tmp_path / "engine").mkdir()
    engine.with_vault_key(tmp_path / "engine")
    account = reader.dropbox.account_id
    engine.run("authorize", "--app-key", reader.dropbox.app_key, "--expect-account", account, BROWSER=CLICKS_ALLOW)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x").write_bytes(b"x")
    assert engine.run("push", tmp_path / "src", "/Runpodhuracan/data")[0] == 0
    reader.dropbox.control("apps", {"app_key": reader.dropbox.read_only_app_key,
                                    "redirect_uris": [f"http://127.0.0.1:{reader.port}/"]})  # fmt: skip
    code, screen = reader.follow(commands("5. Hamilton: a login that cannot write"), [YES])
    assert code == 0, screen
    assert "/Runpodhuracan is visible" in screen


@pytest.mark.slow
def test_other_tools_and_out(reader, tmp_path):
    reader.with_vault_key(tmp_path)
    log_in, _ = commands("2. On a machine with a browser")
    (lend,) = commands("6. Other tools")
    (out,) = commands("Log out, log in again, lose a machine")
    code, screen = reader.follow(
        [log_in, lend, 'test "${DROPBOX_ACCESS_TOKEN#sl.}" != "$DROPBOX_ACCESS_TOKEN"', out], [YES]
    )
    assert code == 0, screen
    assert "revoked at Dropbox and forgotten here" in screen


def test_every_command_is_tried():
    tried = sum(len(list(commands(title))) for title in SECTIONS)
    assert tried == len(re.findall(r"^\$ ", GUIDE, re.MULTILINE)) == 15


def rows():
    for line in SECTIONS["When something goes wrong"].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`([A-Z][A-Za-z_]+)`", cells[0]) if len(cells) == 4 else []:
            yield name, cells[1]


def codes(kind):
    return vars(kind).get("codes", ())


@pytest.mark.parametrize(("name", "code"), list(rows()))
def test_errors_exist_and_end_so(name, code):
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if name in {kind.__name__, *codes(kind)}]
    assert [str(exit_code(kind("it", code=name))) for kind in kinds] == [code]


def test_every_way_to_have_no_login_is_in_the_table():
    """Whoever meets an error of a login finds it there."""
    told = {name for name, _ in rows()}
    ours = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)
            if issubclass(kind, errors.NotAuthorized | errors.VaultRefused)]  # fmt: skip
    assert {name for kind in ours for name in (kind.__name__, *codes(kind))} - told == {"NotAuthorized", "VaultRefused"}


def test_options_variables_and_files_exist():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in HOUSE.rglob("*.py"))
    for option in set(re.findall(r"`(--[a-z-]+)", GUIDE)):
        assert f'"{option}"' in sources, option
    for variable in set(re.findall(r"HURACAN_[A-Z_]+", GUIDE)):
        assert variable in sources, variable
    for file in ("vault.1", "stored.json", "huracan-refresh-token", "huracan-vault-key"):
        assert f'"{file}"' in sources, file
