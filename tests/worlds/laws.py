"""The laws of the package: each a function from a package to its breaches, one text each ("module: what it does")."""

import ast
import re

from package_source import called, spelled, texts

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
    *("os", "io.open", "pathlib.Path", "pathlib.PosixPath", "shutil", "tempfile", "sqlite3"),
    *("time", "random", "secrets", "signal", "subprocess"),
    *("threading", "_thread", "multiprocessing", "concurrent", "asyncio"),
}
"""What a pure module reaches neither itself nor through what it imports: network, disk, clock, chance, threads."""

ROUTE = re.compile(r"(?:/?2/)?(?:files|users|auth|oauth2|check|sharing|file_requests|file_properties)/[a-z0-9_/]*")
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
    "cli.output": "keeps the progress line moving while a request is waited for",
    "cli.run": "hears the second signal while the first is still being served",
}
"""Every module but the pool that starts a thread, with its reason."""

ONE_OF_EACH = {
    "atomic write": ("disk.atomic_write", re.compile(r"os\.(replace|rename|renames|link)|shutil\.move|.*\.rename")),
    "Retry-After": ("remote.errors", re.compile(r"(?i)retry-after")),
    "size": (None, re.compile(r" ?\b([KMGT]iB|[kMGT]B)\b.{0,3}")),
}
MOMENT = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|sleep)(_ns)?|(datetime|date)\.(now|today|utcnow)|random\.\w+"
)
"""Calls that read the clock, wait, or draw a number that a test would want to choose.

As the default of an argument they may be named everywhere. Names and keys that nobody may guess (`secrets`,
`os.urandom`) are no such numbers: to choose them would be a fault.
"""
EDGE = ("cli", "__main__")
"""Where the defaults stand: what runs here reads the machine's clock."""


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
    for source in package.foreign(module):
        parts = source.split(".")
        yield from {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & WORLD
    defined = {node.name for node in module.nodes if isinstance(node, ast.FunctionDef)}
    for node in module.nodes:
        name = called(node)
        if name in {"open", "print", "input"} - defined or (
            name and re.fullmatch(r"(datetime|date)\.(now|today|utcnow)", name)
        ):
            yield f"{name}()"


def routes(package):
    """Routes of the API are spelled in two places only."""
    for module in package:
        if not module.name.startswith(SPELLS_ROUTES):
            for text in texts(module):
                if ROUTE.fullmatch(text):
                    yield f"{module.name}: {text}"


def threads(package):
    """Threads start in the pool, or in a module that is named with its reason."""
    for module in package:
        if module.name != POOL and module.name not in THREADS:
            yield from (f"{module.name}: {name}" for name in _threads_of(module))


def _threads_of(module):
    """What a module calls, or derives from, that starts threads."""
    for node in module.nodes:
        made = called(node) if isinstance(node, ast.Call) else None
        bases = [spelled(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
        for name in [made, *bases]:
            if name and name.rpartition(".")[2] in STARTS_THREADS:
                yield name


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
    "cli.output.Rate": "the command line forks nothing",
    "cli.output.Lines": "the command line forks nothing",
    "engine.daemon.scheduler.Loop": "runs in the parent alone; a child has no loops",
    "engine.daemon.watcher.Watcher": "runs in the parent alone; a child has no loops",
    "remote.parallel.Threads": "joined before the call returns; those that last longer are `Background`",
    "remote.parallel._Once": "never waited for",
    "remote.throttle.Shape": "its wire renews it",
    "transfer.download_zip.Zip": "of one run, which a child does not go on with",
}
"""Every class whose lock stays as it is in a forked child, with its reason."""


def locks_not_renewed(package):
    """Whatever has a lock makes it new in a forked child, or is named with its reason."""
    for module in package:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef) and _has_locks(node):
                name = f"{module.name}.{node.name}"
                if name not in NOT_RENEWED and not _is_renewed(node):
                    yield name


def _has_locks(node):
    made = [called(each) for each in ast.walk(node) if isinstance(each, ast.Call)]
    return any(name and name.rpartition(".")[2] in RENEWED for name in [*made, *map(spelled, node.bases)])


def _is_renewed(node):
    """Whether a class says how it is renewed, and has it done."""
    says = any(isinstance(each, ast.FunctionDef) and each.name == "renew_in_child" for each in node.body)
    return says and any(called(each) == "renewed_in_child" for each in ast.walk(node) if isinstance(each, ast.Call))


def reasons_without_a_lock(package):
    """A class that has no lock is not in the list."""
    classes = {f"{m.name}.{n.name}": n for m in package for n in m.nodes if isinstance(n, ast.ClassDef)}
    yield from (name for name in NOT_RENEWED if name not in classes or not _has_locks(classes[name]))


def second_writes(package):
    """Files are put in place in one module."""
    home, calls = ONE_OF_EACH["atomic write"]
    for module in package:
        for node in module.nodes:
            name = called(node)
            if name and module.name != home and (calls.fullmatch(name) or _replaces_a_file(node, name)):
                yield f"{module.name}: {name}"


def _replaces_a_file(node, name):
    """`path.replace(target)`: of a text it would take two arguments."""
    ours = name.endswith(".replace") and not name.endswith("structs.replace") and name != "dataclasses.replace"
    return ours and len(node.args) == 1 and not node.keywords


def second_texts(package, what):
    """A text that only one module holds stands in another too."""
    home, text = ONE_OF_EACH[what]
    holders = {module.name for module in package for found in texts(module) if text.fullmatch(found)}
    if home is None and len(holders) > 1:
        yield from sorted(holders)
    elif home is not None:
        yield from sorted(holders - {home})


def second_listings(package):
    """Pages of a listing are asked for, and put together, in one module."""
    for module in package:
        if module.name != "remote.listing":
            for node in module.nodes:
                if isinstance(node, ast.Call) and any(
                    isinstance(part, ast.Constant) and part.value in {"files/list_folder", "files/list_folder/continue"}
                    for part in node.args
                ):
                    yield f"{module.name}: {ast.unparse(node.func)}"


def moments(package):
    """Nobody below the edge reads the clock, waits, or draws a number: time, sleep and chance are handed in."""
    for module in package:
        imported = {taken or source for source, taken in module.imports}
        for node in module.nodes if module.wing not in EDGE else ():
            name = called(node)
            if name and MOMENT.fullmatch(name) and name.partition(".")[0] in imported:
                yield f"{module.name}: {name}"


SENTENCES = {"why", "message", "hint", "sentence", "note"}


def words_searched(package):
    """An answer is a type: no word is looked for in a sentence."""
    for module in package:
        for node in module.nodes:
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
                for side in node.comparators:
                    if _is_a_sentence(side):
                        yield f"{module.name}: {ast.unparse(node)}"
            name = called(node) or ""
            if (
                name.rpartition(".")[2] in {"startswith", "endswith", "find"}
                and "." in name
                and _is_a_sentence(node.func.value)
            ):
                yield f"{module.name}: {ast.unparse(node)}"


def _is_a_sentence(node):
    if isinstance(node, ast.Call):
        return (
            called(node) in {"str", "repr"} and bool(node.args) and spelled(node.args[0]) in {"error", "failure", "exc"}
        )
    return isinstance(node, ast.Attribute) and node.attr in SENTENCES


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


def map_of_the_readme(package):
    """The map in the README shows every wing, and nothing else."""
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
    **dict.fromkeys(("seen", "act", "look", "news", "grants"), "trust_store; transaction; compare; poll"),
    **dict.fromkeys(("large", "small", "logins", "failing"), "upload_parts; token_cache; error_boundary"),
}
"""Words too plain to be a name by themselves; within one ("head_seen") they say what they say everywhere."""


def _names(module):
    """The names that a module gives: its own, of classes, functions, arguments and attributes."""
    yield module.name.rpartition(".")[2]
    for node in module.nodes:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.AnnAssign(target=ast.Name()):
                yield node.target.id


def words(package):
    """One word for each idea, the field's own: the abandoned ones are in no name."""
    for module in package:
        for name in sorted(set(_names(module))):
            parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}
            if parts & ABANDONED.keys() or name.strip("_").lower() in NOT_ALONE:
                yield f"{module.name}: {name}"
