"""The laws of the package: each a function from a package to its breaches, one text each ("module: what it does")."""

import ast
import functools
import re

from package_source import NAME, called, folded, spelled, walked

WINGS = {
    "errors": set(),
    "secret": set(),
    "tree": {"errors"},
    "disk": {"tree"},
    "remote": {"tree", "secret"},
    "manifest": {"tree", "secret"},
    "auth": {"remote", "disk"},
    "reader": {"manifest", "disk", "tree"},
    "transfer": {"remote", "disk", "manifest"},
    "signing": {"transfer", "reader", "auth"},
    "operations": {"signing", "transfer"},
    "fs": {"operations"},
    "hamilton": {"reader", "auth"},
    "engine": {"operations"},
    "cli": {"engine", "hamilton", "fs", "emulator"},
    "__main__": {"cli"},
    "emulator": set(),
}
"""What each wing may import; and, with it, what that may import."""

PURE = ("errors", "secret", "tree", "manifest")
"""Wings that are pure as a whole. A module elsewhere is, when its first words say "Pure." or "Pure:"."""
TOOLS = {
    *("__future__", "typing", "collections", "collections.abc", "enum", "types", "abc", "dataclasses", "operator"),
    *("functools", "itertools", "bisect", "heapq", "math", "re", "string", "fnmatch.fnmatchcase", "difflib", "errno"),
    *(
        "struct",
        "codecs",
        "base64",
        "binascii",
        "json",
        "tomllib",
        "html",
        "unicodedata",
        "pickletools",
        "urllib.parse",
    ),
    *("hashlib", "hmac", "zlib", "bz2", "lzma", "zstandard", "datetime.UTC", "datetime.date", "datetime.datetime"),
    *(
        "datetime.timedelta",
        "pathlib.PurePosixPath",
        "posixpath.commonpath",
        "io.BytesIO",
        "msgspec",
        "pathspec",
        "cryptography",
    ),
}
"""All that a pure module may import: what calculates. No network, disk, clock, chance, thread or process among it."""
TOUCHES = {
    *("open", "print", "input", "breakpoint", "exec", "eval"),
    *("codecs.open", "bz2.open", "bz2.BZ2File", "lzma.open", "lzma.LZMAFile", "hashlib.file_digest"),
    *("zstandard.open", "datetime.date.fromtimestamp"),
}
"""What even these offer, and touches the world."""

ROUTE = re.compile(
    r"(?:https?:/*[^/]*)?(?:/?2)?/?(?:(?:files|users|auth|oauth2|check|sharing|file_requests|file_properties)/[a-z0-9_/*]*"
    r"|\*?/?(?:get_metadata|list_folder|list_revisions|delete_v2|delete_batch|create_folder_v2|(?:move|copy)(?:_batch)?_v2|"
    r"upload_session|get_current_account|get_space_usage|save_url|get_temporary_link|search_v2)[a-z0-9_/*]*)"
    r"|.*\bdropboxapi\.com\b.*"
)
WITHIN = re.compile(
    r"(?i)\b(?:files|users|auth|oauth2|check|contacts|account|team|paper|sharing|file_requests|file_properties)[/|:]"
    r"(?:upload|download|list_|get_|delete|create_|move|copy|save_|search|export|restore|revoke|token|user\b|app\b|set_)"
    r"|\boauth2/authorize\b|\bapi\.dropbox\.com\b"
)
"""A route that is only a part of a text."""
ASKS_A_PERSON = "auth.pkce"
"""Spells the page of the browser where a person consents: no call of ours goes there."""
SPELLS_ROUTES = ("remote.", "auth.token_endpoint", "auth.login_calls")

STARTS_THREADS = {
    *("Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread", "to_thread"),
    *("ThreadingHTTPServer", "ThreadingTCPServer", "ThreadingUDPServer", "ThreadingUnixStreamServer"),
    *("ThreadingUnixDatagramServer", "ThreadingMixIn", "run_in_executor", "fork", "forkpty", "Process"),
    *("ThreadPool", "InterpreterPoolExecutor", "QueueListener", "start_joinable_thread", "Threads", "Observer"),
}
POOL = "transfer.worker_pool"
THREADS = {
    "remote.parallel": "a few independent small requests at once; joined before the call returns",
    "remote.parallel_listing": "the pages of several folders at once; joined before the listing ends",
    "auth.keystore.os_keyring": "a keyring that hangs cannot be interrupted; left behind after the longest wait",
    "signing.push_signer": "checks the trust file while the disk is scanned; joined by the same run",
    "engine.continuous": "the background schedule of a long-running engine; ended by close()",
    "engine.daemon.scheduler": "one loop for each kind of data, so that none waits for another; ended by stop()",
    "engine.daemon.watcher": "watches the disk while passes run; ended by stop()",
    "engine.daemon.dashboard.page": "serves the dashboard while the daemon runs; ended with it",
    "cli.progress": "keeps the progress line moving while a request is waited for",
    "cli.run": "hears the second signal while the first is still being served",
}
"""Every module but the pool that starts a thread, with its reason."""

ONE_OF_EACH = {
    "atomic write": (
        "disk.atomic_write",
        re.compile(
            r"(os|posix)\.(replace|renames?|link)|shutil\.(move|copy\w*)|pathlib\.\w+\.replace"
            r"|(?!self\.).*\.(rename|hardlink_to|symlink_to|write_text|write_bytes)|os\.(O_CREAT|symlink|mknod)"
            r"|tempfile\.(NamedTemporaryFile|mkstemp)"
        ),
    ),
    "Retry-After": ("remote.errors", re.compile(r"(?i).*(\bretry[- ]after\b|\bratelimit-reset\b).*|retry_after")),
    "size": (
        None,
        re.compile(
            r".{0,12}(\b[KMGT]iB|\b[kKMGT]B|\*i?B|\b(kilo|mega|giga|kibi|mebi|gibi)bytes)\b.{0,12}|B?[kK]MGT?P?"
        ),
    ),
}
TODAY = re.compile(r"(datetime\.)?(datetime|date)\.(now|today|utcnow)")
MOMENT = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|sleep|localtime|gmtime|ctime|strftime|clock_gettime)(_ns)?"
    rf"|{TODAY.pattern}|(numpy\.)?random\..+|asyncio\.sleep|os\.times|uuid\.uuid[14]|time\.(thread_time|pthread_\w+)(_ns)?"
    r"|email\.utils\.(formatdate|localtime|make_msgid)|secrets\.(randbelow|choice|randbits|SystemRandom)|select\.select"
    r"|tempfile\.mktemp|\.(today|utcnow)"
)
"""Calls that read the clock, wait, or draw a number that a test would want to choose.

As the default of an argument they may be named everywhere. Names and keys that nobody may guess (`secrets`,
`os.urandom`) are no such numbers: to choose them would be a fault.
"""
DEFAULT_CLOCKS = {
    "auth.token_cache: time.clock_gettime": "what its clock reads where none is handed in",
    "engine.context: datetime.datetime.now": "a default under a name",
    "engine.daemon.dashboard.page: time.monotonic": "a default under a name",
    "remote.rate_limit: random.random": "a default, imported where something went wrong and not before",
    "remote.read_client: datetime.datetime.now": "a default under a name",
}
"""Defaults that stand elsewhere than at an argument or a field, each with its reason."""
EDGE = ("cli", "__main__")
"""Where the defaults stand: what runs here reads the machine's clock."""


IMPORTS_WHAT_IT_COMPUTES = {
    "": "the names of the package, each loaded when it is first used",
    "engine": "the same",
    "engine.event_log": "asks whether structlog is loaded, and loads nothing",
    "cli.parser": "the one verb that is asked for, of the table above it",
    "auth.keystore.os_keyring": "the keyrings of the operating system, of the table above it",
}
"""Every module that imports something whose name is not written there, with its reason."""


def below(wing):
    """A wing and everything it may import, directly or not."""
    return {wing}.union(*(below(other) for other in WINGS[wing]))


def forbidden_imports(package):
    """Arrows between wings run down the table only."""
    for module in package.modules.values():
        if module.wing:
            allowed = below(module.wing) if module.wing in WINGS else set()
            for target in package.ours(module):
                wing = target.partition(".")[0]
                if wing and wing not in allowed:
                    yield f"{module.name}: imports {target}"
        if module.wing == "emulator" and any(source == NAME for source, _ in module.imports):
            yield f"{module.name}: imports the package it lies in"
        if module.name not in IMPORTS_WHAT_IT_COMPUTES:
            yield from (f"{module.name}: {text} imports nobody can see what" for text in module.computed)


def circles(package):
    """No file imports itself through others."""
    for group in package.circles():
        yield " <-> ".join(group)


def _says_pure(module):
    return re.search(r"\bPure[.:]", ast.get_docstring(module.tree) or "") is not None


def impure(package):
    """What is pure reaches no socket, file, clock, thread, process or chance, also not through what it imports."""
    for module in package:
        if module.wing in PURE or _says_pure(module):
            for name in sorted(package.closure(module.name, with_parents=False) - {""}):
                if touched := sorted(set(_touches(package, package.modules[name]))):
                    yield f"{module.name}: {', '.join(touched)} in {name}"


def _touches(package, module):
    used = {name for _, name in module.uses}
    for source in package.foreign(module):
        parts = source.split(".")
        if not {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & TOOLS:
            yield source
    defined = {node.name for node in module.nodes if isinstance(node, ast.FunctionDef)}
    yield from (used | package.foreign(module)) & (TOUCHES - defined)
    yield from (name for name in used if TODAY.fullmatch(name))
    for node in module.calls:  # what a moment has no zone, its machine's is read
        if (called(node) or "").endswith(".astimezone") and not node.args and not node.keywords:
            yield ".astimezone"


def routes(package):
    """Routes of the API are spelled in two places only."""
    for module in package:
        if not module.name.startswith(SPELLS_ROUTES):
            for text in module.texts:
                of_a_person = module.name == ASKS_A_PERSON and "oauth2/authorize?" in text
                if not of_a_person and (ROUTE.fullmatch(text.strip()) or WITHIN.search(text)):
                    yield f"{module.name}: {text}"
            for node, name in module.uses:
                if name.endswith(".rpc") and not isinstance(node, ast.Call):
                    yield f"{module.name}: calls a route that it is given ({name})"


def threads(package):
    """Threads start in the pool, or in a module that is named with its reason."""
    for module in package:
        if module.name != POOL and module.name not in THREADS:
            yield from (f"{module.name}: {name}" for name in _threads_of(module))


def _threads_of(module):
    """What a module calls, or derives from, that starts threads."""
    return (
        name
        for _, name in module.uses
        if name.rpartition(".")[2] in STARTS_THREADS
        or name.startswith(("multiprocessing.dummy.", "multiprocessing.Pool"))
    )


def reasons_without_a_thread(package):
    """A module that starts no thread is not in the list."""
    for name in THREADS:
        module = package.modules.get(name)
        if module is None or not any(_threads_of(module)):
            yield name


RENEWED = {
    "Lock",
    "RLock",
    "Condition",
    "Event",
    "Semaphore",
    "BoundedSemaphore",
    "Barrier",
    "ThreadPoolExecutor",
    "Threads",
    "Queue",
    "LifoQueue",
    "PriorityQueue",
    "allocate_lock",
}
"""What a thread of the parent may hold, or be, at the moment of a fork."""
NOT_RENEWED = {
    "disk.sqlite": "every fork takes it, and its child lets go of it",
    "cli.progress.Rate": "the command line forks nothing",
    "cli.progress.Lines": "the command line forks nothing",
    "engine.daemon.scheduler.Loop": "runs in the parent alone; a child has no loops",
    "engine.daemon.watcher.Watcher": "runs in the parent alone; a child has no loops",
    "reader.reader.Reader": "a lock for each process, by its number",
    "remote.parallel": "joined before the call returns",
    "remote.parallel.Threads": "joined before the call returns; those that last longer are `Background`",
    "remote.parallel._Once": "never waited for",
    "remote.parallel_listing": "joined before the listing ends",
    "remote.throttle.Shape": "its wire renews it",
    "transfer.download_zip.Zip": "of one run, which a child does not go on with",
}
"""Every class whose lock stays as it is in a forked child, with its reason."""


def locks_not_renewed(package):
    """Whatever has a lock makes it new in a forked child, or is named with its reason."""
    for module in package:
        for node in module.nodes if _locks(module) else ():
            if isinstance(node, ast.ClassDef) and _has_locks(module, node):
                name = f"{module.name}.{node.name}"
                if name not in NOT_RENEWED and not _is_renewed(node):
                    yield name
        if module.name not in NOT_RENEWED and _locks_of_no_class(module):
            yield module.name


def _has_locks(module, node):
    inside = {id(each) for each in walked(node)}
    return any(id(each) in inside for each in _locks(module))


@functools.cache
def _locks(module):
    return [node for node, name in module.uses if name.rpartition(".")[2] in RENEWED]


def _locks_of_no_class(module):
    """A lock that stands in a module or a function by itself: nothing can renew it."""
    locks = _locks(module)
    classes = (node for node in module.nodes if locks and isinstance(node, ast.ClassDef))
    inside = {id(each) for node in classes for each in walked(node)}
    return [node for node in locks if id(node) not in inside]


def _is_renewed(node):
    """Whether a class says how it is renewed, and has it done."""
    says = any(isinstance(each, ast.FunctionDef) and each.name == "renew_in_child" for each in node.body)
    return says and any(called(each) == "renewed_in_child" for each in walked(node) if isinstance(each, ast.Call))


def reasons_without_a_lock(package):
    """A class that has no lock is not in the list."""
    classes = {f"{m.name}.{n.name}": (m, n) for m in package for n in m.nodes if isinstance(n, ast.ClassDef)}
    for name in NOT_RENEWED:
        if name in package.modules:
            held = bool(_locks_of_no_class(package.modules[name]))
        else:
            held = name in classes and _has_locks(*classes[name])
        if not held:
            yield name


WRITES = {
    "cli.stderr": "the log file of the command line, to which lines are added",
    "disk.part_file": "a part that is written over hours; it ends in the one atomic write",
    "disk.lock": "a lock has no bytes",
    "disk.folding": "a probe that is removed again",
    "reader.cache": "a lock has no bytes",
}
"""What makes a file and puts none in place, with its reason."""


def second_writes(package):
    """Files are put in place in one module."""
    home, calls = ONE_OF_EACH["atomic write"]
    for module in package:
        if module.name != home:
            made = [name for _, name in module.uses if calls.fullmatch(name)]
            made += [f"{called(node)} to write" for node in module.calls if _opens_to_write(node)]
            if module.name in WRITES:
                made = [name for name in made if not re.search(r"O_CREAT|tempfile|to write", name)]
            yield from (f"{module.name}: {name}" for name in [*made, *_replaces(module)])


def _opens_to_write(node):
    """`open(path, "w")`, `path.open(mode="ab")`."""
    name = called(node) or ""
    if name.rpartition(".")[2] != "open" or name.startswith(("os.", "tarfile.", "zipfile.")):
        return False
    modes = [*node.args[:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    return any(re.fullmatch(r"[rbt]*[wax][rbt+]*", folded(mode)) for mode in modes)


def _replaces(module):
    """`path.replace(target)`, where a text would take two arguments; `move = path.replace`."""
    calls = {id(node.func): node for node in module.calls}
    for node, name in module.uses:
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "replace"
            and not name.startswith(("msgspec.", "dataclasses."))
        ):
            call = calls.get(id(node))
            given = [*call.args, *(keyword for keyword in call.keywords if keyword.arg != "tzinfo")] if call else [node]
            if len(given) == 1:
                yield name


def second_databases(package):
    """SQLite is opened in one module, where forks are waited for."""
    for module in package:
        if module.name != "disk.sqlite":
            used = {name for _, name in module.uses} | package.foreign(module)
            yield from (
                f"{module.name}: {name}"
                for name in sorted(used)
                if re.match(r"_?sqlite3\.(connect\b|Connection\b|dbapi2)|_sqlite3|apsw|aiosqlite|sqlalchemy", name)
            )


def second_texts(package, what):
    """A text that only one module holds stands in another too."""
    home, text = ONE_OF_EACH[what]
    holders = {module.name for module in package for found in module.texts if text.fullmatch(found)}
    if home is None and len(holders) > 1:
        yield from sorted(holders)
    elif home is not None:
        yield from sorted(holders - {home})


PASSES = {"Unreachable", "Unavailable", "TryLater", "RateLimited", "ServiceFault", "HuracanError", "Exception"}
"""Failures after which a call may succeed."""
GO_ON = {
    "remote.client": "goes on with a download that broke off; nothing of it is asked for again",
    "signing.executor": "asks again because the protocol of publishing says so, not because a call failed",
    "transfer.upload": "commits again the files whose commit was refused, while other bytes go up",
    "remote.source": "`backoff` is what Dropbox asks for between two polls; a small file that breaks off is read anew",
    "reader.reader": "follows: the next poll comes when its time comes, whatever became of the last",
}
"""What waits as the one retry loop does and is none, each with its reason."""


def second_retries(package):
    """A call is made again after a pause in one loop."""
    for module in package:
        yield from (
            f"{module.name}: {source}"
            for source in package.foreign(module)
            if re.match(r"(tenacity|stamina|backoff|retrying|urllib3\.util\.(retry|Retry))\b", source)
        )
        if module.name not in {"remote.rate_limit", *GO_ON}:
            for _, name in module.uses:
                if re.fullmatch(r".*\.backoff|.*pacing\.pause", name):
                    yield f"{module.name}: {name}"
            for node in module.nodes:
                if isinstance(node, ast.For | ast.While):
                    if any(_waits_longer(inner) for inner in walked(node)):
                        yield f"{module.name}: a loop with a growing pause"
                    if any(_tries_again(inner) for inner in walked(node)):
                        yield f"{module.name}: a loop that tries again"


def _tries_again(node):
    """`try: return call()`, and an answer to what may pass that neither raises, returns nor leaves the loop."""
    if not isinstance(node, ast.Try):
        return False
    ends = any(isinstance(each, ast.Return | ast.Break) for part in (*node.body, *node.orelse) for each in walked(part))
    return ends and any(
        {(spelled(each) or "").rpartition(".")[2] for each in getattr(handler.type, "elts", [handler.type])} & PASSES
        and not isinstance(handler.body[-1], ast.Raise | ast.Return | ast.Break)
        for handler in node.handlers
    )


def _waits_longer(node):
    """`sleep(2 ** n)`, `pause(n * wait)`."""
    waits = isinstance(node, ast.Call) and re.search(r"(?i)sleep|pause|wait", called(node) or "")
    return bool(waits) and any(
        isinstance(inner, ast.BinOp)
        and isinstance(inner.op, ast.Pow | ast.Mult | ast.LShift)
        and not isinstance(inner.right, ast.Constant)
        for argument in node.args
        for inner in walked(argument)
    )


UP = re.compile(r"\.(rpartition|rsplit|rfind|rindex)\((.)/\2|\b(posixpath|os\.path)\.(dirname|split)\(|\bparent\(")
UPWARDS = {
    "disk.folding": "the folders of this disk, not of a path below a root",
    "disk.atomic_write": "the same",
    "cli.doctor_checks": "the same",
    "tree.spelling": "gives each folder its spelling; what is above is asked of itself and kept",
    "manifest.file_kinds": "the end of a zip, backwards",
}
"""What goes up otherwise, each with its reason."""


def second_ancestors(package):
    """From a path to the folders above it leads one way."""
    for module in package:
        if module.name != "tree.paths" and module.name not in UPWARDS:
            yield from (
                f"{module.name}: {name}"
                for _, name in module.uses
                if re.fullmatch(r"(?!huracan_sync\.).*\.parents", name)
            )
            yield from [f"{module.name}: a loop over ancestors"] * _ways_up(module)


@functools.cache
def _ways_up(module):
    names = {(called(node) or "").rpartition(".")[2] for node in module.calls}
    return sum(
        _is_a_way_up(node) for node in module.nodes if not isinstance(node, ast.FunctionDef) or node.name in names
    )


def _is_a_way_up(node):
    if isinstance(node, ast.FunctionDef):  # it asks itself about what is above
        again = [each for each in walked(node) if (called(each) or "").rpartition(".")[2] == node.name]
        return any(UP.search(ast.unparse(argument)) for each in again for argument in each.args)
    if isinstance(node, ast.While) and any(_steps_up(node, inner) for inner in walked(node)):
        return True
    if isinstance(node, ast.While) and "'/'.join(" in ast.unparse(node):  # `parts.pop()`, `parts = parts[:-1]`
        return re.search(r"\.pop\(\)|\[:-1\]", ast.unparse(node)) is not None
    if isinstance(node, ast.For | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        stepping = [node] if isinstance(node, ast.For) else getattr(node, "generators", [])
        steps = {name.id for each in stepping for name in walked(each.target) if isinstance(name, ast.Name)}
        return any(_goes_up(inner, steps) for inner in walked(node)) or any(map(_goes_down, [node]))
    return isinstance(node, ast.Call) and (called(node) or "").endswith("accumulate") and "'/'" in ast.unparse(node)


def _given(node):
    """The names that an assignment gives."""
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return {name.id for target in targets if target for name in walked(target) if isinstance(name, ast.Name)}


def _steps_up(loop, node):
    """Within a `while`, what is cut off a name that the loop itself moves."""
    if not isinstance(node, ast.Assign | ast.NamedExpr | ast.AnnAssign) or not node.value:
        return False
    moved = set().union(*(_given(each) for each in walked(loop) if isinstance(each, ast.Assign | ast.NamedExpr)))
    return UP.search(ast.unparse(node.value)) is not None and not moved.isdisjoint(
        name.id for name in walked(node.value) if isinstance(name, ast.Name)
    )


def _goes_up(node, steps):
    """`path = path.rpartition("/")[0]`, `at = path.rfind("/", 0, at)`, or `"/".join(parts[:n])` for each `n`."""
    if isinstance(node, ast.Assign | ast.NamedExpr) and UP.search(ast.unparse(node.value)):
        return not _given(node).isdisjoint(name.id for name in walked(node.value) if isinstance(name, ast.Name))
    is_join = isinstance(node, ast.Call) and ast.unparse(node.func) == "'/'.join" and node.args
    if not is_join or not isinstance(node.args[0], ast.Subscript) or not isinstance(node.args[0].slice, ast.Slice):
        return False
    return any(isinstance(name, ast.Name) and name.id in steps for name in walked(node.args[0].slice))


def _goes_down(node):
    """`for name in path.split("/"): above += "/" + name`."""
    if not isinstance(node, ast.For) or not ast.unparse(node.iter).endswith(".split('/')"):
        return False
    name = ast.unparse(node.target)
    return any(
        isinstance(each, ast.Assign | ast.AugAssign)
        and "/" in ast.unparse(each.value)
        and name in _loaded(each.value)
        and (isinstance(each, ast.AugAssign) or _given(each) & _loaded(each.value))
        for each in walked(node)
    )


def _loaded(node):
    return {name.id for name in walked(node) if isinstance(name, ast.Name)}


LISTS = ("remote.listing", "remote.read_client")
"""Where the pages are, and the table of what only reads."""
ASKS_FOR_MORE = {
    "remote.folder_listing": "the same rules (`Void`, `last_word`) for folders too, kept up by a cursor",
    "remote.parallel_listing": "asks for the pages of several folders, which the one fold puts together",
    "remote.contents": "asks for more of them at once after the first few",
    "remote.files": "reads what a move answers, which has the shape of an entry",
    "remote.source": "the poll of a reader: whether there is news, not what it is",
    "operations.verify": "gives up on a first page that is not the last",
}
"""What asks whether there is another page, beside the one fold, with its reason."""


def second_listings(package):
    """Pages of a listing are asked for, and put together, in one module."""
    for module in package:
        if module.name not in LISTS:
            for text in module.texts:
                if re.fullmatch(r".*\blist_folder(/continue)?|has_more|deleted", text):
                    yield f"{module.name}: {text}"
            for _, name in module.uses:
                if name.endswith((".has_more", "DeletedMetadata")) and module.name not in ASKS_FOR_MORE:
                    yield f"{module.name}: {name}"


def moments(package):
    """Nobody below the edge reads the clock, waits, or draws a number: time, sleep and chance are handed in."""
    known = set(DEFAULT_CLOCKS)  # each once
    for module in package:
        if module.wing not in EDGE:
            for node, name in module.uses:
                text = f"{module.name}: {name}"
                if MOMENT.fullmatch(name) and id(node) not in module.defaults:
                    if text not in known:
                        yield text
                    known.discard(text)
            for node in module.calls:  # `type(moment).now()`
                name = called(node) or ""
                if name.endswith(".now") and isinstance(node.func.value, ast.Call | ast.Subscript):
                    yield f"{module.name}: {ast.unparse(node)}"


SENTENCES = {"why", "message", "hint", "sentence", "note", "args", "strerror"}
SEARCHES = {"__contains__", "startswith", "endswith", "find", "index", "count", "split", "partition", "rpartition"}
RESPELLS = {"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "title"}


def words_searched(package):
    """An answer is a type: no word is looked for in a sentence."""
    for module in package:
        sentences = _sentences(module)
        searches = (node for node in module.nodes if isinstance(node, SEARCHING))
        for node in searches:
            if any(_is_a_sentence(side, sentences) for side in _searched(module, node)):
                yield f"{module.name}: {ast.unparse(node).splitlines()[0]}"


SEARCHING = ast.Compare | ast.Match | ast.Subscript | ast.Call


def _searched(module, node):  # noqa: C901 - one case for each kind of node
    """The texts in which an expression looks for a word."""
    if isinstance(node, ast.Compare):
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            if isinstance(op, ast.In | ast.NotIn):
                yield right
                if any(folded(each).strip("*") for each in getattr(right, "elts", ())):
                    yield left
            elif isinstance(op, ast.Eq | ast.NotEq):
                yield from [left] if folded(right).strip("*") else []
                yield from [right] if folded(left).strip("*") else []
    elif isinstance(node, ast.Match):
        yield node.subject
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
        yield node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        real = module.real(node.func) or ""
        if node.func.attr in SEARCHES:
            yield node.func.value
        elif node.func.attr == "get" and isinstance(node.func.value, ast.Dict):
            yield from node.args[:1]
        elif real.startswith(("re.", "operator.")) or real.rpartition(".")[2] in {
            "search",
            "fullmatch",
            "match",
            "fnmatch",
        }:
            yield from node.args


def _sentences(module):
    """The names that stand for a failure, or for its text, in a module."""
    failures = {node.name for node in module.nodes if isinstance(node, ast.ExceptHandler) and node.name}
    failures |= {"error", "failure", "exc"}
    given = [
        (target.id, node.value)
        for node in module.nodes
        if isinstance(node, ast.Assign | ast.NamedExpr)
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    ]
    names = set()
    for _ in range(2):
        names |= {name for name, value in given if _is_a_sentence(value, (failures, names))}
    return failures, names


def _is_a_sentence(node, sentences):  # noqa: C901 - one case for each kind of node
    """Whether an expression is what a failure says: its attribute, or a text made of it alone."""
    failures, names = sentences

    def failed(each):
        return (spelled(each) or "").rpartition(".")[2] in failures

    match node:
        case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in RESPELLS:
            return _is_a_sentence(inner, sentences)
        case ast.Call(func=ast.Attribute(value=inner, attr="__str__" | "__repr__")):
            return failed(inner)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=name), *_]):
            return name in SENTENCES
        case ast.Call(func=ast.Name(id="str" | "repr" | "format"), args=[inner, *_]):
            return failed(inner)
        case ast.JoinedStr(values=[ast.FormattedValue(value=inner)]):
            return failed(inner) or _is_a_sentence(inner, sentences)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(), right=inner):
            return failed(inner)
        case ast.Subscript(value=ast.Attribute() as inner):
            return _is_a_sentence(inner, sentences)
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr=attr):
            return attr in SENTENCES
    return False


DECIDES = {
    "huracan_sync.tree.plan.plan": "the plan itself",
    "huracan_sync.tree.plan.Plan": "a plan of one's own",
    "huracan_sync.transfer.pair.PairPlan": "a plan of one's own",
    "huracan_sync.transfer.compare.find_changes": "what a plan is decided by",
    "huracan_sync.disk.scan.scan": "one side of it",
    "huracan_sync.remote.contents.everything": "the other",
}
"""What only an operation does: a dry run prints what the operation's own `plan()` returns."""


def second_plans(package):
    """The command line decides nothing by itself about what would be done."""
    for module in package:
        if module.wing == "cli":
            for _, name in module.uses:
                by_hand = name.rpartition(".")[2] in {"compare", "find_changes", "with_steps"} and "." in name
                if name in DECIDES or (by_hand and not name.startswith("huracan_sync.operations.")):
                    yield f"{module.name}: {name}"
            for node in module.nodes:
                if isinstance(node, ast.keyword) and node.arg == "steps":
                    yield f"{module.name}: {ast.unparse(node)}"
                if (called(node) or "").rpartition(".")[0].endswith(".steps"):
                    yield f"{module.name}: {ast.unparse(node)}"


def wings_without_a_word(package):
    """The `__init__` of a wing says what the wing is for and, in one sentence, what it may import."""
    for name, module in package.modules.items():
        if name and name == module.wing and module.path.name == "__init__.py":
            said = ast.get_docstring(module.tree) or ""
            stated = re.search(r"May import (.*?)\.(?:\s|$)", said, re.DOTALL)
            if stated is None:
                yield f"{name}: no sentence `May import ...`"
            elif set(re.findall(r"`(\w+)`", stated[1])) != WINGS.get(name):
                yield f"{name}: may import something else"


def map_of_the_package(package):
    """The map in README.md shows every wing, and nothing else, each with the sentence that the wing begins with."""
    text = (package.folder.parent / "README.md").read_text(encoding="utf-8")
    map_ = re.search(r"^huracan_sync/\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    drawn = re.findall(r"^ +([\w/]+?)(?:\.py|/)\s+(.*)", map_[1], re.MULTILINE) if map_ else []
    wings = {module.wing for module in package.modules.values()} - {""}
    yield from sorted({name for name, _ in drawn} - {"__init__", "docs"} ^ wings)
    for name, sentence in drawn:
        said = ast.get_docstring(package.modules[name].tree) or "" if name in package.modules else sentence
        first = re.split(r"\.(?:\s|$)", said, maxsplit=1)[0]
        if first.replace("`", "").lower() != sentence.replace("`", "").lower():
            yield f"{name}: {first}"


ABANDONED = {
    **dict.fromkeys(("survey", "surveys", "spot", "spots"), "compare, ChangeSet; scope"),
    **dict.fromkeys(("standing", "rooted", "board", "desk", "crew"), "status; open_reader; executor; WorkerPool"),
    **dict.fromkeys(("wish", "wishes", "site", "stretch", "stretches"), "UploadItem, UploadContext; ranges"),
    **dict.fromkeys(("shelf", "letter", "letters", "door", "doors"), "cache; QueuedWrite; loopback, endpoint"),
    **dict.fromkeys(("statement", "statements", "stated", "generation", "generations"), "manifest"),
    **dict.fromkeys(("sealer", "sealing", "knob", "knobs", "anew", "exercise"), "publisher; setting; reset; selftest"),
}
"""Words that no name holds, wherever in it, and what is said instead."""
NOT_ALONE = {
    **dict.fromkeys(("seen", "act", "look", "news"), "trust_store; transaction; compare; poll"),
    **dict.fromkeys(("logins", "failing"), "token_cache; error_boundary"),
}
"""Words too plain to be a name by themselves; within one ("head_seen") they say what they say everywhere."""
NOT_A_MODULE = {"grants", "large", "small", "fetch", "shared", "redirect", "operation"}
"""Words too plain to be the name of a module; a variable may be called so."""


ON_DISK = {"signing.local_manifest: statements": "a folder that machines have, called so since the first version"}
"""Names that others know, with their reason."""
IS_A_NAME = re.compile(r"[a-z]+(_[a-z]+)*")
"""A text that is read as a name: a key, a code, a slot, an event."""


def _names(module):  # noqa: C901 - one case for each kind of node
    """The names that a module gives: its own, of classes, functions, arguments, variables and attributes."""
    yield from module.name.split(".")
    for node in module.nodes:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias(asname=str()):
                yield node.asname
            case ast.ExceptHandler(name=str()) | ast.MatchAs(name=str()):
                yield node.name
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.keyword(arg=str()):
                yield node.arg
            case ast.MatchStar(name=str()):
                yield node.name
            case ast.MatchMapping(rest=str()):
                yield node.rest
            case ast.Constant(value=str() as text) if IS_A_NAME.fullmatch(text) and text not in NOT_ALONE:
                yield text
            case ast.Call(func=ast.Name(id="setattr" | "NamedTuple" | "TypedDict" | "TypeVar" | "namedtuple" | "type")):
                yield from filter(str.isidentifier, map(folded, node.args))


@functools.cache
def _parts(name):
    """The words of a name: {"upload", "item"} of UploadItem and of upload_item."""
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return parts | {re.sub("ves$", "f", part) if part.endswith("ves") else part.removesuffix("s") for part in parts}


def words(package):
    """One word for each idea, the field's own: the abandoned ones are in no name."""
    for module in package.modules.values():
        if not NOT_A_MODULE.isdisjoint(module.name.split(".")):
            yield f"{module.name}: as a module"
        yield from _abandoned(module)


@functools.cache
def _abandoned(module):
    """Of one module, found once: the copies in which a law is broken differ from today's in one."""
    return [
        f"{module.name}: {name}"
        for name in sorted(set(_names(module)))
        if f"{module.name}: {name}" not in ON_DISK
        if _parts(name) & ABANDONED.keys() or name.strip("_").lower() in NOT_ALONE
    ]
