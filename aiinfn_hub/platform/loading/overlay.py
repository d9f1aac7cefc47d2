"""Platform files on top of each other: a base, a site, an event.

A file may say ``extends: [FILES]``, with paths relative to itself. The files are merged in their order, each on top of the
ones before it, and the file that names them on top of all. The rules:

- mappings merge key by key; new keys come after those that are there already,
- anything else, lists too, replaces what was there,
- ``null`` removes a key that was there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.platform.model.cross_checks import meant
from aiinfn_hub.platform.model.moved_keys import modernised

from . import yaml_reader
from .problems import Place, PlatformError, dotted
from .yaml_reader import Key

EXTENDS: Final = "extends"
_MOST_FILES: Final = 100
_MOST_BYTES: Final = 16 * 2**20
"""Bounds that no real platform reaches, for files that name each other many times, and for devices."""


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
    hints
        What is right, and is written in another way by now.
    """

    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[PlatformError] = field(default_factory=list)
    hints: list[PlatformError] = field(default_factory=list)


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
        places.update(
            {key: Place(layer, each.line, path, each.text, each.written_as) for key, each in own.items()}
        )
        return data
    merged: dict[Any, Any] = {}
    said = data.pop(EXTENDS)
    if not isinstance(said, list) or not all(isinstance(each, str) and each for each in said):
        layers.problems.append(
            PlatformError(path, own[(EXTENDS,)].line, EXTENDS, "a list of files is expected here")
        )
        said = []
    for index, name in enumerate(said):
        key = (EXTENDS, index)
        line = own[key].line if key in own else None
        below = path.parent / name

        def wrong(message: str, *, line: int | None = line, key: Key = key) -> PlatformError:
            return PlatformError(path, line, dotted(key), message, at=key)

        if any(each.at == key and each.path == path for each in layers.problems):
            continue
        if message := _unusable(below, (*above, path)):
            layers.problems.append(wrong(message))
            layers.files.append(below)  # to be looked at again when it changes
            continue
        if len(layers.files) + len(above) >= _MOST_FILES:
            layers.problems.append(
                wrong(f"more than {_MOST_FILES} files are named in all; name each one once")
            )
            break
        found: dict[Key, Place] = {}
        base = _read(below, (*above, path), layers, found, wrong("there is no such file"))
        if isinstance(base, dict):
            _merge(merged, base, places, found, (), layers)
    layers.files.append(path)
    layer = len(layers.files)
    own_places = {
        key: Place(layer, each.line, path, each.text, each.written_as)
        for key, each in own.items()
        if key[0] != EXTENDS
    }
    _merge(merged, data, places, own_places, (), layers)
    return merged


def _unusable(below: Path, above: tuple[Path, ...]) -> str | None:
    """Explain why a file that another one names cannot be read; None if there is nothing to say before reading it."""
    try:
        below.stat()
        circle = [*(each.resolve() for each in above), below.resolve()]
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"this file cannot be read ({error.strerror or 'no reason is given'})"
    except (ValueError, RuntimeError):  # NUL; a link to itself
        return "this is not the path of a file"
    if circle[-1] not in circle[:-1]:
        return None
    around = " -> ".join(each.name for each in circle[circle.index(circle[-1]) :])
    return f"these files extend each other in a circle: {around}"


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


def _own(
    path: Path, layers: Layers, named: PlatformError | None
) -> tuple[dict[Key, yaml_reader.Written], Any]:
    """Read one file by itself: where its keys stand, and its data; None if it cannot be used."""
    try:
        document = yaml_reader.parse(_text(path, named))
    except PlatformError as error:
        layers.problems.append(error)
        return {}, None
    except yaml_reader.UnreadableError as error:
        layers.problems.append(PlatformError(path, error.line, "", str(error)))
        return {}, None
    layers.problems += [
        PlatformError(path, each.line, dotted(each.key), each.message, at=each.key)
        for each in document.findings
    ]
    if not isinstance(document.data, dict):
        message = "a mapping with keys such as projects and images is expected"
        layers.problems.append(PlatformError(path, 1, "", message))
        return document.places, None
    return _modernised(path, document, layers)


def _modernised(
    path: Path, document: yaml_reader.Document, layers: Layers
) -> tuple[dict[Key, yaml_reader.Written], Any]:
    """Put each key of one file where it stands now, with its place, before it is merged with others."""
    data, moves = modernised(document.data)
    moved: dict[Key, Key] = {}
    for move in moves:
        line = document.places[move.old].line if move.old in document.places else None
        if move.conflict:
            message = f"{dotted(move.new)} is in this file too, and is what this key is called now; leave one of them out"
            layers.problems.append(PlatformError(path, line, dotted(move.old), message, at=move.old))
        else:
            layers.hints.append(PlatformError(path, line, dotted(move.old), move.remedy, at=move.old))
            moved[move.old] = move.new
    places = {}
    for key, each in document.places.items():
        # A key of the top, or one of a part of a section.
        old = key[:1] if key[:1] in moved else key[:3]
        new = moved.get(old)
        places[(*new, *key[len(old) :]) if new else key] = replace(each, written_as=key) if new else each
    return places, data


def _text(path: Path, named: PlatformError | None) -> str:
    try:
        if named is not None and not path.is_file() and path.exists():
            raise PlatformError(path, None, "", "it cannot be read (it is not a file)")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        unnamed = PlatformError(
            path, None, "", "there is no such file; set AIINFN_PLATFORM to the platform file"
        )
        raise named or unnamed from None
    except OSError as error:
        raise PlatformError(
            path, None, "", f"it cannot be read ({error.strerror or 'no reason is given'})"
        ) from None
    if len(content) > _MOST_BYTES:
        raise PlatformError(path, None, "", f"it is larger than {_MOST_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise PlatformError(path, None, "", "it cannot be read (it is not UTF-8 text)") from None
