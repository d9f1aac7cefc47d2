"""Platform files on top of each other: a base, a site, an event.

A file may say ``extends: [FILES]``, with paths relative to itself. The files are merged in their order, each on top of the
ones before it, and the file that names them on top of all. The rules:

- mappings merge key by key; new keys come after those that are there already,
- anything else, lists too, replaces what was there,
- ``null`` removes a key that was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from .crosschecks import meant
from .problems import Key, Place, PlatformError, dotted

EXTENDS: Final = "extends"
_DEEPEST: Final = 30
_MOST_KEYS: Final = 200_000
"""Bounds that no real file reaches, for one that refers to itself or grows by aliases."""


@dataclass
class Layers:
    """Files merged into one.

    Attributes
    ----------
    data
        As YAML gives it; None if the top file cannot be read.
    places
        Where each key and list item stands. A key that was removed stands where that was said.
    files
        Every file that was read, in the order of merging.
    problems
        What is wrong with the files as such.
    """

    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[PlatformError] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """Leaves dates as text: the model reads them, and says what is wrong with one at its own place."""


_Loader.yaml_implicit_resolvers = {
    start: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Layers:
    """Read a file and all that it extends, merged."""
    layers = Layers()
    layers.data = _read(path, (), layers, layers.places, None)
    return layers


def _read(
    path: Path, above: tuple[Path, ...], layers: Layers, places: dict[Key, Place], named: PlatformError | None
) -> Any:
    """Read one file with what it extends; ``places`` gets where its keys stand.

    ``named`` is the place that names this file, to be blamed if there is no such file.
    """
    own, data = _own(path, layers, named)
    if not isinstance(data, dict) or EXTENDS not in data:
        layers.files.append(path)
        layer = len(layers.files)
        places.update({key: Place(layer, line, path) for key, line in own.items()})
        return data
    merged: dict[Any, Any] = {}
    said = data.pop(EXTENDS)
    if not isinstance(said, list) or not all(isinstance(each, str) and each for each in said):
        layers.problems.append(
            PlatformError(path, own[(EXTENDS,)], EXTENDS, "a list of files is expected here")
        )
        said = []
    for index, name in enumerate(said):
        below = path.parent / name
        where = (path, own.get((EXTENDS, index)), f"{EXTENDS}.{index}")
        circle = [*(each.resolve() for each in (*above, path)), below.resolve()]
        if circle[-1] in circle[:-1]:
            round_ = " -> ".join(each.name for each in circle[circle.index(circle[-1]) :])
            layers.problems.append(
                PlatformError(*where, f"these files extend each other in a circle: {round_}")
            )
            continue
        found: dict[Key, Place] = {}
        base = _read(below, (*above, path), layers, found, PlatformError(*where, "there is no such file"))
        if isinstance(base, dict):
            _merge(merged, base, places, found, (), layers)
    layers.files.append(path)
    layer = len(layers.files)
    own_places = {key: Place(layer, line, path) for key, line in own.items() if key[0] != EXTENDS}
    _merge(merged, data, places, own_places, (), layers)
    return merged


def _merge(
    under: dict[Any, Any],
    over: dict[Any, Any],
    places: dict[Key, Place],
    over_places: dict[Key, Place],
    at: Key,
    layers: Layers,
) -> None:
    """Put one mapping on top of another, in place; the top ones of an empty one are taken as they are."""
    if not at and not under:
        under.update(_copy(over))
        places.update(over_places)
        return
    for name, value in over.items():
        key = (*at, str(name))
        place = over_places.get(key)
        if value is None and place is not None:
            if name in under:
                del under[name]
                _forget(places, key)
                places[key] = place
            else:
                guess = meant(str(name), [each for each in under if each not in over])
                layers.problems.append(
                    PlatformError(
                        place.path, place.line, dotted(key), f"null removes a key, but there is none{guess}"
                    )
                )
        elif isinstance(value, dict) and isinstance(under.get(name), dict):
            if place is not None:
                places[key] = place
            _merge(under[name], value, places, over_places, key, layers)
        else:
            under[name] = _copy(value)
            _forget(places, key)
            places.update({each: found for each, found in over_places.items() if each[: len(key)] == key})


def _copy(value: Any) -> Any:
    """Copy a value, so that what an alias names twice can be changed in one place."""
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _forget(places: dict[Key, Place], key: Key) -> None:
    for each in [each for each in places if each[: len(key)] == key]:
        del places[each]


def _own(path: Path, layers: Layers, named: PlatformError | None) -> tuple[dict[Key, int], Any]:
    """Read one file by itself: the lines of its keys, and its data; None if it cannot be used."""
    lines: dict[Key, int] = {}
    try:
        text = _text(path, named)
        for key, line in _keys(path, text):
            if key in lines:
                message = f"this key stands twice; first on line {lines[key]}"
                layers.problems.append(PlatformError(path, line, dotted(key), message))
            lines[key] = line
        data = _mapping(path, text)
    except PlatformError as error:
        layers.problems.append(error)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is no YAML"
        layers.problems.append(
            PlatformError(path, mark.line + 1 if mark else None, "", f"{problem} (is the indentation right?)")
        )
    except (ValueError, OverflowError, RecursionError):
        layers.problems.append(PlatformError(path, None, "", "a value in it cannot be read"))
    else:
        return lines, data
    return lines, None


def _text(path: Path, named: PlatformError | None) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        unnamed = PlatformError(
            path, None, "", "there is no such file; set AIINFN_PLATFORM to the platform file"
        )
        raise named or unnamed from None
    except OSError as error:
        raise PlatformError(
            path, None, "", f"it cannot be read ({error.strerror or 'no reason is given'})"
        ) from None
    except UnicodeDecodeError:
        raise PlatformError(path, None, "", "it cannot be read (it is not UTF-8 text)") from None


def _keys(path: Path, text: str) -> Iterator[tuple[Key, int]]:
    """Give every key and list item with its line; a key that stands twice comes twice."""
    node = yaml.compose(text, Loader=_Loader)
    if node is None:
        raise PlatformError(path, None, "", "the file is empty")
    for number, (key, line) in enumerate(_lines(node, ())):
        if len(key) > _DEEPEST or number > _MOST_KEYS:
            raise PlatformError(path, line, "", "this is nested too deeply, or refers to itself")
        yield key, line


def _mapping(path: Path, text: str) -> dict[Any, Any]:
    data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    if not isinstance(data, dict):
        raise PlatformError(path, 1, "", "a mapping with keys such as projects and images is expected")
    return data


def _lines(node: yaml.Node, key: Key) -> Iterator[tuple[Key, int]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            yield inner, name.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*key, index), value.start_mark.line + 1
            yield from _lines(value, (*key, index))
