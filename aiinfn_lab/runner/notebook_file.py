"""A notebook as the runner executes it: read as submission reads it, with the parameters of the job."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import nbformat
import papermill
from nbformat.v4.nbjson import JSONReader
from papermill.parameterize import parameterize_notebook
from papermill.translators import PythonTranslator, papermill_translators

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.values import decode
from aiinfn_lab.runner.protocol import CannotRunError
from aiinfn_lab.submission.inspection import read_notebook
from aiinfn_lab.submission.parameters import INJECTED_TAG, without

_reader: Any = JSONReader()
_node: Any = nbformat.from_dict
_v4: Any = nbformat.v4


class _Translator(PythonTranslator):
    """Writes tuples as well, which papermill would make texts of."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Write a value as Python source."""
        if isinstance(val, tuple):
            items = [cls.translate(item) for item in val]
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        return str(super().translate(val))


papermill_translators.register("python", _Translator)


def load(data: bytes, path: str) -> Any:
    """Return a notebook with the metadata that papermill expects.

    Raises
    ------
    CannotRunError
        If it is none.
    """
    try:
        content = read_notebook(data, PurePosixPath(path).name)
    except Refusal as refusal:
        raise CannotRunError("Not a notebook", refusal.message) from refusal
    try:
        notebook = _reader.to_notebook(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(nbformat.ValidationError):  # JupyterLab opens such a notebook, too.
                nbformat.validate(notebook)  # It gives cells of one id each their own.
            notebook = _v4.upgrade(notebook) or notebook
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotRunError("Not a notebook", f"{path} cannot be read as a notebook.") from error
    if "papermill" not in notebook.metadata:
        notebook.metadata["papermill"] = _node(
            {
                "default_parameters": {},
                "parameters": {},
                "environment_variables": {},
                "version": papermill.__version__,
            }
        )
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.setdefault("papermill", _node({}))
    return notebook


def parameterize(notebook: Any, given: Mapping[str, Any], kernel: str, language: str) -> Any:
    """Return the notebook with a cell that sets the values. What an earlier run had set and nobody gives now stays.

    Raises
    ------
    papermill.exceptions.PapermillException, NotImplementedError, ValueError
        If the language takes no parameters.
    """
    before = next((cell.source for cell in notebook.cells if INJECTED_TAG in cell.metadata["tags"]), "")
    values = {name: decode(value) for name, value in given.items()}
    if language == "python":
        before = without(before, set(values))
    notebook = parameterize_notebook(notebook, values, kernel_name=kernel, language=language)
    cell = next(cell for cell in notebook.cells if INJECTED_TAG in cell.metadata["tags"])
    kept = before.strip().removeprefix("# Parameters").strip()
    if kept:
        head, _, rest = cell.source.partition("\n")
        cell.source = f"{head}\n{kept}\n{rest}"
    cell.metadata.setdefault("papermill", _node({}))
    # Numbers that JSON does not have would make a file of it that nothing opens.
    notebook.metadata.papermill["parameters"] = _node(dict(given))
    return notebook
