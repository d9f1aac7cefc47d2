"""Has code of `kernel_side` run in a kernel: as an expression of a silent request, which leaves no trace in history and numbering."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any, Final

_INSIDE: Final = str(Path(__file__).with_name("kernel_side"))
_NAME: Final = "answer"
_LOADER: Final = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location(name, folder + "/__init__.py", submodule_search_locations=[folder])
module = sys.modules[name] = importlib.util.module_from_spec(spec)
try:
    spec.loader.exec_module(module)
    answer = module.run(request)
finally:
    for each in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[each]
"""


def expressions(request: dict[str, Any]) -> dict[str, str]:
    """Return the ``user_expressions`` of a request that asks a kernel to do something; see `kernel_side`."""
    found = importlib.util.find_spec("cloudpickle")
    lent = found.submodule_search_locations if found else None
    scope = {
        "name": "aiinfn_kernel_state",
        "folder": _INSIDE,
        "request": {**request, "lent": next(iter(lent or ()), "")},
    }
    return {_NAME: f"(lambda scope: (exec({_LOADER!r}, scope), scope['answer'])[1])({scope!r})"}


def answer(content: dict[str, Any]) -> dict[str, Any]:
    """Read the content of the kernel's reply.

    Returns
    -------
    dict
        What `kernel_side` answered, or ``problem``: ``interrupted`` or ``other_kernel``.
    """
    result = content.get("user_expressions", {}).get(_NAME)
    if result is None:
        # Interrupted before it began; or a kernel of another kind, which knows no such expressions.
        return {"problem": "other_kernel" if content.get("status") == "ok" else "interrupted"}
    if result.get("status") != "ok":
        interrupted = result.get("ename") == "KeyboardInterrupt"
        message = f"{result.get('ename')}: {result.get('evalue')}"
        return {"problem": "interrupted" if interrupted else "failed", "message": message}
    try:
        decoded = json.loads(ast.literal_eval(result["data"]["text/plain"]))
    except (KeyError, ValueError, SyntaxError):
        return {"problem": "other_kernel"}
    return dict(decoded) if isinstance(decoded, dict) else {"problem": "other_kernel"}
