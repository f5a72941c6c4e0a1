"""The laws of the package, and a test of each: broken on purpose in a copy, every law is seen to fail."""

import functools
import subprocess
from collections import Counter
from functools import partial

import laws
import pytest
from package_source import ROOT, Module, module_name, of_today
from remaining_breaches import REMAINING
from sampled import sampled

PACKAGE = of_today()
MOST_ENTRIES = 18
TOP_OF_THE_CHECKOUT = {
    *("README.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"),
    *("huracan_sync", "scripts", "tests", "cassettes", "requirements"),
}
WEIGHT = {"reader": (29, 4623), "hamilton": (61, 9716)}
"""At most so many modules and lines are reached from there. Less is the aim: these numbers only go down."""

LAWS = {
    "arrows": laws.forbidden_imports,
    "circles": laws.circles,
    "pure": laws.impure,
    "routes": laws.routes,
    "threads": laws.threads,
    "forks": laws.locks_not_renewed,
    "one atomic write": laws.second_writes,
    "one opening of SQLite": laws.second_databases,
    "one reading of Retry-After": partial(laws.second_texts, what="Retry-After"),
    "one formatter of sizes": partial(laws.second_texts, what="size"),
    "one listing": laws.second_listings,
    "one retry loop": laws.second_retries,
    "one way through the ancestors": laws.second_ancestors,
    "time is handed in": laws.moments,
    "an answer is a type": laws.words_searched,
    "a dry run is the operation's own": laws.second_plans,
    "wings say what they are": laws.wings_without_a_word,
    "the map": laws.map_of_the_package,
    "words": laws.words,
}


OF_THE_WHOLE = {
    *("arrows", "circles", "pure", "one formatter of sizes", "wings say what they are", "the map"),
}
"""The laws about more than one module; every other finds its breaches in each by itself."""


def breaches(law, package):
    return Counter(LAWS[law](package))


@functools.cache
def breaches_of_today(law):
    return breaches(law, PACKAGE)


@pytest.mark.parametrize("law", LAWS)
def test_law(law):
    known = set(REMAINING.get(law, ()))
    found = set(breaches_of_today(law))
    assert found - known == set(), "the law is broken anew"
    assert known - found == set(), "mended: strike it off the list"


# Each: what is written where, in a copy of the package, and the law that must speak.
BREAKS = {
    "an import from above": ("arrows", "tree/plan.py", "from huracan_sync.cli import main"),
    "an import from beside": ("arrows", "disk/scan.py", "from huracan_sync.remote import files"),
    "an import inside a function": ("arrows", "reader/cache.py", "def f():\n    import huracan_sync.signing.merge"),
    "an import by name": (
        "arrows",
        "disk/scan.py",
        "import importlib\nimportlib.import_module('huracan_sync.cli.main')",
    ),
    "an import by Python's own function": ("arrows", "tree/plan.py", "__import__('huracan_sync.remote')"),
    "an import by an alias of the importer": (
        "arrows",
        "tree/plan.py",
        "from importlib import import_module as bring\nbring('huracan_sync' + '.remote')",
    ),
    "an import of a computed name": ("arrows", "disk/scan.py", "def f(x):\n    return importlib.import_module(x)"),
    "an import that is executed": ("arrows", "disk/scan.py", "exec('from huracan_sync import cli')"),
    "an import of a neighbour by dots": ("arrows", "remote/files.py", "from ..signing import merge"),
    "an import for nobody but the machine": (
        "arrows",
        "tree/plan.py",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from huracan_sync.cli import main",
    ),
    "the whole package, and then its attributes": (
        "arrows",
        "tree/plan.py",
        "import huracan_sync\nhuracan_sync.cli.main()",
    ),
    "a name that the package hands out": ("arrows", "tree/plan.py", "from huracan_sync import push"),
    "a wing nobody planned": ("arrows", "misc/thing.py", "from huracan_sync.tree import plan"),
    "the emulator knows us": ("arrows", "emulator/state/clock.py", "from huracan_sync.errors import Refused"),
    "two files import each other": (
        "circles",
        "tree/entry.py",
        "def f():\n    from huracan_sync.tree.plan import plan",
    ),
    "a clock in a pure wing": ("pure", "manifest/checks.py", "import time"),
    "a file in a pure wing": ("pure", "tree/paths.py", "def f():\n    return open('x')"),
    "today in a pure wing": ("pure", "tree/layout.py", "def f():\n    return datetime.now(UTC)"),
    "a socket in a pure module": ("pure", "signing/merge.py", "from socket import socket"),
    "a pure module through another": ("pure", "errors.py", "def f():\n    import sqlite3"),
    "a path by its module": ("pure", "tree/paths.py", "import pathlib\ndef f():\n    pathlib.Path('x').read_text()"),
    "a file by another name": ("pure", "tree/paths.py", "read = open"),
    "today by another name": ("pure", "tree/layout.py", "from datetime import datetime as d\nd.now()"),
    "today by its module": ("pure", "tree/layout.py", "import datetime\nx = datetime.datetime.now"),
    "a clock by name": ("pure", "manifest/checks.py", "import importlib\nimportlib.import_module('time')"),
    "what is printed": ("pure", "manifest/checks.py", "import sys\ndef f():\n    sys.stderr.write('x')"),
    "a route": ("routes", "operations/push.py", "R = 'files/upload'"),
    "a route in an f-string": ("routes", "cli/push.py", "def f(x):\n    return f'files/{x}'"),
    "a route in two pieces": ("routes", "cli/push.py", "R = 'files' + '/upload'"),
    "a route that is joined": ("routes", "cli/push.py", "R = '/'.join(['files', 'upload'])"),
    "a route that is formatted": ("routes", "cli/push.py", "R = '%s/%s' % ('files', 'upload')"),
    "a route of any namespace": ("routes", "engine/put.py", "def f(x):\n    return f'{x}/list_folder'"),
    "a whole address": ("routes", "engine/put.py", "R = 'https://api.dropboxapi.com/2/files/upload'"),
    "the path of an address": ("routes", "engine/put.py", "R = '/2/users/get_current_account'"),
    "a thread": ("threads", "operations/push.py", "import threading\nthreading.Thread(target=print).start()"),
    "a pool": ("threads", "reader/cache.py", "def f():\n    with ThreadPoolExecutor(2) as pool:\n        pass"),
    "a thread as a class": ("threads", "transfer/upload.py", "class T(threading.Thread):\n    pass"),
    "a thread by another name": ("threads", "operations/push.py", "from threading import Thread as T\nT(target=print)"),
    "a thread by its attribute": ("threads", "operations/push.py", "import threading\ngetattr(threading, 'Thread')()"),
    "a thread that others make": ("threads", "operations/push.py", "make = functools.partial(threading.Timer, 1)"),
    "a pool behind a name": (
        "threads",
        "reader/cache.py",
        "from concurrent import futures\nPool = futures.ThreadPoolExecutor\ndef f():\n    return Pool()",
    ),
    "a lock by another name": ("forks", "reader/cache.py", "from threading import Lock as L\nclass C:\n    lock = L()"),
    "a lock of a field": (
        "forks",
        "reader/cache.py",
        "class C:\n    lock: object = field(default_factory=threading.Lock)",
    ),
    "a lock of a module": ("forks", "reader/cache.py", "import threading\n_lock = threading.Lock()"),
    "a lock of a function": ("forks", "engine/outbox.py", "def f():\n    return threading.Condition()"),
    "a lock that a fork leaves": ("forks", "reader/cache.py", "class C:\n    lock = threading.Lock()"),
    "an event that a fork leaves": ("forks", "engine/outbox.py", "class C(threading.Event):\n    pass"),
    "a renewal that nobody calls": (
        "forks",
        "fs/account.py",
        "class C:\n    def renew_in_child(self):\n        self.lock = threading.RLock()",
    ),
    "a second atomic write": ("one atomic write", "engine/outbox.py", "import os\nos.replace('a', 'b')"),
    "a path that replaces": ("one atomic write", "reader/cache.py", "def f(p, q):\n    p.with_name('x').replace(q)"),
    "a second write by another name": (
        "one atomic write",
        "engine/outbox.py",
        "from os import replace as put\nput('a', 'b')",
    ),
    "a second write by a low door": (
        "one atomic write",
        "engine/outbox.py",
        "import os\nh = os.open('a', os.O_WRONLY | os.O_CREAT)\nrename = getattr(os, 'rename')\nrename('a', 'b')",
    ),
    "a second write by a class": (
        "one atomic write",
        "reader/cache.py",
        "from pathlib import Path\nPath.replace(p, q)",
    ),
    "a second write by a copy": ("one atomic write", "reader/cache.py", "from shutil import move\nmove('a', 'b')"),
    "a reading within a sentence": ("one reading of Retry-After", "auth/tokens.py", "H = 'X-Retry-After-Ms'"),
    "a second reading": ("one reading of Retry-After", "auth/tokens.py", "H = 'Retry-After'"),
    "a second formatter": ("one formatter of sizes", "operations/push.py", "def f(n):\n    return f'{n} MiB'"),
    "a second listing": (
        "one listing",
        "operations/migrate.py",
        "def f(r):\n    r.rpc('files/list_folder', {})",
    ),
    "a second retry loop": (
        "one retry loop",
        "remote/files.py",
        "def f(pacing):\n    while True:\n        pacing.pause(pacing.backoff(1))",
    ),
    "a retry loop that counts": (
        "one retry loop",
        "operations/migrate.py",
        "def f(remote):\n    for n in range(3):\n        if n:\n            remote.pacing.backoff(n)",
    ),
    "a second way up": (
        "one way through the ancestors",
        "transfer/compare.py",
        "def f(path):\n    while path:\n        path = path.rpartition('/')[0]",
    ),
    "a way up by slashes": (
        "one way through the ancestors",
        "fs/paths.py",
        "def f(path, at):\n    while at > 0:\n        at = path.rfind('/', 0, at)",
    ),
    "a way up by parts": (
        "one way through the ancestors",
        "engine/put.py",
        "def f(parts):\n    return ['/'.join(parts[:n]) for n in range(3)]",
    ),
    "a listing behind a name": ("one listing", "remote/files.py", "LIST = 'files/list_folder'"),
    "a clock under another name": ("time is handed in", "transfer/compare.py", "from time import time as now\nnow()"),
    "a clock of a module under another name": (
        "time is handed in",
        "transfer/compare.py",
        "import time as t\nt.time_ns()",
    ),
    "a clock by its attribute": ("time is handed in", "transfer/compare.py", "import time\ngetattr(time, 'time')()"),
    "a clock that is kept": ("time is handed in", "transfer/compare.py", "import time\nclock = time.monotonic"),
    "a clock that is read once": (
        "time is handed in",
        "transfer/compare.py",
        "import time\ndef f(now=time.time()): pass",
    ),
    "a date": ("time is handed in", "transfer/compare.py", "import datetime\ndatetime.datetime.now()"),
    "a clock": ("time is handed in", "transfer/compare.py", "import time\ndef f():\n    return time.time()"),
    "a sleep": ("time is handed in", "operations/audit.py", "import time\ndef f():\n    time.sleep(1)"),
    "chance": ("time is handed in", "remote/rate_limit.py", "import random\ndef f():\n    return random.random()"),
    "a word by a pattern": (
        "an answer is a type",
        "engine/put.py",
        "import re\ndef f(c):\n    return re.search('x', c.why)",
    ),
    "a word in small letters": (
        "an answer is a type",
        "engine/put.py",
        "def f(c):\n    return 'x' in c.message.lower()",
    ),
    "a whole sentence": ("an answer is a type", "engine/put.py", "def f(c):\n    return c.why == 'it is a folder'"),
    "a sentence by cases": (
        "an answer is a type",
        "cli/push.py",
        "def f(c):\n    match c.hint:\n        case 'x':\n            pass",
    ),
    "a word of whatever failed": (
        "an answer is a type",
        "cli/push.py",
        "try:\n    pass\nexcept OSError as wrong:\n    text = str(wrong)\n    x = 'space' in text",
    ),
    "a word in the first argument": ("an answer is a type", "cli/push.py", "def f(e):\n    return 'x' in e.args[0]"),
    "a word in a sentence": ("an answer is a type", "engine/put.py", "def f(c):\n    return 'folder' in c.why"),
    "a sentence that begins": ("an answer is a type", "cli/push.py", "def f(e):\n    return e.hint.startswith('x')"),
    "a plan that the command line makes": (
        "a dry run is the operation's own",
        "cli/push.py",
        "from huracan_sync.tree import plan as planning\ndef f(b, s, t):\n    return planning.plan(b, s, t)",
    ),
    "a plan without its guards": (
        "a dry run is the operation's own",
        "cli/restore.py",
        "def f(operation):\n    return operation.compare()",
    ),
    "a plan that the command line changes": (
        "a dry run is the operation's own",
        "cli/transfer_options.py",
        "from huracan_sync.transfer.pair import PairPlan as P\ndef f(c, s):\n    return P(c, s)",
    ),
    "a wing that says nothing": ("wings say what they are", "other/__init__.py", "x = 1"),
    "an import by the importer's attribute": (
        "arrows",
        "tree/plan.py",
        "import importlib\ngetattr(importlib, 'import_module')('huracan_sync.cli')",
    ),
    "an importer that is handed on": (
        "arrows",
        "tree/plan.py",
        "import importlib\nlist(map(importlib.import_module, ['huracan_sync.cli']))",
    ),
    "an import by dots and name": ("arrows", "tree/plan.py", "import_module('.cli', 'huracan_sync')"),
    "an import of everything": ("arrows", "tree/plan.py", "from huracan_sync import *"),
    "a module by a tool": ("arrows", "tree/plan.py", "import pkgutil\npkgutil.resolve_name('huracan_sync.cli:main')"),
    "a neighbour, and then the whole package": (
        "arrows",
        "tree/plan.py",
        "import huracan_sync.tree.paths\nhuracan_sync.push()",
    ),
    "an import for a checker that is none": (
        "arrows",
        "tree/plan.py",
        "TYPE_CHECKING = True\nif TYPE_CHECKING:\n    from huracan_sync.cli import main",
    ),
    "all names of a module": ("arrows", "reader/cache.py", "import os\nvars(os)['replace']('a', 'b')"),
    "all names of a module by its attribute": ("arrows", "reader/cache.py", "import time\ntime.__dict__['time']()"),
    "a module by way of another": (
        "arrows",
        "engine/outbox.py",
        "from huracan_sync.disk import atomic_write\natomic_write.os.replace('a', 'b')",
    ),
    "the emulator asks which version it is": (
        "arrows",
        "emulator/state/clock.py",
        "from huracan_sync import __version__",
    ),
    "a file by a compressor": ("pure", "tree/paths.py", "import gzip\ngzip.open('x')"),
    "a log in a pure wing": ("pure", "tree/paths.py", "import logging\nlogging.error('x')"),
    "the zone of the machine": ("pure", "tree/layout.py", "def f(x):\n    return x.astimezone()"),
    "a package nobody knows": ("pure", "manifest/checks.py", "import requests"),
    "a route of a constant": ("routes", "operations/push.py", "SPACE = 'files'\nR = f'{SPACE}/upload'"),
    "a route of bytes": ("routes", "operations/push.py", "R = b'files/upload'"),
    "a route within a text": ("routes", "operations/push.py", "R = '2/files/upload?x=1'"),
    "a route that is handed in": (
        "routes",
        "operations/push.py",
        "def f(remote, r):\n    return remote.rpc(r, {}, dict)",
    ),
    "a page for people elsewhere": ("routes", "cli/authorize.py", "P = 'https://x/oauth2/authorize?'"),
    "a pool of processes' threads": (
        "threads",
        "operations/push.py",
        "from multiprocessing.pool import ThreadPool\nThreadPool(2)",
    ),
    "a thread of our own kind": (
        "threads",
        "operations/push.py",
        "from huracan_sync.remote.parallel import Threads\nThreads(9)",
    ),
    "a queue that a fork leaves": ("forks", "reader/cache.py", "import queue\nclass C:\n    q = queue.Queue()"),
    "a path that replaces by keyword": ("one atomic write", "reader/cache.py", "def f(p, q):\n    p.replace(target=q)"),
    "a path's method": ("one atomic write", "reader/cache.py", "def f(p, q):\n    move = p.replace\n    move(q)"),
    "another database": ("one opening of SQLite", "engine/outbox.py", "import sqlite3\ndb = sqlite3.connect('x')"),
    "a database by its class": (
        "one opening of SQLite",
        "fs/account.py",
        "from sqlite3 import Connection as C\nC('x')",
    ),
    "a database by its module": ("one opening of SQLite", "reader/cache.py", "from sqlite3 import dbapi2"),
    "a file written in place": ("one atomic write", "engine/outbox.py", "def f(p):\n    open(p, 'w').write('x')"),
    "bytes written in place": ("one atomic write", "engine/outbox.py", "def f(p):\n    p.write_bytes(b'')"),
    "a file that is made": ("one atomic write", "engine/outbox.py", "import os\nF = os.O_WRONLY | os.O_CREAT"),
    "a pause by the body": ("one reading of Retry-After", "auth/tokens.py", "def f(b):\n    return b['retry_after']"),
    "a size in words": ("one formatter of sizes", "operations/push.py", "def f(n):\n    return f'{n >> 20} megabytes'"),
    "a size in one piece": ("one formatter of sizes", "operations/push.py", "def f(n):\n    return '%d kB' % n"),
    "a second fold": (
        "one listing",
        "operations/migrate.py",
        "def f(x):\n    return isinstance(x, listing.DeletedMetadata)",
    ),
    "a second reading of pages": (
        "one listing",
        "operations/migrate.py",
        "def f(p):\n    while p.has_more:\n        pass",
    ),
    "a retry that calls itself": (
        "one retry loop",
        "operations/migrate.py",
        "def f(p, n):\n    p.pause(p.backoff(n))\n    return f(p, n + 1)",
    ),
    "a retry without a pause": (
        "one retry loop",
        "operations/migrate.py",
        "def f(g):\n    while 1:\n        try:\n            return g()\n        except Unavailable:\n            pass",
    ),
    "a retry that waits longer": (
        "one retry loop",
        "operations/migrate.py",
        "def f(g, sleep):\n    for n in range(3):\n        sleep(2 ** n)",
    ),
    "a retry of a package": ("one retry loop", "operations/migrate.py", "import tenacity"),
    "a way up by paths": (
        "one way through the ancestors",
        "transfer/compare.py",
        "from pathlib import PurePosixPath\ndef f(p):\n    return list(PurePosixPath(p).parents)",
    ),
    "a way up that calls itself": (
        "one way through the ancestors",
        "transfer/compare.py",
        "def f(p):\n    return f(p.rpartition('/')[0])",
    ),
    "a way up in two steps": (
        "one way through the ancestors",
        "transfer/compare.py",
        "def f(p):\n    while p:\n        head, _, _ = p.rpartition('/')\n        p = head",
    ),
    "a way up by another's parent": (
        "one way through the ancestors",
        "fs/neighbours.py",
        "def f(p):\n    while p:\n        p = parent(p)",
    ),
    "a way down": (
        "one way through the ancestors",
        "fs/neighbours.py",
        "def f(p):\n    so = ''\n    for x in p.split('/'):\n        so += '/' + x",
    ),
    "a clock of mails": ("time is handed in", "transfer/compare.py", "import email.utils\nemail.utils.formatdate()"),
    "now by the type": ("time is handed in", "transfer/compare.py", "def f(x):\n    return type(x).now()"),
    "chance by secrets": ("time is handed in", "transfer/compare.py", "import secrets\nsecrets.randbelow(9)"),
    "a word by way of a name": (
        "an answer is a type",
        "engine/put.py",
        "def f(c):\n    why = c.why\n    return 'x' in why",
    ),
    "a word of a formatted failure": (
        "an answer is a type",
        "engine/put.py",
        "def f(error):\n    return 'x' in f'{error}'",
    ),
    "a word of a failure's failure": (
        "an answer is a type",
        "engine/put.py",
        "def f(x):\n    return 'x' in str(x.error)",
    ),
    "one of several sentences": (
        "an answer is a type",
        "engine/put.py",
        "def f(c):\n    return c.why in ('a b', 'c d')",
    ),
    "a table of sentences": ("an answer is a type", "engine/put.py", "def f(c):\n    return {'a b': 1}.get(c.why)"),
    "a sentence, the other way round": ("an answer is a type", "engine/put.py", "def f(c):\n    return 'a b' == c.why"),
    "a sentence by its attribute": (
        "an answer is a type",
        "engine/put.py",
        "def f(c):\n    return 'x' in getattr(c, 'why')",
    ),
    "a plan with other steps": (
        "a dry run is the operation's own",
        "cli/push.py",
        "def f(p):\n    return replace(p, steps=())",
    ),
    "a side that the command line scans": (
        "a dry run is the operation's own",
        "cli/push.py",
        "from huracan_sync.disk.scan import scan\nscan('x')",
    ),
    "an abandoned word in the plural": ("words", "remote/files.py", "shelves = 1"),
    "an abandoned word as a key": ("words", "remote/files.py", "X = {'survey': 1}"),
    "an abandoned word as a keyword": ("words", "remote/files.py", "f(survey=1)"),
    "a package of a plain word": ("words", "operations/fetch/x.py", "x = 1"),
    "a wing that is not on the map": ("the map", "other/__init__.py", "x = 1"),
    "an abandoned word as a class": ("words", "remote/files.py", "class WishBoard:\n    pass"),
    "an abandoned word as an argument": ("words", "cli/push.py", "def f(old_survey):\n    pass"),
    "an abandoned word as an attribute": ("words", "cli/push.py", "def f(x):\n    x.seen = 1"),
    "an abandoned word as a variable": ("words", "cli/push.py", "def f():\n    survey = 1"),
    "an abandoned word as an alias": ("words", "cli/push.py", "import os as desk"),
    "an abandoned word as a folder": ("words", "reader/shelf/cache.py", "x = 1"),
    "an abandoned word in the emulator": ("words", "emulator/routes/doors.py", "x = 1"),
    "a module of a plain word": ("words", "transfer/large.py", "x = 1"),
    "an abandoned word as a module": ("words", "reader/shelf.py", "x = 1"),
    "a word in an error": ("an answer is a type", "remote/files.py", "def f(error):\n    return 'x' in str(error)"),
}


@pytest.mark.wide
@pytest.mark.parametrize("name", sampled(BREAKS, 8))
def test_a_broken_law_is_told(name):
    law, place, text = BREAKS[name]
    broken = PACKAGE.with_added(place, text)
    if law in OF_THE_WHOLE:
        told = breaches(law, broken) - breaches_of_today(law)
    else:
        module = module_name(place)
        told = breaches(law, broken.only(module)) - breaches(law, PACKAGE.only(module))
    assert told, f"{law}: nobody saw {text!r} in {place}"


@pytest.mark.wide
@pytest.mark.slow
@pytest.mark.parametrize("law", [law for law in LAWS if law not in OF_THE_WHOLE])
def test_the_breaches_of_a_law_are_those_of_each_module_by_itself(law):
    singly = sum((breaches(law, PACKAGE.only(name)) for name in PACKAGE.modules), Counter())
    assert singly == breaches_of_today(law)


def test_every_law_is_broken_once():
    assert {law for law, _, _ in BREAKS.values()} == set(LAWS)


def test_every_thread_has_its_reason_and_every_reason_its_thread():
    assert list(laws.reasons_without_a_thread(PACKAGE)) == []


def test_every_lock_that_a_fork_leaves_as_it_is_has_its_reason():
    assert list(laws.reasons_without_a_lock(PACKAGE)) == []


@pytest.mark.parametrize("name", WEIGHT)
def test_what_a_reader_loads_stays_small(name):
    modules, lines = PACKAGE.weight(name)
    assert (modules <= WEIGHT[name][0], lines <= WEIGHT[name][1]) == (True, True), (modules, lines)
    heavier = PACKAGE.with_added("reader/__init__.py", "from huracan_sync.operations.push import push")
    assert heavier.weight(name)[0] > modules


def test_a_wing_that_says_something_else_than_the_map_is_told():
    package = PACKAGE.with_added("secret.py", "")
    module = package.modules["secret"]
    package.modules["secret"] = Module("secret", module.path, module.text.replace("A value", "A thing", 1))
    assert [each.partition(":")[0] for each in laws.map_of_the_package(package)] == ["secret"]


# ---- the map --------------------------------------------------------------------------------------------------------


def entries():
    """What lies at the top of the package, as a reader of the folder sees it."""
    kept = (path for path in PACKAGE.folder.iterdir() if path.name != "__pycache__")
    return {path.name for path in kept if path.suffix in {"", ".py"} or path.is_dir()}


def test_no_module_has_a_name_that_says_nothing():
    banned = {"manager", "helper", "helpers", "util", "utils", "common", "misc", "base", "core"}
    assert not {module.path.stem for module in PACKAGE.modules.values()} & banned


def test_few_entries_at_the_top():
    assert len(entries() - {"__init__.py", "py.typed", "docs"}) <= MOST_ENTRIES


def test_every_entry_is_a_wing():
    assert {name.removesuffix(".py") for name in entries() - {"__init__.py", "py.typed", "docs"}} == set(laws.WINGS)


def test_nothing_lies_at_the_top_of_the_checkout_by_accident():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tops = {line.partition("/")[0] for line in listed.splitlines()}
    assert {top for top in tops if not top.startswith(".")} <= TOP_OF_THE_CHECKOUT
