"""Whom a token belongs to and what it may do, as the hub says."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiinfn_hub.contract.problem import Reason
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.transport import Call, HttpAnswer, completed
from aiinfn_lab.transport.blocking import BlockingTransport

from .access import SCOPE, PlatformAccess
from .api import Api
from .errors import AiinfnError


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


def token_owner(access: PlatformAccess) -> TokenOwner:
    """Ask the hub about the token of an access from outside, without ``await``; raises as `identify` does."""
    transport = BlockingTransport(access.connection())
    try:
        return completed(identify(Api(access, transport)))
    finally:
        completed(transport.close())


async def identify(api: Api) -> TokenOwner:
    """Ask the hub about the token.

    Raises
    ------
    AiinfnError
        If the hub does not know it, or it may not use the batch service; says which scope is missing.
    """
    hub = api.access.hub
    answer = await whose(api)
    try:
        model = json.loads(answer.body)
        name, kind, scopes = str(model["name"]), str(model["kind"]), set(map(str, model["scopes"]))
    except (ValueError, KeyError, TypeError):
        raise api.refusal(HttpAnswer(404, {})) from None
    if kind != "user":
        raise AiinfnError(
            Reason.FORBIDDEN,
            _("This is the token of a service."),
            _("Get one of your own at {hub}/hub/token.").format(hub=hub),
        )
    if not scopes & {"access:services", SCOPE}:
        raise AiinfnError(Reason.FORBIDDEN, _("This token may not use the batch service."), api.scope_hint())
    reach = any(scope.partition("!")[0] == "access:servers" for scope in scopes)
    return TokenOwner(name, reach)


async def whose(api: Api) -> HttpAnswer:
    """Ask the hub for the model of the token's owner."""
    try:
        return await api.ask(Call("GET", f"{api.access.hub}/hub/api/user"))
    except AiinfnError as error:
        if error.status == 403:
            # So the hub answers to tokens that it does not know.
            raise api.refusal(HttpAnswer(401, {})) from None
        raise
