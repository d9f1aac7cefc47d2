"""Whom a token belongs to and what it may do, as the hub says."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiinfn_hub.contract.problem import Reason

from .access import SCOPE
from .errors import AiinfnError
from .io import Call, HttpAnswer, Steps
from .protocol import Protocol


@dataclass(frozen=True)
class TokenOwner:
    """A person as the hub knows a token.

    Attributes
    ----------
    may_use_sessions
        Whether the token reaches the person's running sessions, through which files are submitted.
    """

    name: str
    may_use_sessions: bool


def identify(protocol: Protocol) -> Steps[TokenOwner]:
    """Ask the hub about the token.

    Raises
    ------
    AiinfnError
        If the hub does not know it, or it may not use the batch service; says which scope is missing.
    """
    hub = protocol.access.hub
    answer = yield from whose(protocol)
    try:
        model = json.loads(answer.body)
        name, kind, scopes = str(model["name"]), str(model["kind"]), set(map(str, model["scopes"]))
    except (ValueError, KeyError, TypeError):
        raise protocol.refusal(HttpAnswer(404, {})) from None
    if kind != "user":
        raise AiinfnError(
            Reason.FORBIDDEN, "This is the token of a service.", f"Get one of your own at {hub}/hub/token."
        )
    if not scopes & {"access:services", SCOPE}:
        raise AiinfnError(
            Reason.FORBIDDEN, "This token may not use the batch service.", protocol.scope_hint()
        )
    reach = any(scope.partition("!")[0] == "access:servers" for scope in scopes)
    return TokenOwner(name, reach)


def whose(protocol: Protocol) -> Steps[HttpAnswer]:
    """Ask the hub for the model of the token's owner."""
    try:
        return (yield from protocol.ask(Call("GET", f"{protocol.access.hub}/hub/api/user")))
    except AiinfnError as error:
        if error.status == 403:
            # So the hub answers to tokens that it does not know.
            raise protocol.refusal(HttpAnswer(401, {})) from None
        raise
