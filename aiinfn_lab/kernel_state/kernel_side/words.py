"""What values are called, and why some cannot be carried, in words."""

from __future__ import annotations

import pickle
from typing import Any

UNREAD = "It cannot be read here"
"""Beginning of the reason why a variable of a state file was left out where it was read."""
_NAMES = {
    "an open file": "_io.TextIOWrapper _io.BufferedReader _io.BufferedWriter _io.BufferedRandom _io.BufferedRWPair _io.FileIO "
    "tempfile._TemporaryFileWrapper tempfile.SpooledTemporaryFile zipfile.ZipFile zipfile.ZipExtFile tarfile.TarFile "
    "h5py._hl.files.File h5py._hl.dataset.Dataset h5py._hl.group.Group netCDF4._netCDF4.Dataset",
    "a generator, whose place in its code cannot be written down": "builtins.generator builtins.async_generator",
    "a coroutine, which only this process can go on with": "builtins.coroutine _asyncio.Task _asyncio.Future",
    "a lock of this process": "_thread.lock _thread.RLock threading.Condition threading.Event threading.Semaphore "
    "threading.Barrier multiprocessing.synchronize.SemLock",
    "a queue between threads or processes": "queue.Queue _queue.SimpleQueue multiprocessing.queues.Queue "
    "multiprocessing.queues.SimpleQueue",
    "a thread of this process": "threading.Thread concurrent.futures.thread.ThreadPoolExecutor",
    "a result that another thread or process still has to give": "concurrent.futures._base.Future",
    "another process that this one has started": "subprocess.Popen multiprocessing.process.BaseProcess "
    "multiprocessing.pool.Pool concurrent.futures.process.ProcessPoolExecutor",
    "a connection, which ends with this process": "_socket.socket sqlite3.Connection sqlite3.Cursor "
    "psycopg2.extensions.connection psycopg.Connection pymysql.connections.Connection sqlalchemy.engine.base.Engine "
    "sqlalchemy.engine.base.Connection sqlalchemy.orm.session.Session requests.sessions.Session httpx.Client "
    "http.client.HTTPConnection distributed.client.Client",
    "memory that this process has mapped": "mmap.mmap",
    "a place in running code": "builtins.frame builtins.traceback",
    "a widget of this page": "ipywidgets.widgets.widget.Widget",
}
_REFUSED = {name: words for words, names in _NAMES.items() for name in names.split()}
"""By the full name of a type, which need not be imported for it."""
_ARRAYS = frozenset({"numpy", "pandas", "torch", "cupy", "jax", "jaxlib", "scipy"})
"""Packages whose objects know their shape without computing anything."""
_COUNTED = (list, tuple, dict, set, frozenset, str, bytes, bytearray)


def refused(kind: type) -> str | None:
    """Return what a type is if nothing of it can be carried."""
    for each in kind.__mro__:
        words = _REFUSED.get(f"{each.__module__}.{each.__qualname__}")
        if words is not None:
            return words
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


def why(error: BaseException, value: Any, last: Any, said: str | None) -> str:
    """Explain in a sentence why a value cannot be carried.

    Parameters
    ----------
    last
        What was being written when it failed: the value, or something that it holds.
    said
        What `last` is, if that is known already.
    """
    verb = "is" if value is last else "holds"
    words = said or refused(type(last))
    if words is None:
        if isinstance(error, (RecursionError, pickle.PicklingError)) and "recursion" in str(error):
            return "It is nested too deeply."
        kind = type(last)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        words = f"an object of the type {name}, which only this process has"
    return f"It {verb} {words}."


def told(error: BaseException) -> str:
    """Return an error's type and text, whatever its own code does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
