"""The laws of the package: each a function from a package to its breaches, one text each ("module: what it does")."""

import ast
import functools
import re

from package_source import called, folded, spelled

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
WORLD = {
    *("socket", "ssl", "select", "urllib3", "urllib.request", "http.client", "http.server"),
    *("os", "posix", "io.open", "io.FileIO", "codecs.open", "builtins.open", "pathlib.Path", "pathlib.PosixPath"),
    *("shutil", "tempfile", "sqlite3", "mmap", "fcntl", "glob", "fileinput", "linecache", "ctypes"),
    *("sys.stdin", "sys.stdout", "sys.stderr", "getpass", "logging.FileHandler"),
    *("time", "random", "secrets", "signal", "subprocess", "uuid.uuid1", "uuid.uuid4"),
    *("threading", "_thread", "multiprocessing", "concurrent", "asyncio", "selectors", "sched"),
}
"""What a pure module reaches neither itself nor through what it imports: network, disk, clock, chance, threads."""

ROUTE = re.compile(
    r"(?:https?:/*[^/]*)?(?:/?2)?/?(?:(?:files|users|auth|oauth2|check|sharing|file_requests|file_properties)/[a-z0-9_/*]*"
    r"|\*?/?(?:get_metadata|list_folder|list_revisions|delete_v2|delete_batch|create_folder_v2|(?:move|copy)(?:_batch)?_v2|"
    r"upload_session|get_current_account|get_space_usage|save_url|get_temporary_link|search_v2)[a-z0-9_/*]*)"
    r"|.*\bdropboxapi\.com\b.*"
)
SPELLS_ROUTES = ("remote.", "auth.token_endpoint", "auth.login_calls")

STARTS_THREADS = {
    *("Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread", "to_thread"),
    *("ThreadingHTTPServer", "ThreadingTCPServer", "ThreadingMixIn", "run_in_executor", "fork", "Process"),
}
POOL = "transfer.worker_pool"
THREADS = {
    "remote.parallel": "a few independent small requests at once; joined before the call returns",
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
            r"(os|posix)\.(replace|renames?|link)|(shutil|pathlib\.Path)\.(move|replace)|.*\.(rename|hardlink_to)"
        ),
    ),
    "Retry-After": ("remote.errors", re.compile(r"(?i).*\bretry-after\b.*")),
    "size": (None, re.compile(r" ?\b([KMGT]iB|[kMGT]B)\b.{0,3}")),
}
TODAY = re.compile(r"(datetime\.)?(datetime|date)\.(now|today|utcnow)")
MOMENT = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|sleep|localtime|gmtime|ctime|strftime|clock_gettime)(_ns)?"
    rf"|{TODAY.pattern}|random\.\w+|asyncio\.sleep|os\.times|uuid\.uuid[14]"
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
    for source in package.foreign(module) | used:
        parts = source.split(".")
        yield from {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & WORLD
    defined = {node.name for node in module.nodes if isinstance(node, ast.FunctionDef)}
    yield from used & ({"open", "print", "input"} - defined)
    yield from (name for name in used if TODAY.fullmatch(name))


def routes(package):
    """Routes of the API are spelled in two places only."""
    for module in package:
        if not module.name.startswith(SPELLS_ROUTES):
            for text in module.texts:
                if ROUTE.fullmatch(text):
                    yield f"{module.name}: {text}"


def threads(package):
    """Threads start in the pool, or in a module that is named with its reason."""
    for module in package:
        if module.name != POOL and module.name not in THREADS:
            yield from (f"{module.name}: {name}" for name in _threads_of(module))


def _threads_of(module):
    """What a module calls, or derives from, that starts threads."""
    return (name for _, name in module.uses if name.rpartition(".")[2] in STARTS_THREADS)


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
}
"""What a thread of the parent may hold, or be, at the moment of a fork."""
NOT_RENEWED = {
    "cli.progress.Rate": "the command line forks nothing",
    "cli.progress.Lines": "the command line forks nothing",
    "engine.daemon.scheduler.Loop": "runs in the parent alone; a child has no loops",
    "engine.daemon.watcher.Watcher": "runs in the parent alone; a child has no loops",
    "reader.reader.Reader": "a lock for each process, by its number",
    "remote.parallel": "joined before the call returns",
    "remote.parallel.Threads": "joined before the call returns; those that last longer are `Background`",
    "remote.parallel._Once": "never waited for",
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
    inside = {id(each) for each in ast.walk(node)}
    return any(id(each) in inside for each in _locks(module))


def _locks(module):
    return [node for node, name in module.uses if name.rpartition(".")[2] in RENEWED]


def _locks_of_no_class(module):
    """A lock that stands in a module or a function by itself: nothing can renew it."""
    classes = (node for node in module.nodes if isinstance(node, ast.ClassDef))
    inside = {id(each) for node in classes for each in ast.walk(node)}
    return [node for node in _locks(module) if id(node) not in inside]


def _is_renewed(node):
    """Whether a class says how it is renewed, and has it done."""
    says = any(isinstance(each, ast.FunctionDef) and each.name == "renew_in_child" for each in node.body)
    return says and any(called(each) == "renewed_in_child" for each in ast.walk(node) if isinstance(each, ast.Call))


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


def second_writes(package):
    """Files are put in place in one module."""
    home, calls = ONE_OF_EACH["atomic write"]
    for module in package:
        if module.name != home:
            yield from (f"{module.name}: {name}" for _, name in module.uses if calls.fullmatch(name))
            for node in module.nodes:
                name = called(node)
                if name and not calls.fullmatch(name) and _replaces_a_file(node, name):
                    yield f"{module.name}: {name}"


def _replaces_a_file(node, name):
    """`path.replace(target)`: of a text it would take two arguments."""
    ours = name.endswith(".replace") and not name.endswith("structs.replace") and name != "dataclasses.replace"
    return ours and len(node.args) == 1 and not node.keywords


def second_texts(package, what):
    """A text that only one module holds stands in another too."""
    home, text = ONE_OF_EACH[what]
    holders = {module.name for module in package for found in module.texts if text.fullmatch(found)}
    if home is None and len(holders) > 1:
        yield from sorted(holders)
    elif home is not None:
        yield from sorted(holders - {home})


GO_ON = {"remote.client": "goes on with a download that broke off; nothing of it is asked for again"}
"""Loops that wait as the one retry loop does and are none, each with its reason."""


def second_retries(package):
    """A call is made again after a pause in one loop."""
    for module in package:
        if module.name not in {"remote.rate_limit", *GO_ON}:
            for node in module.nodes:
                if isinstance(node, ast.For | ast.While) and any(
                    (called(inner) or "").endswith(".backoff") for inner in ast.walk(node)
                ):
                    yield f"{module.name}: a loop with a backoff"


def second_ancestors(package):
    """From a path to the folders above it leads one way."""
    for module in package:
        if module.name != "tree.paths":
            for node in module.nodes:
                if isinstance(node, ast.For | ast.While | ast.ListComp | ast.SetComp | ast.GeneratorExp):
                    stepping = [node] if isinstance(node, ast.For) else getattr(node, "generators", [])
                    steps = {ast.unparse(each.target) for each in stepping}
                    if any(_goes_up(inner, steps) for inner in ast.walk(node)):
                        yield f"{module.name}: a loop over ancestors"


def _goes_up(node, steps):
    """`path = path.rpartition("/")[0]`, `at = path.rfind("/", 0, at)`, or `"/".join(parts[:n])` for each `n`."""
    if isinstance(node, ast.Assign) and re.search(r"\.(rpartition|rsplit|rfind)\('/'", ast.unparse(node.value)):
        targets = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        return not targets.isdisjoint(name.id for name in ast.walk(node.value) if isinstance(name, ast.Name))
    is_join = isinstance(node, ast.Call) and ast.unparse(node.func) == "'/'.join" and node.args
    if not is_join or not isinstance(node.args[0], ast.Subscript) or not isinstance(node.args[0].slice, ast.Slice):
        return False
    return any(isinstance(name, ast.Name) and name.id in steps for name in ast.walk(node.args[0].slice))


LISTS = ("remote.listing", "remote.read_client")
"""Where the pages are, and the table of what only reads."""


def second_listings(package):
    """Pages of a listing are asked for, and put together, in one module."""
    for module in package:
        if module.name not in LISTS:
            for text in module.texts:
                if re.fullmatch(r".*\blist_folder(/continue)?", text):
                    yield f"{module.name}: {text}"


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


SENTENCES = {"why", "message", "hint", "sentence", "note", "args", "strerror"}
SEARCHES = {"startswith", "endswith", "find", "index", "count", "removeprefix", "split", "partition", "rpartition"}
RESPELLS = {"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "title"}


def words_searched(package):
    """An answer is a type: no word is looked for in a sentence."""
    for module in package:
        sentences = _sentences(module)
        for node in module.nodes:
            if any(_is_a_sentence(side, sentences) for side in _searched(module, node)):
                yield f"{module.name}: {ast.unparse(node).splitlines()[0]}"


def _searched(module, node):
    """The texts in which an expression looks for a word."""
    if isinstance(node, ast.Compare):
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            if isinstance(op, ast.In | ast.NotIn):
                yield right
            elif isinstance(op, ast.Eq | ast.NotEq) and folded(right).strip("*"):
                yield left
    elif isinstance(node, ast.Match):
        yield node.subject
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        real = module.real(node.func) or ""
        if node.func.attr in SEARCHES:
            yield node.func.value
        elif real.startswith("re.") or real.rpartition(".")[2] in {"search", "fullmatch", "match", "fnmatch"}:
            yield from node.args


def _sentences(module):
    """The names that stand for a failure, or for its text, in a module."""
    failures = {node.name for node in module.nodes if isinstance(node, ast.ExceptHandler) and node.name}
    failures |= {"error", "failure", "exc"}
    texts_ = {
        node.targets[0].id
        for node in module.nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and called(node.value) in {"str", "repr"}
        and node.value.args
        and spelled(node.value.args[0]) in failures
    }
    return failures, texts_


def _is_a_sentence(node, sentences):
    failures, names = sentences
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RESPELLS:
        return _is_a_sentence(node.func.value, sentences)
    if isinstance(node, ast.Call):
        return called(node) in {"str", "repr"} and bool(node.args) and spelled(node.args[0]) in failures
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and _is_a_sentence(node.value, sentences)
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Attribute) and node.attr in SENTENCES


DECIDES = {
    "huracan_sync.tree.plan.plan": "the plan itself",
    "huracan_sync.tree.plan.Plan": "a plan of one's own",
    "huracan_sync.transfer.pair.PairPlan": "a plan of one's own",
    "huracan_sync.transfer.compare.find_changes": "what a plan is decided by",
}
"""What only an operation does: a dry run prints what the operation's own `plan()` returns."""


def second_plans(package):
    """The command line decides nothing by itself about what would be done."""
    for module in package:
        if module.wing == "cli":
            for node, name in module.uses:
                by_hand = isinstance(node, ast.Attribute) and node.attr in {"compare", "find_changes", "with_steps"}
                if name in DECIDES or (by_hand and not name.startswith("huracan_sync.operations.")):
                    yield f"{module.name}: {name}"


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
    """The map in README.md shows every wing, and nothing else."""
    text = (package.folder.parent / "README.md").read_text(encoding="utf-8")
    map_ = re.search(r"^huracan_sync/\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    drawn = set(re.findall(r"^ +([\w/]+?)(?:\.py|/)(?=\s)", map_[1], re.MULTILINE)) if map_ else set()
    wings = {module.wing for module in package.modules.values()} - {""}
    yield from sorted(drawn - {"__init__", "docs"} ^ wings)


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


def _names(module):
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


@functools.cache
def _parts(name):
    """The words of a name: {"upload", "item"} of UploadItem and of upload_item."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def words(package):
    """One word for each idea, the field's own: the abandoned ones are in no name."""
    for module in package.modules.values():
        if module.name.rpartition(".")[2] in NOT_A_MODULE:
            yield f"{module.name}: as a module"
        for name in sorted(set(_names(module))):
            if _parts(name) & ABANDONED.keys() or name.strip("_").lower() in NOT_ALONE:
                yield f"{module.name}: {name}"
