"""The books at the end of a semester: cards, ledger, payer and clearing agree to the fen."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.semester.dealings import Dealings
from bench.semester.town import Town
from issuer import audit, cards_book, ledger
from issuer.card_money import owed, unsettled
from issuer.card_states import CardState
from issuer.database import reading
from issuer.faults import Fault
from issuer.ledger import Account
from issuer.office import Office
from issuer.tables import CardRow, Entry, Payment

EXPLAINED = {
    Fault.LATE: "buses send every third night",
    Fault.BATCH_AGAIN: "an answer to a batch was lost, and it was sent again",
    Fault.BLACKLISTED: "a found phone was used before the gates had the new blacklist",
}
"""What clearing may find in a semester, and why."""


@dataclass(frozen=True, slots=True)
class Books:
    """Sums in fen. on_cards: in the purses of usable cards. in_books: what should be there, which
    is the ledger's account CARDS less rides: what clearing has of usable cards, and operators get.

    charged, refunded: by the payer. credited: of what it was charged, put on cards. given_back: for
    top-ups that came to nothing. wrong: every sentence about what does not fit; empty if balanced.
    """

    on_cards: int
    in_books: int
    rides: int
    charged: int
    credited: int
    given_back: int
    refunded: int
    ledger: dict[str, int]
    faults: dict[str, int]
    wrong: tuple[str, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def close_books(office: Office, town: Town, dealings: Dealings) -> Books:
    """Examine everything. Raises DatabaseError."""
    faults = town.clearing.examine()
    trial = ledger.trial_balance(office.engine)
    wrong: list[str] = []
    with reading(office.engine) as session:
        on_cards, in_books, rides = _cards(session, dealings, wrong)
        payer = _payer(session, wrong)
    if not trial.is_balanced:
        wrong.append(f"the trial balance is off: {trial.balances}, {trial.unbalanced}")
    if payer["charged"] - payer["refunded"] != trial.balances[Account.PAYER]:
        wrong.append("the ledger's account of the payer is not what the payer says")
    fares = town.told.fares.total()
    if fares != rides - trial.balances[Account.OPERATORS]:
        wrong.append(f"gates took {fares} fen, and the books have another sum for rides")
    if in_books + rides != -trial.balances[Account.CARDS]:
        wrong.append("what cards should hold and their rides are not the account CARDS")
    if trial.balances[Account.PAID_IN]:
        wrong.append(f"{-trial.balances[Account.PAID_IN]} fen were paid and never credited")
    wrong += _unexplained(faults, dealings.tally.counts["rides with a found phone"])
    if town.open_debits():
        wrong.append(f"{town.open_debits()} debits at gates are still open")
    if not audit.verify(office.engine).is_whole:
        wrong.append("the audit log does not hold together")
    named = {str(name): fen for name, fen in sorted(trial.balances.items())}
    found = {f"{fault.code} {fault.en}": number for fault, number in faults.items()}
    return Books(on_cards, in_books, rides, ledger=named, faults=found, wrong=tuple(wrong), **payer)


def _unexplained(faults: dict[Fault, int], found_rides: int) -> list[str]:
    """What clearing found and should not have. found_rides: of two taps each."""
    wrong = [
        f"clearing found {number} of {fault.code} ({fault.en})"
        for fault, number in faults.items()
        if fault not in EXPLAINED
    ]
    late = faults.get(Fault.BLACKLISTED, 0)
    if late > 2 * found_rides:
        wrong.append(f"clearing found {late} taps of lost cards, {2 * found_rides} are known")
    return wrong


def _cards(session: Session, dealings: Dealings, wrong: list[str]) -> tuple[int, int, int]:
    """What is on usable cards, by themselves and by the books, and their rides; each for itself."""
    on_cards = in_books = rides = 0
    for row in session.scalars(select(CardRow).order_by(CardRow.id)):
        card = cards_book.card(session, row.id)
        held = owed(session, Account.CARDS, card.id)
        if card.state is not CardState.ACTIVE:
            if held:
                wrong.append(f"card {row.id} is {card.state} and holds {held} fen in the books")
            continue
        ridden = unsettled(session, card)
        held, rides = held - ridden, rides + ridden
        actual = dealings.chips[card.serial].purse.actual
        if actual != held:
            wrong.append(f"card {row.id} holds {actual} fen, and {held} by the books")
        on_cards, in_books = on_cards + actual, in_books + held
    return on_cards, in_books, rides


def _payer(session: Session, wrong: list[str]) -> dict[str, int]:
    """What the payer took and gave, against what cards were credited with out of it."""
    sums: Counter[str] = Counter()
    query = select(Payment).where(Payment.is_done)
    for row in session.scalars(query):
        sums["charged" if row.kind == "charge" else "refunded"] += row.amount
        if row.kind == "refund" and row.key.startswith("topup-"):
            sums["given_back"] += row.amount
    paid = select(Entry.operation_id).where(Entry.account == Account.PAYER.value, Entry.amount > 0)
    credits = select(func.coalesce(func.sum(Entry.amount), 0)).where(
        Entry.account == Account.CARDS.value, Entry.amount < 0, Entry.operation_id.in_(paid)
    )
    sums["credited"] = -int(session.execute(credits).scalar_one())
    frozen = select(func.coalesce(func.sum(Entry.amount), 0)).where(
        Entry.account == Account.FROZEN.value, Entry.amount < 0, Entry.operation_id.in_(paid)
    )
    with_lost = -int(session.execute(frozen).scalar_one())
    if sums["charged"] != sums["credited"] + sums["given_back"] + with_lost:
        wrong.append(
            f"the payer was charged {sums['charged']} fen, and {sums['credited']} were credited, "
            f"{sums['given_back']} given back, {with_lost} frozen with lost cards"
        )
    return {name: sums[name] for name in ("charged", "credited", "given_back", "refunded")}
