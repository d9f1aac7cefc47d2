"""Sessions whose owner lost the access end, whatever happens at the moment at which they should."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from jupyterhub import orm
from sqlalchemy.orm import Session

from aiinfn_hub.auth import membership_watch
from aiinfn_hub.auth.membership_watch import MembershipVerdict, MembershipWatch


async def test_what_is_not_known_at_the_end_of_the_grace_is_asked_again_until_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(membership_watch, "_AGAIN", 0.0)
    # JupyterHub's own way would set up logging anew, for all tests.
    db = Session(sa.create_engine("sqlite://"))
    orm.Base.metadata.create_all(db.get_bind())
    known = orm.User(name="ada")
    db.add(known)
    db.commit()
    stopped = asyncio.Event()

    async def stop(_name: Any) -> None:
        stopped.set()

    async def delete_user(_user: Any, _name: Any) -> None:
        pass

    spawner = SimpleNamespace(active=True, pending=None)
    ada = SimpleNamespace(name="ada", active=True, spawners={"": spawner}, stop=stop)
    answers = [
        MembershipVerdict.HOLDS,
        MembershipVerdict.SIGN_IN,
        OSError("no room"),
        MembershipVerdict.SIGN_IN,
        MembershipVerdict.REVOKED,
    ]

    async def look(_user: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    looking = MembershipWatch(
        SimpleNamespace(db=db, users={known: ada}, proxy=SimpleNamespace(delete_user=delete_user)),
        look,
        logging.getLogger("test"),
        newest=lambda _name, state: state,
        age=lambda: 60.0,
        grace=lambda: 0.0,
    )
    looking.judged(ada, MembershipVerdict.REVOKED)
    await asyncio.wait_for(stopped.wait(), 10)
    assert answers == []
    assert "Whether ada still has access could not be found out" in caplog.text
    db.close()
    db.get_bind().dispose()
