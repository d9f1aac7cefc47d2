"""From the body of a submission to the request that vkd gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiinfn_hub.contract.constants import MOST_POINTS
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import is_printable, show
from aiinfn_lab.session.environment import INHERITED, Session

from . import kernel_state as from_here
from . import parameters, sweep, values
from .inspection import Inspection
from .target import Target

_OF_THE_WORK: Final = frozenset(
    {"path", "folder", "command", "parameters", "typed", "arguments", "from_here", "anyway"}
)
"""Keys from which the work is made. All others are vkd's and handed on: it refuses those that it does not know."""
_SWEEP: Final = frozenset({"points", "parallelism"})
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_MOST_ARGUMENTS: Final = 200
_LONGEST_ARGUMENT: Final = 4096
_LONGEST_NAME: Final = 200


def check_keys(body: object) -> dict[str, Any]:
    """Check that the body is a JSON object that leaves the work to be described here.

    Raises
    ------
    Refusal
        Otherwise.
    """
    if not isinstance(body, dict):
        raise Refusal(
            Reason.INVALID, _("The request is not a JSON object."), _("Reload the page and try again.")
        )
    if "work" in body:
        raise Refusal(
            Reason.INVALID,
            _("A submission has no key {key}.").format(key="'work'"),
            _("Write its path, parameters or arguments beside the other keys."),
            field="work",
        )
    return body


def check_idempotency_key(value: str) -> str:
    """Check the key that makes a repeated request harmless.

    Raises
    ------
    Refusal
        If it is too long or not printable ASCII without blanks.
    """
    if not _IDEMPOTENCY_KEY.fullmatch(value):
        raise Refusal(
            Reason.INVALID,
            _("The Idempotency-Key must be 1 to 200 printable ASCII characters."),
            _("Send a new UUID for each press of the button."),
        )
    return value


def check_kernel(inspection: Inspection, *, available: bool) -> Refusal | None:
    """Explain why a notebook's kernel stands against a submission, or None."""
    if inspection.kind != "notebook" or available:
        return None
    if inspection.kernel is None:
        return Refusal(
            Reason.INVALID,
            _("The notebook has no kernel."),
            _("Open it, choose a kernel at the top right, and save it."),
            field="path",
        )
    return Refusal(
        Reason.UNKNOWN,
        _("This environment has no kernel {kernel}, which the notebook asks for.").format(
            kernel=show(inspection.kernel)
        ),
        _("Open the notebook, choose another kernel at the top right, and save it."),
        field="path",
    )


def build(body: dict[str, Any], target: Target, session: Session, key: str) -> dict[str, Any]:
    """Make the body of vkd's ``POST jobs``, a `JobRequest`.

    Parameters
    ----------
    key
        The idempotency key, from which the place of the copy follows.

    Raises
    ------
    Refusal
        If parameters, arguments or name are not usable. The other keys are left to vkd.
    """
    if body.get("anyway") not in {None, True, False}:
        raise Refusal(
            Reason.INVALID, _("The key anyway must be true or false."), _("Leave it out."), field="anyway"
        )
    request = {key: value for key, value in body.items() if key not in _OF_THE_WORK and value is not None}
    request["work"] = _work(body, target, key)
    name = _name(body.get("name"))
    if name is None and target.command is not None:
        name = title(target.command)
    request["name"] = name
    request["labels"] = _labels(body.get("labels")) or None
    if "sweep" in request:
        request["sweep"] = _sweep(request["sweep"], target.inspection)
    for choice in INHERITED:
        request.setdefault(choice, getattr(session, choice))
    return {key: value for key, value in request.items() if value is not None}


def _work(body: dict[str, Any], target: Target, key: str) -> dict[str, Any]:
    inspection = target.inspection
    work: dict[str, Any] = {
        "kind": inspection.kind,
        "path": target.document.home_path,
        "snapshot": target.planned(key),
        **target.work(),
    }
    if inspection.kind == "notebook":
        _forbid(body, "arguments", _("A notebook takes parameters, not arguments."))
        work["kernel"] = inspection.kernel
        work["parameters"] = given_parameters(body, inspection)
        if (wanted := from_here.read(body, target.document, inspection)) is not None:
            if target.plan is not None:
                raise Refusal(
                    Reason.INVALID,
                    _("A job that goes on from a session runs in the notebook's own folder."),
                    _("Leave out the folder."),
                    field="folder",
                )
            from_here.add(work, wanted)
    elif inspection.kind == "script":
        for other in ("parameters", "typed"):
            _forbid(body, other, _("A script takes arguments, not parameters."))
        work["arguments"] = _arguments(body.get("arguments"))
    else:
        for other in ("parameters", "typed", "arguments"):
            _forbid(body, other, _("A command has its arguments in itself."))
    return work


def title(command: str) -> str:
    """Name a job after the command that it runs."""
    text = " ".join(command.split())
    text = "".join(letter if is_printable(letter) else " " for letter in text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _sweep(value: object, inspection: Inspection) -> dict[str, Any]:
    if inspection.kind == "command":
        raise Refusal(
            Reason.INVALID,
            _("A command cannot be swept."),
            _("Put it into a script, which gets each point's values as arguments."),
            field="sweep",
        )
    if not isinstance(value, dict) or not isinstance(value.get("points"), list) or not value.keys() <= _SWEEP:
        raise Refusal(
            Reason.INVALID,
            _("A sweep must be an object with points and parallelism."),
            _("Reload the page and try again."),
            field="sweep",
        )
    points = []
    for number, point in enumerate(value["points"][: MOST_POINTS + 1], 1):
        try:
            if inspection.kind == "notebook":
                points.append(parameters.check(point, inspection.parameters, inspection.note))
            else:
                points.extend(sweep.points([point]))
        except Refusal as refusal:
            raise Refusal(
                refusal.reason,
                _("Point {number}: {message}").format(number=number, message=refusal.message),
                refusal.hint,
                field="sweep",
            ) from None
    return {**value, "points": points}


def given_parameters(body: Mapping[str, Any], inspection: Inspection) -> dict[str, Any]:
    """Return the values for a notebook's parameters: those that are given, and those that were typed.

    Raises
    ------
    Refusal
        If a value does not fit its parameter, or there is no such parameter.
    """
    typed = body.get("typed")
    found = parameters.check(body.get("parameters"), inspection.parameters, inspection.note)
    if typed is None:
        return found
    if not isinstance(typed, dict) or not all(isinstance(text, str) for text in typed.values()):
        raise Refusal(
            Reason.INVALID,
            _("What was typed must be names with texts."),
            _("Send a JSON object."),
            field="typed",
        )
    read = values.read_all({name: values.Typed(text) for name, text in typed.items()}, inspection.parameters)
    return {**found, **parameters.check(read, inspection.parameters, inspection.note)}


def _forbid(body: dict[str, Any], key: str, message: str) -> None:
    if body.get(key):
        raise Refusal(Reason.INVALID, message, _("Leave them out."), field=key)


def _arguments(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refusal(
            Reason.INVALID,
            _("The arguments must be a list of texts."),
            _("Write each one separately."),
            field="arguments",
        )
    if len(value) > _MOST_ARGUMENTS or any(len(item) > _LONGEST_ARGUMENT for item in value):
        raise Refusal(
            Reason.TOO_LARGE,
            _("A script takes at most {most} arguments of {longest} characters.").format(
                most=_MOST_ARGUMENTS, longest=_LONGEST_ARGUMENT
            ),
            _("Put them into a file that the script reads."),
            field="arguments",
        )
    if any("\0" in item for item in value):
        raise Refusal(
            Reason.INVALID, _("An argument has a NUL character."), _("Remove it."), field="arguments"
        )
    return value


def _labels(value: object) -> list[str]:
    """Read labels, a list or as a header comment has them: separated by commas. What a label may be is vkd's to say."""
    if value is None:
        return []
    labels = [text for text in value.split(",") if text.strip()] if isinstance(value, str) else value
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise Refusal(
            Reason.INVALID,
            _("The labels must be a list of words."),
            _("Write each one separately."),
            field="labels",
        )
    return labels


def _name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not is_printable(value):
        raise Refusal(
            Reason.INVALID,
            _("The job's name must be one line of at most {longest} characters.").format(
                longest=_LONGEST_NAME
            ),
            _("Choose another name, or leave it out."),
            field="name",
        )
    return value.strip() or None
