"""Cards that lie, answers that are spoilt, other people's proofs: gate and till hold."""

from dataclasses import replace
from datetime import datetime

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import AID_PURSE, DEBIT, GET_PROVE, READ_RECORD, SAM_INIT_PURCHASE
from apdu.crypto import Key
from apdu.files import RailTrip
from bench.clock import SHANGHAI
from bench.scenario import LAB_WHITE_LIST
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from fixtures.network import load_network
from issuer.loads import SoftLoadHost
from issuer.tac import tac_is_right
from reader import psam_store
from reader.gate import Direction, Gate, GateConfig, Reject, Verdict
from reader.loading import LoadInterrupted, load, recover_load
from reader.policy import Policy
from reader.psam import Psam
from reader.session import ProtocolError, StatusError, run
from reader.transactions import select_purse
from reader.transport.base import CardLost
from reader.transport.inprocess import InProcess
from reader.trips import BOARDED
from tests.buses import MISSED, missed_case, trip_of

AT = datetime(2025, 9, 8, 8, 1, 42, tzinfo=SHANGHAI)
TERMINAL = bytes.fromhex("300089000340")
OK = b"\x90\x00"


def gate(direction: Direction = Direction.EXIT, at: datetime = AT, **config) -> Gate:
    network = load_network()
    made = GateConfig(network, network.station("080019"), direction, LAB_WHITE_LIST, **config)
    return Gate(made, Psam(TERMINAL, {1: fixtures.load_roots()["PMK"]}), lambda: at)


def inside(serial: str = "03105228009900000017", **changes):
    """A card that has entered at 08/13."""
    profile = replace(
        fixtures.load_profile("student"), serial=bytes.fromhex(serial), balance=5000, **changes
    )
    card = personalise(profile, fixtures.load_roots(), SeededEnv(serial))
    network = load_network()
    entry = GateConfig(network, network.station("080013"), Direction.ENTRY, LAB_WHITE_LIST)
    psam = Psam(bytes.fromhex("300089000195"), {1: fixtures.load_roots()["PMK"]})
    outcome = Gate(entry, psam, lambda: AT.replace(hour=7)).pass_(InProcess(card))
    assert outcome.verdict is Verdict.PASS
    return card


class Altering:
    """Passes everything, but may alter the answer to one command."""

    def __init__(self, card, spec, change) -> None:
        self.card, self.spec, self.change = card, spec, change

    def transmit(self, command: bytes) -> bytes:
        response = self.card.process(command)
        matches = command[:2] == bytes((self.spec.cla, self.spec.ins))
        return self.change(response) if matches else response


def lost(response: bytes) -> bytes:
    raise CardLost("gone")


def balance_of(card) -> int:
    card.power_off()
    card.process(bytes.fromhex("00A4040008") + AID_PURSE)
    return int.from_bytes(card.process(bytes.fromhex("805C000204"))[:4], "big")


def test_a_card_without_keys_cannot_spend_another_card_s_mac2():
    made = gate()
    seen = []
    honest = inside()
    made.pass_(Altering(honest, DEBIT, lambda r: seen.append(r) or lost(r)))
    (answer,) = seen
    fake = inside("03105228009900000099")
    forged = Altering(fake, DEBIT, lambda r: r[:4] + answer[4:8] + OK)
    assert made.pass_(forged).verdict is Verdict.TAP_AGAIN
    honest.power_off()
    again = made.pass_(InProcess(honest))
    assert (again.verdict, again.receipt.recovered) == (Verdict.PASS, True)


@pytest.mark.parametrize("sw", ["6A82", "6D00", "6E00", "6985"])
def test_a_card_that_is_no_transit_card_is_rejected_and_the_gate_goes_on(sw):
    class Foreign:
        def process(self, command: bytes) -> bytes:
            return bytes.fromhex(sw)

    outcome = gate().pass_(InProcess(Foreign()))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.NOT_OUR_CARD)


def test_a_card_without_ef17_is_rejected():
    card = inside()

    class WithoutInterop:
        def process(self, command: bytes) -> bytes:
            return b"\x6a\x82" if command[:3] == b"\x00\xb0\x97" else card.process(command)

    outcome = gate().pass_(InProcess(WithoutInterop()))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.CARD_REFUSED)


def test_a_card_with_a_key_version_the_psam_lacks_is_rejected():
    made = gate()
    made.psam = Psam(TERMINAL, {2: fixtures.load_roots()["PMK"]})
    card = inside()
    outcome = made.pass_(InProcess(card))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.CARD_REFUSED)
    assert balance_of(card) == 5000


def test_a_psam_that_is_worn_out_is_an_error_of_the_gate():
    made = gate()
    made.psam.store.next_seq = 1 << 32
    with pytest.raises(StatusError, match="psam refused"):
        made.pass_(InProcess(inside()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r[:4] + bytes((r[4] ^ 1,)) + r[5:],
        lambda r: b"\x6f\x00",
        lambda r: b"\x62\x00",
        lambda r: b"\x90",
        lost,
    ],
    ids=["a bit of MAC2", "6F00", "6200", "one byte", "lost"],
)
def test_whatever_spoils_the_answer_to_debit_the_passenger_pays_once_and_passes(spoil):
    made, card = gate(), inside()
    first = made.pass_(Altering(card, DEBIT, spoil))
    assert first.verdict is Verdict.TAP_AGAIN
    card.power_off()
    second = made.pass_(InProcess(card))
    assert (second.verdict, second.receipt.recovered) == (Verdict.PASS, True)
    assert balance_of(card) == 4600


def test_a_psam_that_fails_after_debit_leaves_the_passenger_a_second_tap():
    made, card = gate(), inside()
    real = made.psam

    class Failing:
        terminal = TERMINAL
        count = 0

        def transmit(self, command: bytes) -> bytes:
            self.count += 1
            return b"\x69\x01" if self.count == 2 else real.transmit(command)

    made.psam = Failing()
    assert made.pass_(InProcess(card)).verdict is Verdict.TAP_AGAIN
    card.power_off()
    assert made.pass_(InProcess(card)).receipt.recovered
    assert balance_of(card) == 4600


def test_a_card_that_leaves_again_during_recovery_is_still_remembered():
    made, card = gate(), inside()
    made.pass_(Altering(card, DEBIT, lost))
    card.power_off()
    assert made.pass_(Altering(card, GET_PROVE, lost)).verdict is Verdict.TAP_AGAIN
    card.power_off()
    assert made.pass_(InProcess(card)).receipt.recovered


def test_a_debit_the_psam_has_forgotten_goes_to_staff_and_is_not_forgotten(monkeypatch):
    monkeypatch.setattr(psam_store, "UNRESOLVED_KEPT", 3)
    made, card = gate(), inside()
    made.pass_(Altering(card, DEBIT, lost))
    for n in range(3):  # torn between INIT_SAM and DEBIT: the gate remembers none of them
        other = inside(f"031052280099000000{n + 30}")
        with pytest.raises(CardLost):
            made.pass_(Altering(other, type("Spec", (), {"cla": 0x80, "ins": 0xDC}), lost))
    card.power_off()
    outcome = made.pass_(InProcess(card))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.UNPROVEN)
    assert len(made.unresolved) == 1
    # Staff take the card's own proof, and nobody else's.
    card.power_off()
    stranger = InProcess(fixtures.card("ordinary"))
    links = {"psam": made.psam}
    assert run(made.prove(), {**links, "card": stranger}).reason is Reject.UNPROVEN
    dumb = Altering(card, GET_PROVE, lambda response: bytes.fromhex("9406"))
    assert run(made.prove(), {**links, "card": dumb}).reason is Reject.UNPROVEN
    assert len(made.unresolved) == 1
    proved = run(made.prove(), {**links, "card": InProcess(card)})
    assert (proved.verdict, proved.receipt.recovered) == (Verdict.PASS, True)
    assert tac_is_right(proved.receipt, fixtures.load_roots()["TMK"])
    assert made.unresolved == {}
    assert made.months.total(proved.receipt.serial).paid == 400
    assert balance_of(card) == 4600


class LeavingBefore(Altering):
    """The card leaves as a command is sent: it never gets it."""

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == bytes((self.spec.cla, self.spec.ins)):
            raise CardLost("gone")
        return self.card.process(command)


def test_staff_do_not_take_another_gates_proof_for_a_debit_that_never_was():
    made, other, card = gate(), gate(), inside()
    assert made.pass_(LeavingBefore(card, DEBIT, lost)).verdict is Verdict.TAP_AGAIN
    other.psam = Psam(bytes.fromhex("300089000341"), {1: fixtures.load_roots()["PMK"]})
    other.debits.psam = other.psam
    card.power_off()
    assert other.pass_(InProcess(card)).verdict is Verdict.PASS
    made.psam = Psam(TERMINAL, {1: fixtures.load_roots()["PMK"]}, 100)  # remembers nothing
    card.power_off()
    assert made.pass_(InProcess(card)).reason is Reject.UNPROVEN
    proved = run(made.prove(), {"psam": made.psam, "card": InProcess(card)})
    assert (proved.verdict, proved.receipt) == (Verdict.TAP_AGAIN, None)
    assert made.unresolved == {}
    assert not made.months.total(bytes.fromhex("03105228009900000017")).paid
    assert made.pass_(InProcess(card)).reason is Reject.NOT_ENTERED
    assert balance_of(card) == 4600


def test_a_fare_of_the_ride_before_that_staff_let_a_card_prove_opens_nothing():
    bus, card = missed_case().validator(), missed_case().card()
    assert bus.pass_(Altering(card, DEBIT, lost)).verdict is Verdict.TAP_AGAIN
    bus.psam = Psam(bus.psam.terminal, {1: fixtures.load_roots()["PMK"]}, 100)
    card.power_off()
    assert bus.pass_(InProcess(card)).reason is Reject.UNPROVEN
    proved = run(bus.prove(), {"psam": bus.psam, "card": InProcess(card)})
    assert (proved.verdict, proved.receipt.amount) == (Verdict.TAP_AGAIN, MISSED)
    assert bus.pass_(InProcess(card)).verdict is Verdict.PASS
    assert trip_of(card.image).state == BOARDED


def test_a_blocked_card_is_told_so_when_staff_want_its_proof():
    blocked = InProcess(fixtures.card("student-blocked"))
    assert run(gate().prove(), {"psam": gate().psam, "card": blocked}).reason is Reject.BLOCKED


def of_trip(**fields):
    def change(response: bytes) -> bytes:
        return replace(RailTrip.parse(response[:-2]), **fields).build() + OK

    return change


def test_a_trip_from_another_city_is_not_charged_as_ours():
    card = inside()
    foreign = Altering(card, READ_RECORD, of_trip(entry_city=b"\x11\x21"))
    outcome = gate().pass_(foreign)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.STATION_UNKNOWN)
    assert balance_of(card) == 5000


def test_an_entry_time_that_is_no_day_does_not_prolong_the_card():
    late = gate(at=AT.replace(year=2030))
    undated = Altering(inside(), READ_RECORD, of_trip(entry_time=bytes(7)))
    assert late.pass_(undated).reason is Reject.EXPIRED


def test_an_implausible_balance_is_rejected_at_exit_too():
    card = inside()
    made = gate(policy=Policy(max_balance=4999))
    assert made.pass_(InProcess(card)).reason is Reject.BALANCE_IMPLAUSIBLE
    assert balance_of(card) == 5000


def test_61xx_and_6cxx_are_followed():
    """Cards over T=CL need neither, but readers handle both (4.1)."""
    card = inside()

    class Halting:
        waiting = b""

        def process(self, command: bytes) -> bytes:
            if command[1] == 0xC0:
                data, self.waiting = self.waiting, b""
                return data + OK
            if command[1] == 0xB0 and command[-1] == 0:
                return bytes((0x6C, len(card.process(command)) - 2))
            response = card.process(command)
            if len(response) > 10 and response[-2:] == OK:
                self.waiting = response[:-2]
                return bytes((0x61, len(self.waiting)))
            return response

    outcome = gate().pass_(InProcess(Halting()))
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, 400)


def test_a_card_that_says_61_for_ever_is_a_protocol_error():
    class Endless:
        def process(self, command: bytes) -> bytes:
            return b"\x00\x61\x10"

    with pytest.raises(ProtocolError, match="does not end"):
        gate().pass_(InProcess(Endless()))


@pytest.mark.parametrize(
    ("entries", "selected"),
    [
        ("6117 4F08A000000632010105 5008 4D4F545F545F4550 870101", "A000000632010105"),
        (
            "6119 4F08A000000632010106 500A 4D4F545F545F43415348 870101"
            "6117 4F08A000000632010105 5008 4D4F545F545F4550 870102",
            "A000000632010105",
        ),
        (
            "610D 4F08A000000632010105 870102 6115 4F10A00000063201010510009156000014A1 870101",
            "A00000063201010510009156000014A1",
        ),
        ("610A 4F08A000000632010106", "A000000632010105"),
        ("6199", "A000000632010105"),
    ],
    ids=["one", "cash first", "by priority", "not listed", "malformed"],
)
def test_the_ppse_decides_which_purse_is_selected(entries, selected):
    listed = bytes.fromhex(entries)
    inner = b"\xbf\x0c" + bytes((len(listed),)) + listed
    ppse = b"\x6f" + bytes((len(inner) + 2,)) + b"\xa5" + bytes((len(inner),)) + inner
    asked = []

    class Listing:
        def process(self, command: bytes) -> bytes:
            asked.append(command)
            return ppse + OK if len(asked) == 1 else b"\x6a\x82"

    with pytest.raises(StatusError):
        run(select_purse(), {"card": InProcess(Listing())})
    assert asked[1][5:-1].hex().upper() == selected


def host(root: Key | None = None) -> SoftLoadHost:
    roots = fixtures.load_roots()
    return SoftLoadHost(root or roots["LMK"], roots["TMK"])


def loading(info, till):
    return load(info, 1000, till, bytes.fromhex("100000000001"), Moment.of(AT))


def test_a_load_is_not_believed_without_its_proof():
    card = fixtures.card("student")
    link = InProcess(card)
    info = run(select_purse(), {"card": link})
    cut = Altering(card, type("Spec", (), {"cla": 0x80, "ins": 0x52}), lost)
    with pytest.raises(LoadInterrupted, match="CREDIT FOR LOAD") as caught:
        run(loading(info, host()), {"card": cut})
    unresolved = caught.value.unresolved
    liar = Altering(card, GET_PROVE, lambda r: bytes(8) + OK)
    with pytest.raises(ProtocolError, match="MAC2"):
        run(recover_load(unresolved, host()), {"card": liar})
    half = Altering(card, GET_PROVE, lambda r: r[:4] + bytes(4) + OK)
    with pytest.raises(ProtocolError, match="TAC"):
        run(recover_load(unresolved, host()), {"card": half})
    receipt = run(recover_load(unresolved, host()), {"card": link})
    assert (receipt.balance, receipt.recovered) == (1000, True)


def test_a_host_with_another_key_loads_nothing():
    card = fixtures.card("student")
    link = InProcess(card)
    info = run(select_purse(), {"card": link})
    with pytest.raises(ProtocolError, match="MAC1"):
        run(loading(info, host(Key(bytes(16)))), {"card": link})
    assert balance_of(card) == 0


def test_the_psam_credits_the_transaction_under_way_alone():
    sam = gate().psam
    assert SAM_INIT_PURCHASE.ne == 8
    assert sam.process(bytes.fromhex("807200000400000000")) == b"\x69\x01"
    assert sam.process(bytes.fromhex("80720001080000000100000000")) == b"\x6a\x88"
