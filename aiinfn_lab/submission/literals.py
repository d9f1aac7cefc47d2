"""Python's literals, and Python's objects, as values of parameters on the wire (`aiinfn_hub.contract.values`).

One reading for all doors: what is typed in the dialog, on the command line, in a sweep or in a table, what Python code passes, and
what the cell tagged ``parameters`` assigns.
"""

from __future__ import annotations

import ast
import json
import math
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import (
    TUPLE,
    encode_float,
    encode_int,
    tag_of,
)
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked

_FILE: Final = "<value that was typed>"
_DEEPEST: Final = 32
_USUAL: Final = marked("Give a number, a text, a list, or pairs of names and values.")
_NAMES: Final = {
    "true": True,
    "false": False,
    "null": None,
    "inf": math.inf,
    "Infinity": math.inf,
    "nan": math.nan,
    "NaN": math.nan,
}
"""Words for values that are no literals of Python: those of JSON, and of numbers that have no literal."""
_MODULES: Final = frozenset({"math", "np", "numpy", "torch", "jnp"})
_FLOATS: Final = re.compile(r"\s*[+-]?(?:inf|infinity|nan)\s*", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[+-]?\d[\d_]*", re.ASCII)


class NotALiteralError(ValueError):
    """What was read is no literal value.

    Parameters
    ----------
    why
        A sentence, where there is more to say than that.
    """

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


def parse(text: str) -> Any:
    """Read a literal of Python, or of JSON, as a value on the wire.

    Raises
    ------
    NotALiteralError
        If it is none.
    """
    text = text.strip()
    if text[:1] in {'"', "[", "{"}:
        try:
            return _plain(json.loads(text, parse_float=_json_float))
        except NotALiteralError:
            raise
        except (ValueError, RecursionError):
            pass  # It may be Python's: [1, None], {'a': (1, 2)}.
    try:
        # By its file name, and not for the time of the call: that would not be safe among threads.
        warnings.filterwarnings("ignore", module=re.escape(_FILE))
        tree: Any = compile(text, _FILE, "eval", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
        return convert(tree.body, typed=True)
    except NotALiteralError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        pass
    if _DIGITS.fullmatch(text):
        return _number(text)  # 007 is no literal of Python, but a number for everybody else.
    raise NotALiteralError


def unquote(text: str) -> str | None:
    """Return the text of one literal in quotes; None if it is something else."""
    if not re.fullmatch(r"""\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*""", text, re.DOTALL):
        return None
    try:
        found = parse(text)
    except NotALiteralError:
        return None
    return found if isinstance(found, str) else None


def convert(node: ast.AST, *, typed: bool = False) -> Any:
    """Return the value on the wire of a syntax tree: literals, and what is plainly a constant such as ``not True``.

    Parameters
    ----------
    typed
        Somebody typed it just now: JSON's words are understood, and a number that is too large for a float is refused.

    Raises
    ------
    NotALiteralError
        If it is none.
    """
    if isinstance(node, ast.Constant):
        _bound(node.value, typed=typed)
        return _plain(node.value)
    if isinstance(node, ast.List):
        return [convert(item, typed=typed) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return {TUPLE: [convert(item, typed=typed) for item in node.elts]}
    if isinstance(node, ast.Dict):
        return _dict(node, typed=typed)
    if typed and isinstance(node, ast.Name) and node.id in _NAMES:
        return _plain(_NAMES[node.id])
    return _plain(_constant(node, typed=typed))


def _dict(node: ast.Dict, *, typed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise NotALiteralError(_("The names of pairs must be texts in quotes."))
        found[_plain(key.value)] = convert(value, typed=typed)
    return found


def _bound(value: object, *, typed: bool) -> None:
    """Refuse a number that was typed with digits and is too large for a float."""
    if typed and isinstance(value, float) and math.isinf(value):
        raise NotALiteralError(_("The number is larger than Python's can be; write inf if that is meant."))


def _constant(node: ast.AST, *, typed: bool) -> bool | float:
    """Return the number or truth value of a constant expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        _bound(node.value, typed=typed)
        return node.value
    if typed and isinstance(node, ast.Name) and isinstance(_NAMES.get(node.id), float):
        return float(_NAMES[node.id] or 0)
    if isinstance(node, ast.UnaryOp):
        inner = _constant(node.operand, typed=typed)
        if isinstance(node.op, ast.Not):
            return not inner
        if not isinstance(inner, bool) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return -inner if isinstance(node.op, ast.USub) else inner
    elif isinstance(node, ast.Call) and _is_named(node.func, "float"):
        return _float_of(node)
    elif isinstance(node, ast.Attribute) and _is_named(node.value, *_MODULES) and node.attr in {"inf", "nan"}:
        return float(node.attr)
    elif isinstance(node, ast.BinOp) and not typed:
        return _calculated(node)
    raise NotALiteralError


def _is_named(node: ast.AST, *names: str) -> bool:
    """Return whether a node is one of some plain names."""
    return isinstance(node, ast.Name) and node.id in names


def _float_of(node: ast.Call) -> float:
    (word,) = node.args if len(node.args) == 1 and not node.keywords else (None,)
    if isinstance(word, ast.Constant) and isinstance(word.value, str) and _FLOATS.fullmatch(word.value):
        return float(word.value)
    raise NotALiteralError


def _calculated(node: ast.BinOp) -> float:
    left, right = _constant(node.left, typed=False), _constant(node.right, typed=False)
    try:
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
    except (ArithmeticError, ValueError):
        pass
    raise NotALiteralError


def _json_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotALiteralError(_("The number is larger than Python's can be; write inf if that is meant."))
    return number


def _number(text: str) -> Any:
    try:
        return encode_int(int(text))
    except ValueError:
        raise NotALiteralError(_("The number has too many digits.")) from None


def _plain(value: Any) -> Any:
    """Return a value of Python's own types as it is sent."""
    try:
        return _encoded(value, 0)
    except _UnfitError as error:
        raise NotALiteralError(error.message) from None


class _UnfitError(Exception):
    """A value that cannot be passed."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or _(_USUAL)


def encode(value: Any, name: str, field: str | None = None) -> Any:
    """Return any object as a value on the wire.

    Numbers of numpy and the like become Python's, arrays and series lists, paths texts.

    Parameters
    ----------
    name
        What the value is for, as it is shown.

    Raises
    ------
    Refusal
        If it cannot be passed to another process. Nothing else is raised, whatever the object is.
    """
    try:
        return _encoded(value, 0)
    except _UnfitError as error:
        raise Refusal(
            Reason.INVALID,
            _("The value of '{name}' cannot be passed on: {message}").format(
                name=name, message=error.message
            ),
            error.hint,
            field=field,
        ) from None
    except Exception as error:
        raise Refusal(
            Reason.INVALID,
            _("The value of '{name}' cannot be passed on: reading the {type} gave {error}.").format(
                name=name, type=type(value).__name__, error=type(error).__name__
            ),
            _(_USUAL),
            field=field,
        ) from None


def _encoded(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _UnfitError(_("it is nested too deeply."), _("Put structured values into a file."))
    if value is None or value is True or value is False:
        return value
    if isinstance(value, (str, int, float)):
        return _scalar(value)
    if isinstance(value, (list, range)):
        return [_encoded(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {TUPLE: [_encoded(item, depth + 1) for item in value]}
    if isinstance(value, Mapping):
        if tag_of(value) is not None and tag_of(value) != TUPLE:
            return dict(value)
        return {_key(name): _encoded(item, depth + 1) for name, item in value.items()}
    return _foreign(value, depth)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, float):
        return encode_float(float(value))
    try:
        return encode_int(int(value))
    except ValueError:
        raise _UnfitError(_("the number has too many digits."), _("Put it into a file.")) from None


def _foreign(value: Any, depth: int) -> Any:
    """Return an object of somebody else's type as it is sent."""
    if isinstance(value, type):
        raise _UnfitError(_("it is a class."))
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return _text(path)
    kind = type(value)
    shape, items = getattr(value, "shape", None), getattr(value, "tolist", None)
    if callable(items) and (shape == () or isinstance(shape, tuple)):
        # Scalars and arrays of numpy, and what is made like them: torch, JAX, pandas.
        plain = items()
        if type(plain) is not kind:
            return _encoded(plain, depth + 1)
    raise _UnfitError(
        _("it is an object of the type {type}.").format(type=kind.__name__[:60]),
        _advice(value, kind.__name__),
    )


_ADVICE: Final = {
    "Decimal": marked("Give a number, float(...), or a text, str(...)."),
    "Fraction": marked("Give a number, float(...), or a text, str(...)."),
    "complex": marked("Give its two parts."),
    "set": marked("Give a list, sorted(...)."),
    "frozenset": marked("Give a list, sorted(...)."),
    "DataFrame": marked("Write it into a file and give the file's name."),
    "bytes": marked("Give a text, or write it into a file and give the file's name."),
}


def _advice(value: Any, kind: str) -> str:
    if callable(getattr(value, "isoformat", None)):
        return _("Give a text, for example by .isoformat().")
    return _(_ADVICE.get(kind, _USUAL))


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise _UnfitError(_("its names are not all texts."), _("Use texts as the names of pairs."))
    return _text(str.__str__(name))


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _UnfitError(
            _("it has characters that cannot be written as UTF-8."), _("Remove them.")
        ) from None
    return text
