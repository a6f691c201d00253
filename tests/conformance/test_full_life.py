"""A card's whole life over APDUs: personalised, loaded, spent, overdrawn, locked and freed.

Every MAC1, MAC2, MAC3 and TAC is worked out by `tests.vectors.independent`, from the protocol
reference 5.3 to 5.6 alone. What the purse must hold is counted beside the card, in plain integers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from emulator.card.dialect import Dialect
from tests.fmcos import Tool, blank, made_up
from tests.vectors import independent

NAME = b"tapbench.life"
TERMINAL = "112233445566"
DATE, TIME = "20250910", "081530"
FIRST_PIN, NEW_PIN = "123456", "654321"
INDEX = 0x00
VERSION, ALGORITHM = 0x02, 0x01
TRIP = bytes.fromhex("27017D0101") + bytes(123)

MF_MASTER, MASTER = made_up("MF master"), made_up("master")
DPK, DLK, DTK, DULK, DUK = (made_up(name) for name in ("DPK", "DLK", "DTK", "DULK", "DUK"))
DAMK, DPUK, DRPK = made_up("DAMK"), made_up("DPUK"), made_up("DRPK")

ED, EP = 1, 2
PURSES = pytest.mark.parametrize("which", [EP, ED], ids=["EP", "ED"])


def personalised(dialect: Dialect | None = None) -> Tool:
    """A blank card made an issuer's, as open tools do it (annex 2 to 4, 12)."""
    tool = blank(dialect=dialect)
    tool.select("3F00")
    tool("800E000000")
    tool.key_file(0x0040)
    tool.add_key(0, "39F0F02233", MF_MASTER)
    tool.directory("3F01", NAME, 0x2000)
    tool.enter(NAME)
    tool.key_file(add="EF")
    # The directory's first key goes in under the MF's master, the others under the first.
    tool.write_key_secret(0x01, 0, "F9F0024433", MASTER, MF_MASTER)
    version = f"{VERSION:02X}{ALGORITHM:02X}"
    for kind, key in (("FE", DPK), ("FF", DLK), ("FD", DULK), ("FC", DUK), ("F4", DTK)):
        tool.write_key_secret(0x01, INDEX, f"{kind}F002{version}", key, MASTER)
    for kind, key in (("36", DAMK), ("37", DPUK), ("38", DRPK)):
        tool.add_key(0, f"{kind}F002FF33", key)
    tool.add_key(0, "3AF0EF0133", bytes.fromhex(FIRST_PIN))
    tool.create("0015", "A8001EF0F0FFFF")
    tool.create("0018", "2E0A17F0EFFFFF")
    tool.create("0019", "2E0A17F0EFFFFF")
    tool.create("001A", "AA0280F0F0FFFF")
    tool.create("001E", "2E0A30F0EFFFFF")
    tool.create("0002", "2F0208F000FF18")
    tool.create("0001", "2F0208F100FF19")
    tool.maced("04D69500", DAMK, bytes(range(30)))
    tool.maced("04E200D0", DAMK, TRIP)
    tool.enter(NAME)
    return tool


def wide(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


@dataclass
class Teller:
    """A terminal and a load host at one purse, and what that purse must hold."""

    tool: Tool
    which: int
    actual: int = 0
    limit: int = 0
    used: int = 0
    online: int = 0
    offline: int = 0
    proofs: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return self.actual + self.limit - self.used

    @property
    def p2(self) -> str:
        return f"{self.which:02X}"

    def spent(self, amount: int) -> None:
        from_actual = min(self.actual, amount)
        self.actual -= from_actual
        self.used += amount - from_actual
        self.offline += 1

    def begin(self, p1: int, amount: int, le: int, sw: str = "9000") -> bytes:
        asked = f"{INDEX:02X}{amount:08X}{TERMINAL}"
        return self.tool(f"8050{p1:02X}{self.p2}0B{asked}{le:02X}", sw)

    def check(self, kind: int, seq: int, amount: int, mac: bytes, tac: bytes) -> None:
        """Balance, log and proof after a transaction; seq: its number, after it."""
        assert self.tool(f"805C00{self.p2}04") == wide(self.available)
        if self.which == EP:
            words = (self.available, self.limit, self.used, self.actual)
            for p1, value in enumerate(words):
                assert self.tool(f"805C{p1:02X}0204") == wide(value)
        entry = wide(seq, 2) + wide(self.limit, 3) + wide(amount) + bytes((kind,))
        entry += bytes.fromhex(TERMINAL + DATE + TIME)
        log = 0x18 if self.which == EP else 0x19
        assert self.tool(f"00B201{log << 3 | 4:02X}00") == entry
        self.proofs[kind] = (seq, mac + tac)
        self.prove(kind)

    def prove(self, kind: int) -> None:
        """GET TRANSACTION PROVE knows this transaction and no other number."""
        seq, proof = self.proofs[kind]
        assert self.tool(f"805A00{kind:02X}02{seq:04X}08") == proof
        for other in (seq - 1, seq + 1):
            self.tool(f"805A00{kind:02X}02{other & 0xFFFF:04X}08", "9406")

    def online_inputs(self, offer: bytes, amount: int) -> dict[str, bytes]:
        assert offer[:4] == wide(self.available)
        assert offer[4:8] == wide(self.online, 2) + bytes((VERSION, ALGORITHM))
        return {
            "random": offer[8:12],
            "seq": offer[4:6],
            "old_balance": offer[:4],
            "amount": wide(amount),
            "terminal": bytes.fromhex(TERMINAL),
            "date": bytes.fromhex(DATE),
            "time": bytes.fromhex(TIME),
        }

    def load(self, amount: int) -> None:
        kind = 0x02 if self.which == EP else 0x01
        repaid = min(self.used, amount)
        new = self.available + amount

        def worked_out() -> independent.Results:
            inputs = self.online_inputs(offer := self.begin(0x00, amount, 0x10), amount)
            inputs |= {"dlk": DLK, "dtk": DTK, "new_balance": wide(new), "type": bytes((kind,))}
            expected = independent.load(inputs)
            assert offer[12:] == expected["mac1"]
            return expected

        self.tool(f"805200000B{DATE}{TIME}{flipped(worked_out()['mac2']).hex()}04", "9302")
        expected = worked_out()
        tac = self.tool(f"805200000B{DATE}{TIME}{expected['mac2'].hex()}04")
        assert tac == expected["tac"]
        self.used -= repaid
        self.actual += amount - repaid
        self.online += 1
        self.check(kind, self.online, amount, expected["mac2"], tac)

    def unload(self, amount: int) -> None:
        new = self.available - amount

        def worked_out() -> independent.Results:
            inputs = self.online_inputs(offer := self.begin(0x05, amount, 0x10), amount)
            expected = independent.unload(inputs | {"dulk": DULK, "new_balance": wide(new)})
            assert offer[12:] == expected["mac1"]
            return expected

        self.tool(f"805403000B{DATE}{TIME}{flipped(worked_out()['mac2']).hex()}04", "9302")
        expected = worked_out()
        mac3 = self.tool(f"805403000B{DATE}{TIME}{expected['mac2'].hex()}04")
        assert mac3 == expected["mac3"]
        self.actual -= amount
        self.online += 1
        self.check(0x03, self.online, amount, mac3, bytes(4))

    def change_limit(self, limit: int) -> None:
        def worked_out() -> independent.Results:
            offer = self.tool(f"805004{self.p2}07{INDEX:02X}{TERMINAL}13")
            assert offer[6:9] == wide(self.limit, 3)
            inputs = self.online_inputs(offer[:6] + offer[9:], 0)
            inputs |= {"duk": DUK, "dtk": DTK, "old_limit": offer[6:9], "new_limit": wide(limit, 3)}
            new = self.available + limit - self.limit
            expected = independent.limit(inputs | {"new_balance": wide(new)})
            assert offer[15:] == expected["mac1"]
            return expected

        asked = f"805800000E{limit:06X}{DATE}{TIME}"
        self.tool(f"{asked}{flipped(worked_out()['mac2']).hex()}04", "9302")
        expected = worked_out()
        tac = self.tool(f"{asked}{expected['mac2'].hex()}04")
        assert tac == expected["tac"]
        self.limit = limit
        self.online += 1
        self.check(0x07, self.online, 0, expected["mac2"], tac)

    def spend(
        self, p1: int, kind: int, amount: int, between: Callable[[], None] = lambda: None
    ) -> None:
        """Purchase, CAPP purchase or cash withdraw. between: what happens before the debit."""
        seq = wide(0x00A10000 + self.offline)

        def worked_out() -> independent.Results:
            offer = self.begin(p1, amount, 0x0F)
            assert offer[:4] == wide(self.available)
            assert offer[4:9] == wide(self.offline, 2) + wide(self.limit, 3)
            assert offer[9:11] == bytes((VERSION, ALGORITHM))
            between()
            inputs = {"dpk": DPK, "dtk": DTK, "random": offer[11:], "seq": offer[4:6]}
            inputs |= {"amount": wide(amount), "type": bytes((kind,)), "terminal_seq": seq}
            at = {"date": bytes.fromhex(DATE), "time": bytes.fromhex(TIME)}
            return independent.purchase(inputs | at | {"terminal": bytes.fromhex(TERMINAL)})

        asked = f"805401000F{seq.hex()}{DATE}{TIME}"
        self.tool(f"{asked}{flipped(worked_out()['mac1']).hex()}08", "9302")
        expected = worked_out()
        answer = self.tool(f"{asked}{expected['mac1'].hex()}08")
        assert answer == expected["tac"] + expected["mac2"]
        self.spent(amount)
        self.check(kind, self.offline, amount, expected["mac2"], expected["tac"])

    def purchase(self, amount: int) -> None:
        self.spend(0x01, 0x06 if self.which == EP else 0x05, amount)

    def cash(self, amount: int) -> None:
        self.spend(0x02, 0x04, amount)

    def capp(self, amount: int, trip: bytes, ride: bytes) -> None:
        def cache() -> None:
            self.tool(f"80DC00D080{trip.hex()}")
            self.tool(f"80DC00F030{ride.hex()}")

        self.spend(0x03, 0x09, amount, cache)
        assert self.tool("00B201D400") == trip
        assert self.tool("00B201F400") == ride


def verify(tool: Tool, pin: str, sw: str = "9000") -> None:
    tool(f"00200000{len(pin) // 2:02X}{pin}", sw)


def pin_is_lost_and_found(tool: Tool) -> None:
    """Three wrong PINs, then 84 24, RELOAD and CHANGE. Leaves NEW_PIN verified."""
    for sw in ("63C2", "63C1", "63C0", "6983"):
        verify(tool, "000000", sw)
    verify(tool, FIRST_PIN, "6983")
    tool.enciphered("84240000", DPUK, bytes.fromhex("111111"))
    verify(tool, FIRST_PIN, "63C2")
    verify(tool, "111111")
    new = bytes.fromhex("2222")
    mac = independent.reload_pin_mac({"key": DRPK, "pin": new})["mac"]
    tool(f"805E000006{new.hex()}{flipped(mac).hex()}", "9302")
    tool(f"805E000006{new.hex()}{mac.hex()}")
    verify(tool, "2222")
    tool(f"805E010006FFFFFF{NEW_PIN}", "63C2")
    tool(f"805E0100062222FF{NEW_PIN}")
    verify(tool, NEW_PIN)


def application_is_blocked_and_freed(tool: Tool) -> None:
    tool.maced("841E0000", DAMK)
    tool("805C000204", "6A81")
    answer = tool(f"00A40400{len(NAME):02X}{NAME.hex()}", "6A81")
    assert answer[:1] == b"\x6f"
    tool.maced("84180000", DRPK, sw="6988")
    tool.maced("84180000", DAMK)


@PURSES
def test_a_card_lives_from_blank_to_reissue(which):
    dialect = Dialect(pin_for_load=True)
    tool = personalised(dialect)
    teller = Teller(tool, which)
    teller.begin(0x00, 1, 0x10, "6982")  # a load wants the PIN on both purses (annex 7)
    verify(tool, FIRST_PIN)
    teller.load(10000)
    teller.purchase(250)
    if which == EP:
        teller.capp(0, TRIP[:6] + bytes.fromhex("01") + TRIP[7:], bytes(range(48)))
        teller.capp(400, TRIP, bytes(range(48, 96)))
    else:
        teller.cash(1200)
    teller.unload(2000)
    teller.change_limit(5000)
    teller.purchase(teller.actual + 3000)
    assert (teller.actual, teller.used) == (0, 3000)
    teller.begin(0x01, 2001, 0x0F, "9401")
    teller.begin(0x05, 1, 0x10, "9401")
    teller.load(1000)
    assert (teller.actual, teller.used) == (0, 2000)
    teller.load(2500)
    assert (teller.actual, teller.used) == (500, 0)
    pin_is_lost_and_found(tool)
    application_is_blocked_and_freed(tool)
    tool.card.power_off()
    tool.card.power_on()
    tool.enter(NAME)
    teller.begin(0x00, 1, 0x10, "6982")
    verify(tool, NEW_PIN)
    for kind in teller.proofs:
        teller.prove(kind)
    teller.purchase(500)
    teller.load(1)
    assert sorted(teller.proofs) == ([2, 3, 6, 7, 9] if which == EP else [1, 3, 4, 5, 7])


def test_an_ed_moves_only_after_the_pin_and_an_ep_without():
    tool = personalised()
    for p1, le in ((0x00, 0x10), (0x01, 0x0F), (0x02, 0x0F), (0x05, 0x10)):
        Teller(tool, ED).begin(p1, 0, le, "6982")
    tool("80500401070011223344556613", "6982")
    tool("805C000104", "6982")
    ep = Teller(tool, EP)
    ep.load(100)
    ep.purchase(1)
    verify(tool, FIRST_PIN)
    ed = Teller(tool, ED)
    ed.load(100)
    ed.cash(100)
    assert tool("805C000204") == wide(99)
    tool.enter(NAME)
    Teller(tool, ED).begin(0x01, 0, 0x0F, "6982")


@PURSES
def test_an_index_without_a_key_is_9403(which):
    tool = personalised()
    verify(tool, FIRST_PIN)
    for head, le in (("805000", "10"), ("805001", "0F"), ("805005", "10")):
        tool(f"{head}{which:02X}0B0100000001{TERMINAL}{le}", "9403")
    tool(f"805004{which:02X}0701{TERMINAL}13", "9403")


def test_cash_is_for_the_ed_and_capp_for_the_ep():
    tool = personalised()
    verify(tool, FIRST_PIN)
    Teller(tool, EP).begin(0x02, 0, 0x0F, "6A86")
    Teller(tool, ED).begin(0x03, 0, 0x0F, "6A86")
