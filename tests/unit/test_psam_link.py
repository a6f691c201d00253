"""A PSAM behind a transport is the same to the gate as one in process."""

from collections.abc import Callable

import pytest

from apdu.commands import SAM_INIT_PURCHASE
from apdu.sw import SW
from reader.gate import Direction, Gate, Verdict
from reader.psam import ATR, Psam
from reader.psam_link import RemotePsam
from reader.session import ProtocolError, StatusError
from reader.transport.base import CardLost
from tests.cards import OK
from tests.gates import NOW, TERMINAL, case, passed, psam
from tests.vectors.ladders import sam_keys


class Front:
    """A PSAM with something before it: `change` sees each command, and answers or lets it pass."""

    def __init__(self, change: Callable[[bytes], bytes | None]) -> None:
        self.psam = psam()
        self.change = change
        self.commands: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        answer = self.change(command)
        return self.psam.process(command) if answer is None else answer


class TZero:
    """A PSAM that speaks T=0: no Le with data, and answers wait for GET RESPONSE."""

    def __init__(self) -> None:
        self.psam = psam()
        self.waiting = b""

    def transmit(self, command: bytes) -> bytes:
        if command[1] == 0xC0:
            assert command[4] == len(self.waiting)
            return self.waiting + OK
        if len(command) > 5:
            assert len(command) == 5 + command[4], "case 4 has no Le in T=0"
        response = self.psam.process(command)
        if len(command) > 5 and len(response) > 2:
            self.waiting = response[:-2]
            return bytes((0x61, len(self.waiting)))
        return response


def nothing(command: bytes) -> None:
    return None


def gate_with(sam, direction: Direction) -> tuple[Gate, object]:
    given = case(direction)
    made = given.gate()
    return Gate(made.config, sam, lambda: NOW), given.card()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    "make",
    [psam, lambda: RemotePsam(psam()), lambda: RemotePsam(TZero(), is_t0=True)],
    ids=["in process", "behind a link", "over T=0"],
)
def test_a_gate_passes_cards_with_any_psam(make, direction):
    outcome = passed(*gate_with(make(), direction))
    assert outcome.verdict is Verdict.PASS
    assert outcome.receipt == passed(*gate_with(psam(), direction)).receipt


def test_who_the_psam_is_is_read_from_it():
    remote = RemotePsam(Psam(TERMINAL, sam_keys(), key_index=41))
    assert (remote.terminal, remote.key_index) == (TERMINAL, 41)


def test_the_ladder_of_the_introduction_is_as_printed():
    front = Front(nothing)
    RemotePsam(front)
    assert [c.hex().upper() for c in front.commands] == [
        "00A40000023F00",
        "00B0960006",
        "00B0970001",
        "00A40000028011",
    ]


def test_files_that_are_only_in_8011_are_read_there():
    is_inside = False

    def only_inside(command: bytes) -> bytes | None:
        nonlocal is_inside
        is_inside = is_inside or command.endswith(b"\x80\x11")
        return None if is_inside or command[1] == 0xA4 else b"\x6a\x82"

    assert RemotePsam(Front(only_inside)).terminal == TERMINAL


def test_no_psam_is_told_in_words():
    with pytest.raises(StatusError, match="the psam refused SAM SELECT FILE with 6A82"):
        RemotePsam(Front(lambda command: b"\x6a\x82"))


def test_a_terminal_number_that_is_too_short_is_told():
    short = Front(lambda c: b"\x01\x02" + OK if c.startswith(b"\x00\xb0\x96") else None)
    with pytest.raises(ProtocolError, match="EF16 gave 2 bytes, expected 6"):
        RemotePsam(short)


def test_a_psam_that_goes_away_breaks_the_tap_before_money_moves():
    def gone(command: bytes) -> bytes | None:
        if command.startswith(bytes((0x80, SAM_INIT_PURCHASE.ins))):
            raise CardLost("the PSAM left its slot")
        return None

    gate, card = gate_with(RemotePsam(Front(gone)), Direction.EXIT)
    before = card.purse
    with pytest.raises(CardLost):
        passed(gate, card)
    assert card.purse == before


def test_its_atr_is_that_of_a_contact_card_with_t_1():
    assert ATR.hex() == "3b860154425053414d9e"
    check = 0
    for byte in ATR[1:]:
        check ^= byte
    assert (check, psam().power_on()) == (0, ATR)


def test_the_psam_of_a_gate_may_lack_the_card_s_key():
    gate, card = gate_with(RemotePsam(Psam(TERMINAL, {2: sam_keys().purchase[1]})), Direction.EXIT)
    outcome = passed(gate, card)
    assert f"{SW.KEY_INDEX:04X}" in outcome.detail
