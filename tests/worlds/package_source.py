"""The package as source text: its modules, what they import, and what they reach. Nothing is executed.

What something is called in a module is not what it is: `from time import time as now`, `clock = time.time` and
`getattr(time, "time")` are all `time.time` (`Module.real`).
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "huracan_sync"
IMPORTS_BY_NAME = {"import_module", "__import__", "find_spec"}
UNREADABLE = re.compile(
    r"(builtins\.)?(exec|eval|compile|globals|breakpoint)|(builtins\.)?__builtins__.*|sys\.modules.*"
    r"|(runpy|pkgutil|pydoc|imp|zipimport|importlib\.(machinery|resources|metadata\.(entry_points|EntryPoint)))(\..*)?"
    r"|importlib\.util\.(spec_from|module_from).*|operator\.(attrgetter|methodcaller)"
)
"""What imports or reaches anything without its name being written."""
HIDDEN = {"os", "sys", "time", "threading", "importlib", "subprocess", "builtins", "random", "shutil"}
"""Modules that are not used by way of another one that happens to import them."""


def walked(tree):
    """Every node below one, and itself, but for whether a name is read or written: half of what `ast.walk` gives."""
    nodes = [tree]
    for node in nodes:
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                nodes += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and field != "ctx":
                nodes.append(value)
    return nodes


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name below the package ("" is the package itself), its path, its text."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self):
        return ast.parse(self.text)

    @property
    def wing(self):
        return self.name.partition(".")[0]

    @property
    def lines(self):
        return len(self.text.splitlines())

    @cached_property
    def nodes(self):
        return walked(self.tree)

    @cached_property
    def calls(self):
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def imports(self):
        """(full dotted name, name taken from it or None) of each import, also inside functions and by name.

        What only the type checker sees is left out.
        """
        checked = (node for node in self.nodes if isinstance(node, ast.If) and self._is_for_checkers(node))
        left_out = {id(each) for node in checked for part in (node.test, *node.body) for each in walked(part)}
        imports = []
        for node in self.nodes:
            if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call) or id(node) in left_out:
                continue
            if isinstance(node, ast.Import):
                imports += ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self._absolute(node)
                imports += ((source, alias.name) for alias in node.names)
            elif name := self._imported_by_call(node):
                imports.append((name, None))
        return imports

    def _is_for_checkers(self, node):
        return self.real(node.test) == "typing.TYPE_CHECKING"

    def _absolute(self, node):
        """Where `from . import x` leads."""
        if not node.level:
            return node.module
        is_package = self.path.name == "__init__.py"
        package = [NAME, *self.name.split(".")] if self.name else [NAME]
        package = package[: len(package) - (node.level - is_package)]
        return ".".join([*package, *([node.module] if node.module else [])])

    def _imported_by_call(self, node):
        """What `importlib.import_module("x")` and its like import: "" when it is computed, None for other nodes."""
        if isinstance(node, ast.Call) and (spelled(node.func) or "").rpartition(".")[2] in self._importers:
            name = folded(node.args[0]) if node.args else "*"
            return "" if "*" in name or name.startswith(".") else name
        return None

    @cached_property
    def _importers(self):
        """What imports by name, under every name that it has here."""
        aliases = (alias for node in self.nodes if isinstance(node, ast.ImportFrom) for alias in node.names)
        return IMPORTS_BY_NAME | {alias.asname for alias in aliases if alias.name in IMPORTS_BY_NAME} - {None}

    @cached_property
    def computed(self):
        """Whatever is imported, run or reached without its name being written."""
        found = [ast.unparse(node) for node in self.calls if self._imported_by_call(node) == ""]
        called_ = {id(node.func) for node in self.calls}
        for node, name in self.uses:
            importer = name.rpartition(".")[2] in IMPORTS_BY_NAME and (
                id(node) not in called_ or not isinstance(node, ast.Name | ast.Attribute)
            )
            inner = name.split(".")[1:] if name.partition(".")[0] in self._roots else [""]
            if importer or UNREADABLE.fullmatch(name) or HIDDEN.intersection(inner[:-1]) or "__dict__" in inner:
                found.append(name)
        found += [ast.unparse(node) for node in self.calls if self._reads_a_module(node)]
        return found + [
            f"from {source} import {name}"
            for source, name in self.imports
            if name == "*" or UNREADABLE.fullmatch(source)
        ]

    @cached_property
    def _roots(self):
        """The first parts of the dotted names of all that is imported."""
        return {name.partition(".")[0] for name in self.aliases.values()}

    def _reads_a_module(self, node):
        """`vars(module)`, or `getattr(module, name)` with a name that is computed: what comes of it nobody can see."""
        if spelled(node.func) not in {"vars", "getattr"} or not node.args:
            return False
        what = spelled(node.args[0]) or ""
        computed = spelled(node.func) == "vars" or (len(node.args) > 1 and "*" in folded(node.args[1]))
        return computed and what in {alias for alias, full in self.aliases.items() if full in self._modules_imported}

    @cached_property
    def _modules_imported(self):
        """The modules that are imported whole, by their full names."""
        return {alias.name for node in self.nodes if isinstance(node, ast.Import) for alias in node.names}

    @cached_property
    def aliases(self):
        """{name: what it is} of all that is imported, or given another name, anywhere in the module."""
        found = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{self._absolute(node)}.{alias.name}"
        for _ in range(2):
            for node in self.nodes:
                if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                    head = spelled(node.value) or (isinstance(node.value, ast.Call) and spelled(node.value.func)) or ""
                    name = self._real(node.value, found) if head.partition(".")[0] in {*found, "getattr"} else None
                    if name and node.targets[0].id not in found and "*" not in name:
                        found[node.targets[0].id] = name
        return found

    def _real(self, node, aliases):
        if isinstance(node, ast.Call):
            if spelled(node.func) == "getattr" and len(node.args) > 1:
                return f"{self._real(node.args[0], aliases) or ''}.{folded(node.args[1])}"
            return self._imported_by_call(node) or None
        if isinstance(node, ast.Attribute):
            return f"{self._real(node.value, aliases) or ''}.{node.attr}"
        return aliases.get(node.id, node.id) if isinstance(node, ast.Name) else None

    def real(self, node):
        """The dotted name of what a name, an attribute or a `getattr` stands for; what is computed is left empty."""
        return self._real(node, self.aliases)

    @cached_property
    def uses(self):
        """(node, what it really is) of every name and attribute that is read, but in annotations."""
        skipped = {id(each) for node in self.nodes for part in _annotations(node) for each in walked(part)}
        skipped |= {id(node.value) for node in self.nodes if isinstance(node, ast.Attribute)}
        return [
            (node, name)
            for node in self.nodes
            if isinstance(node, ast.Name | ast.Attribute | ast.Call)
            and id(node) not in skipped
            and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
            and (name := self.real(node))
        ]

    @cached_property
    def defaults(self):
        """The ids of the nodes in the defaults of arguments and of fields, in `given or default` and `is default`."""
        found = [
            part
            for node in self.nodes
            if isinstance(node, ast.arguments)
            for part in (*node.defaults, *node.kw_defaults)
            if part is not None
        ]
        fields = (each for node in self.nodes if isinstance(node, ast.ClassDef) for each in node.body)
        found += [each.value for each in fields if isinstance(each, ast.AnnAssign) and each.value is not None]
        found += [
            node.values[-1] for node in self.nodes if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
        ]
        found += [
            node.comparators[0]
            for node in self.nodes
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot)
        ]
        # What is called there is read there: `now or time.time()`.
        calls = (node for part in found for node in walked(part) if isinstance(node, ast.Call))
        called_ = {id(each) for node in calls for each in walked(node.func)}
        return {id(each) for part in found for each in walked(part)} - called_

    @cached_property
    def texts(self):
        """Each string that is no docstring, f-string parts too; and each that is put together of several."""
        docstrings = {
            id(node.body[0].value)
            for node in self.nodes
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in docstrings:
                found.append(node.value if isinstance(node.value, str) else node.value.decode("latin-1"))
            elif isinstance(node, ast.BinOp | ast.JoinedStr | ast.Call):
                found.append(folded(node, self.constants))
        return [text for text in found if text.strip("*")]

    @cached_property
    def constants(self):
        """{name: its node} of every name that is given one value in the whole module, a text or several."""
        given = [
            (node.targets[0].id, node.value)
            for node in self.nodes
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ]
        counts = Counter(name for name, _ in given)
        return {
            name: value
            for name, value in given
            if counts[name] == 1 and isinstance(value, ast.Constant | ast.Tuple | ast.List)
        }


def module_name(place):
    """The dotted name below the package of a file."""
    return place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Package:
    """All modules of the package that lies in a folder."""

    def __init__(self, folder=ROOT / NAME):
        self.folder = Path(folder)
        self.modules = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Module(name, path, path.read_text(encoding="utf-8"))

    def only(self, name):
        """A copy that holds one of the modules, or none where there is none of that name."""
        other = Package.__new__(Package)
        other.folder = self.folder
        other.modules = {name: self.modules[name]} if name in self.modules else {}
        return other

    def with_added(self, place, text):
        """A copy in which a file has this text added at its end, or is new."""
        other = Package.__new__(Package)
        other.folder, other.modules = self.folder, dict(self.modules)
        name = module_name(place)
        before = self.modules[name].text if name in self.modules else ""
        other.modules[name] = Module(name, self.folder / place, f"{before}\n{text}\n")
        return other

    def __iter__(self):
        """Every module but those of the emulator, which is a program of its own."""
        return iter(module for module in self.modules.values() if module.wing != "emulator")

    def ours(self, module):
        """The modules of this package that a module names in its imports."""
        for source, taken in module.imports:
            if source.partition(".")[0] == NAME:
                inner = source[len(NAME) + 1 :]
                below = ".".join(filter(None, (inner, taken)))
                yield below if below in self.modules else inner or self._front.get(taken, "")
            if source.partition(".")[0] == NAME and taken is None:  # and then anything of it by its full name
                yield from sorted({self._longest(name) for _, name in module.uses if name.startswith(f"{NAME}.")})

    @cached_property
    def _front(self):
        """{name: module} of what the package hands out at its top."""
        front = self.modules[""]
        return {
            alias.name: node.module[len(NAME) + 1 :]
            for node in front.nodes
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{NAME}.")
            for alias in node.names
        }

    def _longest(self, name):
        """The module that a full dotted name begins with."""
        parts = name.split(".")[1:]
        names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        return next((each for each in names if each in self.modules), self._front.get(names[-1], ""))

    def foreign(self, module):
        """The dotted names that a module imports from elsewhere, with what it takes from them."""
        return {
            source if taken is None else f"{source}.{taken}"
            for source, taken in module.imports
            if source.partition(".")[0] != NAME
        }

    def closure(self, *names, with_parents=True):
        """Every module that these import, directly or not, also inside functions.

        Python loads the packages around a module too; whoever asks what a module *uses* leaves them out.
        """
        reached, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.ours(self.modules[name])
                waiting += [name.rpartition(".")[0]] if with_parents else []
        return reached

    def weight(self, *names):
        """(modules, lines) of a closure."""
        reached = self.closure(*names)
        return len(reached), sum(self.modules[name].lines for name in reached)

    def circles(self):
        """Groups of files that import each other, directly or not; each sorted."""
        arrows = {name: set(self.ours(module)) - {name} for name, module in self.modules.items()}
        return sorted(sorted(group) for group in _strongly_connected(arrows) if len(group) > 1)


@cache
def of_today():
    """The package as it lies here; what is known of it is found out once."""
    return Package()


def _strongly_connected(arrows):
    """Tarjan's algorithm, without recursion on the outside: the graph is small."""
    order, low, stack, groups = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in arrows[node]:
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            groups.append(group)

    for node in arrows:
        if node not in order:
            visit(node)
    return groups


def _annotations(node):
    if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns


def folded(node, constants={}):  # noqa: B006, C901, PLR0911 - it is only read; one case for each kind of node
    """The text that an expression makes; `*` for what is only known when it runs."""

    def fold(part):
        return folded(part, constants)

    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name) if name in constants:
            return folded(constants[name])
        case ast.JoinedStr():
            return "".join(map(fold, node.values))
        case ast.FormattedValue():
            return fold(node.value)
        case ast.BinOp(op=ast.Add()):
            return fold(node.left) + fold(node.right)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as text)):
            keys = getattr(node.right, "keys", [])
            parts = node.right.values if keys else getattr(node.right, "elts", [node.right])
            return _filled(re.sub(r"%(?:\((\w+)\))?[sdr]", r"{\1}", text), parts, map(fold, keys), fold)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            return _filled(text, [*node.args, *named.values()], [*map(str, range(len(node.args))), *named], fold)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="join"), args=[several]):
            return text.join(map(fold, _elements(several, constants)))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="str"), attr="join"), args=[between, several]):
            return fold(between).join(map(fold, _elements(several, constants)))
        case ast.Call(func=ast.Attribute(attr="join"), args=[_, _, *_]):  # posixpath.join("a", "b")
            return "/".join(map(fold, node.args))
    return "*"


def _elements(node, constants):
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    return getattr(node, "elts", [node])


def _filled(text, parts, keys, fold):
    """A template with its fields filled, by name or one after the other."""
    texts = list(map(fold, parts))
    named, given = dict(zip(keys, texts, strict=False)), iter(texts)
    return re.sub(r"\{(\w*)[^{}]*\}", lambda field: named.get(field[1], "*") if field[1] else next(given, "*"), text)


def called(node):
    """The dotted name of what a call calls ("time.sleep", ".replace" of anything, "open"), or None."""
    return spelled(node.func) if isinstance(node, ast.Call) else None


def spelled(node):
    """A name or attribute as it is spelled: "a.b.c"; what is computed is left empty: ".c"."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{spelled(node.value) or ''}.{node.attr}"
    return None
