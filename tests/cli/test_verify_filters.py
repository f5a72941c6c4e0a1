"""`verify` with filters: what nobody has signed may be ignored; what was signed only when a person says so."""


def test_an_ignore_file_hides_extras_and_nothing_that_was_signed(commands, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    commands.run("keys", "init")
    assert commands.run("push", folder, "/Runpodhuracan/notes")["sequence"] == 1
    (folder / "scratch.tmp").write_text("x")
    assert commands.run("verify", folder, "--local", code=65)["differences"][0]["what"] == "extra"
    assert commands.run("verify", folder, "--local", "--exclude", "*.tmp")["ok"]
    (folder / ".huracanignore").write_text("*.tmp\n.huracanignore\nb.txt\n")
    assert commands.run("verify", folder, "--local")["ok"]
    (folder / "b.txt").write_text("forged")
    differences = commands.run("verify", folder, "--local", code=65)["differences"]
    assert [(each["path"], each["what"]) for each in differences] == [("b.txt", "changed")]
    assert commands.run("verify", folder, "--local", "--exclude", "b.txt")["ok"]
