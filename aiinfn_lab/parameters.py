"""Parameters of a notebook: what the cell tagged ``parameters`` assigns, read without executing anything."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from dataclasses import asdict, dataclass
from typing import Any, Final

from aiinfn_hub.platform.refusal import Reason, Refusal

TAG: Final = "parameters"
_SAFE_INTEGER: Final = 2**53
_MAGIC: Final = re.compile(r"^\s*[%!?]")
_TYPE_COMMENT: Final = re.compile(r"^type:\s*(\S+)\s*")
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    # A whole-number default does not mean that the notebook takes only whole numbers.
    "int": (int, float),
    "float": (int, float),
    "str": (str,),
    "list": (list,),
    "dict": (dict,),
}
_WORDS: Final = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "dict": "a table of names and values",
}


@dataclass(frozen=True)
class Parameter:
    """One assignment of the parameters cell.

    Attributes
    ----------
    type
        ``bool``, ``int``, ``float``, ``str``, ``none``, ``list``, ``dict``, or ``unknown`` for what JSON cannot say.
    default
        The value as JSON; None also if it is unknown.
    source
        Python source text of the default.
    help
        The comment behind it, or above it.
    """

    name: str
    type: str
    default: Any
    source: str
    help: str

    def as_json(self) -> dict[str, Any]:
        """Give the parameter as it is sent to the browser."""
        return asdict(self)


def read(source: str) -> tuple[list[Parameter], str]:
    """Find the parameters in the source of their cell.

    Returns
    -------
    tuple
        The parameters in the order of the cell, and a sentence if something stopped the reading (else empty).
    """
    lines = ["" if _MAGIC.match(line) else line for line in source.splitlines()]
    text = "\n".join(lines) + "\n"
    try:
        tree = ast.parse(text)
        comments = _comments(text)
    except SyntaxError as error:
        return [], f"The parameters cell is not valid Python (line {error.lineno or 1})."
    except (ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return [], "The parameters cell cannot be read as Python."
    found: dict[str, Parameter] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, annotation = statement.targets[0], None
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, annotation = statement.target, statement.annotation
        else:
            continue
        if isinstance(target, ast.Name) and statement.value is not None:
            found[target.id] = _parameter(target.id, statement, statement.value, annotation, comments, text)
    return list(found.values()), ""


def check(values: object, known: list[Parameter], note: str) -> dict[str, Any]:
    """Check the values that a submission gives against the notebook's parameters.

    Parameters
    ----------
    values
        Decoded JSON of any type; None means no values.
    note
        Why ``known`` may be empty, for the refusal.

    Raises
    ------
    Refusal
        If there is one that the notebook does not have, or a value of another kind.
    """
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Refusal(
            Reason.INVALID,
            "The parameters must be names with values.",
            "Send a JSON object.",
            field="parameters",
        )
    by_name = {parameter.name: parameter for parameter in known}
    for name, value in values.items():
        shown = name[:60] if name.isprintable() else repr(name[:60])
        field = f"parameters.{shown}"
        parameter = by_name.get(name)
        if parameter is None:
            hint = f"It has: {', '.join(by_name)[:300]}." if by_name else note
            raise Refusal(Reason.UNKNOWN, f"The notebook has no parameter '{shown}'.", hint, field=field)
        kinds = _KINDS.get(parameter.type)
        if kinds is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and parameter.type != "bool"):
            raise Refusal(
                Reason.INVALID,
                f"The parameter '{shown}' must be {_WORDS[parameter.type]}.",
                f"Its value in the notebook is {parameter.source[:80]}.",
                field=field,
            )
    return values


def _parameter(
    name: str,
    statement: ast.stmt,
    value: ast.expr,
    annotation: ast.expr | None,
    comments: dict[int, tuple[bool, str]],
    text: str,
) -> Parameter:
    source = ast.get_source_segment(text, value) or ast.unparse(value)
    kind, default = _infer(value)
    behind = comments.get(statement.end_lineno or statement.lineno, (True, ""))
    above = comments.get(statement.lineno - 1, (False, ""))
    comment = behind[1] if not behind[0] else above[1] if above[0] else ""
    declared = ast.unparse(annotation) if annotation is not None else ""
    if match := _TYPE_COMMENT.match(comment):
        declared, comment = declared or match[1], comment[match.end() :]
    if declared in _KINDS and kind in {"none", "int", declared}:
        kind = declared
    return Parameter(name, kind, default, source, comment)


def _infer(value: ast.expr) -> tuple[str, Any]:
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return "unknown", None
    if literal is None:
        return "none", None
    if not _is_json(literal):
        return "unknown", None
    if isinstance(literal, tuple):
        literal = list(literal)
    return type(literal).__name__, literal


def _is_json(value: Any) -> bool:
    """Whether a literal survives the way through JSON and a browser unchanged."""
    if value is None or isinstance(value, (bool, str)):
        return True
    if isinstance(value, int):
        return abs(value) < _SAFE_INTEGER
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, tuple)):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return False


def _comments(text: str) -> dict[int, tuple[bool, str]]:
    """Comments by line: whether the line has nothing else, and the text."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (alone, token.string.lstrip("#").strip())
    return found
