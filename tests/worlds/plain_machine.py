"""A machine with a delivered refresh token and nothing else; the command line runs in this process."""

import json
import os

from huracan_sync import cli
from huracan_sync.cli import documents


class PlainMachine:
    """Its folders, and what commands print there."""

    def __init__(self, dropbox, folder, capsys, monkeypatch):
        self.dropbox, self.home, self.src = dropbox, folder / "home", folder / "src"
        self.src.mkdir()
        self._capsys = capsys
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(dropbox.token()["refresh_token"])
        token.chmod(0o400)
        for name in [name for name in os.environ if name.startswith(("HURACAN", "DROPBOX"))]:
            monkeypatch.delenv(name)
        env = dropbox.env(self.home) | {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.app_key}
        env |= {"HURACAN_APP_FOLDER": "Engine"}
        for name, value in env.items():
            if name.startswith("HURACAN"):
                monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)

    def write(self, *names, data=b"data of "):
        for name in names:
            (self.src / name).parent.mkdir(parents=True, exist_ok=True)
            (self.src / name).write_bytes(data + name.encode())

    def run(self, *words):
        self._capsys.readouterr()
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def answer(self, *words):
        """The exit code, and the JSON document."""
        code, out, err = self.run(*words, "--json")
        assert out, err
        documents.of_verb(words[0], out)
        return code, json.loads(out)

    def remote(self, folder="/Engine"):
        _, document = self.answer("ls", folder, "-R")
        return {entry["path"] for entry in document["entries"] if entry["type"] == "file"}
