"""Lists of jobs, page by page, at a cost that does not grow with the history.

A condition such as "mine, or of a project that I manage, and failed or cancelled" defeats every single index. It is split
into branches that each follow one index in the order of the list; the first rows of each are merged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, Final

import sqlalchemy as sa

from aiinfn_hub.vkd.domain.records import (
    ACTIVE,
    Filter,
    Page,
    StoredJob,
    View,
)

from . import job_search
from .tables import counters, jobs, removed
from .visibility import Conditions, parts

MOST_DELETED: Final = 1000
"""Deleted jobs that one answer tells."""


def read(connection: sa.Connection, view: View, wanted: Filter) -> Page:
    """Read a page.

    The counter is read first: should the database let a change in between, the page shows it once too often, not never.
    """
    through, active = connection.execute(_counted(view, replace(wanted, since=None, after=None))).one()
    looked_to = None
    if wanted.search or wanted.label:
        rows, looked_to = job_search.read(connection, view, wanted)
    else:
        rows = _listed(connection, view, wanted)
    found = [StoredJob.of(row) for row in rows[: wanted.limit]]
    return Page(
        found,
        more=len(rows) > wanted.limit,
        through=through,
        active=active,
        deleted=_deleted(connection, view, wanted),
        looked_to=looked_to,
    )


def _listed(connection: sa.Connection, view: View, wanted: Filter) -> list[Any]:
    statement = _page(view, wanted)
    if statement is None:
        return []
    found = connection.execute(statement)
    names = tuple(found.keys())
    # Plain dictionaries: SQLAlchemy's mappings look up each of the 36 columns of each row by itself.
    return [dict(zip(names, row, strict=True)) for row in found]


# Every open Lab asks for the same few lists again and again, and making a statement takes longer than running it.
@lru_cache(maxsize=64)
def _counted(view: View, wanted: Filter) -> sa.Select[int, int]:
    return sa.select(counters.c.value, _active(view, wanted).scalar_subquery())


@lru_cache(maxsize=64)
def _page(view: View, wanted: Filter) -> sa.Select[Any] | None:
    order = _order(wanted)
    branches = [
        sa.select(jobs).where(*conditions).order_by(*order).limit(wanted.limit + 1)
        for conditions in _branches(view, wanted)
    ]
    if len(branches) < 2:
        return branches[0] if branches else None
    union = sa.union_all(*(sa.select(branch.subquery()) for branch in branches)).subquery()
    merged = sa.select(union).order_by(*(union.c[column.name].desc() for column in _keys(wanted)))
    return merged.limit(wanted.limit + 1)


def _keys(wanted: Filter) -> list[sa.Column[Any]]:
    return [jobs.c.number] if wanted.since is None else [jobs.c.change, jobs.c.number]


def _order(wanted: Filter) -> list[sa.UnaryExpression[Any]]:
    return [column.desc() for column in _keys(wanted)]


def _branches(view: View, wanted: Filter) -> list[Conditions]:
    common: Conditions = [_level(wanted)]
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
    return [[*who, *state, *common] for who, state in product(parts(jobs, view, wanted), by_state)]


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


def _deleted(connection: sa.Connection, view: View, wanted: Filter) -> list[str] | None:
    """Return the jobs deleted since; None if they are too many. They are told with the first page."""
    if wanted.since is None or wanted.after is not None or wanted.sweep is not None:
        return []
    found: list[str] = []
    for statement in deleted_since(view, wanted):
        found += connection.execute(statement).scalars()
    return found if len(found) <= MOST_DELETED else None


def deleted_since(view: View, wanted: Filter) -> list[sa.Select[str]]:
    """Return the queries for the jobs deleted since, one for each part of the view."""
    return [
        sa.select(removed.c.job)
        .where(*who, removed.c.sweep_of.is_(None), removed.c.change > wanted.since)
        .limit(MOST_DELETED + 1)
        for who in parts(removed, view, wanted)
    ]
