"""What is done inside the person's kernel: take stock of its variables, write them to a file, read them back.

The kernel loads this folder by its path, as its environment may have neither the package around it nor its Python: nothing is
imported but the standard library, and cloudpickle, which is lent if it is missing. Afterwards it is not even among the loaded
modules; nothing of it stays in the person's namespace.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from .inventory import look
from .limit import TooSlowError, limited
from .pickling import TooLargeError
from .state import restore, save

_VERBS: dict[str, Callable[..., dict[str, Any]]] = {"look": look, "save": save, "restore": restore}


def run(request: dict[str, Any]) -> str:
    """Do what is asked and give the answer as JSON. Whatever goes wrong is an answer, too.

    Parameters
    ----------
    request
        ``do``, and what that takes; ``until``, the time after which nobody waits for it to begin; ``parallelism``, seconds
        after which it is interrupted.
    """
    if time.time() > request.get("until", float("inf")):
        return json.dumps({"problem": "late"})
    try:
        return limited(request.get("parallelism"), lambda: _answer(request))
    except TooSlowError:
        return json.dumps({"problem": "too_slow"})


def _answer(request: dict[str, Any]) -> str:
    try:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415

        shell = get_ipython()
        namespace = sys.modules["__main__"].__dict__
        if shell is None or shell.user_ns is not namespace:
            return json.dumps({"problem": "other_kernel"})
        return json.dumps(_VERBS[request["do"]](shell, namespace, request))
    except TooLargeError:
        return json.dumps({"problem": "too_large"})
    except OSError as error:
        return json.dumps({"problem": "os", "errno": error.errno, "message": str(error.strerror)})
    except Exception as error:  # the person's own code runs here, too
        return json.dumps({"problem": "failed", "message": f"{type(error).__name__}: {error}"})
