"""Python source as data: which names a module defines, what each refers to, and a digest that wording cannot change.

Nothing is imported or run; a name is followed through syntax alone. Comments, formatting, docstrings, descriptions of
fields and annotations of functions do not count.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from physlab import keys

Chain = tuple[str, ...]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.Lambda)
_CLOSED = {*_SCOPES, ast.ClassDef, ast.Constant}
_LEAVES = {ast.Constant, ast.Load, ast.Store, ast.Del, *ast.operator.__subclasses__(), *ast.unaryop.__subclasses__()}
_NAMING = {*_FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar}
_IMPORTS = {ast.Import, ast.ImportFrom}
_SKIPPED = {"ctx", "kind", "type_comment", "type_params"}


class Place(NamedTuple):
    """A name in a module of the package, with the attributes looked up on it; an empty chain is the whole module."""

    module: str
    chain: Chain


_Scope = dict[str, tuple[Place, ...]]


class Definition(NamedTuple):
    """One name of a module: digest of its normalised source, and the places that it refers to."""

    digest: str
    refers: frozenset[Place]


def load(name: str, top: str) -> Module | None:
    """Return a module of the package `top`, or None when it is foreign or has no Python source."""
    path = _locate(name, top) if name == top or name.startswith(top + ".") else None
    return _parse(path, name) if path else None


def _locate(name: str, top: str) -> Path | None:
    root = sys.modules.get(top)
    rest = tuple(name.split(".")[1:])
    if (folders := getattr(root, "__path__", None)) is not None:
        return _find(tuple(folders), rest)
    file = getattr(root, "__file__", None)
    return Path(file) if file and not rest else None


@cache
def _find(folders: tuple[str, ...], parts: tuple[str, ...]) -> Path | None:
    bases = [Path(folder, *parts) for folder in folders]
    candidates = (path for base in bases for path in (base / "__init__.py", base.with_name(base.name + ".py")))
    return next((path for path in candidates if path.is_file()), None)


@cache
def _parse(path: Path, name: str) -> Module:
    return Module(name, path)


class Module:
    """The names of one module: the statements that define each, and the imports."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.statements: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, list[Place]] = {}
        self.stars: list[str] = []
        self._definitions: dict[str, Definition] = {}
        mutations: list[tuple[str, ast.stmt]] = []
        for statement in ast.parse(path.read_bytes()).body:
            nodes = _outside_scopes(statement)
            self._enter_imports(nodes)
            for bound in {_bound(node) for node in nodes} - {None}:
                self.statements.setdefault(str(bound), []).append(statement)
            mutations.extend((name, statement) for name in _mutated(nodes))
        for name, statement in mutations:
            if name in self.statements and statement not in self.statements[name]:
                self.statements[name].append(statement)

    def _enter_imports(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            for name, place in _imported(node, self.package):
                if name == "*":
                    self.stars.append(place.module)
                else:
                    self.imports.setdefault(name, []).append(place)

    def definition(self, name: str) -> Definition:
        """Return one name's digest and references."""
        if name not in self._definitions:
            reader = _Reader(self)
            for statement in self.statements[name]:
                reader.read(statement, ())
            digest = keys.digest_bytes("\n".join(reader.words).encode(errors="surrogatepass"))
            self._definitions[name] = Definition(digest, frozenset(reader.refers))
        return self._definitions[name]

    def knows(self, name: str) -> bool:
        """Say whether the module binds a name, or may do so by `import *`."""
        return name in self.statements or name in self.imports or (bool(self.stars) and not hasattr(builtins, name))

    def follow(self, place: Place) -> Iterator[Place]:
        """Yield where a place leads: what its definition refers to, or where its name was imported from."""
        if not place.chain:
            yield from (Place(self.name, (name,)) for name in (*self.statements, *self.imports))
            return
        head, rest, top = place.chain[0], place.chain[1:], self.name.partition(".")[0]
        found = [Place(target.module, (*target.chain, *rest)) for target in self.imports.get(head, ())]
        if head in self.statements:
            found.extend(self.definition(head).refers)
        elif not found and _locate(f"{self.name}.{head}", top):
            found.append(Place(f"{self.name}.{head}", rest))
        elif not found:
            stars = [star for star in self.stars if (module := load(star, top)) is not None and module.knows(head)]
            found.extend(Place(star, place.chain) for star in stars)
            if not stars:  # made in a way that the source does not show
                found.append(Place(self.name, ()))
        yield from found


class _Reader:
    """Turns syntax into words that comments and formatting do not change, and notes the names it refers to."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.words: list[str] = []
        self.refers: set[Place] = set()

    def read(self, node: ast.AST, scopes: tuple[_Scope, ...], *, fields: bool = False) -> None:
        """Read one node; `scopes` are the enclosing functions, `fields` is true right inside a class body."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        self.words.append(type(node).__name__)
        if isinstance(node, ast.Name | ast.Attribute):
            self._read_chain(node, scopes)
        elif isinstance(node, _SCOPES):
            self._read_function(node, scopes)
        elif isinstance(node, ast.AnnAssign) and not fields:
            self._read_fields(node, ("target", "value"), scopes)
        elif isinstance(node, ast.ClassDef):
            self._read_fields(node, ("name", "bases", "keywords", "decorator_list"), scopes)
            for statement in node.body:
                self.read(statement, scopes, fields=True)
        elif isinstance(node, ast.arg):
            self.words.append(node.arg)
        else:
            self._read_fields(node, node._fields, scopes)

    def _read_fields(self, node: ast.AST, names: Iterable[str], scopes: tuple[_Scope, ...]) -> None:
        for name in names:
            if name in _SKIPPED:
                continue
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self.read(value, scopes)
            elif isinstance(value, list):
                self.words.append("[")
                for item in value:
                    if isinstance(item, ast.AST) and not _is_wording(item, node):
                        self.read(item, scopes)
                    elif not isinstance(item, ast.AST):
                        self.words.append(repr(item))
                self.words.append("]")
            else:
                self.words.append(repr(value))

    def _read_function(self, node: ast.AST, scopes: tuple[_Scope, ...]) -> None:
        arguments: ast.arguments = node.args  # type: ignore[attr-defined]
        self._read_fields(node, ("name", "decorator_list"), scopes)
        self._read_fields(arguments, arguments._fields, scopes)
        self._read_fields(node, ("body",), (_scope_of(node, arguments, self.module.package), *scopes))

    def _read_chain(self, node: ast.AST, scopes: tuple[_Scope, ...]) -> None:
        attributes: Chain = ()
        while isinstance(node, ast.Attribute):
            attributes, node = (node.attr, *attributes), node.value
        self.words.extend(attributes)
        if not isinstance(node, ast.Name):
            self.read(node, scopes)
            return
        self.words.append(node.id)
        scope = next((scope for scope in scopes if node.id in scope), None)
        if scope is not None:
            self.refers.update(Place(place.module, (*place.chain, *attributes)) for place in scope[node.id])
        elif self.module.knows(node.id):
            self.refers.add(Place(self.module.name, (node.id, *attributes)))


def _is_wording(item: ast.AST, parent: ast.AST) -> bool:
    """Say whether a part only documents or registers: the description of a field, `@registry.method(...)`."""
    if isinstance(item, ast.keyword):
        named = getattr(parent, "func", None)
        return item.arg == "description" and "Field" in (getattr(named, "id", None), getattr(named, "attr", None))
    registers = isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr == "method"
    return registers and isinstance(parent, _FUNCTIONS) and item in parent.decorator_list


def _scope_of(function: ast.AST, arguments: ast.arguments, package: str) -> _Scope:
    """Return the names that a function binds; those that it imports with their places."""
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    scope: _Scope = {argument.arg: () for argument in every if argument is not None}
    outer: set[str] = set()
    body = function.body  # type: ignore[attr-defined]
    for node in _outside_scopes(*(body if isinstance(body, list) else [body])):
        if (bound := _bound(node)) is not None:
            scope.setdefault(bound, ())
        elif type(node) in _IMPORTS:
            for name, place in _imported(node, package):
                scope[name] = (*scope.get(name, ()), place)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
    return {name: places for name, places in scope.items() if name not in outer}


def _outside_scopes(*roots: ast.AST) -> list[ast.AST]:
    """Return nodes and what is below them, without entering functions and classes, and without leaves."""
    found = list(roots)
    for node in found:  # grows while it is read
        if type(node) not in _CLOSED:
            for field in node._fields:
                value = getattr(node, field, None)
                if type(value) is list:
                    found.extend(item for item in value if isinstance(item, ast.AST))
                elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
                    found.append(value)
    return found


def _bound(node: ast.AST) -> str | None:
    """Return the name that one node binds."""
    if type(node) is ast.Name:
        return None if type(node.ctx) is ast.Load else node.id
    return node.name if type(node) in _NAMING else None  # type: ignore[attr-defined]


def _mutated(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names whose value a statement at the top of a module changes: `X[k] = v`, `X.append(v)`."""
    found = set()
    for node in nodes:
        target: ast.AST | None = None
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            target = node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            target = node.value.func
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, Place]]:
    """Yield the names that an import binds, with the places they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or module, Place(module, ())
    elif isinstance(node, ast.ImportFrom):
        base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join((*base, *([node.module] if node.module else [])))
        for alias in node.names:
            yield alias.asname or alias.name, Place(module, (alias.name,))
