"""What there is in the notebook's namespace, what it takes, and what keeps it from being carried."""

from __future__ import annotations

import re
import sys
import time
import types
from typing import Any

from .pickling import (
    CannotWriteError,
    Count,
    TooLongError,
    pickler_type,
)
from .reading import Trial
from .words import type_of, why

_OF_IPYTHON = re.compile(r"_+|_i+|_i?\d+|_[ido]h|_exit_code|In|Out|exit|quit|get_ipython|__\w+__")
"""Names that IPython keeps for itself, beside those that it hides."""


def own(shell: Any, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return the person's variables: neither IPython's, nor what Python puts into every module."""
    hidden = shell.user_ns_hidden
    return {
        name: value
        for name, value in list(namespace.items())
        if not _OF_IPYTHON.fullmatch(name) and not (name in hidden and hidden[name] is value)
    }


def about(shell: Any) -> dict[str, Any]:
    """Return what is known of the kernel itself."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "extensions": sorted(
            each for each in shell.extension_manager.loaded if not each.endswith("storemagic")
        ),
    }


def look(shell: Any, namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Take stock. Nothing is written, and the contents of arrays are not read.

    Parameters
    ----------
    request
        ``needed``, names that the remaining cells use; ``seconds`` that it may take about; ``lent``, see
        `pickling.borrow`.
    """
    kind = pickler_type(request["lent"], namespace)
    mine = own(shell, namespace)
    needed = _with_their_own(request["needed"], mine, namespace)
    end = time.monotonic() + request["seconds"]
    variables, modules = [], []
    trial = Trial()
    # Those that are needed first, in case that there is no time for all.
    for name in sorted(mine, key=lambda each: (each not in needed, each)):
        value = mine[name]
        # By the type itself: the class that an object claims is its own code, which may fail, as that of a lazy proxy does.
        if issubclass(type(value), types.ModuleType):
            modules.append(name)
            continue
        found = probe(kind, value, min(end, time.monotonic() + request["seconds"] / 4), trial, name)
        code = issubclass(type(value), (type, types.FunctionType))
        variables.append(
            {"name": name, "type": type_of(value), "used": name in needed, "code": code, **found}
        )
    reasons, unread = trial.run(namespace, mine, max(end - time.monotonic(), request["seconds"] / 4))
    for each in variables:
        if each["name"] in reasons:
            each |= {**reasons[each["name"]], "size": None, "buffers": []}
        elif each["name"] in unread:
            each["unsure"] = True
    return {"variables": variables, "modules": sorted(modules), **about(shell)}


def probe(kind: Any, value: Any, deadline: float, trial: Trial, name: str) -> dict[str, Any]:
    """Write a value to nowhere, and leave what was written to be read on trial.

    Returns
    -------
    dict
        ``size`` in bytes, of which ``buffers`` are those of arrays by their identity; ``gpu`` if something of it is in
        a GPU's memory; ``reason`` and ``why`` if it cannot be carried, see `words.explained`; ``unsure`` if there was no time to find out.
    """
    count = Count(deadline)
    pickler = kind(count)
    try:
        pickler.dump(value)
    except TooLongError:
        return {"unsure": True, "size": _guess(value), "buffers": []}
    except CannotWriteError as error:
        return {**why(error, value, pickler.last, str(error)), "size": None, "buffers": []}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # anything that the value's own code may raise, panics of Rust as well
        return {**why(error, value, pickler.last, None), "size": None, "buffers": []}
    trial.add(name, count, gpu=pickler.gpu)
    buffers = [[str(key), size] for key, size in count.large.items()]
    return {
        "size": count.size + sum(count.large.values()),
        "buffers": buffers,
        **({"gpu": True} if pickler.gpu else {}),
    }


def _guess(value: Any) -> int:
    try:
        return int(getattr(value, "nbytes", 0)) or sys.getsizeof(value, 0)
    except Exception:  # the value's own code
        return 0


def _with_their_own(needed: list[str], mine: dict[str, Any], namespace: dict[str, Any]) -> set[str]:
    """Add what the needed functions and objects of the notebook's classes need themselves."""
    found: set[str] = set()
    left = [name for name in needed if name in mine]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(each for each in _uses(mine[name], namespace) if each in mine)
    return found


def _uses(value: Any, namespace: dict[str, Any]) -> set[str]:
    """Return the names that a function, a class or an object of such a class of the notebook uses."""
    found: set[str] = set()
    codes: list[types.CodeType] = []

    def take(function: Any) -> None:
        function = getattr(function, "__func__", getattr(function, "fget", function))
        while isinstance(function, types.FunctionType):
            if function.__globals__ is namespace:
                codes.append(function.__code__)
            function = getattr(function, "__wrapped__", None)

    if issubclass(type(value), (types.FunctionType, types.MethodType)):
        take(value)
    else:
        for base in (value if issubclass(type(value), type) else type(value)).__mro__:
            if base.__module__ == "__main__":
                found.add(base.__name__)
                for each in list(vars(base).values()):
                    take(each)
    while codes:
        code = codes.pop()
        found.update(code.co_names)
        codes.extend(each for each in code.co_consts if isinstance(each, types.CodeType))
    return found
