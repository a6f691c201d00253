"""The PIN of a FMCOS card: verified, changed, reloaded, unblocked (annex 8)."""

import pytest

from tests.fmcos import Tool, application, blank, made_up
from tests.vectors import independent

PIN = "123456"
UNBLOCK, RELOAD = made_up("37"), made_up("38")
NAME = b"fmcos-test"


def with_pin(pin: str = PIN, counter: str = "33") -> Tool:
    tool = application()
    tool.add_key(0, f"3AF0EF01{counter}", bytes.fromhex(pin))
    tool.add_key(0, "37F002FF33", UNBLOCK)
    tool.add_key(0, "38F002FF33", RELOAD)
    tool.create("0005", "28000411F0FFFF")  # readable in state 1: after the PIN
    tool.enter(NAME)
    return tool


def verify(tool: Tool, pin: str, sw: str = "9000", kid: int = 0) -> None:
    tool(f"002000{kid:02X}{len(pin) // 2:02X}{pin}", sw)


def reload(tool: Tool, pin: str, sw: str = "9000", key: bytes = RELOAD, kid: int = 0) -> None:
    new = bytes.fromhex(pin)
    mac = independent.reload_pin_mac({"key": key, "pin": new})["mac"]
    tool(f"805E00{kid:02X}{len(new) + 4:02X}{pin}{mac.hex()}", sw)


@pytest.mark.parametrize(("counter", "most"), [("33", 3), ("88", 8), ("FF", 15)])
def test_tries_run_down_to_63c0_and_then_the_pin_is_locked(counter, most):
    tool = with_pin(counter=counter)
    for left in reversed(range(most)):
        verify(tool, "000000", f"63C{left:X}")
    verify(tool, PIN, "6983")
    verify(tool, "000000", "6983")


def test_a_right_pin_gives_the_tries_back_and_sets_the_state():
    tool = with_pin()
    verify(tool, "000000", "63C2")
    verify(tool, "000000", "63C1")
    tool("00B0850000", "6982")
    verify(tool, PIN)
    tool("00B0850000", "6281")
    verify(tool, "000000", "63C2")


def test_tries_survive_the_field():
    tool = with_pin()
    verify(tool, "000000", "63C2")
    tool.card.power_off()
    tool.card.power_on()
    tool.enter(NAME)
    verify(tool, "000000", "63C1")


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("12345FFFFFFFFFFF", "12345F"),
        ("12345FFFFFFFFFFF", "12345FFFFFFF"),
        (PIN, PIN + "FF"),
        ("FFFFFF", "FFFF"),
        ("1234", "1234"),
        ("123456789012", "123456789012"),
    ],
)
def test_ff_at_the_end_of_a_pin_is_padding(stored, sent):
    verify(with_pin(stored), sent)


@pytest.mark.parametrize("size", [1, 7, 8])
def test_a_pin_has_two_to_six_bytes(size):
    verify(with_pin(), "11" * size, "6700")


def test_a_pin_that_is_not_there():
    tool = with_pin()
    verify(tool, PIN, "9403", kid=1)
    reload(tool, PIN, "9403", kid=1)
    verify(blank(), PIN, "6A82")


def test_the_id_of_a_pin_is_honoured():
    tool = application()
    tool.add_key(0, "3AF0EF0133", bytes.fromhex(PIN))
    tool.add_key(1, "3AF0EF0233", bytes.fromhex("1111"))
    tool.add_key(0, "37F0F0FF33", UNBLOCK)
    tool.add_key(0, "38F0F0FF33", RELOAD)
    tool("805E0101061111FF222222")
    verify(tool, "222222", kid=1)
    reload(tool, "3333", kid=1)
    verify(tool, "3333", kid=1)
    tool.enciphered("84240100", UNBLOCK, bytes.fromhex("4444"))
    verify(tool, "4444", kid=1)
    verify(tool, PIN)


def test_change_is_split_at_the_stored_length():
    tool = with_pin("12FF34")
    tool("805E01000712FF34FFFF5678")
    verify(tool, "FF5678")
    tool("805E010007FF5678001234FF", "63C2")  # no FF between: a try
    tool("805E010005FF5678FF12", "6A80")
    tool("805E010004FF5678FF", "6700")
    tool("805E0100060000FF1234FF", "63C1")
    tool("805E010007FF5678FF121212")
    verify(tool, "121212")
    for sw in ("63C2", "63C1", "63C0"):
        tool("805E010007000000FF343434", sw)
    tool("805E010007121212FF343434", "6983")


def test_reload_takes_the_pin_of_the_recording_under_any_key():
    """The recorded client reloads 13371337; its MAC is over the PIN alone (annex 8)."""
    tool = with_pin()
    for _ in range(4):
        tool.card.process(bytes.fromhex("0020000003000000"))
    reload(tool, "13371337", "9302", made_up("wrong"))
    reload(tool, "13371337")
    verify(tool, "13371337")


def test_three_wrong_reloads_lock_the_reload_key():
    tool = with_pin()
    for _ in range(3):
        reload(tool, "1111", "9302", made_up("wrong"))
    reload(tool, "1111", "6983")


@pytest.mark.parametrize("head", ["84240000", "84240001"])
@pytest.mark.parametrize("n", [4, 8])
@pytest.mark.parametrize("pin", ["2222", "654321", "112233445566"])
def test_unblock_gives_a_locked_pin_a_new_value(head, n, pin):
    tool = with_pin()
    for _ in range(4):
        tool.card.process(bytes.fromhex("0020000003000000"))
    tool.enciphered(head, UNBLOCK, bytes.fromhex(pin), n=n)
    verify(tool, pin)


@pytest.mark.parametrize(
    "block",
    [
        "0700000000000000",
        "0112800000000000",
        "0312345600000000",
        "0312345681000000",
        "0012345680000000",
    ],
)
def test_unblock_refuses_a_block_that_makes_no_sense(block):
    tool = with_pin()
    for _ in range(3):
        tool.maced("84240000", UNBLOCK, independent.t(UNBLOCK, bytes.fromhex(block)), "6988")
    tool.enciphered("84240000", UNBLOCK, bytes.fromhex(PIN), "6983")
    verify(tool, PIN)


def test_unblock_wants_a_challenge_and_whole_blocks():
    tool = with_pin()
    tool("842400000C" + bytes(12).hex(), "6984")
    tool.maced("84240000", UNBLOCK, bytes(7), "6700")
    tool.maced("84240000", UNBLOCK, b"", "6700")
    tool.enciphered("84240000", made_up("wrong"), bytes.fromhex(PIN), "6988")
