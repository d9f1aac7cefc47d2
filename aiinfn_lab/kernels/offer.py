"""Which kernels a session offers."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_runtime_dir
from tornado.web import HTTPError

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
                self.log.warning(refusal(title))
            raise NotPrivateError(kernel_name, title)
        # Its debugger listens on TCP for whoever connects first.
        spec.metadata = {**spec.metadata, "debugger": False}
        return spec


class _NotOfferedError(HTTPError):
    """What a server answers who asks for such a kernel by name.

    Not `NoSuchKernel`: of that, Jupyter's sessions say that one should install it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(HTTPStatus.NOT_IMPLEMENTED, why, reason="Kernel not offered")
        self.why = why

    def __str__(self) -> str:
        return self.why


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
            try:
                prepare(manager, lambda: Path(jupyter_runtime_dir()))
            except NotPrivateError as error:
                raise _NotOfferedError(str(error)) from error
        return manager

    kernels.kernel_manager_factory = make_safe
    return found
