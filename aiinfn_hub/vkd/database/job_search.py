"""Searching the history: by words, by a label, or both, newest first.

A part of a word can be anywhere, so no index leads to it. What jobs are searched by is in a table of its own, and one page
looks through at most `LOOKED_THROUGH` of its rows, in their order by an index; the page then says how far it got, and
its cursor leads on. What is found is read from the jobs by number.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from aiinfn_hub.vkd.domain.records import Filter, View

from .tables import jobs, labelled, texts
from .visibility import Conditions, parts

LOOKED_THROUGH: Final = 20_000
"""Rows that one page looks through at most."""
_MOST_FOUND: Final = 2_000
"""Found jobs whose state one page looks at."""


def read(
    connection: sa.Connection, view: View, wanted: Filter
) -> tuple[list[Any], tuple[int, datetime | None] | None]:
    """Read a page of what is found.

    Returns
    -------
    rows, looked_to
        One row more than the page has, if there are more; and the number and time of the job at which looking stopped
        before the end, if it did.
    """
    whose = parts(labelled if wanted.label else texts, view, wanted)
    if not whose:
        return [], None
    each = max(1, LOOKED_THROUGH // len(whose))
    # Whoever asks for no state needs no more than the page.
    most = _MOST_FOUND if wanted.states else wanted.limit + 1
    horizon: int | None = None
    if wanted.search:
        for who in whose:
            end = connection.execute(bound(who, wanted, each)).scalar()
            horizon = max(end, horizon or 0) if end is not None else horizon
    numbers: list[int] = []
    for who in whose:
        numbers += connection.execute(matches(who, wanted, horizon, most)).scalars()
    numbers.sort(reverse=True)
    if wanted.states and len(numbers) >= most:
        horizon = numbers[most - 1]
    numbers = numbers[:most]
    rows = list(connection.execute(by_number(numbers, wanted)).mappings()) if numbers else []
    if horizon is None or len(rows) > wanted.limit:
        return rows, None
    created = connection.execute(sa.select(jobs.c.created).where(jobs.c.number == horizon))
    return rows, (horizon, created.scalar())


def bound(who: Conditions, wanted: Filter, most: int) -> sa.Select[int]:
    """Return the query for the number of the last job that may be looked at."""
    source = labelled if wanted.label else texts
    statement = sa.select(source.c.number).where(*who, *_before(source, wanted))
    if wanted.label:
        statement = statement.where(labelled.c.label == wanted.label)
    return statement.order_by(source.c.number.desc()).offset(most - 1).limit(1)


def matches(who: Conditions, wanted: Filter, horizon: int | None, most: int) -> sa.Select[int]:
    """Return the query for the numbers of the newest jobs that match."""
    source = labelled if wanted.label else texts
    statement = sa.select(source.c.number).where(*who, *_before(source, wanted))
    if wanted.label:
        statement = statement.where(labelled.c.label == wanted.label)
        if wanted.search:
            statement = statement.join(texts, texts.c.number == labelled.c.number)
    for word in wanted.search:
        statement = statement.where(texts.c.text.contains(word, autoescape=True))
    if horizon is not None:
        statement = statement.where(source.c.number >= horizon)
    return statement.order_by(source.c.number.desc()).limit(most)


def by_number(numbers: list[int], wanted: Filter) -> sa.Select[Any]:
    """Return the query for the jobs of some numbers."""
    statement = sa.select(jobs).where(jobs.c.number.in_(numbers))
    if wanted.states:
        statement = statement.where(jobs.c.state.in_(wanted.states))
    return statement.order_by(jobs.c.number.desc()).limit(wanted.limit + 1)


def _before(table: sa.Table, wanted: Filter) -> Conditions:
    return [table.c.number < wanted.after[1]] if wanted.after else []
