"""A blank FMCOS card personalised as recorded; its life cycle and its keys (annex 1 to 4, 12).

Vectors are the annex's that are marked as verified. The keys are made up but for the transport
default FF, which is public.
"""

import pytest

from tests.fmcos import FACTORY, MF_NAME, Tool, application, blank, factory, made_up, scripted
from tests.vectors import independent

WALLET = b"walletTest"
PIN = "123456"


def recorded() -> list[str]:
    """The 23 commands of the recording (annex 12), with made-up keys."""
    keys = [
        *("30F0F40598", "31F0F40598", "32F0F40598", "34F0020001", "36F002FF33", "37F002FF33"),
        *("38F002FF33", "39F0024433", "3EF0020001", "3FF0020001", "3DF0020001", "3CF0020001"),
    ]
    return [
        "00A40000023F0000",
        "00A40000023F0000",
        "800E000000",
        f"80E03F0112381500F0F095FFFF{WALLET.hex()}",
        f"00A404000A{WALLET.hex()}",
        "80E00000073F020095F0FFFF",
        *(f"80D4010015{key}{made_up(key[:2]).hex()}" for key in keys),
        f"80D40100083AF0EF0133{PIN}",
        "80E00018072E0517F0EFFFFF",
        "80E00019072E0517F0EFFFFF",
        "80E00002072F0208F000FF18",
        "80E00001072F0208F000FF19",
    ]


def wallet() -> Tool:
    tool = blank()
    for command in recorded():
        tool(command)
    return tool


# The recording


def test_the_recorded_personalisation_is_taken_as_it_was_sent():
    assert len(recorded()) == 23
    tool = wallet()
    assert tool.enter(WALLET) == b"\x6f\x0c\x84\x0a" + WALLET  # EF15 was never made: no A5
    assert tool.select("3F00") == b"\x6f\x10\x84\x0e" + MF_NAME
    tool.enter(WALLET)
    assert tool("805C000204") == tool("805C000104") == bytes(4)


def test_after_it_the_rights_bind():
    tool = wallet()
    tool.enter(WALLET)
    other = made_up("another")
    for kid, attributes in ((0, "34F0020001"), (0, "3EF0020001"), (0, "30F0F40598")):
        tool.write_key(int(attributes[:2], 16), kid, attributes, other, "6982")
    tool.write_key(0x3A, 0, "3AF0EF0133", bytes.fromhex(PIN), "6982")
    tool(f"00E200C017{bytes(23).hex()}", "6982")
    tool.authenticate(made_up("39"))
    tool.write_key(0x30, 0, "30F0F40598", other)  # the state is 4 now: F4 is met
    tool.write_key(0x34, 0, "34F0020001", other, "6982")  # 02 looks at the MF's state
    tool.add_key(1, "39F0020133", other)  # adding keys is free
    tool.create("001E", "2E0A30F0EFFFFF")


def test_the_recorded_wallet_counts_wrong_pins_as_recorded():
    tool = wallet()
    tool.enter(WALLET)
    tool(f"0020000003{PIN}")
    for sw in ("63C2", "63C1", "63C0", "6983"):
        tool("0020000003000000", sw)
    tool(f"0020000003{PIN}", "6983")


def test_the_recorded_wallet_loads_with_index_00():
    tool = wallet()
    tool.enter(WALLET)
    tool(f"0020000003{PIN}")
    offer = tool("805000020B000000000A11223344556610")
    assert offer[:8] == bytes.fromhex("0000000000000001")
    i = {"dlk": made_up("3F"), "random": offer[8:12], "seq": offer[4:6], "old_balance": bytes(4)}
    i |= {"amount": bytes.fromhex("0000000A"), "terminal": bytes.fromhex("112233445566")}
    at = {"date": bytes.fromhex("20250910"), "time": bytes.fromhex("081530")}
    made = independent.load(i | at | {"dtk": made_up("34"), "new_balance": i["amount"]})
    assert offer[12:] == made["mac1"]
    assert tool(f"805200000B20250910081530{made['mac2'].hex()}04") == made["tac"]
    assert tool("00B201C400").hex().startswith("00010000000000000a02")


# Life cycle (annex 1, 2)


def test_a_card_as_sold_is_emptied_after_its_transport_key():
    tool = factory(["53FD1F262EC4E6E2"])
    tool("800E000000", "6982")
    tool("0084000008")
    tool("0082000008A0DBBFC1192FF24A")
    tool("800E000000")
    assert not tool.card.image.directories[0].keys
    tool("00820000080000000000000000", "6A82")


def test_the_masters_manual_vector_of_external_authenticate():
    tool = scripted(["BB83BFF3"])
    tool.key_file()
    tool.add_key(0, "39F0F00133", bytes.fromhex("0102030405060708"))
    tool("0084000004")
    tool("008200000874B0047DD681D96C")


def test_a_second_mf_exists_already():
    blank().create("3F00", "38FFFFF0F001FFFFFFFFFFFFFF", "6A86")


def test_erase_takes_everything_below_and_what_is_volatile():
    tool = blank()
    tool.key_file()
    tool.add_key(0, "39F0F00533", FACTORY)
    tool.directory("3F01", b"first", 0x0800)
    tool.enter(b"first")
    tool.directory("3F02", b"below", 0x0100)
    tool.select("3F00")
    tool.directory("3F03", b"second", 0x0100)
    tool.enter(b"first")
    tool("800E000000")
    tool(f"00A4040005{b'below'.hex()}", "6A82")
    tool.enter(b"second")
    tool.select("3F00")
    tool.authenticate(FACTORY)
    tool.create("0005", "280001F5F0FFFF")  # readable in states 5 to F
    tool("00B0850000", "6281")
    tool("800E000000")
    tool.create("0005", "28000105F0FFFF")
    tool("00A40000023F00")
    tool("00B0850000", "6982")  # the state of the MF went with its keys
    tool(f"00A4040006{b'second'.hex()}", "6A82")


def test_erase_wants_nothing_more():
    blank()("800E000001", "6700")
    blank()("800E010000", "6A86")
    blank()("800E000001FF", "6700")


# WRITE KEY (annex 4)


def test_the_vectors_of_protected_keys():
    cipher = "7C87BC23140021B3AFEA67E6359DDCFE"
    tool = scripted(["4C45BAB9", "EF364818", "C0B3549C"])
    tool.key_file()
    tool.add_key(0, "39F0F0AAFF", FACTORY)
    tool.add_key(1, "39F0F0AAFF", bytes(8))
    tool("0084000004")
    tool(f"84D4010214{cipher}D7C943F6")
    tool("0084000004")
    tool(f"84D4390114{cipher}9095E4E1")
    tool("0084000004")
    tool("84D4F902147E65DE142F66CA41AFEA67E6359DDCFE012EF5F5")
    keys = tool.card.image.directories[0].keys
    assert [keys[0x39, kid].guard for kid in (0, 1, 2)] == [0x00, 0xC0, 0x00]
    new = bytes.fromhex("1122334455667788")
    assert all(keys[0x39, kid].secret.expose() == new for kid in (1, 2))


def with_master() -> Tool:
    tool = application()
    tool.add_key(0, "39F0F00433", made_up("master"))
    return tool


def test_keys_are_added_once_each_and_changed_at_their_length():
    tool, key = with_master(), made_up("key")
    tool.add_key(0, "36F0F0FF33", key)
    tool.add_key(0, "36F0F0FF33", key, "6A86")
    tool.add_key(0, "3BF0F0FF33", key, "6A80")
    tool.add_key(0xFF, "36F0F0FF33", key, "6A86")
    tool.add_key(1, "36F0F0FF33", key[:9], "6700")
    tool.write_key(0x36, 0, "36F0F0FF66", made_up("new"))
    tool.write_key(0x36, 0, "36F0F0FF33", key[:8], "6700")
    tool.write_key(0x36, 7, "36F0F0FF33", key, "6A88")
    tool.write_key(0x37, 0, "36F0F0FF33", key, "6A88")


def test_a_full_key_file_takes_no_more():
    tool = blank()
    tool.key_file(24 + 16 + 11 - 1)
    tool.add_key(0, "36F0F0FF33", made_up("a"))  # 24 bytes
    tool.add_key(1, "36F0F0FF33", made_up("b", 8))  # 16 bytes
    tool.add_key(0, "3AF0EF0133", bytes.fromhex(PIN), "6A84")  # 11 bytes
    tool.add_key(0, "3AF0EF0133", b"12")


def test_the_key_file_comes_first_and_once():
    tool = blank()
    tool.add_key(0, "39F0F00133", FACTORY, "6A82")
    tool.key_file()
    tool.key_file(sw="6A86")
    tool = blank()
    tool.create("0005", "280001F0F0FFFF")
    tool.key_file(sw="6A86")
    tool = blank()
    tool.directory("3F01", b"first")
    tool.key_file(sw="6A86")


def test_a_protected_key_is_written_under_mac_alone():
    tool, master = with_master(), made_up("master")
    tool.add_key(0, "F6F0F0FF33", made_up("36"), "6987")
    tool.write_key_secret(0x01, 0, "F6F0F0FF33", made_up("36"), made_up("wrong"), "9302")
    tool.write_key_secret(0x01, 0, "F6F0F0FF33", made_up("36"), master)
    tool.write_key(0x36, 0, "36F0F0FF33", made_up("37"), "6A88")  # P1 is the stored type byte
    tool.write_key(0xF6, 0, "36F0F0FF33", made_up("37"), "6987")
    tool.write_key_secret(0xF6, 0, "36F0F0FF33", made_up("37"), master)
    tool.write_key(0x36, 0, "F6F0F0FF33", made_up("38"))  # a plain key may become a secret one
    tool("84D4F6001C" + bytes(28).hex(), "6984")


@pytest.mark.parametrize("bit", [0x80, 0x40], ids=["80", "40"])
def test_one_protection_bit_alone_is_mac_without_encryption(bit):
    tool, master = with_master(), made_up("master")
    stored = f"{0x36 | bit:02X}F0F0FF33"
    tool.add_key(0, stored, made_up("36"))
    tool.write_key(0x36 | bit, 0, stored, made_up("37"), "6987")
    plain = bytes.fromhex(stored) + made_up("37")
    tool.maced(f"84D4{0x36 | bit:02X}00", made_up("wrong"), plain, "9302")
    tool.maced(f"84D4{0x36 | bit:02X}00", master, plain)


def test_a_directorys_first_key_goes_in_under_the_mfs_master():
    tool = blank()
    tool.key_file()
    tool.directory("3F01", b"first")
    tool.enter(b"first")
    tool.key_file()
    tool.write_key_secret(0x01, 0, "F9F0F00433", made_up("new"), made_up("MF"), "6A88")
    tool.select("3F00")
    tool.add_key(0, "39F0F00433", made_up("MF"))
    tool.enter(b"first")
    tool.write_key_secret(0x01, 0, "F9F0F00433", made_up("new"), made_up("MF"))
    tool.write_key_secret(0x01, 0, "FEF0F00433", made_up("DPK"), made_up("MF"), "9302")
    tool.write_key_secret(0x01, 0, "FEF0F00433", made_up("DPK"), made_up("new"))


def test_an_update_overwrites_the_counter_and_frees_a_locked_key():
    tool = with_master()
    for sw in ("63C2", "63C1", "63C0", "6983"):
        tool.authenticate(made_up("wrong"), sw=sw)
    tool.write_key_secret(0x39, 0, "39F0F00433", made_up("new"), made_up("master"), "6983")
    tool.write_key(0x39, 0, "39F0F00466", made_up("new"))
    tool.authenticate(made_up("wrong"), sw="63C5")
    tool.authenticate(made_up("new"))


# INTERNAL AUTHENTICATE (annex 5.4)


def test_the_vectors_of_internal_authenticate():
    tool, key = application(), bytes.fromhex("1122334455667788")
    for kind in ("30", "31", "32"):
        tool.add_key(0, f"{kind}F0F00598", key)
    assert tool("00880000080102030405060708").hex().upper() == "178F59F8578E0D3F"
    assert tool("0088010008178F59F8578E0D3F").hex() == "0102030405060708"
    assert tool("00880200080102030405060708").hex().upper() == "A82A8CEB"


def test_internal_authenticate_wants_the_right_key_and_right():
    tool = application()
    tool.add_key(1, "30F0F00598", made_up("30"))
    tool.add_key(2, "3211F00598", made_up("32"))
    tool.enter(b"fmcos-test")
    tool("00880101080102030405060708", "6981")
    tool("00880000080102030405060708", "6A88")
    tool("00880202080102030405060708", "6982")
    tool("008800010701020304050607", "6700")
    blank()("00880000080102030405060708", "6A82")
