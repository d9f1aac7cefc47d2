"""The table that says whose an account is."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfn_hub.auth.database import migrations
from aiinfn_hub.auth.database.accounts import (
    AccountStore,
    Identity,
    StoreError,
    TakenError,
)
from aiinfn_hub.auth.database.migrations import SchemaError
from aiinfn_hub.auth.database.tables import metadata
from aiinfn_hub.platform.characters import compared

ADA = Identity.of("https://iam.example.org/", "1")
EVE = Identity.of("https://iam.example.org", "2")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub' / 'accounts.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[AccountStore]:
    found = AccountStore(url)
    yield found
    found.close()


def test_an_account_stays_its_first_owners_also_for_another_process(store: AccountStore, url: str) -> None:
    assert store.bind("ada", ADA).identity == ADA
    other = AccountStore(url)
    assert other.account_for("ada", ADA).name == "ada"
    with pytest.raises(TakenError):
        other.account_for("ada", EVE)
    with pytest.raises(TakenError):
        other.bind("ada", EVE)
    other.close()
    assert store.get("ada").identity == ADA


@pytest.mark.parametrize(
    "name", ["ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da", "ad\N{FEMININE ORDINAL INDICATOR}", "Ada"]
)
def test_another_spelling_is_no_way_in(store: AccountStore, name: str) -> None:
    store.bind("ada", ADA)
    with pytest.raises(TakenError):
        store.bind(name, EVE)
    assert [each.name for each in store.all()] == ["ada"]


def test_another_spelling_of_an_account_that_is_nobodys_yet_is_no_way_in_either(store: AccountStore) -> None:
    store.register("straße")
    with pytest.raises(TakenError):
        store.bind("strasse", EVE)
    # Two that exist already are two: each is its own name's.
    store.register("strasse")
    assert store.bind("strasse", EVE).name == "strasse"
    assert store.bind("straße", ADA).name == "straße"


def test_the_same_subject_of_another_issuer_is_somebody_else(store: AccountStore) -> None:
    store.bind("ada", ADA)
    with pytest.raises(TakenError):
        store.account_for("ada", Identity.of("https://other.example.org", ADA.subject))
    assert store.account_for("ada", Identity.of("https://iam.example.org", ADA.subject)).name == "ada"


def test_a_person_who_is_called_otherwise_keeps_the_account_and_the_new_name_stays_free(
    store: AccountStore,
) -> None:
    store.bind("ada", ADA)
    assert store.bind("ada.rossi", ADA).name == "ada"
    assert store.account_for("ada.rossi", ADA).name == "ada"
    assert store.bind("ada.rossi", EVE).name == "ada.rossi"


def test_an_account_that_exists_is_bound_once(store: AccountStore) -> None:
    store.register("ada")
    store.register("ada")
    assert store.get("ada").identity is None
    assert store.bind("ada", ADA).bound is not None
    store.register("ada")
    with pytest.raises(TakenError):
        store.bind("ada", EVE)


def test_of_many_at_once_one_gets_the_account(store: AccountStore) -> None:
    store.register("ada")
    start = threading.Barrier(8)

    def come(number: Any) -> Any:
        start.wait()
        try:
            return store.bind("ada", Identity.of("https://iam.example.org", str(number))).identity
        except TakenError:
            return None

    with ThreadPoolExecutor(8) as pool:
        got = [each for each in pool.map(come, range(8)) if each]
    assert got == [store.get("ada").identity]


def test_a_released_name_is_anybodys(store: AccountStore) -> None:
    store.bind("ada", ADA)
    assert store.release("ada")
    assert not store.release("ada")
    assert store.bind("ada", EVE).identity == EVE


def test_a_move_to_a_new_issuer_is_all_or_nothing_and_says_what_it_would_do(store: AccountStore) -> None:
    store.bind("ada", ADA)
    store.bind("eve", EVE)
    store.register("new")
    other = Identity.of("https://other.example.org", "9")
    store.bind("zoe", other)
    before = store.all()
    planned = store.move("https://iam.example.org/", "https://new.example.org/", dry_run=True)
    assert set(planned.changes) == {"ada", "eve"}
    assert store.all() == before
    done = store.move("https://iam.example.org", "https://new.example.org/")
    assert done == planned
    assert store.get("ada").identity == Identity("https://new.example.org", "1")
    assert store.get("ada").bound == before[0].bound
    assert store.get("zoe").identity == other
    with pytest.raises(TakenError):
        store.account_for("ada", ADA)


def test_a_move_with_new_subjects_may_swap_them_and_names_who_is_left(store: AccountStore) -> None:
    store.bind("ada", ADA)
    store.bind("eve", EVE)
    store.bind("zoe", Identity.of("https://iam.example.org", "3"))
    done = store.move(ADA.issuer, ADA.issuer, {"1": "2", "2": "1"})
    assert done.unmapped == ("zoe",)
    assert store.get("ada").identity == EVE
    assert store.get("eve").identity == ADA


@pytest.mark.parametrize("subjects", [{"1": "x", "2": "x"}, {"1": "9"}], ids=["two alike", "one that exists"])
def test_a_move_that_makes_two_accounts_one_persons_changes_nothing(
    store: AccountStore, subjects: dict[str, Any]
) -> None:
    store.bind("ada", ADA)
    store.bind("eve", EVE)
    store.bind("zoe", Identity.of("https://new.example.org", "9"))
    before = store.all()
    with pytest.raises(ValueError, match="would become the same person's"):
        store.move(ADA.issuer, "https://new.example.org", subjects)
    assert store.all() == before


def test_nobody_else_can_read_the_table(store: AccountStore, tmp_path: Path) -> None:
    store.open()
    folder = tmp_path / "hub"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "accounts.sqlite").stat().st_mode) == 0o600


def test_the_migrations_and_the_table_say_the_same(store: AccountStore, url: str) -> None:
    store.open()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        options = {"compare_server_default": True, "version_table": migrations.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()


def test_the_table_may_stand_in_the_hubs_own_database(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('of-jupyterhub')")
    connection.close()
    store = AccountStore(f"sqlite:///{file}")
    store.bind("ada", ADA)
    store.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("of-jupyterhub",)
        ]
    connection.close()


def test_a_table_of_a_newer_version_and_one_that_cannot_be_read_are_told_in_a_sentence(
    store: AccountStore, url: str, tmp_path: Path
) -> None:
    store.open()
    store.close()
    file = tmp_path / "hub" / "accounts.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaError, match="9999, which this version does not know"):
        store.open()
    for each in file.parent.iterdir():
        each.unlink()
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        AccountStore(url).all()


names = st.text(
    st.sampled_from("aAkKsSß\N{KELVIN SIGN}\N{LATIN SMALL LETTER LONG S}1¹"), min_size=1, max_size=3
)
people = st.builds(Identity.of, st.sampled_from(["https://a", "https://b/"]), st.sampled_from("123"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(names, people), max_size=12))
def test_whatever_comes_no_two_people_share_an_account_and_nobody_has_two(
    tmp_path_factory: pytest.TempPathFactory, comers: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("accounts")
    store = AccountStore(f"sqlite:///{folder / 'accounts.sqlite'}")
    owner: dict[Any, Any] = {}
    for name, person in comers:
        try:
            account = store.bind(name, person)
        except TakenError as error:
            account = error.account
            if account.identity == person or compared(account.name) != compared(name):
                raise
            continue
        assert account.identity == person
        assert owner.setdefault(compared(account.name), person) == person
    assert len(set(owner.values())) == len(owner)
    assert len(store.all()) == len(owner)
    store.close()


def test_a_person_with_an_account_who_is_given_anothers_name_is_refused_too(store: AccountStore) -> None:
    store.bind("ada", ADA)
    store.bind("eve", EVE)
    for name in ("ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da"):
        with pytest.raises(TakenError) as refused:
            store.account_for(name, EVE)
        assert refused.value.account.name == "ada"
    # A name that is nobody's yet is in nobody's way.
    store.register("old")
    assert store.bind("old", EVE).name == "eve"
    assert store.get("old").identity is None


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "nosuchdb://u:s3cret@h/x",
        "sqlite:////proc/nowhere/accounts.sqlite",
        "mysql+nosuch://u:s3cret@h/x",
    ],
)
def test_a_table_that_cannot_be_opened_is_told_in_a_sentence_without_a_secret(url: str) -> None:
    with pytest.raises(StoreError) as error:
        AccountStore(url).open()
    assert "s3cret" not in str(error.value)
    assert "the table of accounts does not answer (" in str(error.value)
