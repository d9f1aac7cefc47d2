"""Runs the copy of a Python script that was made at submission as if it stood where the original does.

``python launcher.py ORIGINAL COPY ARGUMENTS...``: ``__file__``, ``sys.argv[0]``, ``sys.path[0]``, tracebacks and `inspect` name the
original, and processes that `multiprocessing` spawns import the copy. It needs nothing but Python, as it is read again in those.

Limits: a program that starts itself again by its name runs the original as it is then; joblib's loky reads it, too.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import runpy
import sys
import traceback
import types
from collections.abc import Sequence
from typing import Any

_SPAWN = "multiprocessing.spawn"


class _Source(importlib.machinery.SourceFileLoader):
    """The loader of the main module: the text of the copy under the name of the original."""

    def __init__(self, name: str, original: str, copy: str) -> None:
        super().__init__(name, original)
        self.copy = copy

    def get_data(self, path: str) -> bytes:
        """Return the content of a file."""
        return super().get_data(self.copy if path == self.path else path)


def main(arguments: list[str]) -> None:
    """Run the script; what it raises ends the process as usual."""
    original, copy, *rest = arguments
    sys.argv = [original, *rest]
    sys.orig_argv = [sys.executable, "-u", *sys.argv]
    folder = os.path.dirname(os.path.realpath(original))  # noqa: PTH120 - pathlib is not loaded for every script
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):  # noqa: PTH100, PTH120
        del sys.path[0]
    sys.path.insert(0, folder)
    _when_spawning(original, copy)
    # What belongs to this module must outlive its name.
    sys.modules["aiinfn_launcher"] = sys.modules["__main__"]
    try:
        sys.modules["__main__"] = module = _module("__main__", original, copy)
        code = _compiled(original, copy)
    except (SyntaxError, ValueError) as error:
        traceback.print_exception(type(error), error, None)
        sys.exit(1)
    try:
        exec(code, module.__dict__)  # noqa: S102 - it is what the job is for
    except SystemExit:
        raise
    except BaseException as error:
        _tell(error)
        raise


def _tell(error: BaseException) -> None:
    """Print a traceback that begins in the script; then the interpreter ends as it does after any such error."""
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    if sys.excepthook is sys.__excepthook__:
        # Python's own hook would show lines of the original, which may have changed since.
        traceback.print_exception(error)
    else:
        sys.excepthook(type(error), error, error.__traceback__)
    sys.excepthook = lambda *_: None


def _module(name: str, original: str, copy: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(
        __file__=original,
        __loader__=_Source(name, original, copy),
        __builtins__=__builtins__,
        __cached__=None,
    )
    module.__annotations__ = {}
    return module


def _compiled(original: str, copy: str) -> Any:
    with open(copy, "rb") as file:  # noqa: PTH123 - pathlib is not loaded for every script
        source = file.read()
    try:
        lines = importlib.util.decode_source(source).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        lines = []  # compile says it better
    # Without a time, entries are not compared with the file.
    linecache.cache[original] = (len(source), None, lines, original)
    return compile(source, original, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Changes `multiprocessing.spawn` once it is imported; most scripts never do."""

    def __init__(self, original: str, copy: str) -> None:
        self.main = (original, copy)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the usual specification, of a loader that changes the module afterwards."""
        if fullname != _SPAWN:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def load(module: types.ModuleType) -> None:
                execute(module)
                _patch(module, *self.main)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _when_spawning(original: str, copy: str) -> None:
    if _SPAWN in sys.modules:
        _patch(sys.modules[_SPAWN], original, copy)
    else:
        sys.meta_path.insert(0, _Finder(original, copy))


def _patch(spawn: Any, original: str, copy: str) -> None:
    """Have every spawned process learn of the copy before it imports the main module."""
    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        found: dict[str, Any] = prepare(name)
        if found.get("init_main_from_path") == os.path.normpath(original):
            if name == "ignore":
                # The fork server would import the original beforehand.
                del found["init_main_from_path"]
            else:
                found = {"aiinfn_main": _Child(original, copy), **found}
        return found

    spawn.get_preparation_data = get_preparation_data


class _Child:
    """Becomes a call of `as_child` when a spawned process unpickles what it is to prepare."""

    def __init__(self, original: str, copy: str) -> None:
        self.main = (original, copy)

    def __reduce__(self) -> tuple[Any, ...]:
        code = (
            "import importlib.util as util\n"
            f"spec = util.spec_from_file_location('aiinfn_launcher', {os.path.abspath(__file__)!r})\n"  # noqa: PTH100
            "module = util.module_from_spec(spec)\n"
            "spec.loader.exec_module(module)\n"
            f"module.as_child(*{self.main!r})\n"
        )
        return exec, (code, {})


def as_child(original: str, copy: str) -> None:
    """Have a spawned process import the copy as its main module."""
    run_path = runpy.run_path
    kept = []

    def run(path: str, init_globals: Any = None, run_name: Any = None) -> dict[str, Any]:
        if run_name != "__mp_main__" or path != os.path.normpath(original):
            return run_path(path, init_globals, run_name)
        code = _compiled(original, copy)
        module = _module(run_name, original, copy)
        kept.append(module)
        exec(code, module.__dict__)  # noqa: S102 - as runpy does
        return module.__dict__

    runpy.run_path = run  # type: ignore[assignment]
    _when_spawning(original, copy)


if __name__ == "__main__":
    main(sys.argv[1:])
