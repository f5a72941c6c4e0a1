"""The package as source text: its modules, what they import, and what they reach. Nothing is executed."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "huracan_sync"


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
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self):
        """(full dotted name, name taken from it or None) of each import, also inside functions.

        What only the type checker sees is left out.
        """
        imports, waiting = [], [self.tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.Import):
                imports += ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: imports are written from the top"
                imports += ((node.module, alias.name) for alias in node.names)
            waiting += ast.iter_child_nodes(node)
        return imports


class Package:
    """All modules of the package that lies in a folder."""

    def __init__(self, folder=ROOT / NAME):
        self.folder = Path(folder)
        self.modules = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Module(name, path, path.read_text(encoding="utf-8"))

    def with_added(self, place, text):
        """A copy in which a file has this text added at its end, or is new."""
        other = Package.__new__(Package)
        other.folder, other.modules = self.folder, dict(self.modules)
        name = place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
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
                yield below if below in self.modules else inner

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


def texts(module):
    """Each string that is no docstring, f-string parts too."""
    docstrings = {
        id(node.body[0].value)
        for node in module.nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
