"""How variables become bytes.

Why cloudpickle and not dill: dill writes the module ``__main__`` as one, so that one variable that cannot be written spoils all;
it carries an open file by opening it again, which empties one that was open for writing; and its import changes how all
of the process is pickled. cloudpickle takes one value after the other, functions and classes of the notebook by value, and uses
the interpreter's own fast pickler, so that large arrays go to the file without a copy in memory.

A state file is one line of JSON, then chunks: a letter, the length in 8 bytes, and that many bytes. The chunks ``P`` one
after the other are a pickle stream; the chunks ``B`` are the buffers of arrays, each before the place where it is needed.
One pickler writes all, so that what variables share they share again. A chunk ``V`` stands before each variable, so that reading goes
on there if the one before cannot be read; the last, ``M``, holds the size of the pickler's memo.
"""

from __future__ import annotations

import collections
import copyreg
import functools
import importlib.util
import io
import pickle
import pickletools
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from .words import refused

_CACHED: Any = functools._lru_cache_wrapper  # noqa: SLF001 - its type has no other name
_CACHE_INFO: Any = functools._CacheInfo  # noqa: SLF001
_KEPT = 32 * 2**20
"""Bytes of a variable's stream, without the buffers of arrays, that are read on trial."""
_HEAD = 9
"""Bytes before each chunk."""


class CannotWriteError(Exception):
    """A value cannot be carried; its text is the code of what it is, such as ``thing.file``."""


class TooLongError(Exception):
    """Looking at a value took longer than it may."""


class TooLargeError(Exception):
    """The file would be larger than it may."""


class Sink(Protocol):
    """Takes what a pickler writes."""

    def write(self, data: Any) -> Any:
        """Take a part of the stream."""

    def buffer(self, buffer: Any) -> Any:
        """Take the buffer of an array."""

    def tick(self) -> None:
        """Be told that something goes on."""


def borrow(lent: str) -> Any:
    """Import cloudpickle, or the copy in the folder that is lent: it is plain Python."""
    try:
        import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        spec = importlib.util.spec_from_file_location(
            "cloudpickle", Path(lent, "__init__.py"), submodule_search_locations=[lent]
        )
        if spec is None or spec.loader is None:
            raise
        cloudpickle = sys.modules["cloudpickle"] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(cloudpickle)
        except BaseException:
            del sys.modules["cloudpickle"]
            raise
    return cloudpickle


class _Main:
    """Stands for the namespace of the notebook in functions that belong to it."""


_MAIN = _Main()


def pickler_type(lent: str, namespace: dict[str, Any]) -> Any:
    """Make the class of picklers for a notebook's namespace."""
    main = sys.modules["__main__"]

    class Pickler(borrow(lent).Pickler):  # type: ignore[misc]
        """Refuses what should not be carried, and leaves the notebook's functions in the notebook's namespace."""

        def __init__(self, sink: Sink) -> None:
            super().__init__(sink, protocol=5, buffer_callback=sink.buffer)
            self.last: Any = None
            self.gpu = False
            self._sink = sink
            self._kinds: dict[type, tuple[str | None, bool]] = {}

        def reducer_override(self, obj: Any) -> Any:
            if obj is _MAIN:
                return vars, (main,)
            self.last = obj
            self._sink.tick()
            kind = type(obj)
            if kind not in self._kinds:
                tensor = kind.__module__.partition(".")[0] == "torch" and hasattr(obj, "is_cuda")
                self._kinds[kind] = refused(kind), tensor
            code, tensor = self._kinds[kind]
            if (parts := _taken_apart(obj)) is not None:
                return parts
            if code is not None:
                raise CannotWriteError(code)
            if tensor and obj.is_cuda:
                self.gpu = True
            reduced = super().reducer_override(obj)
            if isinstance(obj, types.FunctionType) and reduced is not NotImplemented:
                return _at_home(reduced) if obj.__globals__ is namespace else reduced
            return reduced

    return Pickler


def _taken_apart(obj: Any) -> Any:
    """Return how to make an object again whose own way to be pickled cannot be read; None for all others."""
    for name in ("stdin", "stdout", "stderr"):
        if obj is getattr(sys, name):
            return getattr, (sys, name)
    if type(obj) is _CACHED:
        # It is written as a name, which nobody has where it is read.
        if obj.__module__ != "__main__" and "<locals>" not in obj.__qualname__:
            return None
        given = obj.cache_parameters()
        return _CACHED, (obj.__wrapped__, given["maxsize"], given["typed"], _CACHE_INFO), dict(vars(obj))
    if isinstance(obj, BaseException):
        kind = type(obj)
        plain = kind.__reduce__ is BaseException.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__
        if plain and isinstance(kind.__init__, types.FunctionType):
            # Its class would be called with the text of the message.
            return copyreg.__newobj__, (kind, *obj.args), dict(vars(obj)) or None  # type: ignore[attr-defined]
    return None


def _at_home(reduced: Any) -> Any:
    """Let a function of the notebook see what later cells assign: cloudpickle gives it a copy of the globals it uses."""
    make, (code, _, *rest), (state, slots), *more = reduced
    slots["__globals__"] = {}
    return (make, (code, _MAIN, *rest), (state, slots), *more)


class Count:
    """Takes what a pickler writes, and keeps its size, and what it takes to read it if that is little.

    Parameters
    ----------
    deadline
        Moment of `time.monotonic` after which it takes no more.

    Attributes
    ----------
    large
        Bytes of each buffer, by the identity of the array that owns it: several variables may share one.
    stream
        What was written; None if it is more than is kept for reading it.
    buffers
        What it refers to, not copied.
    """

    def __init__(self, deadline: float) -> None:
        self.size = 0
        self.stream: list[bytes] | None = []
        self.buffers: list[Any] = []
        self.large: dict[int, int] = {}
        self._deadline = deadline
        self._ticks = 0

    def write(self, data: Any) -> None:
        """Count a part of the stream."""
        self.size += len(data)
        if self.size > _KEPT:
            self.stream = None
        if self.stream is not None:
            self.stream.append(bytes(data))
        self.tick()

    def buffer(self, buffer: Any) -> None:
        """Count a buffer, which is not read for it."""
        raw = buffer.raw()
        self.large[id(raw.obj)] = raw.nbytes
        self.buffers.append(buffer)

    def tick(self) -> None:
        """Look at the clock now and then.

        Raises
        ------
        TooLongError
            Once it is time.
        """
        self._ticks += 1
        if self._ticks % 64 == 0 and time.monotonic() > self._deadline:
            raise TooLongError


class Writer:
    """Writes the chunks of a state file, as long as they are not more bytes than ``limit``."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self.written = 0
        self._file = file
        self._limit = limit

    def write(self, data: Any) -> None:
        """Write a part of the stream."""
        self._chunk(b"P", memoryview(data))

    def buffer(self, buffer: Any) -> None:
        """Write the buffer of an array."""
        self._chunk(b"B", buffer.raw())

    def begin(self) -> None:
        """Note that a variable begins."""
        self._chunk(b"V", memoryview(b""))

    def end(self, memo: int) -> None:
        """Note the size of the pickler's memo, after all else."""
        self._chunk(b"M", memoryview(memo.to_bytes(8, "little")))

    def tick(self) -> None:
        """Go on: writing may take its time."""

    def _chunk(self, kind: bytes, data: memoryview) -> None:
        self.written += data.nbytes + _HEAD
        if self.written > self._limit:
            raise TooLargeError
        self._file.write(kind + data.nbytes.to_bytes(8, "little"))
        self._file.write(data)


class StateReader:
    """Reads the chunks of a state file: the pickle stream as a file, and the buffers as they are needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file: Any = file
        self._data = memoryview(b"")
        self._buffers: collections.deque[bytearray] = collections.deque()
        self._marks = 0
        self._place = 0

    def begin(self) -> int:
        """Go to where the next variable begins, past what was not read of the one before; return its place in the file."""
        self._data = memoryview(b"")
        self._buffers.clear()
        marks = self._marks
        while self._marks == marks:
            self._next()
        return self._place

    def put(self, data: bytes) -> None:
        """Have something read before the rest."""
        self._data = memoryview(data)

    def stream(self, place: int) -> bytes:
        """Return the pickle stream of the variable at a place, and stay where this is."""
        here, parts = self._file.tell(), []
        self._file.seek(place)
        while (head := self._file.read(_HEAD))[:1] in {b"P", b"B"}:
            length = int.from_bytes(head[1:], "little")
            if head[:1] == b"P":
                parts.append(self._file.read(length))
            else:
                self._file.seek(length, 1)
        self._file.seek(here)
        return b"".join(parts)

    def memo(self) -> int:
        """Return the size of the pickler's memo in the end."""
        here = self._file.tell()
        self._file.seek(-8, 2)
        size = int.from_bytes(self._file.read(8), "little")
        self._file.seek(here)
        return size

    def read(self, size: int) -> bytes:
        """Return so many bytes of the stream.

        Raises
        ------
        EOFError
            If the file ends before.
        """
        parts = []
        while size:
            if not self._data:
                self._next()
            part, self._data = self._data[:size], self._data[size:]
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def readinto(self, target: Any) -> int:
        """Fill a buffer from the stream."""
        target[:] = self.read(len(target))
        return len(target)

    def readline(self) -> bytes:
        """Return a line of the stream; the protocol that is used has none, but an unpickler wants it."""
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line

    def buffers(self) -> Iterator[bytearray]:
        """Yield the buffers, one after the other."""
        while True:
            while not self._buffers:
                self._next()
            yield self._buffers.popleft()

    def _next(self) -> None:
        head = self._file.read(_HEAD)
        data = bytearray(int.from_bytes(head[1:], "little"))
        if len(head) < _HEAD or self._file.readinto(data) < len(data):
            raise EOFError("The state file ends too early.")
        if head[:1] == b"B":
            self._buffers.append(data)
        elif head[:1] == b"V":
            self._marks += 1
            self._place = self._file.tell()
        elif head[:1] == b"P":
            self._data = memoryview(data)


class Unpickler(pickle.Unpickler):
    """Reads a state file's stream; tensors of a GPU come to the CPU's memory where there is no GPU."""

    _given: dict[int, Any]

    def fill(self, memo: dict[int, Any], reader: StateReader) -> None:
        """Fill the memo; by a stream, as setting it from a dictionary does not work (CPython up to 3.14 at least)."""
        self._given = memo
        body = b"".join(
            b"J%bQr%b0" % (number.to_bytes(4, "little"), number.to_bytes(4, "little")) for number in memo
        )
        body += b"N."
        reader.put(b"\x80\x05\x95" + len(body).to_bytes(8, "little") + body)
        self.load()
        self._given = {}

    def persistent_load(self, pid: Any) -> Any:
        """Return an object of the memo that is being filled in; the streams themselves have none."""
        return self._given[pid]

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name of the stream stands for."""
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _load_tensor
        return super().find_class(module, name)


def after_failure(reader: StateReader, failed: Unpickler, place: int, record: list[str]) -> Unpickler:
    """Return an unpickler for the variables behind one that could not be read.

    What it shared with them, texts apart, is missing where they ask for it, which makes them unreadable too, and never wrong: objects
    are numbered in the order in which they come, so those that did not come are counted, and their numbers left free.

    Parameters
    ----------
    place
        Of the variable in the file.
    record
        What was read just before the variable: its name, in a list.
    """
    memo: dict[int, Any] = failed.memo.copy()
    known = sorted(memo)
    at = next(number for number in reversed(known) if memo[number] is record)
    first = at + 1 + (memo.get(at + 1) is record[0])
    stream = reader.stream(place)
    # The first pickle there is the record.
    behind = io.BytesIO(stream)
    for _ in pickletools.genops(behind):
        pass
    total = reader.memo()
    # Not those that had begun: they may be half made.
    kept = {number: each for number, each in memo.items() if number < first}
    count, before = 0, None
    for operation, argument, _ in pickletools.genops(behind):
        if operation.name == "MEMOIZE":
            # Equal texts are one object by chance, and are known without being read.
            if type(before) is str:
                kept.setdefault(first + count, before)
            count += 1
        before = argument
    # The next number is the count of those that are there.
    missing = first + count - len(kept)
    following = Unpickler(reader, buffers=reader.buffers())
    following.fill({**kept, **{total + number: None for number in range(missing)}}, reader)
    return following


def _load_tensor(data: bytes) -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    place = None if torch.cuda.is_available() else "cpu"
    return torch.load(io.BytesIO(data), map_location=place, weights_only=False)
