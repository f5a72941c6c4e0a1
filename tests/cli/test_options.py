"""Options that every verb has, wherever they stand; suggestions; help, completion, man page; streams that fail."""

import json
import os
import shutil
import subprocess
import sys

import command_line
import pytest
from sampled import slow

from huracan_sync import cli
from huracan_sync.cli import output
from huracan_sync.cli.man_page import man_page
from huracan_sync.cli.parser import verb_in


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("push a b", "push"),
        ("--profile push restore a b", "restore"),
        ("--profile=x -v --json restore", "restore"),
        ("--log-file push --config c -q status", "status"),
        ("--json", ""),
        ("", ""),
    ],
)
def test_the_verb_is_found_behind_options(words, verb):
    assert verb_in(words.split()) == verb


@pytest.mark.parametrize(
    "words",
    [
        "--profile p --json -vv -q --log-file l --config c push A B -n",
        "push A B -n --profile p --json -vv -q --log-file l --config c",
        "--profile p -vv push --dry-run A --json B --quiet --log-file=l --config=c",
    ],
)
def test_global_options_stand_before_or_after_the_verb(words):
    options = cli.parser_of("push").parse_args(words.split())
    assert (options.profile, options.json, options.verbose, options.quiet) == ("p", True, 2, True)
    assert (options.log_file, options.config, options.dry_run) == ("l", "c", True)
    assert (options.local, options.remote) == ("A", "B")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_takes_the_global_options_behind_it(verb):
    (verbs,) = cli.parser_of(verb)._verbs()
    assert {"--profile", "--config", "--json", "-v", "-q", "--log-file"} <= set(verbs[verb].spellings())


def test_the_later_one_wins_and_nothing_given_is_nothing():
    parse = cli.parser_of("keys").parse_args
    assert parse(["--profile", "a", "keys", "--profile", "b", "show", "--profile", "c"]).profile == "c"
    assert parse(["--profile", "a", "keys", "show"]).profile == "a"
    options = parse(["keys", "show"])
    assert (options.profile, options.json, options.verbose, options.quiet, options.config) == (
        None,
        False,
        0,
        False,
        None,
    )


def test_old_spellings_work_and_are_not_listed():
    keys, doctor = cli.parser_of("keys"), cli.parser_of("doctor")
    assert keys.parse_args(["keys", "trust", "--anew"]).reset
    assert keys.parse_args(["keys", "trust", "--reset"]).reset
    assert doctor.parse_args(["doctor", "--exercise"]).self_test
    assert doctor.parse_args(["doctor", "--debug"]).verbose == 3
    listed = man_page(cli.parser_of())
    assert not [word for word in ("anew", "exercise", "debug") if f"\\-\\-{word}" in listed]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pus a b", "there is no huracan-sync pus; did you mean push?"),
        ("restoer a b", "there is no huracan-sync restoer; did you mean restore?"),
        ("keys shwo", "there is no huracan-sync keys shwo; did you mean show?"),
        ("frobnicate", "there is no huracan-sync frobnicate; huracan-sync --help lists them all"),
        ("push a b --dryrun", "did you mean --dry-run?"),
        ("push a b --jsn", "did you mean --json?"),
        ("completion fsh", "SHELL is one of bash, zsh, fish, not 'fsh'; did you mean fish?"),
        ("push a b --wait soon", "--wait 'soon' is no number"),
        ("verify a --limit 1.5", "--limit '1.5' is no whole number"),
    ],
)
def test_misspelled_words_are_usage_errors_with_a_suggestion(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("word", ["", " ", "\n"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_empty_word_too_many_is_a_usage_error(word, more, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["ls", "/", word, *more])
    assert end.value.code == 2
    assert "ls: error: an argument too many is empty" in capsys.readouterr().err.replace("huracan-sync: ", "ls: ")


def test_what_a_terminal_acts_on_is_spelled_out_of_words_too(capsys):
    """A shell makes words of names of files: `huracan-sync follow *`."""
    with pytest.raises(SystemExit):
        cli.main(["follow", "a\x1b]0;owned\x07", "--b\x1b[31m\u202e"])
    said = capsys.readouterr().err
    assert not set(said) & set("\x1b\x07\u202e")
    assert r"a\x1b]0;owned\x07" in said


def test_misspelled_words_for_machines(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--json", "pus"])
    document = json.loads(capsys.readouterr().out)
    assert document["error"] == "UsageError"
    assert "did you mean push?" in document["message"]


@pytest.mark.parametrize("topic", [["push"], ["keys"], ["keys", "trust"]])
def test_help_of_a_verb_is_its_help(topic, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HURACAN_SYNC_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        cli.main(["help", *topic])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: huracan-sync {' '.join(topic)}")


def test_a_wrong_value_leads_to_the_help_of_its_verb(plain_machine):
    assert plain_machine.run("run", "--http", "99999") == (
        2, "", "error: --http 99999 is no port\n  hint: see `huracan-sync help run`\n",
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["", *cli.VERBS])
def test_help_fits_a_terminal(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = cli.parser_of(verb)
    (verbs,) = parser._verbs()
    assert [line for line in (verbs[verb] if verb else parser).format_help().splitlines() if len(line) > 80] == []


def test_the_commands_on_the_man_page_can_be_copied():
    """Line by line, with the quotes of a shell: not filled like a paragraph, not set as typographers do."""
    page = man_page(cli.parser_of())
    commands = page[page.index(".nf\n  curl \\-s URL/emulator/faults") :].partition(".fi")[0]
    plain = commands.replace("\\(aq", "'").replace("\\e", "\\").replace("\\-", "-")
    assert plain.splitlines()[1:3] == [
        "  curl -s URL/emulator/faults \\",
        """    -d '{"route": "files/upload", "nth": 2, "fault": "reset", "when": "after"}'""",
    ]
    assert page.count(".nf\n") == page.count(".fi\n")
    assert "'" not in page.replace("\\(aq", "")
    assert "\n.PP\nGet a token as a test would" in page  # a paragraph of its own


def test_the_man_page_names_every_verb_and_every_option():
    page = man_page(cli.parser_of())
    for verb in cli.VERBS:
        assert f".SH {verb.upper()}\n" in page
    for option in cli.parser_of().spellings():
        assert option.replace("-", "\\-") in page
    if shutil.which("man"):
        command = ["man", "--warnings=w", "-l", "-"]
        done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
        assert "huracan-sync" in done.stdout
        assert not done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_the_shell_reads(shell):
    import shtab

    script = shtab.complete(cli.parser_of(), shell=shell)
    assert "restore" in script
    assert "dry-run" in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


# --- streams ------------------------------------------------------------------------------------------------------


def status(tmp_path, shell_tail):
    """`status`, with its streams as the shell's words after it say."""
    command = f'"{sys.executable}" -m huracan_sync status {shell_tail}'
    plain = {k: v for k, v in os.environ.items() if not k.startswith("HURACAN")}
    return subprocess.run(
        ["bash", "-c", command],
        env=plain | {"HURACAN_SYNC_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tail", "codes"),
    [
        slow((">&-", {0})),
        slow(("2>&-", {0})),
        (">&- 2>&-", {0}),
        (">/dev/full", {1}),
        slow(("2>/dev/full", {0})),
        slow(("| true", {0})),
        slow((">&- --json", {0})),
    ],
)
def test_streams_that_fail_are_no_traceback(tmp_path, tail, codes):
    done = status(tmp_path, tail)
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    assert done.returncode in codes


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_without_streams_the_work_is_done(logged_in, closed):
    logged_in.write({"m/a": b"a"})
    command = f'"{sys.executable}" -m huracan_sync push m /R {closed}'
    done = subprocess.run(["bash", "-c", command], env=logged_in.env, cwd=logged_in.work, check=False)
    assert (done.returncode, logged_in.stranger.read("/R/a")) == (0, b"a")


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    (tmp_path / "code").write_text(
        "import os, sys\n"
        "from huracan_sync.cli.output import make_streams_safe\n"
        "make_streams_safe()\n"
        "nowhere = [os.path.samestat(os.fstat(n), os.stat(os.devnull)) for n in range(3)]\n"
        "open('told', 'w').write(repr([*nowhere, sys.stdin.read()]))\n"
    )
    subprocess.run(["bash", "-c", f'"{sys.executable}" code <&- >&- 2>&-'], cwd=tmp_path, check=True)
    assert (tmp_path / "told").read_text() == "[True, True, True, '']"


def test_text_that_the_stream_cannot_show_is_escaped(tmp_path, capsys):
    shown = output.Output(as_json=False)
    output.make_streams_safe()
    document = {"path": "m\udce9 / é"}
    output.Output(as_json=True).document(document, [])
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, **document}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "from huracan_sync.cli.output import Output, make_streams_safe as safe\n"
                "safe(); Output(as_json=False).document({}, ['m\\udce9 \\u00e9'])"
            ),
        ],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "m\\udce9 \\xe9\n"
    assert shown


# --- quiet, log file, configuration file ----------------------------------------------------------------------------


def status_here(tmp_path, *options):
    """Exit code, stdout and stderr of `status`, in this process."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("HURACAN")}
    return command_line.run(["status", *options], env=plain | {"HURACAN_SYNC_HOME": str(tmp_path)})


def test_quiet_is_silent_on_success_and_not_on_failure(tmp_path):
    assert status_here(tmp_path, "-q")[1] == ""
    assert status_here(tmp_path)[1] != ""
    code, _, err = status_here(tmp_path, "-q", "--every", "0", "--watch")
    assert code == 2
    assert err.startswith("error: ")


def test_the_log_file_has_what_stderr_has(tmp_path):
    log = tmp_path / "log.txt"
    _, _, err = status_here(tmp_path, "--log-file", str(log), "--every", "0", "--watch")
    first = log.read_text().splitlines()[0]
    assert first[21:] == err.splitlines()[0]
    assert first[:20].endswith("Z")
    code, _, err = status_here(tmp_path, "--log-file", str(tmp_path / "none" / "log.txt"))
    assert code == 1
    assert "--log-file" in err


def test_the_configuration_file_names_the_profile_for_every_verb(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('profile = "hamilton"\napp_folder = "Engine"\n')
    plain = {k: v for k, v in os.environ.items() if not k.startswith("HURACAN")} | {"HURACAN_SYNC_HOME": str(tmp_path)}

    def profile(*words, **env):
        return json.loads(command_line.run([*words, "--json"], env=plain | env)[1]).get("profile")

    assert profile("logout", "--config", str(file)) == "hamilton"
    assert profile("logout", HURACAN_CONFIG=str(file)) == "hamilton"
    assert profile("logout", HURACAN_PROFILE="hamilton") == "hamilton"
    assert profile("logout", "--config", str(file), "--profile", "engine") == "engine"
    file.write_text("profil = 1\n")
    code, _, err = command_line.run(["logout", "--config", str(file)], env=plain)
    assert code == 78
    assert "profil" in err
    assert str(file) in err
