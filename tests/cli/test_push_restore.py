"""`push` and `restore` as a person or a script runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import command_line
import pytest
import warm
from sampled import slow

REPORT = {"uploaded", "skipped", "deleted", "failed", "bytes_sent", "requests", "sequence"}
BACK = {"downloaded", "skipped", "failed", "bytes_received", "requests"}


class Machine:
    """A machine with a delivered refresh token, and the command line."""

    def __init__(self, dropbox, folder):
        self.dropbox, self.folder, self.src, self.dst = dropbox, folder, folder / "src", folder / "dst"
        self.src.mkdir()
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(dropbox.token()["refresh_token"])
        token.chmod(0o400)
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("HURACAN", "DROPBOX"))}
        self.env = plain | dropbox.env(folder / "home")
        self.env |= {"HURACAN_REFRESH_TOKEN_FILE": str(token), "HURACAN_APP_KEY": dropbox.app_key}

    def write(self, **files):
        for name, data in files.items():
            (self.src / name).write_bytes(data)

    def start(self, *words, **env):
        command = [sys.executable, "-m", "huracan_sync", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return warm.Popen(command, env=self.env | env, start_new_session=True, **pipes)

    def run(self, *words, **env):
        return command_line.run(words, env=self.env | env)


@pytest.fixture
def machine(dropbox, tmp_path):
    return Machine(dropbox, tmp_path)


def test_there_and_back_with_json(machine):
    machine.write(a=b"1", b=b"2" * 5000, c=b"3")
    code, out, _err = machine.run("push", machine.src, "/Engine/data", "--json")
    report = json.loads(out)
    assert (code, report["uploaded"], report["failed"], report["bytes_sent"]) == (0, 3, [], 5002)
    assert set(report) >= REPORT
    code, out, _ = machine.run("push", machine.src, "/Engine/data", "--json")
    assert (code, json.loads(out)["requests"], json.loads(out)["skipped"]) == (0, 1, 3)
    code, out, _ = machine.run("restore", "/Engine/data", machine.dst, "--json")
    report = json.loads(out)
    assert (code, report["downloaded"]) == (0, 3)
    assert set(report) >= BACK
    assert (machine.dst / "b").read_bytes() == b"2" * 5000


def test_words_for_people(machine):
    machine.write(a=b"1")
    code, out, _ = machine.run("push", machine.src, "/Engine/data")
    assert code == 0
    assert out.startswith("1 uploaded, 0 already there, 0 deleted, 0 failed; 1 B sent in ")
    code, out, _ = machine.run("status")
    assert code == 0
    assert "/Engine/data" in out
    assert "ago" in out


def test_a_dry_run_prints_the_plan_and_does_nothing(machine):
    machine.write(a=b"1", b=b"22")
    code, out, _ = machine.run("push", machine.src, "/Engine/data", "--dry-run")
    assert (code, out) == (0, "copy      a  1 B\ncopy      b  2 B\n2 to copy (3 B); about 2 requests\n")
    assert "files/upload" not in machine.dropbox.log()["requests"]
    code, out, _ = machine.run("push", machine.src, "/Engine/data", "--dry-run", "--json")
    assert [each["path"] for each in json.loads(out)["copies"]] == ["a", "b"]


def test_a_dry_run_is_stopped_by_the_guard_that_would_stop_the_real_one(machine):
    machine.write(a=b"1", b=b"2")
    machine.run("push", machine.src, "/Engine/data")
    for name in "ab":
        (machine.src / name).unlink()
    words = ("push", machine.src, "/Engine/data", "--delete")
    dry, real = machine.run(*words, "--dry-run"), machine.run(*words)
    assert dry == real
    assert "is empty now" in dry[2]
    code, out, _ = machine.run(*words, "--dry-run", "--force")
    assert (code, out.split()[:4]) == (0, ["delete", "a", "delete", "b"])


def test_failures_are_listed_and_the_rest_is_done(machine):
    machine.write(a=b"1", A=b"2", good=b"3")
    code, out, _ = machine.run("push", machine.src, "/Engine/data", "--json")
    report = json.loads(out)
    assert (code, report["uploaded"]) == (1, 1)
    assert sorted(f["path"] for f in report["failed"]) == ["A", "a"]
    assert all(f["hint"] and f["error"] and f["message"] for f in report["failed"])
    code, out, _ = machine.run("push", machine.src, "/Engine/data")
    assert code == 1
    assert "hint: rename one of the two" in out


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("words", "env", "code", "error"),
    [
        (("push", "{folder}/nowhere", "/x"), {}, 2, "UsageError"),
        (("push", "{src}", "/a/../b"), {}, 2, "HostilePath"),
        (("push", "{src}", "/a\x01"), {}, 2, "HostilePath"),
        (("push", "{src}", "/x", "--bandwidth-limit", "fast"), {}, 2, "UsageError"),
        (("push", "{src}", "/x", "--profile", "../x"), {}, 2, "UsageError"),
        slow((("push", "{src}", "/x"), {"HURACAN_SYNC_API": "http://127.0.0.1:1"}, 69, "Unreachable")),
        (("push", "{src}", "/x"), {"HURACAN_SYNC_API": "http://example.com"}, 2, "UsageError"),
        (("push", "{src}", "/x"), {"HURACAN_SYNC_API": "http://[::1"}, 2, "UsageError"),
        (("push", "{src}", "/x"), {"HURACAN_SYNC_API": "http://127.0.0.1:99999"}, 2, "UsageError"),
        (("push", "{src}", "/x"), {"HURACAN_REFRESH_TOKEN_FILE": ""}, 77, "NoCredentials"),
        (("push", "{src}", "/x"), {"HURACAN_REFRESH_TOKEN_FILE": "/nowhere"}, 78, "SecretMissing"),
    ],
)
def test_exit_codes(machine, words, env, code, error):
    words = [word.format(folder=machine.folder, src=machine.src) for word in words]
    got, out, err = machine.run(*words, "--json", **env)
    document = json.loads(out)
    assert (got, document["error"]) == (code, error)
    assert document["hint"]
    assert [line for line in err.splitlines() if line.startswith("error: ")]


def test_usage_that_argparse_finds(machine):
    assert machine.run("push")[0] == 2
    assert machine.run("fly")[0] == 2
    assert machine.run()[0] == 2


def test_every_verb_explains_itself():
    from huracan_sync.cli import VERBS

    for verb in VERBS:
        code, out, _ = command_line.run([verb, "--help"], env=os.environ)
        assert (code, out.startswith(f"usage: huracan-sync {verb}")) == (0, True)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_clean_and_it_carries_on(machine, sent):
    machine.write(**{f"f{n}": os.urandom(400_000) for n in range(12)})
    machine.dropbox.config(bandwidth_mbit=20)
    process = machine.start("push", machine.src, "/Engine/data", "--json")
    while machine.dropbox.log()["uploaded_bytes"] < 1_500_000:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(sent)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)["error"]) == (130, "Interrupted")
    assert "carries on" in err
    assert "Traceback" not in err
    machine.dropbox.config(bandwidth_mbit=0)
    code, out, _ = machine.run("push", machine.src, "/Engine/data", "--json")
    assert (code, json.loads(out)["failed"]) == (0, [])
    assert json.loads(out)["bytes_sent"] < 4_000_000


@pytest.mark.slow  # five seconds have to pass
def test_progress_is_a_line_a_second_where_nobody_watches(machine):
    machine.write(**{f"f{n}": os.urandom(400_000) for n in range(8)})
    machine.dropbox.config(bandwidth_mbit=10)
    code, _out, err = machine.run("push", machine.src, "/Engine/data", "--json")
    lines = [line for line in err.splitlines() if " of 8 files, " in line]
    assert code == 0
    assert 2 <= len(lines) <= 6
    assert "/s" in lines[0]
    assert lines[-1] == "push: 8 of 8 files, 3.1 MiB of 3.1 MiB"
    code, _out, err = machine.run("restore", "/Engine/data", machine.dst, "--json")  # as a zip: in one answer
    lines = [line for line in err.splitlines() if " of 8 files, " in line]
    assert code == 0
    assert lines[0].startswith("restore: 0 of 8 files, ")
    assert lines[0].endswith(" s left")
    assert not lines[0].startswith("restore: 0 of 8 files, 0 B")
    assert lines[-1] == "restore: 8 of 8 files, 3.1 MiB of 3.1 MiB"


@pytest.mark.every_case
@pytest.mark.parametrize("words", [["restore"], ["push", "x"], ["push", "x", "/y", "--wait", "soon"], ["mispelt"]])
def test_wrong_usage_is_one_document_too(machine, words):
    code, out, err = machine.run(*words, "--json")
    assert (code, json.loads(out)["error"]) == (2, "UsageError")
    assert "usage:" in err
    assert machine.run(*words)[:2] == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize("nowhere", ["2>&-", "2>/dev/full"])
def test_whoever_does_not_listen_ends_nothing(machine, nowhere):
    """The disk of a log may be full; that is no reason not to restore."""
    machine.write(x=b"1")
    machine.dropbox.faults({"route": "files/list_folder", "nth": 1, "fault": "rate_limited", "retry_after": 0})
    command = ["sh", "-c", f'exec "$@" {nowhere}', "-", sys.executable, "-m", "huracan_sync"]
    words = ["push", str(machine.src), "/Engine/data", "--json"]
    done = subprocess.run([*command, *words], env=machine.env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["uploaded"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_a_full_disk_under_the_answer_is_no_bug_of_ours(machine, json_):
    machine.write(x=b"1")
    words = [sys.executable, "-m", "huracan_sync", "push", str(machine.src), "/Engine/data", *json_]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, env=machine.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "the answer cannot be written to stdout: No space left on device" in done.stderr
    assert "was done" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(machine.run("push", machine.src, "/Engine/data", "--json")[1])["uploaded"] == 0


@pytest.mark.parametrize(
    ("before", "words", "said"),
    [
        (":", "cat /Engine/data/x >&-", "the output is closed"),
        ("mkdir here && cd here && rmdir ../here", "push src /Engine/data", "the folder this was started in"),
    ],
)
def test_a_place_that_is_gone_is_said(machine, before, words, said):
    machine.write(x=b"1")
    machine.run("push", machine.src, "/Engine/data")
    command = f'{before} && exec "{sys.executable}" -m huracan_sync {words}'
    done = subprocess.run(
        ["sh", "-c", command], env=machine.env, cwd=machine.src.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_restoring_a_file_names_it_and_says_what_helps(machine):
    machine.write(x=b"1")
    machine.run("push", machine.src, "/Engine/data")
    code, _, err = machine.run("restore", "/Engine/data/x", machine.src.parent / "elsewhere")
    assert code == 2
    assert "/Engine/data/x is a file in Dropbox, not a folder" in err
    assert "hint: name the folder that holds it" in err


@pytest.mark.slow
def test_a_bandwidth_limit_is_kept(machine):
    machine.write(x=os.urandom(600_000))
    began = time.monotonic()
    code, _, _ = machine.run("push", machine.src, "/Engine/data", "--bandwidth-limit", "300k")
    assert code == 0
    assert time.monotonic() - began > 1.5


@pytest.mark.slow
def test_waits_are_told(machine):
    machine.write(x=b"1")
    machine.dropbox.faults({"route": "files/list_folder", "nth": 1, "fault": "rate_limited", "retry_after": 0})
    _, _, err = machine.run("push", machine.src, "/Engine/data")
    assert "Dropbox asks to slow down (files/list_folder); trying again in" in err


def test_an_unchanged_push_imports_little(machine):
    """Start-up counts: what it does not need, it does not load."""
    machine.write(x=b"1")
    machine.run("push", machine.src, "/Engine/data")
    code = (
        "import sys, huracan_sync.cli; huracan_sync.cli.main(sys.argv[1:]); "
        "print(sorted({'dropbox', 'requests', 'rich', 'keyring', 'pyarrow', 'structlog', 'starlette',"
        " 'cryptography.x509', 'tomllib', 'asyncio', 'watchfiles'} & set(sys.modules)), file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "push", str(machine.src), "/Engine/data", "--json"]
    done = subprocess.run(words, env=machine.env, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_restoring_what_is_not_there_is_no_success(machine):
    code, out, err = machine.run("restore", "/Engine/mispelt", machine.dst)
    assert (code, out) == (1, "")
    assert "there is no folder /Engine/mispelt in Dropbox" in err
    assert not machine.dst.exists()
    assert machine.run("restore", "/Engine/mispelt", machine.dst, "--dry-run")[0] == 1


def test_an_empty_folder_is_restored(machine):
    machine.run("push", machine.src, "/Engine/other")
    machine.write(a=b"1")
    machine.run("push", machine.src, "/Engine/data")
    (machine.src / "a").unlink()
    machine.run("push", machine.src, "/Engine/data", "--delete", "--force")
    assert machine.run("restore", "/Engine/data", machine.dst)[0] == 0
