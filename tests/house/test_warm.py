"""A warm process is a process: what tests believe of it holds."""

import json
import os
import signal
import subprocess
import sys

import processes
import pytest
import warm

PYTHON = [sys.executable, "-c"]
SHOWS = (
    "import json, os, sys\n"
    "print(json.dumps([os.getpid(), os.getcwd(), dict(os.environ), sys.argv, os.listdir('/proc/self/fd')]))"
)


def test_it_has_a_pid_a_folder_an_environment_and_words_of_its_own_and_nothing_else_open(tmp_path):
    with warm.Popen([*PYTHON, SHOWS, "a", "b c"], cwd=tmp_path, env={"X": "é"}, stdout=-1, text=True) as process:
        pid, folder, environment, words, descriptors = json.loads(process.communicate()[0])
    assert pid == process.pid != os.getpid()
    assert (folder, environment, words) == (str(tmp_path), {"X": "é"}, ["-c", "a", "b c"])
    assert len(descriptors) == 4, "the three streams, and the folder that is listed"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit('no')", 1),
        ("1 / 0", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()", -signal.SIGINT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_it_ends_with_the_code_of_any_python(program, code):
    assert warm.run([*PYTHON, program], stderr=subprocess.DEVNULL).returncode == code
    assert subprocess.run([*PYTHON, program], stderr=subprocess.DEVNULL, check=False).returncode == code


def test_it_reads_its_input_and_ends_its_threads_and_handlers():
    program = (
        "import atexit, sys, threading, time\n"
        "atexit.register(lambda: print('at the end', flush=True))\n"
        "event = threading.Event()\n"
        "threading.Thread(target=lambda: (event.wait(), print('a thread'))).start()\n"
        "print(sys.stdin.read().upper(), end=''); event.set()\n"
    )
    done = warm.run([*PYTHON, program], input="hé\n", capture_output=True, text=True, check=True)
    assert done.stdout == "HÉ\na thread\nat the end\n"


def test_a_worker_is_handed_what_travels():
    with warm.context().Pool(1) as pool:
        assert pool.apply(os.path.join, ("a", "b")) == "a/b"
        assert pool.apply(os.getpid) != os.getpid()


def test_one_that_lives_on_is_seen_and_its_template_is_none():
    with warm.Popen([*PYTHON, "import signal; signal.pause()"]) as process:
        assert processes.children()[process.pid] == str(process.args)
        assert not warm.templates & processes.children().keys()
        process.kill()
