"""The state file: written in the session's kernel, read in the job's."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import IO, Any

from .inventory import about, own, probe
from .pickling import (
    CannotWriteError,
    StateReader,
    TooLargeError,
    Unpickler,
    Writer,
    after_failure,
    borrow,
    pickler_type,
)
from .reading import Trial
from .words import (
    explained,
    told,
    type_of,
    why,
)

FORMAT = "aiinfn-kernel-state/2"
_MARGIN = 64 * 2**20
"""Bytes of the home that stay free."""
_LOOK = 2.0
"""Seconds for which a value is tried before it is written."""
_READ = 10.0
"""Seconds for which it is tried to read what is written."""
_NOT_CARRIED = ("backend", "interactive", "webagg", "tk.", "toolbar", "savefig.directory")
"""Settings of matplotlib that belong to the process."""


def save(shell: Any, namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Write the variables to a file, all but those that are left out and those that cannot be written.

    Parameters
    ----------
    request
        ``path`` of the file, which is complete or not there, and has the mode 0600; ``leave_out``, names; ``limit`` in
        bytes; ``lent``, see `pickling.borrow`.

    Raises
    ------
    TooLargeError
        If there is no room for it, or it would be larger than the limit.
    OSError
        If it cannot be written.
    """
    kind = pickler_type(request["lent"], namespace)
    path, chosen = Path(request["path"]), set(request["leave_out"])
    room = os.statvfs(path.parent)
    limit = min(request["limit"], room.f_bavail * room.f_frsize - _MARGIN)
    carried = own(shell, namespace)
    left_out: list[dict[str, Any]] = []
    trial = Trial()

    def leave(name: str, reason: dict[str, Any]) -> None:
        left_out.append({"name": name, "type": type_of(carried.pop(name)), **reason})

    for name in list(carried):
        if name in chosen:
            leave(name, explained("variable.left_out"))
            continue
        # One that fails in the middle of the file would make it worthless.
        found = probe(kind, carried[name], time.monotonic() + _LOOK, trial, name)
        if "reason" in found:
            leave(name, {key: found[key] for key in ("reason", "why")})
    reasons, _ = trial.run(namespace, own(shell, namespace), _READ)
    for name, reason in reasons.items():
        leave(name, reason)
    while True:
        size, failed = _write(shell, kind, path, limit, carried, left_out)
        if failed is None:
            return {"carried": sorted(carried), "left_out": left_out, "size": size}
        left_out.append(failed)
        del carried[failed["name"]]


def _write(
    shell: Any,
    kind: Any,
    path: Path,
    limit: int,
    carried: dict[str, Any],
    left_out: list[dict[str, Any]],
) -> tuple[int, dict[str, Any] | None]:
    """Write the file and give its size, or what could not be written; then there is no file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    name, pickler = "", None
    try:
        with open(descriptor, "wb", buffering=2**20) as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(json.dumps({**_header(shell), "left_out": left_out}).encode() + b"\n")
            writer = Writer(file, limit)
            pickler = kind(writer)
            pickler.dump(_settings())
            for name, value in carried.items():
                writer.begin()
                # In a list of its own, which is how a reader finds its place again; see `pickling.after_failure`.
                pickler.dump([name])
                pickler.dump(value)
            writer.begin()
            pickler.dump([None])
            writer.end(len(pickler.memo.copy()))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except (TooLargeError, OSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not name or pickler is None:
            raise
        said = str(error) if isinstance(error, CannotWriteError) else None
        failed = carried[name]
        return 0, {"name": name, "type": type_of(failed), **why(error, failed, pickler.last, said)}
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return writer.written, None


def _header(shell: Any) -> dict[str, Any]:
    folder = Path.cwd()
    first = Path(getattr(shell, "starting_dir", folder))
    return {
        "format": FORMAT,
        "time": time.time(),
        "prefix": sys.prefix,
        "versions": _versions(),
        "folder": str(folder),
        "path": [_absolute(each, folder, first) for each in sys.path],
        **about(shell),
    }


def _absolute(entry: str, *folders: Path) -> str:
    """Return an entry of the module path as it was meant, wherever the kernel has gone since."""
    places = [folder / entry for folder in folders]
    return str(next((place for place in places if place.exists()), places[0])) if entry else entry


def restore(shell: Any, namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Read a file's variables into the notebook's namespace. One that cannot be read is left out, with the reason.

    Parameters
    ----------
    request
        ``path`` of the file; ``place``, whether settings and working folder are taken over as well.

    Returns
    -------
    dict
        What was done; or ``error`` if the file is damaged or none, with the ``name`` of the variable that was being read.
    """
    borrow(request["lent"])
    builtins = namespace.get("__builtins__")
    place = request.get("place", True)
    name: str | None = None
    differences: list[str] = []
    found: dict[str, Any] = {}
    unread: list[dict[str, Any]] = []
    try:
        with Path(request["path"]).open("rb") as file:
            header = _read_header(file)
            differences = _differences(header)
            warnings = _take_place(shell, header) if place else []
            reader = StateReader(file)
            unpickler = Unpickler(reader, buffers=reader.buffers())
            settings = unpickler.load()
            while True:
                start = reader.begin()
                record = unpickler.load()
                name = record[0]
                if name is None:
                    break
                try:
                    found[name] = unpickler.load()
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # anything that the values' own code may raise
                    said = told(error)
                    shared = unread and "Memo value not found" in said
                    reason = (
                        explained("variable.unread_shared")
                        if shared
                        else explained("variable.unread", error=said)
                    )
                    unread.append({"name": name, "type": "", **reason})
                    unpickler = after_failure(reader, unpickler, start, record)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "name": name, "differences": differences}
    finally:
        # cloudpickle puts its own into the globals of each function that it makes.
        namespace["__builtins__"] = builtins
    namespace.update(found)
    if place:
        _set(settings)
    return {
        "restored": sorted(found),
        "left_out": [*header["left_out"], *unread],
        "differences": _differences(header),
        "warnings": warnings,
    }


def _read_header(file: IO[bytes]) -> dict[str, Any]:
    try:
        header: Any = json.loads(file.readline())
        if header["format"] == FORMAT:
            return dict(header)
    except (ValueError, TypeError, KeyError):
        pass
    raise ValueError("this is not a state file of this version")


def _settings() -> dict[str, Any]:
    """Return the settings of the process that are carried: random numbers, and how figures look."""
    found: dict[str, Any] = {"random": random.getstate()}
    if "numpy" in sys.modules:
        found["numpy"] = sys.modules["numpy"].random.get_state()
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state().numpy()
    if "matplotlib" in sys.modules:
        given, default = sys.modules["matplotlib"].rcParams, sys.modules["matplotlib"].rcParamsDefault
        # Not by its own way to get an item, which chooses a backend.
        values = {key: dict.__getitem__(given, key) for key in given if not key.startswith(_NOT_CARRIED)}
        found["matplotlib"] = {key: value for key, value in values.items() if value != dict.get(default, key)}
    return found


def _set(settings: dict[str, Any]) -> None:
    random.setstate(settings["random"])
    if "numpy" in settings:
        import numpy  # noqa: PLC0415, ICN001

        numpy.random.set_state(settings["numpy"])
    if "torch" in settings:
        import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

        torch.set_rng_state(torch.from_numpy(settings["torch"]))
    if settings.get("matplotlib"):
        import matplotlib  # noqa: PLC0415, ICN001

        matplotlib.rcParams.update(settings["matplotlib"])


def _take_place(shell: Any, header: dict[str, Any]) -> list[str]:
    """Take over where modules are looked for, the working folder, and IPython's extensions."""
    warnings = []
    if header["prefix"] == sys.prefix:
        sys.path[:] = header["path"]
    else:
        sys.path.extend(each for each in header["path"] if each not in sys.path and Path(each).is_dir())
    try:
        os.chdir(header["folder"])
    except OSError:
        warnings.append(f"the working folder of the session is not here: {header['folder']}")
    for each in header["extensions"]:
        try:
            shell.extension_manager.load_extension(each)
        except Exception:  # of whoever wrote it
            warnings.append(f"the extension {each} of IPython could not be loaded")
    return warnings


def _versions() -> dict[str, str]:
    modules = list(sys.modules.items())
    versions = {name: getattr(module, "__version__", None) for name, module in modules if "." not in name}
    return {name: version for name, version in versions.items() if isinstance(version, str)}


def _differences(header: dict[str, Any]) -> list[str]:
    here = {"Python": ".".join(map(str, sys.version_info[:3])), **_versions()}
    there = {"Python": header["python"], **header["versions"]}
    return [
        f"{name} is {here[name]} here, and was {there[name]} in the session"
        for name in there
        if name in here and here[name] != there[name]
    ]
