"""What every spawner of the suite has in common: options, the gate, the time limit, and words for the pending page."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.spawner import SpawnException
from pydantic import ValidationError
from traitlets import Instance, default
from traitlets.config import LoggingConfigurable

from aiinfn_hub.contract import apps as contract_apps
from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.i18n.language import Sentence, Text, marked
from aiinfn_hub.platform import gate, session_extension
from aiinfn_hub.platform.model.apps import variable as app_variable
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.spawner.context import SpawnContext
from aiinfn_hub.spawner.profiles import spoken_memory
from aiinfn_hub.vkd.client import session_id

from . import deep_links, form
from .spawn_progress import SpawnProgress, SpawnStep

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Base
else:
    # Any Spawner comes behind it in the bases of a class; this one only lets traitlets see the trait.
    _Base = LoggingConfigurable

SERVER: Final = ("-P", "-s", "-m", "aiinfn_lab.singleuser")
"""What Python runs as a session's server. With these flags neither the home, in which it starts, nor ``~/.local`` is among
its modules: a ``random.py`` or a ``pip install --user`` there must not keep a session from starting."""
START_MARGIN: Final = 30
"""Seconds that a start may take beyond the wait for a device, before the hub gives up on it."""
REDRAW: Final = 2.0
"""Seconds within which the hub draws a form again after its start was refused."""


class SessionRefusedError(SpawnException):
    """A refusal in the hub's terms: page, REST answer and metric all get it from here.

    JupyterHub shows people ``jupyterhub_message`` where it has one; without it they would read the exception's name.
    """

    def __init__(self, refusal: Refusal) -> None:
        sentence = str(refusal)
        super().__init__(sentence, reason=refusal.reason.value, status_code=refusal.status)
        self.refusal = refusal
        self.jupyterhub_message = sentence


class NoTraceback(logging.Filter):
    """Drop the traceback where something is logged as a fault of the hub that is none.

    Parameters
    ----------
    kinds
        Of exceptions.
    level
        At which it is logged instead.
    """

    def __init__(self, kinds: tuple[type[BaseException], ...], level: int) -> None:
        super().__init__()
        self.kinds, self._level = kinds, level

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and isinstance(error, self.kinds):
            record.msg = f"{record.getMessage()}: {str(error) or type(error).__name__}"
            record.args = None
            record.exc_info = None
            record.exc_text = None
            record.levelno, record.levelname = self._level, logging.getLevelName(self._level)
        return True


class SessionMixin(_Base):
    """Goes before a `jupyterhub.spawner.Spawner` in the bases of a class.

    The order of a start is the hub's: options are parsed, `_run_apply_user_options` passes them through the gate, then
    ``start`` runs. A REST start skips the parsing but never the gate. What was granted is `selection`, and a
    subclass starts nothing without it.
    """

    context = Instance(SpawnContext, help="The platform and its services.").tag(config=True)

    steps: ClassVar[tuple[SpawnStep, ...]] = ()
    """What a start goes through, for the pending page."""

    _selection: Selection | None = None
    session_began: datetime | None = None
    session_end: datetime | None = None
    """When the session is ended; both are set when it starts."""
    extensions = 0
    """How often its end was put off."""
    withdrawn: tuple[datetime, Text] | None = None
    """When it ends because its owner lost the access, and why, unless that changes by then."""

    endings: ClassVar[dict[str, Text]] = {}
    """Why sessions ended that nobody stopped, by session; JupyterHub forgets the spawner of one that ended."""

    _refused: tuple[float, Refusal, dict[str, Any]] | None = None
    _linked: dict[str, Any] | None = None
    _ending = False
    granted_options: dict[str, Any] | None = None
    """The options of the last start that was granted; None if there was none, or an older version made it."""
    _options_before: dict[str, Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What a server has that never started was given to it when it was made; nobody has judged it.
        self._never_started = getattr(self.orm_spawner, "started", None) is None
        self.told = SpawnProgress(self.steps)
        self.log_without_traceback((SpawnException,), logging.INFO)
        deep_links.log_no_failure(self.log)

    def log_without_traceback(self, kinds: tuple[type[BaseException], ...], level: int) -> None:
        """Log these exceptions in one line from now on; the logger is the hub's own."""
        # asyncio's too: where a page did not wait for the end of a start, JupyterHub never looks at the refusal.
        for log in (self.log, logging.getLogger("asyncio")):
            if not any(isinstance(known, NoTraceback) and known.kinds == kinds for known in log.filters):
                log.addFilter(NoTraceback(kinds, level))

    # Options and the gate

    @property
    def selection(self) -> Selection | None:
        """What was granted; None without a start that passed the gate. What it holds counts from then on."""
        return self._selection

    @selection.setter
    def selection(self, selection: Selection | None) -> None:
        self._selection = selection
        self.context.held.note(self.session_id, selection)

    @property
    def person(self) -> Person:
        """The owner of the session, with the groups that the hub knows now."""
        return Person.of(
            self.user.name, (group.name for group in self.user.groups), admin=bool(self.user.admin)
        )

    @property
    def session_id(self) -> str:
        """The session's name at vkd."""
        return session_id(self.user.name, self.name)

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return parse_options

    @default("options_form")
    def _default_options_form(self) -> Any:
        return form.draw

    def options_from_query(self, query_data: Mapping[str, list[str]]) -> NoReturn:
        """Let a link such as ``/hub/spawn?opt-accelerator=t4`` fill the form in; see `aiinfn_hub.spawner.deep_links`."""
        self._linked = deep_links.choice_of(parse_options(query_data))
        raise deep_links.DeepLinkOpenedError

    def take_link(self) -> dict[str, Any] | None:
        """Return the choice of the link that is opened now, once; None if none is."""
        linked, self._linked = self._linked, None
        return linked

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """Pass the options through the gate.

        This replaces JupyterHub's method, instead of setting its ``apply_user_options`` hook, for two reasons: an
        operator's own hook cannot put the gate aside (it runs after it), and a refusal is logged as what it is.
        """
        self.selection = None
        self._options_before = self.granted_options
        self.told.begin()
        self.endings.pop(self.session_id, None)
        if not self._is_asked_for(user_options):
            user_options = await self._form_selection(user_options)
        try:
            selection = gate.resolve(
                self.request_of(user_options),
                self.context.platform,
                self.person,
                Door.SESSION,
                usage=self.context.held.usage(self.user.name),
            )
            # At once, with nothing awaited in between: of two starts at the same time the second sees the first.
            self.selection = selection
        except Refusal as refusal:
            self.refuse(refusal)
        self.granted_options = dict(user_options)
        self._save_options(self.granted_options)
        self._never_started = False
        if self.apply_user_options:
            await super()._run_apply_user_options(user_options)
        self.start_timeout = int(self.context.platform.limits.session_start.total_seconds()) + START_MARGIN

    def _is_asked_for(self, user_options: Any) -> bool:
        """Return whether the options are those of the request, and not what the hub saved.

        Options that were given to a server when it was made, or later without starting it, count as asked for too.
        """
        handler = self.handler
        if isinstance(handler, APIHandler):
            body: dict[str, Any] = getattr(handler, "get_server_json_body", dict)()
            if body.get("user_options") is not None:
                return True
        elif handler is not None and handler.request.method == "POST":
            return True
        if self.granted_options is None:
            return bool(user_options) and self._never_started
        return bool(user_options) and user_options != self.granted_options

    async def _form_selection(self, saved: Any) -> dict[str, str]:
        """Return what the form would have selected."""
        usage = self.context.held.usage(self.user.name)
        may = gate.offer(self.context.platform, self.person, usage=usage)
        return await asyncio.to_thread(form.selected, may, self.request_of(saved))

    def _save_options(self, options: dict[str, Any]) -> None:
        """Save what the next form and the next start begin with; the hub has saved what was asked before it was judged."""
        self.user_options = options
        if self.orm_spawner is not None:
            self.orm_spawner.user_options = options
            self.db.commit()

    def request_of(self, user_options: Any) -> Any:
        """Return the request that the options of a start make; a spawner with older words for them translates here."""
        return user_options

    def refuse(self, refusal: Refusal) -> NoReturn:
        """Refuse the start, and keep why for the form if the request came from it."""
        if not isinstance(self.handler, APIHandler):
            self._refused = time.monotonic(), refusal, dict(self.user_options)
        self._forget_options()
        raise SessionRefusedError(refusal)

    def _forget_options(self) -> None:
        """Go back to the options of the last start that was granted."""
        self.granted_options = self._options_before
        self._save_options(dict(self.granted_options or {}))

    def take_refusal(self) -> tuple[Refusal, dict[str, Any]] | None:
        """Return the last refusal of this person's forms with the choices that were refused, once.

        The hub draws the form again from the default server's spawner even where a named server was refused, so all of
        the person's spawners are looked at. It does so at once: an older refusal was told on the pending page.
        """
        found = None
        for spawner in list(self.user.spawners.values()):
            refused, spawner._refused = spawner._refused, None  # noqa: SLF001 - of the same class
            if refused and time.monotonic() - refused[0] < REDRAW:
                found = refused[1], refused[2]
        return found

    # State

    def load_state(self, state: dict[str, Any]) -> None:
        """Remember after a restart of the hub what was granted and until when."""
        super().load_state(state)
        options = state.get("granted_options")
        self.granted_options = options if isinstance(options, dict) else None
        try:
            if "selection" in state:
                self.selection = Selection.model_validate(state["selection"])
            if "session_end" in state:
                self.session_end = datetime.fromisoformat(state["session_end"])
                self.extensions = int(state.get("extensions", 0))
            if "session_began" in state:
                self.session_began = datetime.fromisoformat(state["session_began"])
            elif self.session_end is not None and self.selection is not None:
                # It was started by a version that extended nothing.
                self.session_began = self.session_end - self.selection.time_limit
        except (ValidationError, ValueError):
            self.log.warning(
                "What was granted to %s is not known any more after the restart", self.session_id
            )

    def get_state(self) -> dict[str, Any]:
        """Keep what was granted and until when."""
        state: dict[str, Any] = super().get_state()
        if self.granted_options is not None:
            state["granted_options"] = self.granted_options
        if self.selection is not None:
            state["selection"] = self.selection.model_dump(mode="json")
        if self.session_end is not None:
            state["session_end"] = self.session_end.isoformat()
            state["extensions"] = self.extensions
        if self.session_began is not None:
            state["session_began"] = self.session_began.isoformat()
        return state

    def clear_state(self) -> None:
        """Forget the session: nothing of it is left for the next start but what was chosen, for its form."""
        super().clear_state()
        if self._start_pending and self.selection is None:
            # The start failed before the gate, for example because IAM withdrew the access: the hub has saved its options.
            self._options_before = self.granted_options
            self._forget_options()
        self.selection = None
        self.session_began, self.session_end, self.extensions = None, None, 0
        self.withdrawn = None

    # The session's life

    def granted(self) -> Selection:
        """Return what was granted to the start in progress.

        Raises
        ------
        RuntimeError
            If the start did not pass the gate, which would be a fault of the suite.
        """
        if self.selection is None:
            raise RuntimeError(f"The session {self.session_id} was started without passing the gate")
        return self.selection

    def get_env(self) -> dict[str, str]:
        """Add what a session may know about itself."""
        env: dict[str, str] = super().get_env()
        selection = self.granted()
        env |= {
            "AIINFN_VKD_URL": self.context.vkd_url,
            "AIINFN_PROJECT": selection.project,
            "AIINFN_ACCELERATOR": selection.accelerator_name,
            "AIINFN_COUNT": str(selection.count),
            "AIINFN_IMAGE": selection.image_name,
            "AIINFN_SIZE": selection.size_name,
        }
        if self.context.platform.apps:
            env[contract_apps.VARIABLE] = app_variable(self.context.platform.apps)
        if running := self.running():
            limits = self.context.platform.limits
            # Until then nothing can move the end, so nobody has to ask whether it has.
            certain = (
                session_extension.opens(limits, running)
                or running.end - session_extension.warnings(limits, running)[0]
            )
            env["AIINFN_SESSION_END"] = utc(running.end)
            env["AIINFN_SESSION_END_CERTAIN_UNTIL"] = utc(max(certain, running.began))
        return env

    def begin_time(self) -> datetime:
        """Let the session's time begin now; returns its end."""
        self.session_began = datetime.now(UTC)
        self.session_end = self.session_began + self.granted().time_limit
        self.extensions = 0
        return self.session_end

    def running(self) -> session_extension.Running | None:
        """Return what more time for this session is judged by; None if it has none yet, or not any more."""
        if self.selection is None or self.session_began is None or self.session_end is None:
            return None
        return session_extension.Running(
            self.selection, self.session_began, self.session_end, self.extensions
        )

    @property
    def seconds_left(self) -> float:
        """Until its end, by the hub's clock: that of a reader may be wrong."""
        return (self.session_end - datetime.now(UTC)).total_seconds() if self.session_end else 0.0

    @property
    def warns_at(self) -> datetime | None:
        """When its pages begin to warn of its end."""
        running = self.running()
        if running is None:
            return None
        return running.end - session_extension.warnings(self.context.platform.limits, running)[0]

    @property
    def extends_at(self) -> datetime | None:
        """From when it can be extended; None if never again."""
        running = self.running()
        return session_extension.opens(self.context.platform.limits, running) if running else None

    async def move_end(self, more: session_extension.Extension) -> None:
        """Put the end off, for good and for all who go by it."""
        self.session_end, self.extensions = more.end, self.extensions + 1
        # Kept at once: a hub that is killed now must not end the session at its old end.
        self.orm_spawner.state = self.get_state()
        self.db.commit()
        await self.end_moved()

    async def end_moved(self) -> None:
        """Report the new end to other parts of the platform; one that is away hears of it later."""

    async def poll(self) -> int | None:
        """Return whether the session runs, and end it when its time is over."""
        return await self.within_time(await super().poll())

    async def within_time(self, status: int | None) -> int | None:
        """End a running session whose time is over; returns its status then."""
        if status is not None or self._ending or not self.session_end or datetime.now(UTC) < self.session_end:
            return status
        self.remember_ending(Sentence("It reached its time limit."))
        self._ending = True
        try:
            await self.stop()
        finally:
            self._ending = False
        return 0

    @property
    def trouble(self) -> Text | None:
        """What the owner of a session that runs should know of it; None if all is well."""
        return None

    def remember_ending(self, sentence: Text) -> None:
        """Keep why the session ended, for the page that says that it does not run; its owner reads it there."""
        self.log.info("The session %s has ended: %s", self.session_id, sentence)
        self.endings[self.session_id] = sentence

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what happens for the pending page, from the beginning also for a page that is opened late."""
        async for event in self.told.events():
            yield event


def utc(moment: datetime) -> str:
    """Write a moment in ISO 8601, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def asked(selection: Selection) -> Text:
    """Return what was asked for, as the first thing on the pending page."""
    cores = selection.size.cores
    one, several = marked("{cores} core, {memory}"), marked("{cores} cores, {memory}")
    size = Sentence(
        one if cores == 1 else several, cores=f"{cores:g}", memory=spoken_memory(selection.size.memory)
    )
    if selection.accelerator is None:
        return Sentence("Asked for a session without an accelerator ({size})", size=size)
    return Sentence(
        "Asked for {count} {title} ({size})",
        count=selection.count,
        title=selection.accelerator.title,
        size=size,
    )


def ending_of(user: str, server: str) -> str:
    """Explain why a session ended that nobody stopped; empty if that is not known. For templates."""
    return str(SessionMixin.endings.get(session_id(user, server), ""))


def forget_endings(user: str) -> None:
    """Forget why sessions of somebody ended, before another person gets the name."""
    for known in [each for each in SessionMixin.endings if each.partition("/")[0] == user]:
        del SessionMixin.endings[known]


def parse_options(form_data: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Read a posted form or a query: single values out of lists, and nothing else.

    Unknown keys stay, so that the gate refuses them. Of an uploaded file only its key stays: the hub saves options
    before anybody has judged them.
    """
    options: dict[str, Any] = {}
    for key, values in form_data.items():
        if key == "_xsrf":
            continue
        if any(not isinstance(value, str) for value in values):
            options[key] = "a file"
        else:
            options[key] = values[0] if len(values) == 1 else list(values)
    return options
