"""Files of a FMCOS card: creating them, their space, SELECT, records (annex 3, 9, 10)."""

import pytest

from tests.fmcos import application, blank

NAME = b"fmcos-test"


# CREATE FILE


@pytest.mark.parametrize(
    ("header", "sw"),
    [
        ("2E0117F0EFFFFF", "6A80"),  # a cyclic file of one record
        ("2A0100F0EFFFFF", "6A80"),
        ("2A0200F0EFFFFF", "6A80"),  # records of nothing
        ("2A02F9F0EFFFFF", "6A80"),  # records of 249
        ("2B0010F0F0FFFF", "6A80"),  # no such type
        ("080010F0F0FFFF", "6A80"),
        ("AF0208F000FF18", "6A80"),
        ("2F0209F000FF18", "6A80"),
        ("280010F0F0FF", "6700"),
        ("280010F0F0FFFFFF", "6700"),
        ("38001000F095FFFF", "6700"),  # a directory without a name
        ("2A02F8F0F0FFFF", "9000"),
    ],
)
def test_file_headers(header, sw):
    application().create("0005", header, "6700" if len(header) < 14 else sw)


def test_a_file_id_is_used_once_in_its_directory():
    tool = application()
    tool.create("0005", "280010F0F0FFFF")
    tool.create("0002", "2F0208F000FF18")
    tool.directory("3F02", b"below", 0x0100)
    for fid in ("0005", "0002", "3F02", "3F00"):
        tool.create(fid, "2C0010F0F0FFFF", "6A86")
        tool.directory(fid, b"another", 0x0100, sw="6A86")
    tool.create("0002", "2F0208F000FF18", "6A86")
    tool.directory("3F04", b"below", 0x0100, sw="6A86")
    tool.directory("3F04", NAME, 0x0100, sw="6A86")
    tool.enter(b"below")
    tool.create("0005", "280010F0F0FFFF")  # another directory, another name space
    tool.create("0003", "2F0208F000FF18", "6A80")  # purses are 0001 and 0002


def test_directories_go_three_deep():
    tool = blank()
    for fid, name in (("3F01", b"second"), ("3F02", b"third")):
        tool.directory(fid, name, 0x0800 if fid == "3F01" else 0x0100)
        tool.enter(name)
    tool.directory("3F03", b"fourth", 0x0010, sw="6A80")


def test_space_is_counted_with_headers():
    """11 for every file, records with one byte more, 22 for a purse; 1000 in all (annex 3.2)."""
    tool = blank()
    tool.directory("3F01", b"small", 1000)
    tool.enter(b"small")
    tool.key_file(100)  # 111
    tool.create("0018", "2E0A17F0EFFFFF")  # 251
    tool.create("0002", "2F0208F000FF18")  # 33
    tool.create("0005", "2C0064F0F0FFFF")  # 111
    tool.directory("3F02", b"below", 100)  # 116
    left = 1000 - 111 - 251 - 33 - 111 - 116
    tool.create("0006", f"28{left - 10:04X}F0F0FFFF", "6A84")
    tool.create("0006", f"28{left - 11:04X}F0F0FFFF")
    for header in ("280000F0F0FFFF", "2F0208F000FF18", "2A0201F0F0FFFF"):
        tool.create("0001", header, "6A84")
    tool.directory("3F03", b"none", 1, sw="6A84")
    tool.directory("3F03", b"none", 0xFFFF, sw="6A84")
    tool("800E000000")
    tool.key_file(989)
    tool.create("0005", "280000F0F0FFFF", "6A84")


def test_created_is_not_selected():
    tool = application()
    tool.create("0005", "280004F0F0FFFF")
    tool("00B0000000", "6986")
    tool.directory("3F02", b"below", 0x0100)
    tool.create("0006", "280004F0F0FFFF")
    tool.select("0006")
    tool("00D600000411223344")
    assert tool("00B0000000").hex() == "11223344"


# SELECT (annex 9)


def test_the_fci_shows_the_file_named_by_its_directory():
    tool = application()
    assert tool.enter(NAME) == b"\x6f\x0c\x84\x0a" + NAME
    tool.create("0015", "28001EF0F0FFFF")
    fci = tool.enter(NAME)
    assert fci == b"\x6f\x33\x84\x0a" + NAME + bytes.fromhex("A5259F0801029F0C1E") + bytes(30)


def test_a_directory_for_a_dir_file_shows_its_number():
    tool = blank()
    tool.create("3F01", "380100F0F001FFFF" + NAME.hex())
    assert tool.enter(NAME) == b"\x6f\x11\x84\x0a" + NAME + bytes.fromhex("A503880101")


def test_ones_own_id_is_oneself_and_not_a_child():
    tool = application()
    tool.directory("3F01", b"child", 0x0100)
    tool.directory("3F02", b"other", 0x0100)
    assert NAME in tool.select("3F01")
    assert b"other" in tool.select("3F02")
    tool("00A40000023F02")
    tool("00A40000020002", "6A82")
    assert b"1PAY" in tool.select("3F00")


# Records (annex 10)


def test_a_variable_file_is_read_by_number_and_by_tag():
    tool = application()
    tool.create("0007", "2C0020F0F0FFFF")
    tool("00DC0038", "6700")
    tool("00DC003A04F7021122")  # P1 00 mode 010: a new record
    tool("00E2003803F70133")
    tool("00E2003C03B60144")  # APPEND in mode 100, as the manual has it
    assert tool("00B2013C00").hex() == "f7021122"
    assert tool("00B2033C03").hex() == "b60144"
    assert tool("00B2B63800").hex() == "b60144"
    assert tool("00B2F73800").hex() == "f7021122"
    tool("00DCF73804F7025566")  # first of that tag
    tool("00DCF73903F70177")  # last of that tag
    tool("00DC033C03B60188")
    assert [tool(f"00B2{n:02X}3C00").hex() for n in (1, 2, 3)] == ["f7025566", "f70177", "b60188"]
    tool("00DC013C03F70177", "6A84")  # the length stays
    tool("00DC043C03F70177", "6A83")
    tool("00DC553803F70177", "6A83")
    tool("00DC013C03F70277", "6700")  # tag, length, value
    tool("00B2043C00", "6A83")
    tool("00B2013C03", "6C04")
    tool(f"00E2003817F715{bytes(21).hex()}", "6A84")


def test_record_one_of_an_empty_file_is_created_by_update():
    tool = application()
    tool.create("0007", "2C0020F0F0FFFF")
    tool("00DC013C03F70177")
    tool.create("0008", "2A0304F0F0FFFF")
    tool("00DC024411", "6700")
    tool("00DC02440411223344", "6A83")
    tool("00DC01440411223344")
    assert tool("00B2014400").hex() == "11223344"


def test_a_linear_file_grows_at_its_end():
    tool = application()
    tool.create("0008", "2A0304F0F0FFFF")
    for n in range(1, 4):
        tool("00E2004004" + bytes((n,)).hex() * 4)
    tool("00E200400411223344", "6A84")
    assert [tool(f"00B2{n:02X}4404").hex() for n in (1, 2, 3)] == [
        "01010101",
        "02020202",
        "03030303",
    ]
    tool("00DC02440455555555")
    tool("00DC0244035555FF", "6700")
    tool("00DC024405555555FFFF", "6A84")
    assert tool("00B2024400").hex() == "55555555"
    tool("00B2044400", "6A83")
    tool("00B2014403", "6C04")


def test_a_cyclic_file_grows_on_top_in_every_mode_of_append():
    tool = application()
    tool.create("0009", "2E0302F0F0FFFF")
    for p1, mode in (("00", 3), ("01", 2), ("00", 0), ("00", 1), ("00", 4)):
        tool(f"00DC{p1}{0x48 | mode:02X}02{mode:02X}{mode:02X}")
    tool("00E200480299AA")
    assert [tool(f"00B2{n:02X}4C00").hex() for n in (1, 2, 3)] == ["99aa", "0404", "0101"]
    tool("00DC024C020505")  # a number replaces in place
    assert tool("00B2024C00").hex() == "0505"
    tool("00B2044C00", "6A83")


def test_sfi_zero_is_the_current_file():
    tool = application()
    tool.create("0108", "2A0302F0F0FFFF")  # out of reach of an SFI
    tool("00B2010400", "6986")
    tool.select("0108")
    tool("00E20000021122")
    tool("00DC0104023344")
    assert tool("00B2010400").hex() == "3344"
    tool("00B0000000", "6981")


def test_record_and_binary_commands_know_their_files():
    tool = application()
    tool.create("0005", "280004F0F0FFFF")
    tool.create("0008", "2A0304F0F0FFFF")
    for command in ("00B2012C00", "00DC012C0111", "00E2002811", "00E200280111", "00B0880000"):
        tool(command, "6700" if command == "00E2002811" else "6981")
    tool("00D688000111", "6981")


def test_a_file_never_written_says_so():
    tool = application()
    tool.create("0005", "280004F0F0FFFF")
    assert tool("00B0850000", "6281") == bytes(4)
    tool("00D685020111")
    assert tool("00B0850000").hex() == "00001100"
    tool("00B0850400", "6B00")
    tool("00D6850401AA", "6B00")
    tool("00D6850302AABB", "6700")


def test_a_file_longer_than_an_answer_is_read_in_pieces():
    tool = application()
    tool.create("0105", "280200F0F0FFFF")
    tool.select("0105")
    content = bytes(range(200))
    for offset in (0, 200):
        tool(f"00D6{offset:04X}C8{content.hex()}")
    assert tool("00B0000000") == (content * 2)[:256]
    assert tool("00B0010000") == (content * 2)[256:] + bytes(112)
