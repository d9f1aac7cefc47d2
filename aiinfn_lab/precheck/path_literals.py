"""Paths that code names by literals: directly, by a name that is assigned once, or put together from such parts."""

from __future__ import annotations

import ast
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

_DEEP: Final = 30
_LONGEST: Final = 255
_ODD: Final = re.compile(r"[\x00-\x1f\x7f*?<>|{}\[\]\"'`$;]|://")
_ENDING: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
_PATHS: Final = frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath"})
_SAME: Final = frozenset(
    {"expanduser", "expandvars", "resolve", "absolute", "abspath", "realpath", "normpath", "fspath", "str"}
)


def looks_like_path(text: str) -> bool:
    """Return whether a text may be the name of a file, rather than words, a pattern or an address."""
    if not 0 < len(text) <= _LONGEST or text != text.strip() or _ODD.search(text) or not text.isprintable():
        return False
    return "/" in text.strip("/") or _ENDING.search(text) is not None


class Names:
    """What the names of some code stand for, as far as that is plain.

    Parameters
    ----------
    values
        Parameters that are given; they count instead of what the code assigns.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._assigned: dict[str, ast.AST] = {}
        self._known: dict[str, str | None] = {}
        # A name that is bound twice, anywhere, stands for nothing that could be told.
        self.bound: Counter[str] = Counter()

    def assigns(self, tree: ast.Module) -> None:
        """Take down what the statements of a tree assign; everything must be taken down before anything is asked."""
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._assigned[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._assigned[name] = value

    def path(self, node: ast.AST | None) -> str | None:
        """Return the path that an expression stands for; None if that is not plain."""
        try:
            return self._resolve(node, 0)
        except RecursionError:
            return None

    def text(self, node: ast.AST | None) -> str | None:
        """Return the text that an expression stands for."""
        return self.path(node)

    def _resolve(self, node: ast.AST | None, depth: int) -> str | None:
        if depth > _DEEP or node is None:
            return None
        match node:
            case ast.Constant(value=str() as text):
                return text if len(text) <= _LONGEST else None
            case ast.Name(id=name):
                return self._named(name, depth)
            case ast.BinOp(op=ast.Div()):
                return self._join([node.left, node.right], depth)
            case ast.BinOp(op=ast.Add()):
                return self._glue([node.left, node.right], depth)
            case ast.JoinedStr(values=parts):
                return self._glue(parts, depth)
            case ast.FormattedValue(conversion=-1, format_spec=None, value=value):
                return self._resolve(value, depth + 1)
            case ast.Call():
                return self._call(node, depth)
        return None

    def _named(self, name: str, depth: int) -> str | None:
        if name in self._values:
            value = self._values[name]
            return value if isinstance(value, str) and len(value) <= _LONGEST else None
        if name not in self._known:
            # None at first: a name may stand for itself.
            self._known[name] = None
            if self.bound[name] == 1:
                self._known[name] = self._resolve(self._assigned.get(name), depth + 1)
        return self._known[name]

    def _call(self, node: ast.Call, depth: int) -> str | None:
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        before = function.value if isinstance(function, ast.Attribute) else None
        if node.keywords:
            return None
        if name in _PATHS:
            return self._join(node.args, depth) if node.args else "."
        if name == "join" and isinstance(before, ast.Attribute) and before.attr == "path":
            return self._join(node.args, depth)
        if name == "joinpath" and before is not None:
            return self._join([before, *node.args], depth)
        if name == "home" and not node.args:
            return "~"
        if name in {"cwd", "getcwd"} and not node.args:
            return "."
        if name in _SAME:
            inner = node.args[0] if node.args else before
            return self._resolve(inner, depth + 1)
        return None

    def _join(self, parts: Iterable[ast.AST], depth: int) -> str | None:
        found = [self._resolve(part, depth + 1) for part in parts]
        known = [part for part in found if part is not None]
        if len(known) != len(found) or not known:
            return None
        joined = posixpath.join(*known)
        return joined if len(joined) <= _LONGEST else None

    def _glue(self, parts: Iterable[ast.AST], depth: int) -> str | None:
        found = [self._resolve(part, depth + 1) for part in parts]
        known = [part for part in found if part is not None]
        glued = "".join(known)
        return glued if len(known) == len(found) and len(glued) <= _LONGEST else None


def binds(node: ast.AST) -> Iterable[str]:
    """Return the names that a node binds."""
    match node:
        case ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.alias(name=name, asname=asname):
            return (asname or name.partition(".")[0],)
        case ast.ExceptHandler(name=str() as name):
            return (name,)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
    return ()


BINDING: Final = frozenset(
    {
        ast.arg,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.alias,
        ast.ExceptHandler,
        ast.Global,
        ast.Nonlocal,
    }
)
"""Kinds of nodes that bind names, beside `ast.Name` itself."""
