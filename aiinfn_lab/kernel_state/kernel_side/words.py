"""What values are called, and why some cannot be carried, in words."""

from __future__ import annotations

import pickle
from typing import Any

_THINGS = {
    "thing.file": "_io.TextIOWrapper _io.BufferedReader _io.BufferedWriter _io.BufferedRandom _io.BufferedRWPair _io.FileIO "
    "tempfile._TemporaryFileWrapper tempfile.SpooledTemporaryFile zipfile.ZipFile zipfile.ZipExtFile tarfile.TarFile "
    "h5py._hl.files.File h5py._hl.dataset.Dataset h5py._hl.group.Group netCDF4._netCDF4.Dataset",
    "thing.generator": "builtins.generator builtins.async_generator",
    "thing.coroutine": "builtins.coroutine _asyncio.Task _asyncio.Future",
    "thing.lock": "_thread.lock _thread.RLock threading.Condition threading.Event threading.Semaphore "
    "threading.Barrier multiprocessing.synchronize.SemLock",
    "thing.queue": "queue.Queue _queue.SimpleQueue multiprocessing.queues.Queue "
    "multiprocessing.queues.SimpleQueue",
    "thing.thread": "threading.Thread concurrent.futures.thread.ThreadPoolExecutor",
    "thing.future": "concurrent.futures._base.Future",
    "thing.process": "subprocess.Popen multiprocessing.process.BaseProcess "
    "multiprocessing.pool.Pool concurrent.futures.process.ProcessPoolExecutor",
    "thing.connection": "_socket.socket sqlite3.Connection sqlite3.Cursor "
    "psycopg2.extensions.connection psycopg.Connection pymysql.connections.Connection sqlalchemy.engine.base.Engine "
    "sqlalchemy.engine.base.Connection sqlalchemy.orm.session.Session requests.sessions.Session httpx.Client "
    "http.client.HTTPConnection distributed.client.Client",
    "thing.mapped": "mmap.mmap",
    "thing.frame": "builtins.frame builtins.traceback",
    "thing.widget": "ipywidgets.widgets.widget.Widget",
}
_REFUSED = {name: code for code, names in _THINGS.items() for name in names.split()}
"""By the full name of a type, which need not be imported for it."""
ENGLISH = {
    "variable.is": "It is {what}.",
    "variable.holds": "It holds {what}.",
    "variable.nested": "It is nested too deeply.",
    "variable.not_read_back": "It can be written but not read back: {error}.",
    "variable.ends_process": "It can be written but not read back: reading it ends the process.",
    "variable.unread": "It cannot be read here: {error}.",
    "variable.unread_shared": "It cannot be read here: it shares something with another that cannot be read.",
    "variable.left_out": "It was left out when the job was submitted.",
    "thing.file": "an open file",
    "thing.generator": "a generator, whose place in its code cannot be written down",
    "thing.coroutine": "a coroutine, which only this process can go on with",
    "thing.lock": "a lock of this process",
    "thing.queue": "a queue between threads or processes",
    "thing.thread": "a thread of this process",
    "thing.future": "a result that another thread or process still has to give",
    "thing.process": "another process that this one has started",
    "thing.connection": "a connection, which ends with this process",
    "thing.mapped": "memory that this process has mapped",
    "thing.frame": "a place in running code",
    "thing.widget": "a widget of this page",
    "thing.object": "an object of the type {type}, which only this process has",
}
"""As in `aiinfn_lab.i18n.message_catalogue`, which no kernel can import: a job's log and a state file have the English sentence."""
UNREAD = "It cannot be read here"
"""Beginning of the reason why a variable of a state file was left out where it was read."""
_ARRAYS = frozenset({"numpy", "pandas", "torch", "cupy", "jax", "jaxlib", "scipy"})
"""Packages whose objects know their shape without computing anything."""
_COUNTED = (list, tuple, dict, set, frozenset, str, bytes, bytearray)


def explained(code: str, **facts: Any) -> dict[str, Any]:
    """Return why a variable is not carried: as an English ``reason``, and ``why`` as code and facts for who reads it in another language.

    A fact that is an answer of this function itself is a part of the sentence.
    """
    shown = {name: fact["reason"] if isinstance(fact, dict) else fact for name, fact in facts.items()}
    kept = {name: fact["why"] if isinstance(fact, dict) else fact for name, fact in facts.items()}
    return {"reason": ENGLISH[code].format(**shown), "why": {"code": code, "facts": kept}}


def refused(kind: type) -> str | None:
    """Return the code of what a type is if nothing of it can be carried."""
    for each in kind.__mro__:
        code = _REFUSED.get(f"{each.__module__}.{each.__qualname__}")
        if code is not None:
            return code
    return None


def type_of(value: Any) -> str:
    """Return what a value is, without having it compute anything: "ndarray 100 x 3 float64"."""
    kind = type(value)
    if issubclass(kind, type):
        return "class"
    if kind in _COUNTED:
        return f"{kind.__name__} of {len(value)}"
    if kind.__module__.partition(".")[0] in _ARRAYS:
        try:
            shape = " x ".join(str(int(length)) for length in value.shape)
            return " ".join(filter(None, (kind.__name__, shape, str(getattr(value, "dtype", "")))))
        except Exception:  # then it is no array after all
            return kind.__name__
    return kind.__name__


def why(error: BaseException, value: Any, last: Any, said: str | None) -> dict[str, Any]:
    """Explain why a value cannot be carried; see `explained`.

    Parameters
    ----------
    last
        What was being written when it failed: the value, or something that it holds.
    said
        The code of what `last` is, if that is known already.
    """
    code = said or refused(type(last))
    if code is None:
        if isinstance(error, (RecursionError, pickle.PicklingError)) and "recursion" in str(error):
            return explained("variable.nested")
        kind = type(last)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        what = explained("thing.object", type=name)
    else:
        what = explained(code)
    return explained("variable.is" if value is last else "variable.holds", what=what)


def told(error: BaseException) -> str:
    """Return an error's type and text, whatever its own code does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
