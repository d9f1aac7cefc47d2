"""Which kernels a session offers."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import ensure_async
from tornado.web import HTTPError

from aiinfn_hub.contract.languages import ENGLISH, preferred
from aiinfn_lab.catalogue import chosen_locale
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import speaking, use

from .prepare import NotPrivateError, prepare
from .transport import private_transports, refusal, required

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec


class _Offered(KernelSpecManager):
    """The kernels of any manager, without those that everybody on the machine could listen to."""

    left_out: dict[str, str]
    """By name, as people see them."""

    def __init__(self, **kwargs: Any) -> None:
        self.left_out = {}
        super().__init__(**kwargs)

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return a specification; `get_all_specs` asks here for each, too.

        Raises
        ------
        NotPrivateError
            If the kernel is not offered.
        """
        spec = super().get_kernel_spec(kernel_name)
        if not private_transports(spec.argv, spec.metadata):
            title = str(spec.display_name or kernel_name)
            if self.left_out.get(kernel_name) != title:
                self.left_out[kernel_name] = title
                with speaking(ENGLISH):
                    self.log.warning(refusal(title))
            raise NotPrivateError(kernel_name, title)
        # Its debugger listens on TCP for whoever connects first.
        spec.metadata = {**spec.metadata, "debugger": False}
        return spec


class _StartError(HTTPError):
    """What a server answers, in words, whose kernel was not started.

    Of any other exception, Jupyter says "Unhandled error" and no more.
    """

    def __init__(self, status: HTTPStatus, why: str, reason: str | None = None) -> None:
        super().__init__(status, why, reason=reason)
        self.why = why

    @property
    def log_message(self) -> str:
        """What the answer says; tornado's own doubles each percent sign."""
        return self.why

    def __str__(self) -> str:
        return self.why


class _MissingError(_StartError, NoSuchKernel):
    """There is no such kernel; for this, Jupyter's sessions have an answer of their own, which JupyterLab knows."""

    def __init__(self, name: str) -> None:
        super().__init__(
            HTTPStatus.NOT_FOUND,
            _(
                "There is no kernel “{name}” that this server can read. Choose another one, or install it."
            ).format(name=name),
        )
        self.name = name


def left_out(manager: Any) -> list[str]:
    """Look which kernels are not offered, and return their names as people see them."""
    if not isinstance(manager, _Offered):
        return []
    manager.get_all_specs()
    return sorted(manager.left_out.values())


def guard(server: Any) -> KernelSpecManager:
    """Let a Jupyter server start each kernel safely, and on a shared machine only those that can be private.

    Returns
    -------
    KernelSpecManager
        The one to be used from now on; other extensions find it in the web application's settings.
    """
    found: KernelSpecManager = server.kernel_spec_manager
    kernels = server.kernel_manager
    if not hasattr(kernels, "kernel_manager_factory"):
        return found  # a gateway's: its kernels run elsewhere
    if required():
        found = type("OfferedKernels", (_Offered, type(found)), {})(parent=found.parent, log=found.log)
        server.kernel_spec_manager = kernels.kernel_spec_manager = found
    make = kernels.kernel_manager_factory

    def make_safe(*args: Any, **kwargs: Any) -> Any:
        manager = make(*args, **kwargs)
        if manager.kernel_name:
            _check_specification(manager)
            prepare(manager, lambda: Path(jupyter_runtime_dir()))
        return manager

    kernels.kernel_manager_factory = make_safe
    kernels.start_kernel = _in_words(kernels.start_kernel)
    return found


def _check_specification(manager: Any) -> None:
    """Read a kernel's specification, which is a file that anybody may have written."""
    try:
        usable = bool(manager.kernel_spec.argv)
    except NoSuchKernel:
        raise
    except Exception as error:
        raise _StartError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            _(
                "The kernel “{name}” cannot be started: its kernel.json cannot be used ({error}). Mend "
                "it, or install the kernel again."
            ).format(name=manager.kernel_name, error=_explain(error)),
        ) from error
    if not usable:
        raise _StartError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            _(
                "The kernel “{name}” cannot be started: its kernel.json names no command. Mend it, or "
                "install the kernel again."
            ).format(name=manager.kernel_name),
        )


def _in_words(start: Callable[..., Any]) -> Callable[..., Awaitable[str]]:
    """Wrap the method of a server's kernel manager that starts a kernel, so that each failure is a sentence."""

    @functools.wraps(start)
    async def start_kernel(*args: Any, **kwargs: Any) -> str:
        # Jupyter's own handlers, which ask here, do not know what a page speaks.
        use(preferred(chosen_locale()))
        for key in ("kernel_name", "path", "kernel_id"):
            if not isinstance(kwargs.get(key), str | None):
                raise _StartError(
                    HTTPStatus.BAD_REQUEST,
                    _("A kernel's {key} must be a text.").format(key=key.replace("_", " ")),
                )
        name = kwargs.get("kernel_name")
        if name == "":
            raise _MissingError(name)
        try:
            started: str = await ensure_async(start(*args, **kwargs))
        except NotPrivateError as error:
            # Not `NoSuchKernel`: of that, Jupyter's sessions say that one should install it.
            raise _StartError(HTTPStatus.NOT_IMPLEMENTED, str(error), "Kernel not offered") from error
        except NoSuchKernel as error:
            raise _MissingError(error.name) from error
        except HTTPError:
            raise
        except Exception as error:
            message = (
                _("The kernel “{name}” could not be started: {error}.")
                if name
                else _("The kernel could not be started: {error}.")
            )
            raise _StartError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                message.format(name=name, error=_explain(error)),
            ) from error
        return started

    return start_kernel


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
