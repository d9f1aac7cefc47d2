"""The batch service as one person sees it: requests that are repeated where that is safe, and errors for a person."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.problem import Reason, Refusal, reason_of
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import ngettext
from aiinfn_lab.transport import Call, HttpAnswer, NoAnswerError, Transport

from .access import SCOPE, PlatformAccess
from .errors import TIMEOUT, AiinfnError

T = TypeVar("T")

POLL: Final = 2.0
"""Seconds between two looks at jobs that are waited for, as the platform asks its clients to do."""
OUTAGE: Final = 600.0
"""Seconds without an answer after which waiting for jobs or following a log is given up: a service is restarted sooner."""
_PAUSES: Final = (0.2, 0.6, 1.5)
_FIRST_PAUSE: Final = 0.05
_PASSING: Final = frozenset({502, 503, 504})

Trouble = Callable[[AiinfnError], None]


class Api:
    """The batch service as one person sees it: requests, and what its answers mean to that person."""

    def __init__(self, access: PlatformAccess, transport: Transport) -> None:
        self.access = access
        self.transport = transport
        self.root = f"{access.vkd}{PREFIX}"

    async def ask(self, call: Call) -> HttpAnswer:
        """Ask, a few times if that is safe, and give a good answer.

        Raises
        ------
        AiinfnError
            If there is none, or it is a refusal.
        """
        delivered = False
        for pause in (*_PAUSES, None):
            try:
                answer = await self.transport.send(call)
            except NoAnswerError as lost:
                delivered = delivered or lost.delivered
                again = call.repeatable or not lost.delivered
                error = self.silent()
            else:
                if answer.status < 300 or answer.status == 304:
                    return answer
                error = self.refusal(answer)
                again = call.repeatable and answer.status in _PASSING and error.reason == Reason.UNAVAILABLE
            # After a fault nobody knows how far the platform got.
            error.delivered = delivered or error.reason == Reason.INTERNAL
            if pause is None or not again:
                raise error
            await self.transport.sleep(pause)
        raise AssertionError

    async def get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> bytes:
        """Read something below the API's root."""
        return (await self.ask(Call("GET", f"{self.root}/{path}", tuple(query)))).body

    async def read(self, model: type[T], path: str, query: Iterable[tuple[str, str]] = ()) -> T:
        """Read something of the contract below the API's root."""
        return read_model(model, await self.get(path, query))

    async def background(self, work: Callable[[], T]) -> T:
        """Do something on this machine that may take a moment; a refusal is an `AiinfnError` as all others are."""
        try:
            return await self.transport.in_background(work)
        except Refusal as refusal:
            raise AiinfnError.of(refusal) from None

    def silent(self) -> AiinfnError:
        """Explain that nobody answers."""
        hint = _("Running and queued jobs are not affected; try again in a moment.")
        if self.access.hub is not None:
            hint = _(
                "Running and queued jobs are not affected; try again in a moment. If it stays so, see whether "
                "{hub} opens in a browser."
            ).format(hub=self.access.hub)
        return AiinfnError(Reason.UNAVAILABLE, _("The batch service does not answer."), hint)

    def refusal(self, answer: HttpAnswer) -> AiinfnError:
        """Turn an answer that is no good one into an error for a person."""
        try:
            problem = json.loads(answer.body)
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("message"), str):
            problem = {}
        if answer.status == 401:
            error = self._not_known()
        elif not problem:
            error = self._foreign(answer)
        else:
            error = self._told(answer, problem)
        error.foreign = not isinstance(problem.get("reason"), str)
        return error

    def _told(self, answer: HttpAnswer, problem: dict[str, Any]) -> AiinfnError:
        reason = str(problem.get("reason") or reason_of(None, answer.status))
        hint, field = problem.get("hint"), problem.get("field")
        if answer.status == 403 and "access:services" in str(hint) and self.access.hub is not None:
            hint = self.scope_hint()
        return AiinfnError(
            reason,
            problem["message"],
            hint if isinstance(hint, str) else "",
            status=answer.status,
            field=field.removeprefix("work.") if isinstance(field, str) else None,
        )

    def scope_hint(self) -> str:
        """Return how to get a token that may use the batch service."""
        if self._is_from_environment():
            hint = _(
                "Request another token at {hub}/hub/token, with {scope} in the field Permissions (or with that field "
                "empty: it may then do all that you may), and put it into AIINFN_TOKEN."
            )
        else:
            hint = _(
                "Request another token at {hub}/hub/token, with {scope} in the field Permissions (or with that field "
                "empty: it may then do all that you may), and run: aiinfn login"
            )
        return hint.format(hub=self.access.hub, scope=SCOPE)

    def _not_known(self) -> AiinfnError:
        if self.access.hub is None:
            return AiinfnError(
                Reason.UNAUTHENTICATED,
                _("The batch service no longer knows this session's sign-in."),
                _("Save your work, then stop and start your server from the hub (File > Hub Control Panel)."),
                status=401,
            )
        return AiinfnError(
            Reason.UNAUTHENTICATED,
            _("The hub does not know this token (any more)."),
            (
                _("Get a new one at {hub}/hub/token, then put it into AIINFN_TOKEN.")
                if self._is_from_environment()
                else _("Get a new one at {hub}/hub/token, then run: aiinfn login")
            ).format(hub=self.access.hub),
            status=401,
        )

    def _is_from_environment(self) -> bool:
        """Return where a new token belongs: one in the environment comes before one that login keeps."""
        return os.environ.get("AIINFN_TOKEN") == self.access.token

    def _foreign(self, answer: HttpAnswer) -> AiinfnError:
        if answer.status == 403:
            return AiinfnError(
                Reason.FORBIDDEN,
                _("This token may not do that."),
                (self.scope_hint() if self.access.hub else _("Stop and start your server from the hub.")),
                status=403,
            )
        if self.access.hub is not None and (300 <= answer.status < 400 or answer.status == 404):
            return AiinfnError(
                Reason.UNAVAILABLE,
                _("At {hub} there is no batch service of this kind.").format(hub=self.access.hub),
                _(
                    "Check the address: it is the one of the hub, as in the browser. Then run: aiinfn login ADDRESS"
                ),
                status=answer.status,
            )
        return AiinfnError(
            Reason.UNAVAILABLE,
            _("The batch service is starting, or its address leads to something else."),
            _("Try again in a moment; if it stays so, ask the operators."),
            status=answer.status,
        )


class Patience:
    """Bears that the platform does not answer for a while, which a conversation of hours must.

    Attributes
    ----------
    pause
        Seconds to wait before the next question: more from one failure to the next.
    """

    def __init__(self, tell: Trouble | None, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.pause = _FIRST_PAUSE
        self._sleep = sleep
        self._tell = tell
        self._since: float | None = None
        self._told = False

    def answered(self) -> None:
        """Note that it answered."""
        self._since, self._told = None, False

    def good(self) -> None:
        """Note that it answered and got on."""
        self.answered()
        self.pause = _FIRST_PAUSE

    def bear(self, error: AiinfnError) -> None:
        """Take an error that passes, or raise it. A connection that is cut once is not worth a word."""
        if error.reason != Reason.UNAVAILABLE:
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif not self._told and self._tell is not None:
            self._told = True
            self._tell(error)
        if now - self._since > OUTAGE:
            raise error
        self.pause = min(2 * self.pause, POLL)

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer."""
        while True:
            try:
                answer = await ask()
            except AiinfnError as error:
                self.bear(error)
                await self._sleep(self.pause)
            else:
                self.good()
                return answer


def path_of(job_id: str) -> str:
    """Return the path of a job below the API's root."""
    if not job_id or "/" in job_id or job_id in {".", ".."}:
        raise AiinfnError(
            Reason.NOT_FOUND,
            _("There is no such job."),
            _("Ids look like h7k2m9x4wq; see the list of your jobs."),
        )
    return f"jobs/{quote(job_id, safe='')}"


def too_slow(open_ids: list[str], total: int, timeout: float) -> AiinfnError:
    """Explain that jobs are not over in time."""
    names = ", ".join(open_ids[:5])
    if len(open_ids) > 5:
        names = _("{names} and others").format(names=names)
    return AiinfnError(
        TIMEOUT,
        ngettext(
            "{number} of {total} jobs is not over after {timeout} s: {names}.",
            "{number} of {total} jobs are not over after {timeout} s: {names}.",
            len(open_ids),
        ).format(number=len(open_ids), total=total, timeout=f"{timeout:g}", names=names),
        _("They go on. Wait again, with more time."),
    )


def read_model(model: type[T], body: bytes) -> T:
    """Read an answer of the contract from JSON.

    Raises
    ------
    AiinfnError
        If it cannot be read.
    """
    try:
        return TypeAdapter(model).validate_json(body)
    except ValidationError:
        # Without the cause: it quotes the answer.
        raise AiinfnError(
            Reason.UNAVAILABLE,
            _("The batch service answers in another version's words."),
            _("Update the package aiinfn here, or restart your session to get the present one."),
        ) from None
