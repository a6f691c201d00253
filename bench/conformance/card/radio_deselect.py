"""S(DESELECT): answered, then HALT, and all that is volatile is lost (1.6)."""

from apdu.blocks import (
    I_BLOCK,
    S_DESELECT,
)
from bench.conformance.card.radio_activation import FRAMES, silent
from bench.conformance.card.radio_blocks import FRAMES_PAID
from bench.conformance.card.radio_rats import PPSE, answers, card_with, takes_cid
from bench.conformance.case import Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import RIDE, begin, final_command, opened, ready, refused
from bench.conformance.words import Words
from emulator.radio.medium import RATS_TIMEOUT_NS


@case(
    "BLK",
    "S(DESELECT) is answered within 4.8 ms",
    "S(DESELECT) 在 4.8 毫秒内得到应答",
    "1.6",
    "1.3",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def deselect(lab: Lab) -> None:
    """After a command."""
    radio = lab.radio
    radio.open()
    answers(lab)
    radio.must_say(radio.deselect(), S_DESELECT)
    delay = radio.delay_ns or 0
    most = Words(f"at most {RATS_TIMEOUT_NS} ns", f"至多 {RATS_TIMEOUT_NS} 纳秒")
    lab.require(delay <= RATS_TIMEOUT_NS, most, f"{delay} ns")


@case(
    "BLK",
    "S(DESELECT) is answered right after the ATS",
    "ATS 后即可 S(DESELECT)",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def early_deselect(lab: Lab) -> None:
    """No block has come before."""
    lab.radio.open()
    lab.radio.must_say(lab.radio.deselect(), S_DESELECT)


@case(
    "BLK",
    "With a CID S(DESELECT) is answered with it",
    "带 CID 的 S(DESELECT) 得到带 CID 的应答",
    "1.5",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def deselect_cid(lab: Lab) -> None:
    """CID 11."""
    lab.radio.open(cid=11)
    takes_cid(lab)
    answers(lab)
    lab.radio.must_say(lab.radio.deselect(), S_DESELECT)


@case(
    "BLK",
    "After S(DESELECT) the card is in HALT",
    "S(DESELECT) 后卡在 HALT",
    "1.6",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def deselect_halts(lab: Lab) -> None:
    """Blocks and REQA are not heard, WUPA is."""
    radio = lab.radio
    radio.open()
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.silent(radio.framed(I_BLOCK | radio.number, PPSE))
    silent(lab, radio.reqa())
    radio.wake()


@case(
    "BLK",
    "After S(DESELECT) and WUPA a new link begins with number 0 and a new CID",
    "S(DESELECT) 与 WUPA 后新链路块号从 0 开始、CID 重新分配",
    "1.6",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def reopened(lab: Lab) -> None:
    """CID 3, then 8."""
    radio = lab.radio
    radio.open(cid=3)
    takes_cid(lab)
    answers(lab)
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(cid=8, is_new=False)
    answers(lab)


@case(
    "BLK",
    "S(DESELECT) ends a purchase under way, and nothing is paid",
    "S(DESELECT) 中止进行中的消费，不扣款",
    "1.6",
    "4.2",
    needs=FRAMES_PAID,
    grade="K",
)
def deselect_drops(lab: Lab) -> None:
    """INITIALIZE, S(DESELECT), and DEBIT is refused."""
    radio = lab.radio
    radio.open()
    ready(lab, RIDE)
    before = picture(lab)
    q = begin(lab, RIDE)
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(is_new=False)
    opened(lab)
    refused(lab, final_command(lab, RIDE, q), 0x6901)
    same(lab, before)


@case(
    "BLK",
    "S(DESELECT) leaves no application selected",
    "S(DESELECT) 后无已选应用",
    "1.6",
    needs=FRAMES | {Need.KEYS},
    grade="K",
)
def deselect_forgets(lab: Lab) -> None:
    """GET BALANCE is answered as in a field that came up anew."""
    radio = lab.radio
    radio.open()
    fresh = radio.transmit(bytes.fromhex("805C000204"))
    opened(lab)
    lab.balance()
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(is_new=False)
    came = radio.transmit(bytes.fromhex("805C000204"))
    lab.must_be(came, fresh, Words("the answer of a fresh field", "与新上电时相同的应答"))


@case(
    "BLK",
    "A new link after S(DESELECT) has the frame size of its own RATS",
    "S(DESELECT) 后新链路按新 RATS 的帧长",
    "1.3",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def new_size(lab: Lab) -> None:
    """256 bytes, then 16; without a long answer there is nothing to see."""
    radio = lab.radio
    radio.open(8)
    opened(lab)
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(0, is_new=False)
    opened(lab)


@case(
    "BLK",
    "A new link after S(DESELECT) begins at 106 kbit/s",
    "S(DESELECT) 后新链路以 106 kbit/s 开始",
    "1.4",
    "1.6",
    needs=FRAMES,
    grade="K",
    setup=card_with("0578B37002"),
)
def new_rate(lab: Lab) -> None:
    """PPS for 424 kbit/s, then a link without PPS."""
    radio = lab.radio
    radio.open()
    radio.raw(bytes.fromhex("D0110A"))
    radio.rates = (2, 2)
    answers(lab)
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.rates = (0, 0)
    radio.wake()
    radio.open(is_new=False)
    answers(lab)


@case(
    "BLK",
    "The worked trace: PPSE in I(0), the purse in I(1), S(DESELECT)",
    "示例帧序列：I(0) 选 PPSE，I(1) 选钱包，S(DESELECT)",
    "1.6",
    "1.7",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def worked_trace(lab: Lab) -> None:
    """Without CID, with the reader's largest frames; whatever the answers are."""
    radio = lab.radio
    radio.open()
    radio.last_of(PPSE)
    lab.select()
    radio.must_say(radio.deselect(), S_DESELECT)
