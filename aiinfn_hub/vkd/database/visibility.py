"""Whose jobs somebody sees, as conditions that each follow one index."""

from __future__ import annotations

import sqlalchemy as sa

from aiinfn_hub.vkd.domain.records import Filter, View

Conditions = list[sa.ColumnElement[bool]]


def parts(table: sa.Table, view: View, wanted: Filter) -> list[Conditions]:
    """Return the parts of a view, for a table with ``owner`` and ``project``; no job is in two of them."""
    asked: Conditions = []
    if wanted.owner is not None:
        asked.append(table.c.owner == wanted.owner)
    if wanted.project is not None:
        asked.append(table.c.project == wanted.project)
    if view.everything or wanted.owner == view.person:
        return [asked]
    if wanted.project is not None and wanted.project in view.projects:
        return [asked]
    found: list[Conditions] = []
    if wanted.owner is None:
        found.append([table.c.owner == view.person, *asked])
    if wanted.project is None:
        others = table.c.owner != view.person
        found.extend([table.c.project == project, others, *asked] for project in sorted(view.projects))
    return found
