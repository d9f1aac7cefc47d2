"""What people are told when the hub's own database has no room."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest
import sqlalchemy as sa
from jupyterhub import orm
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import HTTPError

from aiinfn_hub.web import full_disk


def test_a_write_to_a_full_disk_is_told_with_507_and_rolled_back(tmp_path: Path) -> None:
    full_disk.install()
    full_disk.install()
    session = orm.new_session_factory(f"sqlite:///{tmp_path / 'jupyterhub.sqlite'}")()
    session.add(orm.User(name="ada"))
    session.commit()
    pages = session.execute(sa.text("PRAGMA page_count")).scalar()
    session.execute(sa.text(f"PRAGMA max_page_count={pages}"))
    with pytest.raises(SQLAlchemyError) as caught:
        session.execute(sa.insert(orm.User).values(name="x" * 1_000_000, cookie_id="c"))
    assert isinstance(caught.value, HTTPError)
    assert caught.value.status_code == HTTPStatus.INSUFFICIENT_STORAGE
    assert caught.value.get_message() == (
        "The platform's disk is full. Tell the operators, and try again when there is room."
    )
    assert "cannot be written: database or disk is full" in str(caught.value)
    session.rollback()
    assert session.query(orm.User).filter_by(name="ada").one().name == "ada"
    session.close()


@pytest.mark.parametrize("write", ["commit", "flush"])
def test_after_a_write_to_a_full_disk_that_nobody_rolled_back_the_hub_knows_everybody(
    tmp_path: Path, write: str
) -> None:
    full_disk.install()
    session = orm.new_session_factory(f"sqlite:///{tmp_path / 'jupyterhub.sqlite'}")()
    session.add(orm.User(name="ada"))
    session.commit()
    pages = session.execute(sa.text("PRAGMA page_count")).scalar()
    session.execute(sa.text(f"PRAGMA max_page_count={pages}"))
    session.add(orm.User(name="x" * 1_000_000, cookie_id="c"))
    with pytest.raises(full_disk.DiskFullError):
        getattr(session, write)()
    assert [user.name for user in session.query(orm.User)] == ["ada"]
    session.close()
