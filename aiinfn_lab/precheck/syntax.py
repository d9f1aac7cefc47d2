"""Small looks at the nodes of Python's syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

_LEAVES: Final = frozenset(
    {
        ast.Constant,
        ast.Load,
        ast.Store,
        ast.Del,
        ast.Pass,
        *ast.operator.__subclasses__(),
        *ast.cmpop.__subclasses__(),
    }
)
"""Kinds of nodes that say nothing."""


def children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes in a node that may say something, in their order; faster than `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            found.extend(each for each in value if isinstance(each, ast.AST) and type(each) not in _LEAVES)
        elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
            found.append(value)
    return found


def is_named(node: ast.AST | None, *names: str) -> bool:
    """Return whether a node is one of some names, however much stands before its last dot."""
    return (isinstance(node, ast.Name) and node.id in names) or (
        isinstance(node, ast.Attribute) and node.attr in names
    )


def called(node: ast.Call) -> tuple[str, str, ast.AST | None]:
    """Return the name of what is called, the dotted name before it (may be empty), and the object that is before it."""
    if isinstance(node.func, ast.Name):
        return node.func.id, "", None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr, dotted(node.func.value), node.func.value
    return "", "", None


def dotted(node: ast.AST) -> str:
    """Write a name with dots; empty if it is more than that."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def argument(node: ast.Call, place: int, word: str) -> ast.AST | None:
    """Return an argument by its place, or else by its name."""
    if len(node.args) > place:
        return node.args[place]
    return next((each.value for each in node.keywords if each.arg == word), None)


def arguments(node: ast.Call) -> list[ast.AST]:
    """Return all arguments."""
    return [*node.args, *(word.value for word in node.keywords)]


def texts(node: ast.Call) -> Iterator[str]:
    """Yield the literal texts in the first argument of a call: a command, or the list of its words."""
    first = node.args[0] if node.args else None
    for each in first.elts if isinstance(first, (ast.List, ast.Tuple)) else [first]:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
