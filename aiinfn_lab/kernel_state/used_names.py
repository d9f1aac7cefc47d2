"""What the cells that remain take from the notebook's namespace. Read from their text, never executed."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiinfn_lab.precheck.magics import Shell, strip

_HISTORY: Final = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[io]h|In|Out")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_PUT_IN: Final = re.compile(r"[{$]\s*([^\W\d]\w*)")
"""A variable in a shell command."""
_IN_TEXT: Final = re.compile(r"@([^\W\d]\w*)")
"""A variable in a text, as pandas reads it in ``query`` and ``eval``."""
_DYNAMIC: Final = frozenset({"eval", "exec", "globals", "locals", "vars"})


@dataclass
class Needs:
    """What was found.

    Attributes
    ----------
    names
        Names that are read before they are assigned.
    dynamic
        Whether code makes or looks up names by itself, so that the rest is not sure.
    """

    names: set[str] = field(default_factory=set)
    dynamic: bool = False

    @property
    def history(self) -> list[str]:
        """Names of IPython's history of inputs and outputs."""
        return sorted(name for name in self.names if _HISTORY.fullmatch(name))


def read(cells: Sequence[str]) -> Needs:
    """Read the cells, in the order in which they run."""
    found = Needs()
    reader = _Reader(found)
    for source in cells:
        found.names |= _of_magics(source) - reader.bound
        code = strip(source, Shell())
        if code is None:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(code)
            reader.visit(tree)
        except (SyntaxError, ValueError, RecursionError):
            found.names |= set(_WORD.findall(source))
    # A function may use what a cell below it assigns before it is called.
    found.names |= reader.later - reader.bound
    return found


def _of_magics(source: str) -> set[str]:
    found: set[str] = set()
    first = source.lstrip()
    if first.startswith("%%") and strip(source, Shell()) is None:
        return set(_PUT_IN.findall(source))
    for line in source.splitlines():
        text = line.strip()
        if text.startswith("!") or re.search(r"=\s*!", text):
            found |= set(_PUT_IN.findall(text))
        elif text.startswith("%") or re.search(r"=\s*%\w", text):
            found |= set(_WORD.findall(text))
    return found


class _Reader(ast.NodeVisitor):
    """Follows the statements of a cell as they are executed."""

    def __init__(self, found: Needs) -> None:
        self.bound: set[str] = set()
        self.later: set[str] = set()
        self._found = found

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
            return
        if node.id not in self.bound:
            self._found.names.add(node.id)
        if node.id in _DYNAMIC:
            self._found.dynamic = True
        if isinstance(node.ctx, ast.Del):
            self.bound.discard(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._found.names.update(set(_IN_TEXT.findall(node.value)) - self.bound)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._each(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._each(node.annotation, node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self._found.names.add(node.target.id)
        self._each(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._each(node.value, node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._each(node.iter)
        # It may loop over nothing.
        with self._perhaps():
            self._each(node.target, *node.body)
        with self._perhaps():
            self._each(*node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815 - the names of nodes

    def visit_While(self, node: ast.While) -> None:
        self._each(node.test)
        for part in (node.body, node.orelse):
            with self._perhaps():
                self._each(*part)

    def visit_If(self, node: ast.If) -> None:
        self._each(node.test)
        before = set(self.bound)
        self._each(*node.body)
        then, self.bound = self.bound, before
        self._each(*node.orelse)
        self.bound &= then

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        with self._perhaps():
            self._each(*node.body)
            whole = set(self.bound)
        for handler in node.handlers:
            self._each(*([handler.type] if handler.type else []))
            with self._perhaps():
                self.bound |= {handler.name} if handler.name else set()
                self._each(*handler.body)
        if not node.handlers:
            self.bound |= whole
        self._each(*node.orelse, *node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815 - the names of nodes

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound |= {each.asname or each.name.partition(".")[0] for each in node.names}

    visit_ImportFrom = visit_Import  # noqa: N815 - the names of nodes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        self._each(
            *node.decorator_list, *arguments.defaults, *(each for each in arguments.kw_defaults if each)
        )
        self.later |= _free(node.body, arguments)
        self.bound.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the names of nodes

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._each(*node.args.defaults)
        self.later |= _free([node.body], node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each(*node.decorator_list, *node.bases, *node.keywords)
        with self._perhaps():
            self._each(*node.body)
        self.bound.add(node.name)

    def visit_comprehension_like(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        with self._perhaps():
            for each in node.generators:
                self._each(each.iter, each.target, *each.ifs)
            self._each(*((node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)))

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_comprehension_like  # noqa: N815 - the names of nodes

    def _each(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)

    @contextmanager
    def _perhaps(self) -> Iterator[None]:
        """Forget what is assigned in here: it may not be."""
        before = set(self.bound)
        try:
            yield
        finally:
            self.bound = before


def _free(body: Iterable[ast.AST], arguments: ast.arguments) -> set[str]:
    """Return the names that a function takes from outside; a name that is assigned anywhere in it counts as its own."""
    read: set[str] = set()
    own = {
        each.arg
        for each in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        )
        if each is not None
    }
    outer: set[str] = set()
    for top in body:
        for node in ast.walk(top):
            if isinstance(node, ast.Name):
                (own if isinstance(node.ctx, ast.Store) else read).add(node.id)
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                outer.update(node.names)
            elif isinstance(node, ast.arg):
                own.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                own |= {each.asname or each.name.partition(".")[0] for each in node.names}
    return (read - own) | (read & outer)
