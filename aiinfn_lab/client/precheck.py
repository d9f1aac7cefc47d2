"""What a dry run tells beside what the batch service says: the same checks of the file as JupyterLab's dialog."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from aiinfn_hub.contract.jobs import Check, DryRun
from aiinfn_hub.contract.problem import STATUS, reason_of
from aiinfn_lab.session.environment import Session
from aiinfn_lab.transport import Call, HttpAnswer

from .api import Api
from .submission import Prepared

if TYPE_CHECKING:
    from aiinfn_lab.precheck.checks import PrecheckFinding

DRY: Final = (("dry_run", "1"),)


async def from_session(api: Api, prepared: Prepared) -> bytes:
    """Ask the batch service, and look at the file here."""
    answer = await api.ask(Call("POST", f"{api.root}/jobs", DRY, body=prepared.request))
    told: dict[str, Any] = json.loads(answer.body)
    looked: list[Check] = await api.background(lambda: of_file(prepared))
    told["checks"] = [*told.get("checks", ()), *(check.model_dump() for check in looked)]
    return DryRun.model_validate(told).model_dump_json().encode()


def from_outside(api: Api, answer: HttpAnswer) -> bytes:
    """Read what a session's JupyterLab says of a file.

    Raises
    ------
    AiinfnError
        If it would be refused.
    """
    try:
        told: dict[str, Any] = json.loads(answer.body)
        problem = told.pop("problem")
    except (ValueError, KeyError, AttributeError):
        raise api.refusal(HttpAnswer(502, {})) from None
    if problem:
        # A newer session may have reasons that this side does not know.
        status = STATUS[reason_of(problem.get("reason"), 400)]
        raise api.refusal(HttpAnswer(status, {}, json.dumps(problem).encode()))
    return json.dumps(told).encode()


def of_file(prepared: Prepared) -> list[Check]:
    """Look at a file of this home. Blocks; nothing where Jupyter is not installed, as nothing is known of kernels there."""
    return [Check.model_validate(each.as_json()) for each in _look(prepared)]


def refuse(prepared: Prepared) -> None:
    """Refuse what is sure to fail. Blocks.

    Raises
    ------
    Refusal
        With what was found.
    """
    from aiinfn_lab.precheck import checks  # noqa: PLC0415

    checks.refuse(_look(prepared))


def _look(prepared: Prepared) -> list[PrecheckFinding]:
    from aiinfn_lab.precheck.checks import Kernel, Subject, look  # noqa: PLC0415

    work, inspection = prepared.request["work"], prepared.target.inspection
    kernel: Kernel | None = None
    if inspection.kernel is not None:
        try:
            from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415

            kernel = Kernel.of(KernelSpecManager().get_kernel_spec(inspection.kernel))
        except ImportError:
            return []
        except (KeyError, OSError, ValueError):
            kernel = None
    asked = {
        "parameters": work.get("parameters"),
        "sweep": prepared.request.get("sweep"),
        "image": prepared.request.get("image"),
    }
    session = Session.from_environment(os.environ)
    subject = Subject.of(asked, prepared.target, prepared.places.home, session, kernel)
    return look(subject)
