"""The outputs of a notebook's cells, merged as JupyterLab merges them.

Neighbours on one stream are one output; a carriage return goes back to the beginning of the line, a backspace removes a
character, and what is written then overwrites what was there, so that of a progress bar its last state is kept. The cost
is proportional to what is printed, in however many pieces it comes: texts are put together only when they are wanted.
"""

from __future__ import annotations

import re
from typing import Any, Final

import nbformat

_new_output: Final[Any] = nbformat.v4.new_output
_CONTROL: Final = re.compile(r"[\r\b]")
_PARTS: Final = re.compile(r"([\n\r\b])")


class Stream:
    """The text of one output of a stream.

    Attributes
    ----------
    node
        The output in the notebook; its text is put together by `render`.
    """

    def __init__(self, name: str) -> None:
        self.node: Any = _new_output("stream", name=name, text="")
        self._lines: list[str] = []
        self._last: list[str] = []
        self._length = 0
        self._cursor = 0

    def add(self, text: str) -> None:
        """Append what was written."""
        if self._cursor == self._length and _CONTROL.search(text) is None:
            lines, newline, rest = text.rpartition("\n")
            if newline:
                self._end_line(lines + newline)
            self._write(rest)
            return
        for part in _PARTS.split(text):
            if part == "\n":
                self._end_line(part)
            elif part == "\r":
                self._cursor = 0
            elif part == "\b":
                self._remove()
            else:
                self._write(part)

    def render(self) -> None:
        """Put the text together in the notebook's output."""
        # Joined only once: next time there is one part that is long.
        self._lines = ["".join(self._lines)]
        self.node["text"] = "".join([*self._lines, *self._last])

    def _write(self, part: str) -> None:
        if not part:
            return
        if self._cursor == self._length:
            self._last.append(part)
            self._length += len(part)
        else:
            line = "".join(self._last)
            line = line[: self._cursor] + part + line[self._cursor + len(part) :]
            self._last, self._length = [line], len(line)
        self._cursor += len(part)

    def _remove(self) -> None:
        if self._cursor:
            line = "".join(self._last)
            self._last = [line[: self._cursor - 1] + line[self._cursor :]]
            self._cursor -= 1
            self._length -= 1

    def _end_line(self, text: str) -> None:
        # A newline goes to the end of the text, wherever the cursor is.
        self._lines += [*self._last, text]
        self._last, self._length, self._cursor = [], 0, 0


class Outputs:
    """The outputs of all cells of a notebook."""

    def __init__(self) -> None:
        self._displays: dict[str, list[Any]] = {}
        self._unrendered: set[Stream] = set()

    def of_cell(self, cell: Any) -> CellOutputs:
        """Empty a cell's outputs, and return what fills them."""
        cell.outputs = []
        return CellOutputs(cell, self)

    def render(self) -> None:
        """Bring the notebook up to date."""
        for stream in self._unrendered:
            stream.render()
        self._unrendered.clear()

    def update(self, display_id: str, new: Any) -> None:
        """Replace what is shown under an id, in whichever cells it is."""
        for node in self._displays.get(display_id, ()):
            node["data"], node["metadata"] = new["data"], new["metadata"]

    def written(self, stream: Stream) -> None:
        """Note that a stream's text must be put together."""
        self._unrendered.add(stream)

    def shown(self, display_id: str, node: Any) -> None:
        """Note an output that can be updated under an id."""
        self._displays.setdefault(display_id, []).append(node)

    def forget(self, nodes: list[Any]) -> None:
        """Forget outputs that were cleared."""
        gone = {id(node) for node in nodes}
        self._unrendered = {each for each in self._unrendered if id(each.node) not in gone}
        for shown in self._displays.values():
            shown[:] = [node for node in shown if id(node) not in gone]


class CellOutputs:
    """The outputs of one cell, as they come. `Outputs.of_cell` makes it."""

    def __init__(self, cell: Any, notebook: Outputs) -> None:
        self._cell = cell
        self._notebook = notebook
        self._stream: Stream | None = None
        self._clear_next = False

    def write(self, name: str, text: str) -> None:
        """Add text of a stream."""
        self._clear_if_asked()
        if self._stream is None or self._stream.node["name"] != name:
            self._stream = Stream(name)
            self._cell.outputs.append(self._stream.node)
        self._stream.add(text)
        self._notebook.written(self._stream)

    def add(self, node: Any, display_id: str | None = None) -> None:
        """Add an output that is no stream's."""
        self._clear_if_asked()
        self._stream = None
        self._cell.outputs.append(node)
        if display_id:
            self._notebook.shown(display_id, node)

    def clear(self, *, wait: bool) -> None:
        """Take all outputs away: now, or when the next one comes."""
        if wait:
            self._clear_next = True
            self._stream = None
        else:
            self._clear()

    def _clear_if_asked(self) -> None:
        if self._clear_next:
            self._clear()

    def _clear(self) -> None:
        self._clear_next = False
        self._stream = None
        self._notebook.forget(self._cell.outputs)
        self._cell.outputs[:] = []
