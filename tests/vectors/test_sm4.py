"""The experimental SM4 purse through card, gate and load host. Invented, NOT interoperable (5.9).

`tests.vectors.independent` works out what the card must answer. The vectors of
`sm4_experimental.json` stop at MAC1 of CV1; the card is made to reach exactly that.
"""

from dataclasses import replace
from datetime import datetime

import fixtures
from apdu.bcd import Moment
from apdu.sm4 import Sm4Key
from bench.clock import SHANGHAI
from bench.scenario import ENTRY_STATION, ENTRY_TERMINAL, make_gate
from emulator.card.dialect import Dialect
from emulator.card.env import ScriptedEnv
from emulator.card.personalise import personalise
from issuer.loads import SoftLoadHost
from issuer.tac import tac_is_right
from reader.gate import Direction, Verdict
from reader.loading import load
from reader.psam import Psam
from reader.session import run
from reader.transactions import select_purse
from reader.transport.inprocess import InProcess
from tests.fmcos import Tool, application, made_up
from tests.vectors.independent import blocks, complement, padded, sm4, xor

ROOTS = {name: Sm4Key(key.expose()) for name, key in fixtures.load_roots().items()}
ISSUER, SERIAL = bytes.fromhex("09981001FFFFFFFF"), bytes.fromhex("5228009900000017")
AT = datetime(2025, 9, 8, 7, 30, 15, tzinfo=SHANGHAI)
TERMINAL, WHEN = "112233445566", "20250910081530"


def mac(key: bytes, text: str) -> bytes:
    chain = bytes(16)
    for block in blocks(padded(bytes.fromhex(text), 16), 16):
        chain = sm4(key, xor(chain, block))
    return chain[:4]


def halves(key: bytes, block: bytes) -> bytes:
    """5.9: the block and its complement, for diversification and session keys alike."""
    return sm4(key, block + complement(block))


def card_key(root: str) -> bytes:
    return halves(halves(ROOTS[root].expose(), ISSUER), SERIAL)


def online(random: str, root: str, seq: int) -> bytes:
    """Session key of a load, unload or limit change."""
    return halves(card_key(root), bytes.fromhex(f"{random}{seq:04X}8000"))


def student(*randoms: str, **numbers: int) -> Tool:
    profile = fixtures.load_profile("student")
    profile = replace(profile, dialect=Dialect(sm4=True), algorithm=0x03, **numbers)
    env = ScriptedEnv(bytes.fromhex(n) for n in randoms)
    tool = Tool(personalise(profile, fixtures.load_roots(), env))
    tool("00A4040008A000000632010105")
    return tool


def test_the_card_takes_the_mac1_of_the_vectors_and_not_that_of_3des():
    tool = student("A1B2C3D4", "A1B2C3D4", balance=5000, offline_seq=0x12)
    begin = "805003020B01000000003000890001950F"
    debit = "805401000F0000010120250908073015"
    assert tool(begin).hex() == "0000138800120000000103a1b2c3d4"
    tool(f"{debit}94E7639508", "9302")  # MAC1 of CV1 under 3DES
    tool(begin)
    answer = tool(f"{debit}35F1A75708")
    session = halves(card_key("PMK"), bytes.fromhex("A1B2C3D400120101"))
    assert session.hex().upper() == "656FC81BD795944E503411085AECDA31"
    tac = mac(card_key("TMK"), "00000000093000890001950000010120250908073015")
    assert answer == tac + mac(session, "00000000")
    assert tool("805A000902001308") == answer[4:] + answer[:4]


def test_load_unload_and_limit():
    random = "01020304"
    tool = student(random, random, random)
    session = online(random, "LMK", 0)
    offer = tool(f"805000020B0100001388{TERMINAL}10")
    assert offer[12:] == mac(session, f"000000000000138802{TERMINAL}")
    mac2 = mac(session, f"0000138802{TERMINAL}{WHEN}")
    tac = tool(f"805200000B{WHEN}{mac2.hex()}04")
    assert tac == mac(card_key("TMK"), f"0000138800000000138802{TERMINAL}{WHEN}")
    session = online(random, "UMK", 1)
    offer = tool(f"805005020B01000003E8{TERMINAL}10")
    assert offer[12:] == mac(session, f"00001388000003E803{TERMINAL}")
    mac2 = mac(session, f"000003E803{TERMINAL}{WHEN}")
    mac3 = tool(f"805403000B{WHEN}{mac2.hex()}04")
    assert mac3 == mac(session, f"00000FA00001000003E803{TERMINAL}{WHEN}")
    session = online(random, "OMK", 2)
    offer = tool(f"805004010701{TERMINAL}13")
    assert offer[15:] == mac(session, f"00000FA000000007{TERMINAL}")
    mac2 = mac(session, f"00006407{TERMINAL}{WHEN}")
    tac = tool(f"805800000E000064{WHEN}{mac2.hex()}04")
    assert tac == mac(card_key("TMK"), f"00001004000200006407{TERMINAL}{WHEN}")


def test_everything_but_the_purse_keeps_to_3des():
    tool = student("C0FFEE02")
    tool("0084000004")
    tool("841E000004A83FB840")
    assert tool.card.image.directories[1].blocked.value == "temporary"


def test_a_gate_and_a_host_with_sm4_roots_serve_the_card():
    card = fixtures.card("student-sm4", balance=0)
    host = SoftLoadHost(ROOTS["LMK"], ROOTS["TMK"])

    def loading():
        info = yield from select_purse()
        return (yield from load(info, 5000, host, bytes.fromhex(TERMINAL), Moment.of(AT)))

    run(loading(), {"card": InProcess(card)})
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, AT, 1)
    gate.psam = Psam(ENTRY_TERMINAL, {1: ROOTS["PMK"]})
    outcome = run(gate.tap(), {"card": InProcess(card), "psam": gate.psam})
    assert outcome.verdict is Verdict.PASS
    assert tac_is_right(outcome.receipt, ROOTS["TMK"])
    assert not tac_is_right(outcome.receipt, fixtures.load_roots()["TMK"])
    assert card.purse.offline_seq == 1


def test_a_psam_serves_its_own_cipher_alone():
    asked = f"80700000240102030400000000000009{WHEN}01{{}}{(SERIAL + ISSUER).hex()}"
    for roots, taken in ((fixtures.load_roots(), ("00", "01")), (ROOTS, ("03",))):
        for algorithm in ("00", "01", "02", "03"):
            psam = Psam(ENTRY_TERMINAL, {1: roots["PMK"]})
            sw = psam.process(bytes.fromhex(asked.format(algorithm)))[-2:].hex()
            assert sw == ("9000" if algorithm in taken else "9403")


def test_a_blank_card_of_the_dialect_computes_with_the_keys_it_is_given():
    tool = application(dialect=Dialect(sm4=True))
    dpk, dtk = made_up("SM4 DPK"), made_up("SM4 DTK")
    tool.add_key(0, "3EF0F00103", dpk)
    tool.add_key(0, "34F0F00103", dtk)
    tool.create("0002", "2F0208F000FF18")
    offer = tool(f"805001020B0000000000{TERMINAL}0F")
    session = halves(dpk, offer[11:] + offer[4:6] + bytes(2))
    mac1 = mac(session, f"0000000006{TERMINAL}{WHEN}")
    answer = tool(f"805401000F00000000{WHEN}{mac1.hex()}08")
    assert answer == mac(dtk, f"0000000006{TERMINAL}00000000{WHEN}") + mac(session, "00000000")
