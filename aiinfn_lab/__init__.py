"""The lab half of aiinfn: server extension, notebook inspection and the batch runner."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AiinfnError as AiinfnError
    from .client import AsyncClient as AsyncClient
    from .client import Client as Client
    from .kernel_state.loading import load_variables as load_variables
    from .recording import record as record


def _installed_version() -> str:
    try:
        return metadata.version("aiinfn")
    except metadata.PackageNotFoundError:
        # A bare source tree on the path: there is no version to compare with.
        return "0+unknown"


__version__ = _installed_version()


def __getattr__(name: str) -> Any:
    """Load the client when it is asked for: the server extension and the runner do without it."""
    if name in {"AiinfnError", "AsyncClient", "Client"}:
        from . import client  # noqa: PLC0415

        return getattr(client, name)
    if name == "record":
        from .recording import record  # noqa: PLC0415

        return record
    if name == "load_variables":
        from .kernel_state.loading import load_variables  # noqa: PLC0415

        return load_variables
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Return where the prebuilt front end is, for JupyterLab."""
    return [{"src": "labextension", "dest": "@aiinfn/labextension"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Return which application Jupyter Server is to load."""
    # Imported here so that a job's runner, which is in this package too, does not load the server.
    from .app import AiinfnLab  # noqa: PLC0415

    return [{"module": "aiinfn_lab", "app": AiinfnLab}]
