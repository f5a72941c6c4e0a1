"""The command: its help teaches, its options work, it says when it is ready and leaves nothing behind."""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import urllib3
from emulator_client import Client, client
from sampled import slow

from huracan_sync.emulator import pytest_plugin
from huracan_sync.emulator.command import add_arguments
from huracan_sync.emulator.running import Emulator

COMMAND = [sys.executable, "-m", "huracan_sync.emulator"]


def test_help_teaches():
    parser = argparse.ArgumentParser(prog="huracan-sync emulator")
    add_arguments(parser)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        parser.parse_args(["--help"])
    for taught in ("/emulator/token", "/emulator/faults", "/emulator/clock", "--tls", "ca.pem", "--header-limit"):
        assert taught in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= 120


@pytest.mark.parametrize("port", ["80000", "-1", "x", "0x50", "²"])
def test_a_port_that_cannot_be_is_a_usage_error(capsys, port):
    parser = argparse.ArgumentParser(prog="huracan-sync emulator")
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--port", port])
    assert f"argument --port: {port!r} is no port" in capsys.readouterr().err or port == "-1"


def test_importing_the_command_loads_no_server():
    code = "import sys, huracan_sync.emulator.command; print({'starlette', 'uvicorn', 'msgspec'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [(signal.SIGTERM, 0), slow((signal.SIGINT, 130))])
def test_the_ready_line_and_a_clean_end(tmp_path, end, code):
    command = [*COMMAND, "--port", "0", "--latency-ms", "3", "--bandwidth-mbit", "1000", "--header-limit", "9999"]
    env = {"TMPDIR": str(tmp_path), "PATH": ""}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    ready = json.loads(process.stdout.readline())
    assert {"url", "app_key", "read_only_app_key", "control"} <= set(ready)
    assert ready["control"] == ready["url"] + "/emulator"
    emulator = Emulator(ready)
    assert {"latency_ms": 3.0, "bandwidth_mbit": 1000.0, "header_limit": 9999}.items() <= emulator.config().items()
    me = client(emulator)
    me.upload("/a", b"x" * 2_000_000)
    assert len(list(tmp_path.iterdir())) == 1
    with socket.create_connection(("127.0.0.1", int(ready["url"].rpartition(":")[2]))) as waiting:
        body = json.dumps({"cursor": me.ls()[1]}).encode()
        head = "POST /2/files/list_folder/longpoll HTTP/1.1\r\nHost: dropbox.com\r\nContent-Type: application/json\r\n"
        waiting.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.1)
        emulator.stop()
        process.send_signal(end)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (code, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_emulator_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Emulator.start() as first, Emulator.start() as second:
        first.kill()
        left, used = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_ctime)
        for folder in (left, used):
            os.utime(folder, (0, 0))
        with Emulator.start():
            assert not left.exists()
            assert used.exists()
            client(second).upload("/a", b"x")


@pytest.mark.slow
def test_a_port_that_is_taken(dropbox):
    done = subprocess.run(
        [*COMMAND, "--port", dropbox.url.rpartition(":")[2]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("the emulator cannot start: ")
    assert "--port 0" in done.stderr


@pytest.mark.slow
def test_app_folders_from_the_start():
    with Emulator.start("--app-folder") as emulator:
        me = client(emulator)
        me.upload("/a", b"x")
        whole = client(emulator, app_key=emulator.ready["confidential_app_key"])
        assert [entry["path_display"] for entry in whole.ls("", recursive=True)[0]] == [
            "/Apps",
            "/Apps/Emulator",
            "/Apps/Emulator/a",
        ]
    assert not list(Path(tempfile.gettempdir()).glob(f"dropbox-emulator-*/{emulator.account_id}"))


def alone(folder):
    """A folder for PYTHONPATH that holds what requirements/emulator-only.txt names, and the checkout, and no more."""
    root = Path(__file__).parents[2]
    lines = (root / "requirements" / "emulator-only.txt").read_text(encoding="utf-8").splitlines()
    for name in (line.partition("==")[0] for line in lines if line[:1].isalpha()):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files if file.parts[0] not in {"..", "__pycache__"}}:
            (folder / top).symlink_to(distribution.locate_file(top))
    (folder / "huracan_sync").symlink_to(root / "huracan_sync")
    return {"PYTHONPATH": str(folder), "PATH": ""}


def test_the_emulator_runs_alone(tmp_path):
    """Without the library's dependencies, and says what --tls needs in addition."""
    place = tmp_path / "packages"
    place.mkdir()
    command = [sys.executable, "-S", "-m", "huracan_sync.emulator"]
    env = alone(place)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    with Emulator(json.loads(process.stdout.readline()), process) as emulator, urllib3.PoolManager() as http:
        assert Client(emulator.url, emulator.token()["access_token"], http).upload("/a", b"x")[0] == 200
    tls = [*command, "--tls", "."]
    refused = subprocess.run(tls, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert refused.returncode == 78
    assert "with --tls needs cryptography" in refused.stderr
    other = [sys.executable, "-S", "-m", "huracan_sync", "push", ".", "/x"]
    refused = subprocess.run(other, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert (refused.returncode, "Traceback" in refused.stderr) == (78, False), refused.stderr
    assert "is not installed here" in refused.stderr
    assert "requirements/runtime.txt" in refused.stderr


@pytest.mark.slow
def test_beyond_this_machine_it_warns_and_serves_any_name():
    command = [*COMMAND, "--host", "0.0.0.0"]  # noqa: S104
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process, urllib3.PoolManager() as http:
        ready = json.loads(process.stdout.readline())
        assert ready["url"].startswith("http://127.0.0.1:")
        for path in ("/emulator", "/oauth2/authorize"):
            url = ready["url"] + path
            assert http.request("GET", url, headers={"Host": "dropbox:8080"}).status != 403
            assert http.request("GET", url, headers={"Host": "dropbox:8080", "Origin": "http://evil"}).status == 403
        process.terminate()
        assert "warning: anybody who can reach 0.0.0.0" in process.stderr.read()


def test_the_plugin_leaves_the_sdk_its_name():
    assert not hasattr(pytest_plugin, "dropbox")


@pytest.mark.slow
def test_the_plugin_is_loaded_by_who_asks_and_leaves_the_sdk_its_name(tmp_path):
    test = tmp_path / "test_it.py"
    test.write_text(
        "import dropbox\nfrom huracan_sync.emulator.pytest_plugin import *\n\n"
        "def test_it(dropbox_emulator):\n    assert dropbox.Dropbox\n    assert dropbox_emulator.log()['total'] == 0\n"
    )
    asks = ["-p", "huracan_sync.emulator.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asks, str(test)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    asked = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert (asked.returncode, "1 passed" in asked.stdout) == (0, True), asked.stdout
