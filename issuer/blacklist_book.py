"""The office's blacklist: every version of it, from the changes that led there.

A version is made by a change and never again, so any version can be told at any time, in full or
as the step from the one before (`reader.blacklist`). What is added is told to clearing too
(`lost_cards`): a tap after it is a finding there.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from apdu.bcd import digits
from issuer.moments import moment_of, seconds_of
from issuer.rules_table import holds
from issuer.schema import LostCard
from issuer.tables import BlacklistChange, Counter
from reader.blacklist import Blacklist, BlacklistIncrement, BlacklistUpdate
from reader.blacklist_text import build_update

STEPS_AT_ONCE = 1000
"""A gate that is further behind gets the full list."""

_C = BlacklistChange


@holds("R29")
def change(
    session: Session, at: datetime, added: Iterable[bytes] = (), removed: Iterable[bytes] = ()
) -> int:
    """Add and remove cards (serials of 10 bytes), in the transaction under way.

    What is listed already is not added again, and what is not listed is not removed.
    Returns the version in which all is so: the one there was, if nothing had to be changed.
    Raises BlacklistError if a serial is none, or both added and removed.
    """
    last = _locked_version(session)
    wanted = BlacklistIncrement(last, frozenset(added), frozenset(removed))
    plus = [serial for serial in sorted(wanted.added) if not is_listed(session, serial)]
    minus = [serial for serial in sorted(wanted.removed) if is_listed(session, serial)]
    if not plus and not minus:
        return last
    seconds = seconds_of(at)
    for serial in plus:
        session.add(_C(version=last + 1, serial=digits(serial), is_added=True, at=seconds))
        _tell_clearing(session, digits(serial), seconds)
    for serial in minus:
        session.add(_C(version=last + 1, serial=digits(serial), is_added=False, at=seconds))
        known = session.get(LostCard, digits(serial))
        if known is not None:
            session.delete(known)
    session.execute(
        update(Counter).where(Counter.name == "blacklist").values(last=last + 1),
        execution_options={"synchronize_session": False},
    )
    session.flush()
    return last + 1


def version_of(session: Session) -> int:
    """The newest version, 0 while there is none."""
    query = select(Counter.last).where(Counter.name == "blacklist")
    return session.execute(query).scalar_one()


def is_listed(session: Session, serial: bytes) -> bool:
    """Whether a card is on the newest list."""
    last = _last_change(session, serial)
    return last is not None and last.is_added


def since(session: Session, serial: bytes) -> datetime | None:
    """When a card was put on the newest list, None if it is not on it."""
    last = _last_change(session, serial)
    return moment_of(last.at) if last is not None and last.is_added else None


def full(session: Session, version: int | None = None) -> Blacklist:
    """The whole list of a version, of the newest if none is given. Raises ValueError."""
    wanted = _demand(session, version)
    query = (
        select(_C.serial, _C.is_added).where(_C.version <= wanted).order_by(_C.version, _C.serial)
    )
    listed = {serial: is_added for serial, is_added in session.execute(query)}
    return Blacklist(
        wanted, frozenset(bytes.fromhex(serial) for serial, is_in in listed.items() if is_in)
    )


def increment(session: Session, base: int) -> BlacklistIncrement:
    """The step from a version to the next. Raises ValueError if there is no next one."""
    _demand(session, base + 1)
    return next(_steps(session, base, base + 1))


def updates_since(session: Session, held: int) -> list[BlacklistUpdate]:
    """What a gate needs that holds a version: every step since, or the full list.

    Empty if it holds the newest. The full list is for a gate that has none, is far behind, or holds
    a version that was never made here.
    """
    newest = version_of(session)
    if held == newest:
        return []
    if 0 < held < newest and newest - held <= STEPS_AT_ONCE:
        return list(_steps(session, held, newest))
    return [full(session)] if newest else []


def texts_since(session: Session, held: int) -> list[bytes]:
    """The same as texts, in the order in which they are applied (docs/lists.md)."""
    return [build_update(one) for one in updates_since(session, held)]


def _steps(session: Session, base: int, newest: int) -> Iterator[BlacklistIncrement]:
    query = select(_C.version, _C.serial, _C.is_added).where(
        _C.version > base, _C.version <= newest
    )
    found: dict[int, tuple[set[bytes], set[bytes]]] = {}
    for version, serial, is_added in session.execute(query):
        added, removed = found.setdefault(version, (set(), set()))
        (added if is_added else removed).add(bytes.fromhex(serial))
    for version in range(base + 1, newest + 1):
        added, removed = found[version]
        yield BlacklistIncrement(version - 1, frozenset(added), frozenset(removed))


def _last_change(session: Session, serial: bytes) -> BlacklistChange | None:
    query = select(_C).where(_C.serial == digits(serial)).order_by(_C.version.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def _locked_version(session: Session) -> int:
    """The newest version; until the end of the transaction nobody else makes the next one."""
    query = select(Counter.last).where(Counter.name == "blacklist").with_for_update()
    return session.execute(query).scalar_one()


def _demand(session: Session, version: int | None) -> int:
    newest = version_of(session)
    if version is None:
        return newest
    if not 0 <= version <= newest:
        raise ValueError(f"expected a blacklist version from 0 to {newest}, found {version}")
    return version


def _tell_clearing(session: Session, serial: str, seconds: int) -> None:
    known = session.get(LostCard, serial)
    if known is None:
        session.add(LostCard(serial=serial, since=seconds))
    else:
        known.since = min(known.since, seconds)
