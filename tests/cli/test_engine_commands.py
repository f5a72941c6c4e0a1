"""`run`, `migrate`, `status` and `doctor --self-test` as a person, a script or a supervisor runs them."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import sqlite3
import sys
import threading
import time
import urllib.request
from contextlib import closing

import pytest
import warm
from engine_world import noise, write_candle
from sampled import slow

from huracan_sync.cli import run as continuous

APP = "/Runpodhuracan"
SPOT = "BTC-USDT_1d_20221112_20251111.parquet"
KINDS = ["learning", "logs", "models", "data_cache", "monitoring", "reports", "exports", "config"]
ALONE = [word for kind in KINDS if kind != "models" for word in ("--set", f"sync_{kind}=no")]


def until(true, within=120.0):
    began = time.monotonic()
    while not (found := true()):
        assert time.monotonic() - began < within, "it never was"
        time.sleep(0.05)
    return found


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# --- run --once ---------------------------------------------------------------------------------------------------


def test_once_restores_pushes_and_says_what_it_did(machine):
    candle = write_candle(machine.work / "x.parquet")
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", candle)
    machine.write({"logs/a.log": b"a", "models/m.bin": 3000})
    code, out, err = machine.command("run", "--once")
    assert code == 0, err
    assert (machine.work / "data/candles/BTC" / SPOT).read_bytes() == candle
    assert re.search(r"^models +1 +1 +2\.9 KiB", out, re.MULTILINE)
    assert "1 restored, 0 waiting in the outbox" in out
    assert re.search(r"Z info    file_uploaded local_path=models/m\.bin remote_path=\S+ size_bytes=3000", err)
    code, out, _ = machine.command("run", "--once", "--json")
    report = json.loads(out)
    assert (code, report["uploaded"], report["bytes_sent"], report["restored"]) == (0, 0, 0, 0)
    assert list(report["kinds"]) == KINDS
    assert report["requests"] <= 5  # one for each folder, and candles back


def test_restoring_a_set_and_running_once_uploads_nothing(machine):
    for base in ("BTC", "ETH", "SOL"):
        data = write_candle(machine.work / "x" / f"{base}.parquet", seed=base)
        machine.stranger.write(f"{APP}/data/candles/{base}USDT/{base}-USDT_1d_20221112_20251111.parquet", data)
    assert machine.command("restore", f"{APP}/data/candles", machine.work / "elsewhere")[0] == 0
    code, out, _ = machine.command("run", "--once", "--json")
    report = json.loads(out)
    assert (code, report["restored"], report["uploaded"], report["bytes_sent"]) == (0, 3, 0, 0)


def test_once_lists_what_failed_and_does_the_rest(machine):
    machine.write({"config/c.yaml": "token: sl.u." + "A" * 80, "models/m.bin": b"m"})
    code, out, err = machine.command("run", "--once", "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["kinds"]["config"]["refused"], report["kinds"]["models"]["sent"]) == (1, 1)
    assert "config_contains_secret" in err
    assert "AAAA" not in out + err


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("words", "env", "code", "error"),
    [
        slow(((), {"HURACAN_SYNC_API": "http://127.0.0.1:1"}, 69, None)),
        ((), {"HURACAN_REFRESH_TOKEN_FILE": ""}, 77, "NoCredentials"),
        (("--config", "nowhere.toml"), {}, 78, "ConfigError"),
        (("--set", "sync_interval_log_seconds=5"), {}, 78, "UNKNOWN_SETTING"),
        (("--set", "sync_logs=perhaps"), {}, 78, "ConfigError"),
        (("--set", "access_token=x"), {}, 2, "UsageError"),
        (("--set", "logs_dir"), {}, 2, "UsageError"),
        (("--http", "80"), {}, 2, "UsageError"),
        (("--preset", "develop"), {}, 78, "ConfigError"),
        ((), {"DROPBOX__SYNC_LOG": "1"}, 78, "UNKNOWN_SETTING"),
        ((), {"DROPBOX__ENABLED": "false"}, 78, "ConfigError"),
        ((), {"DROPBOX_ACCESS_TOKEN": "not a token"}, 78, "ConfigError"),
    ],
)
def test_exit_codes(machine, words, env, code, error):
    machine.write({"models/m.bin": b"m"})
    got, out, err = machine.command("run", "--once", "--json", *words, **env)
    document = json.loads(out)
    assert got == code, err
    if error:
        assert (document.get("code", document["error"]), bool(document["hint"])) == (error, True)
        assert err.rstrip().splitlines()[-2].startswith("error: ")
    assert machine.stranger.paths() == []


def test_arguments_win_over_the_environment_that_over_the_file(machine):
    machine.write({"models/m.bin": b"m", "c.toml": 'app_folder = "File"\nmodels_dir = "nowhere"\n'})
    env = {"DROPBOX__APP_FOLDER": "Environment", "DROPBOX__MODELS_DIR": "nowhere either"}
    assert machine.command("run", "--once", "--config", "c.toml", "--set", "models_dir=models", **env)[0] == 0
    (path,) = machine.stranger.paths()
    assert re.fullmatch(r"/Environment/\d{4}-\d\d-\d\d/models/m\.bin", path)


def test_a_token_in_the_file_is_refused_and_not_shown(machine):
    token = "sl.u." + "A" * 600
    machine.write({"c.toml": f'access_token = "{token}"\n'})
    code, out, err = machine.command("run", "--once", "--config", "c.toml")
    assert code == 78
    assert "revoke it" in err
    assert token not in out + err


def test_a_pasted_token_serves_with_a_warning(machine):
    machine.write({"models/m.bin": b"m"})
    env = {"DROPBOX_ACCESS_TOKEN": machine.token(), "HURACAN_REFRESH_TOKEN_FILE": ""}
    code, out, err = machine.command("run", "--once", **env)
    assert code == 0, err
    assert "dropbox_token_pasted" in err
    assert env["DROPBOX_ACCESS_TOKEN"] not in out + err


# --- run ----------------------------------------------------------------------------------------------------------


def test_run_serves_its_page_and_ends_cleanly_on_a_signal(machine):
    machine.write({"models/m.bin": b"m"})
    process = machine.start("run", "--http", "0", "--json")
    left = until(lambda: (machine.home / "run.json").exists() and json.loads((machine.home / "run.json").read_bytes()))
    until(machine.stranger.paths)
    for path, words in (("", "<svg"), ("metrics", "huracan_sync_requests_total"), ("healthz", '"healthy"')):
        with urllib.request.urlopen(left["page"] + path, timeout=60) as answer:  # noqa: S310
            assert words in answer.read().decode()
    code, _, err = machine.command("run")
    assert code == 75
    assert f"process {process.pid} " in err
    code, out, _ = machine.command("status", "--json")
    seen = json.loads(out)["continuous"]
    assert (code, seen["running"], seen["pid"]) == (0, True, process.pid)
    assert [kind["name"] for kind in seen["kinds"]] == KINDS
    code, out, err = end(process)
    document = json.loads(out)
    assert (code, document["ended"], document["running"]) == (0, True, True)
    assert f"the page is at {left['page']}" in err
    assert "Traceback" not in err
    assert "error" not in err
    assert "nothing runs continuously" in machine.command("status")[1]


@pytest.mark.slow
def test_a_signal_in_a_large_upload_finishes_the_part_and_the_next_run_goes_on(machine):
    """Told by bytes: on a slow connection a part may travel in two calls."""
    machine.write({"models/big.bin": noise("big", size := 120 * 1024 * 1024)})
    machine.dropbox.config(latency_ms=300)
    process = machine.start("run", *ALONE)
    until(lambda: machine.requests().get("files/upload_session/append_v2", 0) >= 2)
    code, _, err = end(process)
    assert code == 0, err
    assert "error" not in err
    first = machine.dropbox.log()
    assert first["uploaded_bytes"] < size
    machine.dropbox.config(latency_ms=0)
    machine.clear_log()
    process = machine.start("run", "--once", *ALONE)
    assert process.wait(120) == 0
    process.communicate()
    then = machine.dropbox.log()
    assert first["uploaded_bytes"] + then["uploaded_bytes"] == size, (first["requests"], then["requests"])


@pytest.mark.slow
def test_once_that_is_ended_says_so_and_carries_on(machine):
    machine.write({"models/big.bin": noise("big", 120 * 1024 * 1024), "config/a.toml": "a=1"})
    machine.dropbox.config(latency_ms=300)
    process = machine.start("run", "--once", "--json")
    until(lambda: machine.requests().get("files/upload_session/append_v2", 0) >= 2)
    code, out, err = end(process, signal.SIGINT)
    assert (code, json.loads(out)["error"]) == (130, "Interrupted"), err
    assert machine.stranger.paths() == []
    machine.dropbox.config(latency_ms=0)
    code, out, _ = machine.command("run", "--once", "--json")
    assert (code, json.loads(out)["uploaded"]) == (0, 2)


def test_a_pause_that_the_server_asked_for_does_not_outlast_a_signal(machine):
    machine.write({"models/m.bin": b"m"})
    machine.dropbox.faults({"route": "files/list_folder", "fault": "rate_limited", "retry_after": 600})
    process = machine.start("run", *ALONE)
    until(lambda: machine.requests().get("files/list_folder"))
    began = time.monotonic()
    code, _, err = end(process)
    assert (code, "error" in err) == (0, False), err
    assert time.monotonic() - began < 60  # of 600
    assert machine.count() < 10


def test_a_signal_that_comes_twice_is_one_signal_and_a_later_one_means_now(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    stop = threading.Event()
    with continuous._asked_to_end(stop):
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.wait(5)
        signal.raise_signal(signal.SIGTERM)  # its echo, as `timeout` and terminals send it
        monkeypatch.setattr(continuous, "IMPATIENT_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_with_everything_disabled_is_none(machine):
    off = [word for kind in KINDS for word in ("--set", f"sync_{kind}=no")]
    code, _, err = machine.command("run", *off)
    assert (code, "nothing to run" in err) == (78, True)


def test_an_interval_of_nothing_is_said_once(machine):
    process = machine.start("run", *ALONE, "--set", "sync_interval_models_seconds=0", "--set", "sync_logs=yes")
    until((machine.home / "run.json").exists)
    _, _, err = end(process)
    assert err.count("models is disabled") == 1


# --- status -------------------------------------------------------------------------------------------------------


def test_looking_makes_nothing(machine):
    code, out, _ = machine.command("status")
    assert (code, out.startswith("nothing has run on this machine yet")) == (0, True)
    assert not machine.home.exists()


def test_watching_in_plain_lines_tells_what_changed(machine):
    machine.write({"logs/a.log": "a"})
    assert machine.command("run", "--once")[0] == 0
    process = machine.start("status", "--watch", "--every", "0.1")
    first = [process.stdout.readline() for _ in range(2)]
    assert first[0].endswith("nothing has run continuously on this machine yet; `huracan-sync run` does\n")
    running = machine.start("run", *ALONE)
    assert re.match(r"\d\d:\d\d:\d\d running since ", process.stdout.readline())
    assert "models: " in process.stdout.readline()
    assert end(running)[0] == 0
    while "nothing runs continuously" not in process.stdout.readline():
        pass
    code, _, err = end(process)
    assert (code, "interrupted; it only looked" in err) == (130, True)


@pytest.mark.slow  # seconds pass between two drawings
def test_watching_on_a_terminal_draws_the_table(machine):
    machine.write({"models/m.bin": b"m"})
    running = machine.start("run", *ALONE)
    until(machine.stranger.paths)
    time.sleep(5.5)  # what runs tells every five seconds
    screen, theirs = pty.openpty()
    words = [sys.executable, "-m", "huracan_sync", "status", "--watch", "--every", "0.2"]
    env = machine.env | {"COLUMNS": "160", "LINES": "40", "TERM": "xterm-256color"}
    process = warm.Popen(words, env=env, stdout=theirs, stderr=theirs, stdin=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"Ctrl-C ends" not in seen and select.select([screen], [], [], 10)[0]:
        seen += os.read(screen, 65536)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
        while os.read(screen, 65536):
            pass
    assert process.wait(120) == 130
    os.close(screen)
    assert end(running)[0] == 0
    text = seen.decode()
    assert "running since" in text
    assert "models" in text
    assert "last success" in text


# --- doctor --self-test --------------------------------------------------------------------------------------------


def test_the_doctor_tries_the_whole_way_and_leaves_nothing(machine):
    machine.write({"models/m.bin": b"m"})
    assert machine.command("run", "--once")[0] == 0
    before = machine.stranger.paths(), machine.stranger.entries("folder")
    code, out, err = machine.command("doctor", "--self-test")
    assert code == 0, err
    for words in (
        "self-test: authentication  logged in",
        "self-test: engine",
        "read it back, byte for byte",
        "deleted",
    ):
        assert words in out
    assert (machine.stranger.paths(), machine.stranger.entries("folder")) == before
    code, out, _ = machine.command("doctor", "--self-test", "--json")
    names = [check["name"] for check in json.loads(out)["checks"]]
    assert names[-5:] == [f"self-test: {step}" for step in ("authentication", "engine", "folder", "file", "clean")]


def test_the_doctor_names_what_does_not_work(machine):
    machine.dropbox.faults({"route": "files/upload", "fault": "insufficient_space"})
    code, out, _ = machine.command("doctor", "--self-test", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert (code, checks["self-test: engine"]["verdict"]) == (1, "bad")
    assert checks["self-test: engine"]["hint"]


# --- migrate ------------------------------------------------------------------------------------------------------


def test_migrate_shows_does_and_then_has_nothing_to_do(machine):
    scope = write_candle(machine.work / "x.parquet")
    for place in (SPOT, f"BTC/{SPOT}", f"BTCUSDT/{SPOT}"):
        machine.stranger.write(f"{APP}/data/candles/{place}", scope)
    machine.stranger.write(f"{APP}/data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet", scope + b"x")
    before = machine.stranger.paths()
    code, out, _ = machine.command("migrate", "--dry-run")
    assert code == 0
    assert f"move    {APP}/data/candles/ETH/ETH-USDT_1d_20221112_20251111.parquet  ->" in out
    assert out.count("delete  ") == 2
    assert "would move 1, copy 0 (" in out
    assert "delete 2 that are copies; 0 are left to you; about 5 requests; nothing was done" in out
    assert machine.stranger.paths() == before
    code, out, _ = machine.command("migrate", "-n", "--json")
    steps = [(step["action"], step["path"].removeprefix(f"{APP}/data/candles/")) for step in json.loads(out)["plan"]]
    assert steps[0] == ("move", "ETH/ETH-USDT_1d_20221112_20251111.parquet")
    assert sorted(action for action, _ in steps[1:]) == ["delete", "delete"]
    assert json.loads(out)["totals"]["requests"] == 5
    assert machine.stranger.paths() == before
    code, out, _ = machine.command("migrate", "--json")
    report = json.loads(out)
    assert (code, report["moved"], report["deleted"], report["failed"]) == (0, 1, 2, [])
    assert len(report["plan"]) == 3
    assert machine.stranger.paths() == [
        f"{APP}/data/candles/BTCUSDT/{SPOT}",
        f"{APP}/data/candles/ETHUSDT/ETH-USDT_1d_20221112_20251111.parquet",
    ]
    code, out, _ = machine.command("migrate")
    assert (code, out) == (0, "everything lies in its place\n")


def test_migrate_ends_with_1_where_a_person_has_to_decide(machine):
    scope = write_candle(machine.work / "x.parquet")
    machine.stranger.write(f"{APP}/data/candles/BTCUSDT/{SPOT}", scope)
    machine.stranger.write(f"{APP}/data/candles/BTC/{SPOT}", scope + b"x")
    for words in (["-n"], []):
        code, out, _ = machine.command("migrate", "--json", *words)
        report = json.loads(out)
        (step,) = report["plan"]
        assert (code, report["totals"]["kept"], step["action"]) == (1, 1, "keep")
        assert "other content" in step["why"]


def test_migrate_says_when_there_is_no_such_folder(machine):
    code, out, err = machine.command("migrate", "--json", DROPBOX__APP_FOLDER="Elsewhere")
    assert (code, json.loads(out)["error"]) == (1, "NotFound")
    assert "hint" in err


def test_a_run_signs_what_hamilton_reads_and_he_verifies_it(machine):
    key = {"HURACAN_SIGNING_KEY_FILE": str(machine.home.with_name("sign.key"))}
    assert machine.command("keys", "init", **key)[0] == 0
    machine.write({"model.bin": b"a model", "roster.json": '{"symbols": []}'})
    write_candle(machine.work / "data/candles/BTC" / SPOT)
    program = "from huracan_sync import DropboxSync as D; print(D().upload_champion_model('BTC/USDT', 'model.bin'))"
    done = warm.run(
        [sys.executable, "-c", program],
        env=machine.env | key,
        cwd=machine.work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("True\n"), done.stderr
    code, out, err = machine.command("run", "--once", "--json", **key)
    report = json.loads(out)
    assert (code, report["kinds"]["champions"]["files"]) == (0, 1), err
    assert machine.command("verify", APP, "--channel", "champions", **key)[0] == 0
    assert machine.command("verify", f"{APP}/data/candles", "--channel", "candles", **key)[0] == 0


@pytest.mark.slow
def test_restore_leaves_out_candles_of_1970_where_that_is_asked(machine):
    divided = {"start": 1_700_000_000, "step": 60}
    at = f"{APP}/data/candles/BTCUSDT"
    sane = write_candle(machine.work / "sane.parquet")
    machine.stranger.write(f"{at}/sane.parquet", sane)
    machine.stranger.write(f"{at}/note.json", b"{}")
    for number in range(3):
        machine.stranger.write(f"{at}/old-{number}.parquet", write_candle(machine.work / "x", seed=number, **divided))
    large = write_candle(machine.work / "x", rows=300_000, **divided)
    assert len(large) > 8 * 1024 * 1024  # it comes in stretches
    machine.stranger.write(f"{at}/old-large.parquet", large)

    target = machine.work / "elsewhere"
    code, out, err = machine.command("restore", f"{APP}/data/candles", str(target), "--skip-suspect", "--json")
    said = json.loads(out)
    assert (code, said["downloaded"], said["failed"]) == (0, 2, []), err
    # By the names of their proper places: each is called like a candle of another symbol.
    assert said["left_out"] == [f"OLD{which}/old-{which.lower()}.parquet" for which in ("0", "1", "2", "LARGE")]
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["note.json", "sane.parquet"]
    assert (target / "BTCUSDT/sane.parquet").read_bytes() == sane

    with closing(sqlite3.connect(machine.home / "journal.db")) as journal:
        assert journal.execute("SELECT count(*) FROM transfers").fetchone() == (0,)
    code, out, _ = machine.command("restore", f"{APP}/data/candles", str(target), "--skip-suspect")
    assert code == 0
    assert "4 left out (suspect timestamps, OLD0/old-0.parquet for one)" in out
    code, out, _ = machine.command("restore", f"{APP}/data/candles", str(target), "--json")
    assert (code, json.loads(out)["downloaded"], json.loads(out)["left_out"]) == (0, 4, [])
    assert (target / "old/old-large.parquet").read_bytes() == large  # it is called like a candle of old-large
