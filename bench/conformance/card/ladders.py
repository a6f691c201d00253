"""The ladders of protocol reference 6, judged by what the card answers and keeps."""

from apdu.commands import CREDIT_LOAD, GET_PROVE, INIT_LOAD
from apdu.purse import LOAD
from bench.conformance.case import Level, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import case
from bench.conformance.words import Words
from reader.transport.decorators import CutPoint

KEYS_AND_WRITE = (Need.KEYS, Need.WRITE)


@case(
    "LOAD",
    "A top-up adds its amount to the balance and no more",
    "充值后余额恰好增加充值金额",
    "6.4",
    "4.13",
    needs=KEYS_AND_WRITE,
    level=Level.BASIC,
)
def top_up_adds_its_amount(lab: Lab) -> None:
    """The balance before comes from the card, so that any card can be judged."""
    lab.must(lab.select())
    before = lab.balance()
    lab.done_ok(INIT_LOAD)
    lab.done_ok(CREDIT_LOAD)
    after = lab.balance()
    want = Words(f"a balance of {before + lab.amount} fen", f"余额 {before + lab.amount} 分")
    lab.require(after == before + lab.amount, want, f"{after} fen")


@case(
    "LOAD",
    "A top-up whose answer was lost can be proved",
    "充值应答丢失后可取交易认证",
    "6.4",
    "4.20",
    needs=(*KEYS_AND_WRITE, Need.CUT),
    level=Level.BASIC,
)
def lost_top_up_is_proved(lab: Lab) -> None:
    """GET TRANSACTION PROVE with the number after the top-up answers MAC2 and TAC."""
    lab.must(lab.select())
    before = lab.balance()
    lab.done_ok(INIT_LOAD)
    assert lab.offer is not None
    seq, mac2 = lab.offer.seq + 1, lab.mac2()
    lab.cut(lab.request(CREDIT_LOAD), CutPoint.AFTER)
    lab.must(lab.select())
    lab.done[LOAD] = seq
    proof = lab.done_ok(GET_PROVE, pair=(0x00, LOAD))
    lab.must_be(proof[:4], mac2, Words("MAC2 of the top-up", "充值的 MAC2"), clause="4.20")
    after = lab.balance()
    want = Words(f"a balance of {before + lab.amount} fen", f"余额 {before + lab.amount} 分")
    lab.require(after == before + lab.amount, want, f"{after} fen")
