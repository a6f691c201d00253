"""Line protection of a FMCOS card's files: MAC and encryption, writing and reading (annex 6)."""

import pytest

from emulator.card.dialect import Dialect
from tests.fmcos import Tool, application, field, made_up, scripted
from tests.vectors import independent

NAME = b"fmcos-test"
KEY = made_up("36")
DATA = bytes.fromhex("112233445566778899 00AABBCCDDEEFF")


def protected(kind: str = "A8", protection: str = "FF", **more: Dialect) -> Tool:
    """A directory with key 36 id 00 and a file 0004 of 16 bytes under it."""
    tool = application(**more)
    tool.add_key(0, "36F0F0FF33", KEY)
    tool.create("0004", f"{kind}0010F0F0FF{protection}")
    tool.enter(NAME)
    return tool


@pytest.mark.parametrize("n", [4, 8])
def test_a_file_under_mac_takes_both_lengths_of_challenge(n):
    tool = protected()
    tool("00D68400" + "02AABB", "6987")
    tool.maced("04D68400", KEY, DATA, n=n)
    assert tool("00B0840000") == DATA
    tool.maced("04D68402", KEY, b"\x55", n=n)
    assert tool("00B0840203").hex() == "554455"
    tool("04D684000555AABBCCDD", "6984")


@pytest.mark.parametrize("always", [False, True], ids=["manual", "always a block"])
@pytest.mark.parametrize("size", [1, 6, 7, 8, 15, 16])
def test_a_file_under_encryption_takes_both_paddings(always, size):
    tool = protected("E8")
    tool.enciphered("04D68400", KEY, DATA[:size], always=always)
    assert tool("00B0840000") == DATA[:size].ljust(16, b"\0")


def test_an_enciphered_write_that_makes_no_sense_changes_nothing():
    tool = protected("E8")
    for block, sw in ((b"\x10" + bytes(15), "6988"), (bytes(8), "6700"), (bytes(7), "6700")):
        cipher = independent.t(KEY, block) if len(block) % 8 == 0 else block
        tool.maced("04D68400", KEY, cipher, sw)
    tool("00B0840000", "6281")


@pytest.mark.parametrize("kind", ["2A", "2C", "2E"])
@pytest.mark.parametrize("guard", [0x80, 0xC0], ids=["MAC", "cipher"])
def test_record_files_are_protected_alike(kind, guard):
    tool = application()
    tool.add_key(0, "36F0F0FF33", KEY)
    size = "0020" if kind == "2C" else "0304"
    tool.create("0007", f"{int(kind, 16) | guard:02X}{size}F0F0FFFF")
    tool("00E2003804F7021122", "6987")
    send = tool.maced if guard == 0x80 else tool.enciphered
    send("04E20038", KEY, bytes.fromhex("F7021122"))
    send("04DC013C", KEY, bytes.fromhex("F7023344"))
    assert tool("00B2013C00").hex() == "f7023344"


def test_the_protection_byte_chooses_the_key():
    tool = application()
    for kid in (0, 1, 2, 3):
        tool.add_key(kid, "36F0F0FF33", made_up(f"36 {kid}"))
    for kid, low in ((0, 0xFF), (1, 0xFE), (2, 0xFD), (3, 0xFC)):
        tool.create(f"000{4 + kid}", f"A80004F0F0FF{low:02X}")
        tool.maced(f"04D6{0x84 + kid:02X}00", made_up("other"), b"\xaa", "6988")
        tool.maced(f"04D6{0x84 + kid:02X}00", made_up(f"36 {kid}"), b"\xaa")
    for kid, high in ((0, 0x7F), (1, 0x7B), (2, 0x77), (3, 0x73)):
        tool.create(f"001{kid}", f"280004F0F0FF{high:02X}")
        tool.maced(f"04B0{0x90 + kid:02X}00", made_up(f"36 {kid}"), le="00")


def test_a_directory_with_one_key_uses_it_for_all():
    tool = protected(protection="FC")
    tool.maced("04D68400", KEY, b"\xaa")


def test_protection_binds_in_an_open_directory_too():
    tool = application()
    tool.create("0004", "A80010EFEFFFFF")
    tool("00D68400" + "01AA", "6987")
    tool.maced("04D68400", KEY, b"\xaa", "9403")
    tool.add_key(0, "36F0F0FF33", KEY)
    tool.maced("04D68400", KEY, b"\xaa")


def test_three_bad_macs_in_a_row_block_for_good():
    tool, wrong = protected(), made_up("wrong")
    tool.maced("04D68400", wrong, DATA, "6988")
    tool.maced("04D68400", wrong, DATA, "6988")
    tool.maced("04D68400", KEY, DATA)
    for sw in ("6988", "6988", "9303", "9303"):
        tool.maced("04D68400", wrong, DATA, sw)
    tool("00B0840000", "9303")


def test_a_short_counter_of_the_key_is_what_blocks():
    tool = application()
    tool.add_key(0, "36F0F0FF55", KEY)
    tool.create("0004", "A80010F0F0FFFF")
    for sw in ("6988", "6988", "6988", "6988", "9303"):
        tool.maced("04D68400", made_up("wrong"), DATA, sw)


def test_the_vectors_of_protected_reading():
    key = bytes.fromhex("FF" * 16)
    tool = scripted(["00000000", "D0FE4FB9"])
    tool.key_file()
    tool.add_key(0, "36F0F0FF33", key)
    tool.create("0004", "A80010F0F0FF7F")
    tool.maced("04D68400", key, DATA)
    tool("00B0840000", "6987")
    tool.select("0004")
    tool("0084000004")
    assert tool("04B0000004F09C8A1900") == DATA + bytes.fromhex("8D318577")


@pytest.mark.parametrize("n", [4, 8])
def test_a_file_that_must_be_read_under_mac(n):
    tool = protected(protection="7F")
    tool.maced("04D68400", KEY, DATA)
    tool("00B0840000", "6987")
    tool("04B084000411223344" + "00", "6984")
    iv = independent.challenge_iv(tool.challenge(n))
    mac = independent.retail4(KEY, bytes.fromhex("04B0840204"), iv)
    answer = tool("04B0840204" + mac.hex() + "03")
    assert answer == DATA[2:5] + independent.retail4(KEY, DATA[2:5], iv)
    tool.maced("04B08400", made_up("wrong"), sw="6988", le="00")


def enciphered_answer(tool: Tool, command: str, le: str) -> bytes:
    """What a read under MAC answers, deciphered and its MAC checked."""
    iv = independent.challenge_iv(tool.challenge())
    mac = independent.retail4(KEY, bytes.fromhex(command), iv)
    answer = tool(command + mac.hex() + le)
    assert answer[-4:] == independent.retail4(KEY, answer[:-4], iv)
    plain = independent.t_inverse(KEY, answer[:-4])
    content = plain[1 : 1 + plain[0]]
    assert plain == field(content)
    return content


def test_an_enciphered_file_is_read_in_both_forms():
    tool = protected("E8", "7F")
    tool.enciphered("04D68400", KEY, DATA)
    assert enciphered_answer(tool, "04B0840004", "00") == DATA
    assert enciphered_answer(tool, "04B0840104", "04") == DATA[1:5]
    asked = independent.t(KEY, bytes.fromhex("0380000000000000"))
    assert enciphered_answer(tool, f"04B084020C{asked.hex()}", "") == DATA[2:5]
    tool.maced("04B08400", KEY, bytes(7), "6700")


def test_a_record_that_must_be_read_under_mac():
    tool = application()
    tool.add_key(0, "36F0F0FF33", KEY)
    tool.create("0008", "EA0304F0F0FF7F")
    tool.enciphered("04E20040", KEY, DATA[:4])
    tool("00B2014400", "6987")
    assert enciphered_answer(tool, "04B2014404", "00") == DATA[:4]
    tool.maced("04B20544", KEY, sw="6A83", le="00")


def test_a_free_file_is_read_under_mac_where_the_dialect_has_it():
    tool = protected()
    tool.maced("04D68400", KEY, DATA)
    tool.maced("04B08400", KEY, sw="6882", le="00")
    tool = protected(dialect=Dialect(protected_reads=True))
    tool.maced("04D68400", KEY, DATA)
    assert tool.maced("04B08400", KEY, le="00")[:-4] == DATA
    assert tool("00B0840000") == DATA
    plain = application(dialect=Dialect(protected_reads=True))
    plain.add_key(0, "36F0F0FF33", KEY)
    plain.create("0005", "280010F0F0FFFF")
    plain.maced("04B08500", KEY, sw="6882", le="00")
    plain.maced("04D68500", KEY, DATA, "6882")


@pytest.mark.parametrize("kind", ["A8", "E8"])
def test_a_long_file_is_read_under_mac_in_pieces(kind):
    tool = application()
    tool.add_key(0, "36F0F0FF33", KEY)
    tool.create("0004", f"{kind}0200F0F0FF7F")
    for le in ("00", "EF", "10"):
        answer = tool.maced("04B08400", KEY, le=le)
        assert len(answer) <= 256
    tool.maced("04B08400", KEY, le="FF", sw="6700")
