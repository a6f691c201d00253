"""The audit log: lines that nobody changes, and nothing personal in them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from issuer import audit
from issuer.database import transact
from tests.offices import NOW, document

KEPT = {"audit": "actor", "entries": "step", "blacklist_changes": "serial"}


def add(engine: Engine, number: int = 1) -> int:
    return transact(
        engine,
        lambda s: audit.append(
            s, NOW, f"account:{number}", "card.lost", "card:03105228010000000001", {"fen": number}
        ),
    )


def by_force(engine: Engine, statement: str) -> None:
    """What somebody does who can switch the triggers off."""
    with engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
            connection.execute(text("DROP TRIGGER audit_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_no_change"))
        connection.exec_driver_sql(statement)


def test_an_empty_log_is_whole(engine: Engine):
    assert audit.verify(engine) == audit.Verdict(0)


def test_lines_are_numbered_and_whole(engine: Engine):
    assert [add(engine, n) for n in range(5)] == [1, 2, 3, 4, 5]
    assert audit.verify(engine) == audit.Verdict(5)
    assert audit.verify(engine).is_whole


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize("change", ["UPDATE {t} SET {c} = 'x'", "DELETE FROM {t}"])
def test_the_database_refuses_to_change_what_is_kept(engine: Engine, table: str, change: str):
    rows = {
        "audit": "INSERT INTO audit VALUES (1, 0, 'a', 'a', 'a', '{}', 'a')",
        "entries": "INSERT INTO entries VALUES (1, 1, 'a', 'cards', NULL, 1, 0)",
        "blacklist_changes": "INSERT INTO blacklist_changes VALUES (1, 'a', true, 0)",
    }
    with engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        else:
            connection.execute(text("ALTER TABLE entries DISABLE TRIGGER ALL"))
            connection.execute(text("ALTER TABLE entries ENABLE TRIGGER entries_no_change"))
        connection.execute(text(rows[table]))
        with pytest.raises(DBAPIError, match="takes new rows alone"):
            connection.execute(text(change.format(t=table, c=KEPT[table])))
        connection.rollback()


def test_the_database_refuses_to_replace_and_to_empty(engine: Engine):
    add(engine)
    statement = "TRUNCATE audit"
    if engine.dialect.name == "sqlite":
        statement = "INSERT OR REPLACE INTO audit VALUES (1, 0, 'a', 'a', 'a', '{}', 'a')"
    with (
        engine.connect().execution_options(is_writing=True) as connection,
        pytest.raises(DBAPIError, match="takes new rows alone"),
    ):
        connection.execute(text(statement))
    assert audit.verify(engine) == audit.Verdict(1)


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE audit SET detail = '{\"fen\":9}' WHERE id = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE id = 1", 1),
        ("UPDATE audit SET actor = 'account:9' WHERE id = 5", 5),
        ("UPDATE audit SET digest = '0' WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 5", 5),
        ("DELETE FROM audit", 1),
        ("DELETE FROM audit_head", 6),
    ],
)
def test_what_was_changed_by_force_is_found(engine: Engine, statement: str, wrong: int):
    for number in range(5):
        add(engine, number)
    by_force(engine, statement)
    assert audit.verify(engine) == audit.Verdict(wrong - 1, wrong)


PERSONAL = ["王小明", "Li Xiaohong", document(1), f"id.{document(2)}", "000000200001010"]


@pytest.mark.parametrize("place", ["actor", "action", "subject", "name", "value"])
def test_nothing_personal_is_taken_and_nothing_of_it_repeated(engine: Engine, place: str):
    right = {"actor": "account:1", "action": "lost", "subject": "card:1", "name": "n", "value": "v"}
    for word in (*PERSONAL, "", "x" * 65):
        told = right | {place: word}
        detail = {told.pop("name"): told.pop("value")}
        with pytest.raises(ValueError, match="words of 1 to 64 letters") as refused:
            transact(engine, partial(audit.append, at=NOW, detail=detail, **told))
        assert not word or word not in str(refused.value)
    with pytest.raises(ValueError, match="takes numbers and words"):
        transact(engine, partial(audit.append, at=NOW, detail={"of": [1]}, **_words(right)))
    document_as_number = {"of": 110101199003070011}
    with pytest.raises(ValueError, match="takes numbers and words"):
        transact(engine, partial(audit.append, at=NOW, detail=document_as_number, **_words(right)))
    assert audit.verify(engine) == audit.Verdict(0)


def _words(told: dict[str, str]) -> dict[str, str]:
    return {name: told[name] for name in ("actor", "action", "subject")}


def test_many_who_append_at_once_make_one_chain(engine: Engine):
    with ThreadPoolExecutor(16) as pool:
        numbers = list(pool.map(lambda n: add(engine, n), range(64)))
    assert sorted(numbers) == list(range(1, 65))
    assert audit.verify(engine) == audit.Verdict(64)


def test_a_log_that_is_written_to_meanwhile_is_whole(engine: Engine):
    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(add, engine, n) for n in range(60)]
        while not all(one.done() for one in adding):
            assert audit.verify(engine).is_whole
    assert audit.verify(engine) == audit.Verdict(60)
