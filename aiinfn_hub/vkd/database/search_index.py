"""The rows by which jobs are found, inside a transaction of the store; see `tables.texts` and `tables.labelled`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aiinfn_hub.vkd.domain.records import StoredJob
from aiinfn_hub.vkd.domain.text_folding import text_of

from .tables import labelled, texts


async def keep(connection: AsyncConnection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write what new jobs are found by, out of their columns; points are found by their sweep."""
    found = [row for row in rows if row["sweep_of"] is None]
    if found:
        await connection.execute(
            sa.insert(texts),
            [
                {
                    "number": row["number"],
                    "job": row["id"],
                    "owner": row["owner"],
                    "project": row["project"],
                    "text": text_of(row["id"], row["name"], row["work"]["path"], _said(row)),
                }
                for row in found
            ],
        )
    labels = [entry for row in found for entry in _labels(row, _said(row))]
    if labels:
        await connection.execute(sa.insert(labelled), labels)


async def change(connection: AsyncConnection, job: StoredJob) -> None:
    """Bring what a job is found by in line with what it is now."""
    if job.sweep_of is not None:
        return
    error = (job.error.name, job.error.message) if job.error else None
    text = text_of(job.id, job.name, str(job.work.get("path", "")), job.labels, error)
    await connection.execute(sa.update(texts).where(texts.c.number == job.number).values(text=text))


async def relabel(connection: AsyncConnection, job: StoredJob) -> None:
    """Replace the labels of a job."""
    await connection.execute(sa.delete(labelled).where(labelled.c.job == job.id))
    row = {"id": job.id, "number": job.number, "owner": job.owner, "project": job.project}
    if job.labels:
        await connection.execute(sa.insert(labelled), _labels(row, job.labels))


def _said(row: Mapping[str, Any]) -> Iterable[str]:
    """Return the labels out of the columns of a job."""
    labels: list[str] = (row["description"] or {}).get("labels", [])
    return labels


def _labels(row: Mapping[str, Any], labels: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {
            "job": row["id"],
            "label": label,
            "number": row["number"],
            "owner": row["owner"],
            "project": row["project"],
        }
        for label in labels
    ]
