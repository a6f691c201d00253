"""Who may do what on a FMCOS card: registers, access bytes, open directories (annex 5.1 to 5.3)."""

import pytest

from emulator.card.card import Card
from tests.fmcos import FACTORY, Tool, application, blank, made_up

PIN = "123456"


# Registers and access bytes (annex 5.1, 5.2)


def test_the_worked_case_of_two_steps():
    """File F1/F2, PIN to state 1, key 39 usable in state 1 alone, to state 2."""
    tool = application()
    tool.add_key(0, "3AF0EF0133", bytes.fromhex(PIN))
    tool.add_key(1, "3911F00233", made_up("39"))
    tool.create("0005", "280004F1F2FFFF")
    tool.enter(b"fmcos-test")
    tool.authenticate(made_up("39"), 1, "6982")
    tool("00D685000411223344", "6982")
    tool("00B0850000", "6982")
    tool(f"0020000003{PIN}")
    tool("00D685000411223344", "6982")
    tool("00B0850000", "6281")
    tool.authenticate(made_up("39"), 1)
    tool("00D685000411223344")
    assert tool("00B0850000").hex() == "11223344"
    tool(f"0020000003{PIN}")  # success sets the state, down too
    tool("00D685000411223344", "6982")
    tool.authenticate(made_up("39"), 1)
    tool.authenticate(made_up("wrong"), 1, "6982")  # its usage is state 1 exactly
    tool("00D685000411223344")
    tool.enter(b"fmcos-test")
    tool("00B0850000", "6982")


def test_a_failure_leaves_the_state_alone():
    tool = application()
    tool.add_key(0, "39F0F0F733", made_up("39"))  # of F7 only the 7 counts
    tool.create("0005", "28000477F0FFFF")
    tool.enter(b"fmcos-test")
    tool.authenticate(made_up("39"))
    tool.authenticate(made_up("wrong"), sw="63C2")
    tool("00B0850000", "6281")


def access_card() -> Tool:
    """Files 01XY with read right XY, and keys 39 that set every state, here and in the MF."""
    tool = blank()
    tool.key_file()
    for state in range(16):
        tool.add_key(state, f"39F0F0{state:02X}33", FACTORY)
    tool.directory("3F01", b"rights", 0x2000)
    tool.enter(b"rights")
    tool.key_file()
    for state in range(16):
        tool.add_key(state, f"39F0F0{state:02X}33", FACTORY)
    for access in range(256):
        tool.create(f"01{access:02X}", f"280001{access:02X}F0FFFF")
    return tool


def readable(card: Card, accesses: range) -> set[int]:
    found = set()
    for access in accesses:
        assert card.process(bytes.fromhex(f"00A400000201{access:02X}")) == b"\x90\x00"
        sw = card.process(bytes.fromhex("00B0000000"))[-2:].hex()
        assert sw in ("6281", "6982")
        if sw == "6281":
            found.add(access)
    return found


def test_every_access_byte_in_every_state():
    tool = access_card()
    for state in range(16):
        tool.enter(b"rights")
        tool.authenticate(FACTORY, state)
        expected = {0x00}  # X = 0 looks at the MF, whose state is 0
        for x in range(1, 16):
            expected |= {x << 4 | y for y in range(16) if y <= state <= x}
        assert readable(tool.card, range(256)) == expected, state


def test_access_bytes_0y_look_at_the_mfs_state():
    tool = access_card()
    for state in range(16):
        tool.select("3F00")
        tool.authenticate(FACTORY, state)
        tool.enter(b"rights")
        assert readable(tool.card, range(16)) == set(range(state + 1))
        tool.authenticate(FACTORY, 15)  # under the directory: not the MF's state
        assert readable(tool.card, range(16)) == set(range(state + 1))
    tool.card.power_off()
    tool.card.power_on()
    tool.enter(b"rights")
    assert readable(tool.card, range(16)) == {0}


def test_the_mf_keeps_its_state_when_it_is_entered_again():
    tool = access_card()
    tool.authenticate(FACTORY, 3)
    tool.select("3F00")
    tool.create("0005", "28000133F0FFFF")
    tool("00B0850000", "6982")
    tool.authenticate(FACTORY, 3)
    tool.enter(b"rights")
    tool.select("3F00")
    tool("00B0850000", "6281")


# Open directories (annex 5.3)


def test_an_empty_directory_is_open_until_it_is_left():
    tool = blank()
    tool.directory("3F01", b"closed", rights="EFEF")
    tool.enter(b"closed")
    tool.enter(b"closed")  # still empty, still open
    tool.key_file(add="EF")
    tool.add_key(0, "39F0EF0133", made_up("39"))
    tool.create("0005", "280004EFEFFFFF")
    tool("00D685000411223344")
    assert tool("00B0850000").hex() == "11223344"
    tool.enter(b"closed")
    for command in ("00D685000411223344", "00B0850000", "800E000000"):
        tool(command, "6982")
    tool.create("0006", "280004EFEFFFFF", "6982")
    tool.add_key(1, "39F0EF0133", made_up("39"), "6982")


@pytest.mark.parametrize("leave", ["power", "select"])
def test_it_is_left_by_select_and_by_power_off(leave):
    tool = blank()
    tool.directory("3F01", b"closed", rights="EFF0")
    tool.enter(b"closed")
    tool.create("0005", "280004EFEFFFFF")
    if leave == "power":
        tool.card.power_off()
        tool.card.power_on()
    else:
        tool.select("3F00")
    tool.enter(b"closed")
    tool.create("0006", "280004EFEFFFFF", "6982")
    tool("800E000000")  # which opens it again
    tool.create("0006", "280004EFEFFFFF")


def test_a_directory_with_a_directory_in_it_is_not_empty():
    tool = blank()
    tool.directory("3F01", b"closed", rights="EFEF")
    tool.enter(b"closed")
    tool.directory("3F02", b"below", 0x0100)
    tool.enter(b"closed")
    tool.key_file(sw="6982")


def test_a_refused_command_does_not_leave_the_directory():
    tool = blank()
    tool.directory("3F01", b"closed", rights="EFEF")
    tool.enter(b"closed")
    tool.key_file()
    tool(f"00A4040007{b'nowhere'.hex()}", "6A82")
    tool.create("0005", "280004EFEFFFFF")
