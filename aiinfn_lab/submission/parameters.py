"""Parameters of a notebook: what the cell tagged ``parameters`` assigns, read without executing anything."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.values import decode, tag_of
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked
from aiinfn_lab.paths import show

from . import literals
from .literals import NotALiteralError

TAG: Final = "parameters"
INJECTED_TAG: Final = "injected-parameters"
"""Tag of the cell in which papermill put the values of an earlier run; it comes after the parameters' own cell and wins."""
_MAGIC: Final = re.compile(r"^\s*[%!?]")
_TYPE_COMMENT: Final = re.compile(r"^type:\s*(\S+)\s*")
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    # A whole-number default does not mean that the notebook takes only whole numbers.
    "int": (int, float),
    "float": (int, float),
    "str": (str,),
    "list": (list, tuple),
    "dict": (dict,),
}
MUST_BE: Final = {
    "bool": marked("The parameter '{name}' must be true or false."),
    "int": marked("The parameter '{name}' must be a number."),
    "float": marked("The parameter '{name}' must be a number."),
    "str": marked("The parameter '{name}' must be text."),
    "list": marked("The parameter '{name}' must be a list."),
    "dict": marked("The parameter '{name}' must be pairs of names and values."),
}
"""What is said of a value of another kind."""


@dataclass(frozen=True)
class Parameter:
    """One assignment of the parameters cell.

    Attributes
    ----------
    type
        ``bool``, ``int``, ``float``, ``str``, ``none``, ``list``, ``dict``, or ``unknown`` for what is no constant.
    default
        The value as it is sent (`aiinfn_hub.contract.values`); None also if it is unknown.
    source
        Python source text of the default.
    help
        The comment behind it, or above it.
    nullable
        It is None, or its annotation says that it may be.
    uses
        Names that the default is computed from.
    """

    name: str
    type: str
    default: Any
    source: str
    help: str
    nullable: bool = False
    uses: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the parameter as it is sent to the browser."""
        found = asdict(self)
        del found["nullable"], found["uses"]  # They are of use where it is read only.
        return found


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
        return [], _("The parameters cell is not valid Python (line {line}).").format(line=error.lineno or 1)
    except (ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return [], _("The parameters cell cannot be read as Python.")
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
            _("The parameters must be names with values."),
            _("Send a JSON object."),
            field="parameters",
        )
    by_name = {parameter.name: parameter for parameter in known}
    found = {}
    for name, value in values.items():
        shown = show(name)[1:-1][:60]
        field = f"parameters.{shown}"
        parameter = by_name.get(name)
        if parameter is None:
            hint = _("It has: {names}.").format(names=", ".join(by_name)[:300]) if by_name else note
            raise Refusal(
                Reason.UNKNOWN,
                _("The notebook has no parameter '{name}'.").format(name=shown),
                hint,
                field=field,
            )
        found[name] = literals.encode(value, shown, field)
        kinds = _KINDS.get(parameter.type)
        if kinds is None or (value is None and parameter.nullable):
            continue
        plain = decode(found[name])
        if not isinstance(plain, kinds) or (isinstance(plain, bool) and parameter.type != "bool"):
            raise Refusal(
                Reason.INVALID,
                _(MUST_BE[parameter.type]).format(name=shown),
                _("Its value in the notebook is {source}.").format(source=parameter.source[:80]),
                field=field,
            )
    return found


def override(known: list[Parameter], injected: list[Parameter]) -> list[Parameter]:
    """Return the parameters with the values that a later cell gives them; names that only it has come last."""
    by_name = {parameter.name: parameter for parameter in known}
    for parameter in injected:
        before = by_name.get(parameter.name)
        if before is not None:
            same = parameter.type in {before.type, "none"} or {parameter.type, before.type} == {
                "int",
                "float",
            }
            parameter = replace(  # noqa: PLW2901 - the same, as it is shown
                parameter,
                type=before.type if same and before.type not in {"none", "unknown"} else parameter.type,
                help=parameter.help or before.help,
                nullable=parameter.nullable or before.nullable,
            )
        by_name[parameter.name] = parameter
    return list(by_name.values())


def derived(known: list[Parameter], given: set[str]) -> list[tuple[str, str]]:
    """Return parameters that are not given but computed from one that is, each with the name of that one.

    The values that are given are set after the whole cell, so the computed ones stay as they were.
    """
    stale: dict[str, str] = dict.fromkeys(given, "")
    found = []
    for parameter in known:
        if parameter.name in given:
            continue
        source = next((name for name in parameter.uses if name in stale), None)
        if source is not None:
            stale[parameter.name] = stale[source] or source
            found.append((parameter.name, stale[parameter.name]))
    return found


def without(source: str, names: set[str]) -> str:
    """Return the text of a cell without the plain assignments to some names; the text as it is if it is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    lines = source.split("\n")
    shared = [line for each in tree.body for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)]
    for statement in reversed(tree.body):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        alone = shared.count(statement.lineno) == shared.count(statement.end_lineno or 0) == 1
        if alone and len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id in names:
            del lines[statement.lineno - 1 : statement.end_lineno]
    return "\n".join(lines)


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
    declared = _annotated(annotation) if annotation is not None else ""
    if match := _TYPE_COMMENT.match(comment):
        declared, comment = declared or match[1], comment[match.end() :]
    words = [word.strip().rpartition(".")[2] for word in declared.split("|")]
    nullable = kind == "none" or "None" in words
    words = [word for word in words if word != "None"]
    if len(words) == 1 and words[0] in _KINDS and kind in {"none", "int", words[0]}:
        kind = words[0]
    uses = dict.fromkeys(
        node.id for node in ast.walk(value) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    return Parameter(name, kind, default, source, comment, nullable, tuple(uses))


def _annotated(annotation: ast.expr) -> str:
    """Write an annotation, with ``Optional[X]`` as ``X | None``."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    if (
        isinstance(annotation, ast.Subscript)
        and ast.unparse(annotation.value).rpartition(".")[2] == "Optional"
    ):
        return f"{ast.unparse(annotation.slice)} | None"
    return ast.unparse(annotation)


def _infer(value: ast.expr) -> tuple[str, Any]:
    try:
        wire = literals.convert(value)
    except (NotALiteralError, RecursionError):
        return "unknown", None
    if wire is None:
        return "none", None
    if tag_of(wire) is None:
        return type(wire).__name__, wire
    return "list" if isinstance(decode(wire), tuple) else type(decode(wire)).__name__, wire


def _comments(text: str) -> dict[int, tuple[bool, str]]:
    """Comments by line: whether the line has nothing else, and the text."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (alone, token.string.lstrip("#").strip())
    return found
