"""What Python code seems to need: packages, and files that it names. Read from its text, never executed."""

from __future__ import annotations

import ast
import posixpath
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .magics import Shell, strip
from .path_literals import (
    BINDING,
    Names,
    binds,
    looks_like_path,
)
from .syntax import (
    argument,
    arguments,
    called,
    children,
    is_named,
    texts,
)

_FILE: Final = "<code to be submitted>"
_SECONDS: Final = 5.0
"""How long code is looked at; it is some MB of usual code, more than anybody writes."""
_LARGEST: Final = 2**18
"""Characters that one cell, or a script, may have to be looked at."""
_IMPORT_ERRORS: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})

_OPENERS: Final = frozenset(
    {
        "io",
        "gzip",
        "bz2",
        "lzma",
        "codecs",
        "builtins",
        "tarfile",
        "wave",
        "Image",
        "PIL.Image",
        "fits",
        "uproot",
    }
)
"""What has an ``open`` that takes a path and perhaps a mode."""
_READERS: Final = frozenset(
    [
        "loadtxt",
        "genfromtxt",
        "fromfile",
        "memmap",
        "imread",
        "loadmat",
        "load_model",
        "open_dataset",
        "open_dataarray",
        "open_zarr",
        "load",
        "from_parquet",
        "ParquetFile",
        "ZipFile",
        "File",
        "TFile",
        "Open",
    ]
)
"""Functions that read the file that is their first argument. Others are those whose name begins with ``read_``."""
_MODES: Final = frozenset({"ZipFile", "File", "TFile", "Open", "memmap"})
"""Those of them whose second argument may say that the file is written."""
_NO_FILES: Final = frozenset(
    {"read_sql", "read_sql_query", "read_sql_table", "read_html", "read_clipboard", "read_gbq"}
)
_WRITERS: Final = re.compile(r"to_|save|imsave|imwrite|write_|dump$|recreate$|SaveAs$|Snapshot$")
_MAKERS: Final = re.compile(r"write|mkdir|makedirs|touch$")
_CARES: Final = frozenset(
    {"exists", "isfile", "is_file", "isdir", "is_dir", "lexists", "unlink", "remove", "rmtree"}
)
"""Who asks whether a file is there copes without it."""
_MOVERS: Final = frozenset(
    {"copy", "copy2", "copyfile", "copytree", "move", "rename", "replace", "urlretrieve"}
)
_FETCHERS: Final = frozenset(
    [
        "urlretrieve",
        "download",
        "hf_hub_download",
        "snapshot_download",
        "extractall",
        "extract",
        "unpack_archive",
        "clone_from",
    ]
)
_RUNNERS: Final = frozenset(
    {"run", "call", "check_call", "check_output", "Popen", "system", "popen", "getoutput"}
)
_PATH_WORDS: Final = frozenset(
    {"file", "filename", "fname", "path", "filepath", "filepath_or_buffer", "source", "io"}
)


_CONTEXTS: Final = frozenset(
    {
        *(ast.If, ast.Try, ast.TryStar, ast.With, ast.AsyncWith),
        *(
            ast.FunctionDef,
            ast.AsyncFunctionDef,
            ast.Lambda,
            ast.For,
            ast.AsyncFor,
            ast.While,
            ast.ExceptHandler,
            ast.Match,
        ),
    }
)


_ASKING: Final = frozenset({"input", "getpass", "get_ipython"})


_GUARDS: Final = frozenset({ast.Try, ast.TryStar, ast.With, ast.AsyncWith})
"""What may catch an error of what is in it."""


@dataclass(frozen=True)
class Asks:
    """A call of ``input``, ``getpass`` or ``get_ipython``.

    Attributes
    ----------
    cell
        From 1; of a script, 1.
    sure
        It is executed, whatever happens before, and what it raises is not caught.
    """

    name: str
    cell: int
    line: int
    sure: bool


@dataclass
class Mentions:
    """What was found.

    Attributes
    ----------
    imports
        Top-level packages, in their order, each with whether it is imported for sure. One whose lack is coped with is left out.
    reads, writes
        Paths as they are written.
    made
        Paths that it makes, or looks for itself; what is below one of them need not be there before.
    errors
        Cell (from 1) and line of what is not Python.
    installs
        It installs packages itself.
    unsure
        It changes its folder or gets files by a program, so nothing can be said of relative paths.
    search
        Folders that it adds to ``sys.path``; None among them stands for one that is computed.
    partial
        There was too much to look at all of it.
    asks
        Calls that a job cannot answer.
    """

    imports: dict[str, bool] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    errors: list[tuple[int, int]] = field(default_factory=list)
    installs: bool = False
    unsure: bool = False
    search: list[str | None] = field(default_factory=list)
    partial: bool = False
    asks: list[Asks] = field(default_factory=list)

    @property
    def wanted(self) -> list[str]:
        """Paths that must be there before it runs, normalised, each once."""
        made = {posixpath.normpath(path) for path in self.made}
        found = dict.fromkeys(posixpath.normpath(path) for path in self.reads)
        return [path for path in found if not any(folder in made for folder in _upwards(path))]


def read(sources: Sequence[str], *, notebook: bool, values: Mapping[str, Any] | None = None) -> Mentions:
    """Look through the cells of a notebook, or the one text of a script. Never raises, whatever the text is.

    Parameters
    ----------
    values
        Parameters that are given; they count instead of what the code assigns. None as a value: not known.
    """
    found, shell, names = Mentions(), Shell(), Names(values or {})
    walk = _Walk(found, names, shell)
    end = time.monotonic() + _SECONDS
    for number, source in enumerate(sources, 1):
        if time.monotonic() > end or len(source) > _LARGEST:
            found.partial = True
            continue
        tree = _parse(source, number, found, shell) if notebook else _tree(source, number, found)
        if tree is not None:
            walk.tree(tree, number)
    found.made.update(shell.written)
    found.writes.extend(shell.written)
    found.reads.extend(path for path in shell.run if looks_like_path(path))
    walk.calls()
    found.installs, found.unsure = shell.installs, found.unsure or shell.fetches or shell.moves
    return found


def _parse(source: str, number: int, found: Mentions, shell: Shell) -> ast.Module | None:
    plain = strip(source, shell)
    return None if plain is None else _tree(plain, number, found)


def _compile(text: str) -> ast.Module:
    """Parse Python, with ``await`` allowed as in a notebook.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As Python's own parser does.
    """
    # By its file name, and not for the time of the call: that would not be safe among threads.
    warnings.filterwarnings("ignore", module=re.escape(_FILE))
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree: ast.Module = compile(text, _FILE, "exec", flags=flags, dont_inherit=True)
    return tree


def _tree(text: str, number: int, found: Mentions) -> ast.Module | None:
    try:
        return _compile(text)
    except SyntaxError as error:
        found.errors.append((number, error.lineno or 1))
    except (ValueError, RecursionError, MemoryError, OverflowError):
        found.errors.append((number, 1))
    return None


def _upwards(path: str) -> Iterator[str]:
    while path and path not in {"/", "."}:
        yield path
        path = posixpath.dirname(path)


class _Walk:
    """Goes through a tree without recursion: code may be nested as deeply as it likes."""

    def __init__(self, found: Mentions, names: Names, shell: Shell) -> None:
        self._found = found
        self._names = names
        self._shell = shell
        self._calls: list[ast.Call] = []
        self._asking: list[Asks] = []

    def tree(self, tree: ast.Module, number: int) -> None:
        """Take down what a tree imports, calls and binds."""
        self._names.assigns(tree)
        bound = self._names.bound
        # Each node with whether it is executed for sure, whether a failing import in it is caught, and other errors perhaps.
        stack: list[tuple[ast.AST, bool, bool, bool]] = [(tree, True, False, False)]
        while stack:
            node, sure, caught, guarded = stack.pop()
            kind = type(node)
            if kind is ast.Name:
                if type(node.ctx) is not ast.Load:  # type: ignore[attr-defined]
                    bound[node.id] += 1  # type: ignore[attr-defined]
                continue
            if kind is ast.Call:
                self._calls.append(node)  # type: ignore[arg-type]
                self._ask(node, number, sure=sure and not guarded)  # type: ignore[arg-type]
            elif kind in BINDING:
                bound.update(binds(node))
            elif isinstance(node, (ast.Import, ast.ImportFrom)) and not caught:
                self._import(node, sure=sure)
            if kind in _CONTEXTS:
                sure, caught = _context(node, sure=sure, caught=caught)
                guarded = guarded or kind in _GUARDS
            stack.extend((child, sure, caught, guarded) for child in reversed(children(node)))

    def calls(self) -> None:
        """Take down what the calls read and write, once all names are known."""
        for call in self._calls:
            self._call(call)
        for each in self._asking:
            # What the code defines itself is something else.
            if each.name == "getpass":
                known = "getpass" in self._found.imports
            else:
                known = not self._names.bound[each.name]
            if known:
                self._found.asks.append(each)

    def _ask(self, node: ast.Call, number: int, *, sure: bool) -> None:
        name, base, receiver = called(node)
        if name in _ASKING and (receiver is None or (name == "getpass" and base == "getpass")):
            self._asking.append(Asks(name, number, node.lineno, sure))

    def _import(self, node: ast.Import | ast.ImportFrom, *, sure: bool) -> None:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [node.module] if node.module and not node.level else []
        for name in names:
            top = name.partition(".")[0]
            self._found.imports[top] = self._found.imports.get(top, False) or sure

    def _call(self, node: ast.Call) -> None:
        name, base, receiver = called(node)
        if name in _FETCHERS or (base == "os" and name == "chdir"):
            self._found.unsure = True
        if base in {"os", "subprocess"} and name in _RUNNERS:
            self._shell.take(" ".join(texts(node)))
        elif base == "sys.path" and name in {"append", "insert", "extend"}:
            self._search(node)
        elif name == "open":
            if receiver is None or base in _OPENERS:
                self._open(self._first(node), argument(node, 1, "mode"))
            else:
                self._open(self._names.path(receiver), argument(node, 0, "mode"))
        elif name in _READERS or name == "RDataFrame" or name.startswith("read_"):
            self._reader(node, name, base, receiver)
        else:
            self._other(node, name, base, receiver)

    def _other(self, node: ast.Call, name: str, base: str, receiver: ast.AST | None) -> None:
        """Take down who makes files, or cares for them."""
        paths = [self._names.path(each) for each in arguments(node)]
        if name in _CARES:
            self._made(self._names.path(receiver), *paths)
        elif name in _MOVERS:
            if base == "shutil" and paths:
                self._read(paths[0])
            self._made(*paths[1:])
        elif _WRITERS.match(name):
            self._write(self._names.path(receiver), *paths)
        elif _MAKERS.match(name):
            self._made(self._names.path(receiver), *paths)

    def _reader(self, node: ast.Call, name: str, base: str, receiver: ast.AST | None) -> None:
        if name in {"read_text", "read_bytes"}:
            self._read(self._names.path(receiver))
        elif name == "RDataFrame":
            self._read(self._names.path(argument(node, 1, "")))
        elif name not in _NO_FILES and (name != "Open" or base.endswith("TFile")):
            self._open(self._first(node), argument(node, 1, "mode") if name in _MODES else None)

    def _open(self, path: str | None, mode: ast.AST | None) -> None:
        """Take down a file that is opened; without a mode it is read."""
        text = self._names.text(mode) if mode is not None else "r"
        if (
            text is not None
            and text.lower().startswith("r")
            and "+" not in text
            and text.lower() != "recreate"
        ):
            self._read(path)
        else:
            self._write(path)

    def _search(self, node: ast.Call) -> None:
        where = node.args[-1] if node.args else None
        elements = where.elts if isinstance(where, (ast.List, ast.Tuple)) else [where]
        self._found.search.extend(self._names.path(each) for each in elements)

    def _first(self, node: ast.Call) -> str | None:
        if node.args:
            return self._names.path(node.args[0])
        return next((self._names.path(word.value) for word in node.keywords if word.arg in _PATH_WORDS), None)

    def _read(self, path: str | None) -> None:
        if path is not None:
            # uproot and others write the tree behind the file: "run.root:events".
            path = re.sub(r"(\.\w{1,8}):.*$", r"\1", path)
            if looks_like_path(path):
                self._found.reads.append(path)

    def _write(self, *paths: str | None) -> None:
        for path in paths:
            if path is not None and looks_like_path(path):
                self._found.writes.append(path)
        self._made(*paths)

    def _made(self, *paths: str | None) -> None:
        self._found.made.update(path for path in paths if path)


def _context(node: ast.AST, *, sure: bool, caught: bool) -> tuple[bool, bool]:
    """Return what holds inside of a node: whether it is executed for sure, and whether a failing import is caught."""
    if isinstance(node, ast.If):
        return sure and _is_main(node.test), caught or is_named(node.test, "TYPE_CHECKING")
    if isinstance(node, (ast.Try, ast.TryStar)):
        return sure, caught or any(_catches(handler.type) for handler in node.handlers)
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return sure, caught or any(_suppresses(item.context_expr) for item in node.items)
    return False, caught


def _is_main(test: ast.AST) -> bool:
    return isinstance(test, ast.Compare) and is_named(test.left, "__name__")


def _catches(kind: ast.AST | None) -> bool:
    if kind is None:
        return True
    return any(
        is_named(each, *_IMPORT_ERRORS) for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])
    )


def _suppresses(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and is_named(node.func, "suppress") and any(map(_catches, node.args))
