"""What an outlet and the office do."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter
from fastapi import Body as FastBody
from pydantic import BaseModel

from issuer import audit, ledger, losses, returns, roster, setting_free, topups
from issuer.roster_file import parse_csv, parse_toml
from issuer.service.conversations import begin
from issuer.service.guard import GuardedRoute, allow
from issuer.service.house import Caller, TheHouse
from issuer.service.models import (
    AccountBody,
    Amount,
    Conversation,
    IdempotencyKey,
    Json,
    Serial,
    Whom,
)
from issuer.telling import told
from issuer.tokens import Role

router = APIRouter(prefix="/v1", tags=["staff"], route_class=GuardedRoute)

_STAFF = allow(Role.STAFF, problems=(404, 409))


class Taken(BaseModel):
    """Lines of a roster that were new, changed something, or said what was known."""

    added: int
    changed: int
    same: int


class Audit(BaseModel):
    """lines: how many are right from the first on. wrong: the first that is not, if any."""

    lines: int
    wrong: int | None
    is_whole: bool


class Posting(BaseModel):
    """A step of an operation."""

    operation: int
    step: str


class Books(BaseModel):
    """Balances by account, fen, and the postings that do not sum to zero."""

    balances: Mapping[str, int]
    unbalanced: list[Posting]
    is_balanced: bool


@router.post("/outlet/top-up", **_STAFF)
def outlet_top_up(
    body: Amount, key: IdempotencyKey, house: TheHouse, caller: Caller
) -> Conversation:
    """Top up whichever card is presented, for cash (R25)."""
    return begin(
        house, caller, topups.outlet_top_up(house.office, caller.account, key, body.amount)
    )


@router.post("/outlet/refund", **_STAFF)
def outlet_refund(body: Serial, key: IdempotencyKey, house: TheHouse, caller: Caller) -> Json:
    """Refund in cash: from the threshold on, or a card that cannot be read (R32)."""
    serial = bytes.fromhex(body.serial)
    refunded: Json = told(returns.outlet_refund(house.office, caller.account, key, serial))
    return refunded


@router.post("/outlet/set-free", **_STAFF)
def set_free(body: Whom, house: TheHouse, caller: Caller) -> AccountBody:
    """Set the account free of a student who has lost the login, and end what it had under way."""
    held = setting_free.set_free(house.office, caller.account, body.school, body.number)
    return AccountBody(state=held.state)


@router.post("/losses/settle", **_STAFF)
def settle(house: TheHouse) -> Json:
    """Settle lost cards whose time is over: late records are in (R29)."""
    return {"settled": told(losses.settle(house.office, house.office.now()))}


_TOML = Annotated[
    str,
    FastBody(
        media_type="text/plain",
        max_length=4 << 20,
        description="Schools and students as TOML, or students as CSV.",
        examples=["school,number,name,document,category,status,wage\n"],
    ),
]


@router.post("/roster", **_STAFF)
def take_roster(body: _TOML, house: TheHouse) -> Taken:
    """Take a school's roster over, whole or not at all (R2 to R4)."""
    parse = parse_toml if body.lstrip().startswith(("[", "#")) else parse_csv
    taken = roster.take(house.office.engine, house.office.documents, parse(body))
    return Taken(added=taken.added, changed=taken.changed, same=taken.same)


@router.get("/books/audit", **_STAFF)
def verify_audit(house: TheHouse) -> Audit:
    """Compute the audit log's digests anew."""
    verdict = audit.verify(house.office.engine)
    return Audit(lines=verdict.lines, wrong=verdict.wrong, is_whole=verdict.is_whole)


@router.get("/books/trial-balance", **_STAFF)
def trial_balance(house: TheHouse) -> Books:
    """The balances of all ledger accounts."""
    found = ledger.trial_balance(house.office.engine)
    return Books(
        balances={account.value: fen for account, fen in found.balances.items()},
        unbalanced=[Posting(operation=one, step=step) for one, step in found.unbalanced],
        is_balanced=found.is_balanced,
    )
