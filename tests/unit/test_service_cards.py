"""Cards through the service: opened, topped up and cut at every command, on a real card."""

from dataclasses import replace

import pytest
from sqlalchemy import select

import fixtures
from apdu.commands import GET_BALANCE
from emulator.card.personalise import personalise
from issuer.client import ServiceError
from issuer.errors import RuleError
from issuer.ledger import trial_balance
from issuer.policy import IssuerPolicy
from issuer.tables import Payment
from issuer.tokens import Role
from reader.gate import Direction, Verdict
from reader.session import ask, run
from reader.transport.base import CardLost
from tests.offices import NOW, claim
from tests.services import PHONE, Desk, PhoneCard
from tests.stock import ROOTS
from tests.students import Campus


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office, NOW)


def balance(phone: PhoneCard) -> int:
    from issuer.card_access import select_purse

    def asked():
        yield from select_purse()
        return (yield from ask("card", GET_BALANCE, None)).amount

    return run(asked(), {"card": phone.again()})


def opened(desk: Desk, number: int = 0):
    """A student's side of the service and a phone with an open card."""
    remote, phone = desk.remote(desk.student(number)), PhoneCard()
    remote.open_card("open-1", PHONE, phone)
    phone.count = 0
    return remote, phone.again()


def charged(desk: Desk) -> int:
    with desk.books.engine.connect() as connection:
        query = select(Payment.amount).where(Payment.kind == "charge", Payment.is_done)
        return sum(connection.execute(query).scalars())


def test_a_student_proves_who_it_is_opens_a_card_and_tops_it_up(desk):
    remote, phone = desk.remote(desk.token(Role.STUDENT, "student0")), PhoneCard()
    assert remote.account() == {"state": "logged_in"}
    assert remote.authenticate(claim(0)) == {"state": "authenticated"}
    assert not [one for one in remote.check(PHONE) if one["status"] == "failed"]
    card = remote.open_card("open-1", PHONE, phone)
    assert card["state"] == "active"
    assert remote.top_up("topup-1", 5000, phone.again())["balance"] == 5000
    assert balance(phone) == 5000
    assert remote.page()["card"]["serial"] == card["serial"]


def test_nothing_the_database_numbers_is_told(desk):
    remote, phone = desk.remote(desk.student()), PhoneCard()
    told = remote.open_card("open-1", PHONE, phone)
    assert not {"id", "person_id", "student_id", "slot"} & set(told)


@pytest.mark.rule("R6", "R29")
def test_of_two_cards_a_report_of_loss_tells_which(desk):
    desk.office = replace(desk.office, policy=IssuerPolicy(student_card_limit=2))
    desk.restart()
    remote, phones = desk.remote(desk.student()), [PhoneCard(), PhoneCard()]
    first, second = (remote.open_card(f"open-{n}", PHONE, phone) for n, phone in enumerate(phones))
    with pytest.raises(RuleError) as refused:
        remote.report_lost("lost")
    assert (refused.value.rule, refused.value.reason) == ("R29", "which_card")
    lost = remote.report_lost("lost", bytes.fromhex(first["serial"]))
    assert (lost["card"]["serial"], lost["card"]["state"]) == (first["serial"], "lost")
    assert remote.top_up("topup", 1000, phones[1].again())["card"]["serial"] == second["serial"]


def test_a_false_claim_is_the_rules_no_and_uses_the_check_up(desk):
    remote = desk.remote(desk.token(Role.STUDENT, "student0"))
    with pytest.raises(RuleError) as refused:
        remote.authenticate(claim(0, name="Nobody"))
    assert (refused.value.rule, refused.value.reason) == ("R5", "not_proven")
    assert remote.account() == {"state": "logged_in"}


def test_a_top_up_cut_at_any_command_is_finished_by_the_same_key_and_paid_once(desk):
    remote, phone = opened(desk)
    remote.top_up("whole", 1000, phone)
    commands, total = phone.count, 1000
    assert commands > 2
    for at in range(1, commands + 1):
        phone.count, phone.cut_at = 0, at
        key = f"cut-{at}"
        with pytest.raises(CardLost):
            remote.top_up(key, 1000, phone.again())
        phone.cut_at = 0
        remote.top_up(key, 1000, phone.again())
        total += 1000
        assert (balance(phone), charged(desk)) == (total, total), at
    assert trial_balance(desk.books.engine).is_balanced


def test_a_server_that_restarts_in_the_middle_of_a_top_up_loses_nothing(desk):
    token = desk.student()
    remote, phone = opened(desk)
    remote.top_up("whole", 1000, phone)
    commands, total = phone.count, 1000
    for at in range(1, commands + 1):
        phone.again()
        turn = desk.post(
            "/v1/card/top-up", token, key=f"restart-{at}", json={"amount": 1000}
        ).json()
        for _ in range(at):
            answer = phone.transmit(bytes.fromhex(turn["command"])).hex()
            if turn["turn"] == at:
                break
            turn = desk.post(
                f"/v1/sessions/{turn['session']}",
                token,
                json={"turn": turn["turn"], "answer": answer},
            ).json()
        desk.restart()
        lost = desk.post(
            f"/v1/sessions/{turn['session']}", token, json={"turn": turn["turn"], "answer": answer}
        )
        assert (lost.status_code, lost.json()["reason"]) == (404, "no_session")
        desk.remote(token).top_up(f"restart-{at}", 1000, phone.again())
        total += 1000
        assert (balance(phone), charged(desk)) == (total, total), at
    assert trial_balance(desk.books.engine).is_balanced


def test_a_conversation_that_was_too_slow_is_begun_again(desk):
    token = desk.student()
    _, phone = opened(desk)
    turn = desk.post("/v1/card/top-up", token, key="slow", json={"amount": 1000}).json()
    desk.ticker.at += 61
    late = desk.post(f"/v1/sessions/{turn['session']}", token, json={"turn": 1, "answer": "9000"})
    assert late.status_code == 404
    desk.remote(token).top_up("slow", 1000, phone.again())
    assert (balance(phone), charged(desk)) == (1000, 1000)


def test_a_student_cannot_touch_the_card_of_another(desk):
    _, phone = opened(desk, 0)
    other, own = opened(desk, 1)
    with pytest.raises((ServiceError, RuleError)):
        other.top_up("theft", 1000, phone.again())
    assert balance(phone) == 0
    for act in (other.renew, other.give_back):
        with pytest.raises((ServiceError, RuleError)):
            act("theft-2", phone.again())
    assert balance(own) == 0
    assert desk.remote(desk.student(0)).page()["card"]["state"] == "active"


def test_a_student_cannot_speak_in_the_conversation_of_another(desk):
    _, phone = opened(desk, 0)
    owner, other = desk.student(0), desk.student(1)
    turn = desk.post("/v1/card/top-up", owner, key="mine", json={"amount": 1000}).json()
    place, body = f"/v1/sessions/{turn['session']}", {"turn": 1, "answer": "9000"}
    for token in (other, desk.token(Role.STAFF)):
        assert desk.post(place, token, json=body).status_code == 404
        assert desk.http.delete(place, headers={"Authorization": f"Bearer {token}"}).is_error
    answer = phone.transmit(bytes.fromhex(turn["command"])).hex()
    assert desk.post(place, owner, json={"turn": 1, "answer": answer}).json()["turn"] == 2


@pytest.mark.rule("R25")
@pytest.mark.parametrize("amount", [0, -1, -5000, 1.5, "50", None, 10**30, True])
def test_an_amount_that_is_none_gets_the_rules_sentence_and_changes_nothing(desk, amount):
    token = desk.student()
    opened(desk)
    answer = desk.post("/v1/card/top-up", token, key="bad", json={"amount": amount})
    assert answer.status_code in (409, 422)
    told = answer.json()
    assert told["rule"] == "R25"
    assert told["zh"]
    assert told["en"]
    assert charged(desk) == 0


def test_the_same_key_for_another_wish_is_refused(desk):
    remote, phone = opened(desk)
    remote.top_up("once", 1000, phone)
    assert remote.top_up("once", 1000, phone.again())["balance"] == 1000
    with pytest.raises(RuleError) as refused:
        remote.top_up("once", 2000, phone.again())
    assert refused.value.reason == "key_reused"
    assert (balance(phone), charged(desk)) == (1000, 1000)


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "ä"])
def test_a_key_that_is_none_is_refused(desk, key):
    token = desk.student()
    headers = {"Authorization": f"Bearer {token}".encode(), "Idempotency-Key": key.encode()}
    answer = desk.http.post("/v1/card/top-up", headers=headers, json={"amount": 1000})
    assert answer.status_code == 422


def test_who_has_no_card_is_told_so(desk):
    answer = desk.get("/v1/card", desk.student())
    told = answer.json()
    assert (answer.status_code, told["reason"], told["rule"]) == (404, "no_card", "R20")


@pytest.mark.rule("R31")
def test_a_card_with_an_open_trip_is_not_taken_back(desk):
    remote, phone = opened(desk)
    remote.top_up("money", 2000, phone)
    phone.again()
    campus = Campus.of(desk.books.engine)
    assert campus.pass_(phone.card, Direction.ENTRY).verdict is Verdict.PASS
    with pytest.raises(RuleError) as refused:
        remote.give_back("too-early", phone.again())
    assert refused.value.rule == "R31"
    assert refused.value.zh
    assert remote.page()["card"]["state"] == "active"
    assert balance(phone) == 2000


def test_a_card_of_another_issuer_is_refused_and_nothing_is_paid(desk):
    remote, _ = opened(desk)
    foreign = PhoneCard(personalise(fixtures.load_profile("student-foreign-city"), ROOTS))
    with pytest.raises((ServiceError, RuleError)):
        remote.top_up("foreign", 1000, foreign)
    assert desk.remote(desk.student()).page()["balance"] == 0
