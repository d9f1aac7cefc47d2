"""Lists of jobs, page by page, at a cost that does not grow with the history.

A condition such as "mine, or of a project that I manage, and failed or cancelled" defeats every single index. It is split
into branches that each follow one index in the order of the list; the first rows of each are merged.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .records import ACTIVE, Filter, Page, StoredJob, View
from .tables import counters, jobs

Conditions = list[sa.ColumnElement[bool]]


async def read(connection: AsyncConnection, view: View, wanted: Filter) -> Page:
    """Read a page.

    The counter is read first: should the database let a change in between, the page shows it once too often, not never.
    """
    through = (await connection.execute(sa.select(counters.c.value))).scalar_one()
    order = _order(wanted)
    branches = [
        sa.select(jobs).where(*conditions).order_by(*order).limit(wanted.limit + 1)
        for conditions in _branches(view, wanted)
    ]
    rows: list[Any] = []
    if len(branches) == 1:
        rows = list((await connection.execute(branches[0])).mappings())
    elif branches:
        union = sa.union_all(*(sa.select(branch.subquery()) for branch in branches)).subquery()
        merged = sa.select(union).order_by(*(union.c[column.name].desc() for column in _keys(wanted)))
        rows = list((await connection.execute(merged.limit(wanted.limit + 1))).mappings())
    active = (await connection.execute(_active(view, wanted))).scalar_one()
    found = [StoredJob.of(row) for row in rows[: wanted.limit]]
    return Page(found, more=len(rows) > wanted.limit, through=through, active=active)


def _keys(wanted: Filter) -> list[sa.Column[Any]]:
    return [jobs.c.number] if wanted.since is None else [jobs.c.change, jobs.c.number]


def _order(wanted: Filter) -> list[sa.UnaryExpression[Any]]:
    return [column.desc() for column in _keys(wanted)]


def _branches(view: View, wanted: Filter) -> list[Conditions]:
    common: Conditions = []
    if wanted.since is not None:
        common.append(jobs.c.change > wanted.since)
        if wanted.states:
            common.append(jobs.c.state.in_(wanted.states))
        if wanted.after:
            change, number = wanted.after
            common.append(
                sa.or_(jobs.c.change < change, sa.and_(jobs.c.change == change, jobs.c.number < number))
            )
    elif wanted.after:
        common.append(jobs.c.number < wanted.after[1])
    by_state: list[Conditions] = (
        [[jobs.c.state == state] for state in wanted.states]
        if wanted.states and wanted.since is None
        else [[]]
    )
    return [[*who, *state, *common] for who, state in product(_whose(view, wanted), by_state)]


def _whose(view: View, wanted: Filter) -> list[Conditions]:
    """Give the parts of a view; no job is in two of them."""
    asked: Conditions = [_level(wanted)]
    if wanted.owner is not None:
        asked.append(jobs.c.owner == wanted.owner)
    if wanted.project is not None:
        asked.append(jobs.c.project == wanted.project)
    if view.everything or wanted.owner == view.person:
        return [asked]
    if wanted.project is not None and wanted.project in view.projects:
        return [asked]
    parts: list[Conditions] = []
    if wanted.owner is None:
        parts.append([jobs.c.owner == view.person, *asked])
    if wanted.project is None:
        others = jobs.c.owner != view.person
        parts.extend([jobs.c.project == project, others, *asked] for project in sorted(view.projects))
    return parts


def _level(wanted: Filter) -> sa.ColumnElement[bool]:
    return jobs.c.sweep_of.is_(None) if wanted.sweep is None else jobs.c.sweep_of == wanted.sweep


def _active(view: View, wanted: Filter) -> sa.Select[int]:
    statement = sa.select(sa.func.count()).select_from(jobs)
    statement = statement.where(_level(wanted), jobs.c.state.in_(ACTIVE))
    if wanted.owner is not None:
        statement = statement.where(jobs.c.owner == wanted.owner)
    if wanted.project is not None:
        statement = statement.where(jobs.c.project == wanted.project)
    if view.everything:
        return statement
    if not view.projects:
        return statement.where(jobs.c.owner == view.person)
    return statement.where(sa.or_(jobs.c.owner == view.person, jobs.c.project.in_(sorted(view.projects))))
