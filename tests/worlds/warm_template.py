"""The template that `warm` forks: a Python of its own, which imports what commands need and then waits for orders.

    python warm_template.py SOCKET

An order is JSON with three descriptors; the answer is the child's pid. The child is nobody's but the one's who asked:
it is forked twice, so that it becomes an orphan, which the test process adopts (`processes`).
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import tempfile
import threading
import traceback
import types

LATE = ("huracan_sync.fs", "huracan_sync.emulator", "huracan_sync.remote.sdk", "huracan_sync.engine.sdk_client")
"""Of the package, but not loaded: it needs what may not be installed, or is slow to import and seldom used."""


def load():
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # a thread would not live on in a child
    import pyarrow.parquet  # noqa: F401
    import rich.live  # noqa: F401
    import structlog  # noqa: F401

    package = importlib.import_module("huracan_sync")
    for module in pkgutil.walk_packages(package.__path__, "huracan_sync."):
        if not module.name.startswith(LATE) and not module.name.endswith(("__main__", "pytest_plugin")):
            importlib.import_module(module.name)


def serve(orders):
    """Fork a child for each order; returns in the child, with what it has to do. Ends with whoever gives orders."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(orders, 4, 64)
        if not head:
            os._exit(0)
        order = orders.recv(int.from_bytes(head), socket.MSG_WAITALL)
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                return json.loads(order), descriptors
            orders.sendall(child.to_bytes(4))
            os._exit(0)
        os.waitpid(between, 0)
        orders.sendall(b"!")  # from now on the child is an orphan, and adopted
        for descriptor in descriptors:
            os.close(descriptor)


def become(order, descriptors):
    """This process as a Python just started with these words: streams, environment, folder, signals."""
    if order.get("session"):
        os.setsid()
    wanted = [0, 1, 2, *order["passed"]]
    apart = [fcntl.fcntl(each, fcntl.F_DUPFD, 1024) for each in descriptors]
    for number, source in zip(wanted, apart, strict=True):
        os.dup2(source, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) not in wanted:
            with contextlib.suppress(OSError):
                os.close(int(name))
    if order.get("terminal"):
        os.login_tty(0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    tempfile.tempdir = None
    for number, mode in enumerate("rww"):
        name = ("stdin", "stdout", "stderr")[number]
        errors = "backslashreplace" if name == "stderr" else "strict"
        stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        if mode == "w":
            plain = "PYTHONUNBUFFERED" in order["env"]
            stream.reconfigure(line_buffering=stream.isatty() or name == "stderr", write_through=plain)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.path[0] = order["cwd"]
    sys.path[1:1] = filter(None, order["env"].get("PYTHONPATH", "").split(os.pathsep))


def run(kind, what, words):
    """What `python -m WHAT WORDS`, or `python -c WHAT WORDS`, does."""
    if kind == "-m":
        sys.argv = [what, *words]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *words]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)  # noqa: S102


def ended(work):
    """The exit code of a Python that has done this work, and whether it was interrupted."""
    try:
        work()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0, False
        print(end.code, file=sys.stderr)  # noqa: T201
        return 1, False
    except BaseException as error:  # noqa: BLE001
        traceback.print_exception(error)
        return 1, isinstance(error, KeyboardInterrupt)
    return 0, False


def end(code, is_interrupted):
    """End as an interpreter does, but for taking a thousand modules apart."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if is_interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    load()
    gc.collect()
    gc.freeze()  # what is loaded stays shared between the children
    assert len(os.listdir("/proc/self/task")) == 1, "threads run"  # noqa: PTH208
    order, descriptors = serve(socket.socket(fileno=int(sys.argv[1])))
    become(order, descriptors)
    end(*ended(lambda: run(order["kind"], order["what"], order["words"])))
