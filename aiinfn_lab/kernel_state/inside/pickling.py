"""How variables become bytes.

Why cloudpickle and not dill: dill writes the module ``__main__`` as one, so that one variable that cannot be written spoils all;
it carries an open file by opening it again, which empties one that was open for writing; and its import changes how all
of the process is pickled. cloudpickle takes one value after the other, functions and classes of the notebook by value, and uses
the interpreter's own fast pickler, so that large arrays go to the file without a copy in memory.

A state file is one line of JSON, then chunks: a letter, the length in 8 bytes, and that many bytes. The chunks ``P`` one
after the other are a pickle stream; the chunks ``B`` are the buffers of arrays, each before the place where it is needed.
One pickler writes all, so that what variables share they share again.
"""

from __future__ import annotations

import collections
import importlib.util
import io
import pickle
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from .words import refused

_HEAD = 9
"""Bytes before each chunk."""


class CannotWrite(Exception):  # noqa: N818 - a reason more than an error
    """A value cannot be carried; its text says what it is: "an open file"."""


class TooLong(Exception):  # noqa: N818
    """Looking at a value took longer than it may."""


class TooLarge(Exception):  # noqa: N818
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
            words, tensor = self._kinds[kind]
            for name in ("stdin", "stdout", "stderr"):
                if obj is getattr(sys, name):
                    return getattr, (sys, name)
            if words is not None:
                raise CannotWrite(words)
            if tensor and obj.is_cuda:
                self.gpu = True
            reduced = super().reducer_override(obj)
            if isinstance(obj, types.FunctionType) and reduced is not NotImplemented:
                return _at_home(reduced) if obj.__globals__ is namespace else reduced
            return reduced

    return Pickler


def _at_home(reduced: Any) -> Any:
    """Let a function of the notebook see what later cells assign: cloudpickle gives it a copy of the globals it uses."""
    make, (code, _, *rest), (state, slots), *more = reduced
    slots["__globals__"] = {}
    return (make, (code, _MAIN, *rest), (state, slots), *more)


class Count:
    """Takes what a pickler writes, and keeps only its size.

    Parameters
    ----------
    deadline
        Moment of `time.monotonic` after which it takes no more.

    Attributes
    ----------
    large
        Bytes of each buffer, by the identity of the array that owns it: several variables may share one.
    """

    def __init__(self, deadline: float) -> None:
        self.size = 0
        self.large: dict[int, int] = {}
        self._deadline = deadline
        self._ticks = 0

    def write(self, data: Any) -> None:
        """Count a part of the stream."""
        self.size += len(data)
        self.tick()

    def buffer(self, buffer: Any) -> None:
        """Count a buffer, which is not read for it."""
        raw = buffer.raw()
        self.large[id(raw.obj)] = raw.nbytes

    def tick(self) -> None:
        """Look at the clock now and then.

        Raises
        ------
        TooLong
            Once it is time.
        """
        self._ticks += 1
        if self._ticks % 64 == 0 and time.monotonic() > self._deadline:
            raise TooLong


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

    def tick(self) -> None:
        """Go on: writing may take its time."""

    def _chunk(self, kind: bytes, data: memoryview) -> None:
        self.written += data.nbytes + _HEAD
        if self.written > self._limit:
            raise TooLarge
        self._file.write(kind + data.nbytes.to_bytes(8, "little"))
        self._file.write(data)


class Reader:
    """Reads the chunks of a state file: the pickle stream as a file, and the buffers as they are needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file: Any = file
        self._data = memoryview(b"")
        self._buffers: collections.deque[bytearray] = collections.deque()

    def read(self, size: int) -> bytes:
        """Give so many bytes of the stream.

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
        """Give a line of the stream; the protocol that is used has none, but an unpickler wants it."""
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line

    def buffers(self) -> Iterator[bytearray]:
        """Give the buffers, one after the other."""
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
        else:
            self._data = memoryview(data)


class Unpickler(pickle.Unpickler):
    """Reads a state file's stream; tensors of a GPU come to the CPU's memory where there is no GPU."""

    def find_class(self, module: str, name: str) -> Any:
        """Give what a name of the stream stands for."""
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _load_tensor
        return super().find_class(module, name)


def _load_tensor(data: bytes) -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    place = None if torch.cuda.is_available() else "cpu"
    return torch.load(io.BytesIO(data), map_location=place, weights_only=False)
