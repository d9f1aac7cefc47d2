"""Release a user name: what was its person's becomes history under a name that nobody can have."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.vkd.domain.records import ACTIVE

from .jobs import JobStore
from .tables import jobs, labelled, removed, texts, usage

_OWNED: Final = (texts, labelled, removed)
"""Tables beside the jobs that say whose a job is."""


async def release(store: JobStore, name: str, released_as: str, *, dry_run: bool) -> int:
    """Let a person's jobs, and the account of what they used, be those of another name; returns the number of jobs.

    The next person of the name sees nothing of them. Managers of the project and operators do, under the other name.

    Raises
    ------
    Refusal
        `Reason.CONFLICT` while a job of the person is not over, `Reason.INVALID` if somebody could have the other name.
    """
    if not released_as.startswith(f"{name}/") or "/" in name:
        raise Refusal(
            Reason.INVALID,
            _("The other name has to be this one with something behind a slash."),
            field="released_as",
        )
    mine = jobs.c.owner == name
    count = sa.select(sa.func.count()).select_from(jobs).where(mine)
    if dry_run:
        async with store.reading() as connection:
            _refuse(name, int((await connection.execute(count.where(jobs.c.state.in_(ACTIVE)))).scalar_one()))
            return int((await connection.execute(count)).scalar_one())
    async with store.changing() as (connection, change):
        _refuse(name, int((await connection.execute(count.where(jobs.c.state.in_(ACTIVE)))).scalar_one()))
        moved = await connection.execute(sa.update(jobs).where(mine).values(owner=released_as, change=change))
        await connection.execute(
            sa.update(jobs).where(jobs.c.cancelled_by == name).values(cancelled_by=released_as)
        )
        for table in _OWNED:
            await connection.execute(sa.update(table).where(table.c.owner == name).values(owner=released_as))
        await connection.execute(sa.update(usage).where(usage.c.person == name).values(person=released_as))
        return int(moved.rowcount)


def _refuse(name: str, active: int) -> None:
    if active:
        raise Refusal(
            Reason.CONFLICT,
            ngettext(
                "{name} has {number} job that is not over.",
                "{name} has {number} jobs that are not over.",
                active,
            ).format(name=name, number=active),
            _("Cancel them first; operators see them in the jobs panel."),
        )
