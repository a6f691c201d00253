"""The PIN: its tries, its changes, and what it opens (4.11)."""

from apdu.commands import SELECT
from apdu.file_commands import AID_PPSE, AID_PURSE, GET_CHALLENGE
from apdu.key_commands import CHANGE_PIN, PIN_UNBLOCK, RELOAD_PIN, VERIFY_PIN
from apdu.purse import reload_pin_mac, secure_messaging_encrypt
from apdu.records import ChangePin, Pin, Protected, ReloadPin, SelectName
from bench.conformance.case import Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import (
    ED_DEALS,
    PAID,
    TOP_UP,
    commit,
    init_command,
    opened,
    ready,
    refused,
)
from bench.conformance.words import Words

SPOILED = PAID | {Need.FRESH}
_NEW = bytes.fromhex("654321")
_LOCKED = 0x6983
_RIGHT = 0x9000


def verify(pin: bytes) -> bytes:
    """VERIFY PIN."""
    return VERIFY_PIN.command(Pin(pin))


def wrong(lab: Lab) -> bytes:
    """VERIFY PIN with another PIN of the same length."""
    return verify(lab.pin[:-1] + bytes((lab.pin[-1] ^ 1,)))


def _use_up(lab: Lab) -> None:
    for left in (2, 1, 0):
        refused(lab, wrong(lab), 0x63C0 | left)


def _unblock(lab: Lab, pin: bytes, flip: int = 0) -> bytes:
    lab.done_ok(GET_CHALLENGE)
    content = secure_messaging_encrypt(lab.keys.dpuk, pin)
    mac = lab.sm_mac(lab.keys.dpuk, PIN_UNBLOCK, 0, 1, content)
    return PIN_UNBLOCK.command(Protected(content + mac[:-1] + bytes((mac[-1] ^ flip,))), 0, 1)


def _reload(lab: Lab, pin: bytes, flip: int = 0) -> bytes:
    mac = reload_pin_mac(lab.keys.drpk, pin)
    return RELOAD_PIN.command(ReloadPin(pin + mac[:-1] + bytes((mac[-1] ^ flip,))))


@case("PIN", "The right PIN is 9000", "PIN 正确应答 9000", "4.11", needs=PAID, level=Level.BASIC)
def right_pin(lab: Lab) -> None:
    """As often as it is presented."""
    opened(lab)
    for _ in range(4):
        lab.must(lab.send(verify(lab.pin)))


@case(
    "PIN",
    "A wrong PIN tells the tries left: 63C2, 63C1, 63C0, then 6983",
    "PIN 错误应答剩余次数，用完后 6983",
    "4.11",
    needs=SPOILED,
)
def tries_are_told(lab: Lab) -> None:
    """After the third the right one is 6983 too."""
    opened(lab)
    _use_up(lab)
    refused(lab, wrong(lab), _LOCKED)
    refused(lab, verify(lab.pin), _LOCKED)


@case("PIN", "The right PIN sets the tries back", "PIN 正确后次数恢复", "4.11", needs=PAID)
def right_one_resets(lab: Lab) -> None:
    """Two wrong, one right, twice over."""
    opened(lab)
    for _ in range(2):
        for left in (2, 1):
            refused(lab, wrong(lab), 0x63C0 | left)
        lab.must(lab.send(verify(lab.pin)))


@case(
    "PIN",
    "Tries outlive the field",
    "PIN 剩余次数掉电后不恢复",
    "6.9",
    "4.11",
    needs=SPOILED | {Need.CUT},
)
def tries_survive(lab: Lab) -> None:
    """One wrong in each of three sessions locks it, and it stays locked."""
    for left in (2, 1, 0):
        opened(lab)
        refused(lab, wrong(lab), 0x63C0 | left)
        lab.reset()
    opened(lab)
    refused(lab, verify(lab.pin), _LOCKED)


@case("PIN", "Tries outlive SELECT", "重新选择应用不恢复 PIN 次数", "4.11", "4.1", needs=SPOILED)
def tries_survive_select(lab: Lab) -> None:
    """SELECT of another application between."""
    for left in (2, 1, 0):
        opened(lab)
        refused(lab, wrong(lab), 0x63C0 | left)
        lab.must(lab.ask(SELECT, SelectName(AID_PPSE)))
    opened(lab)
    refused(lab, verify(lab.pin), _LOCKED)


@case(
    "PIN",
    "A PIN that is the beginning of the right one is wrong",
    "PIN 前缀视为错误",
    "4.11",
    needs=PAID,
)
def prefix_is_wrong(lab: Lab) -> None:
    """And so is a longer one."""
    opened(lab)
    for pin in (lab.pin[:-1], lab.pin + b"\x00"):
        if 2 <= len(pin) <= 6:
            refused(lab, verify(pin), 0x63C2)
            lab.must(lab.send(verify(lab.pin)))


@case("PIN", "A locked PIN stops no purchase", "PIN 锁定不影响消费", "4.11", "4.14", needs=SPOILED)
def locked_pin_stops_no_purchase(lab: Lab) -> None:
    """A gate asks for none: INITIALIZE with 0."""
    opened(lab)
    _use_up(lab)
    answer = lab.send(bytes.fromhex("805003020B0100000000300089000195") + b"\x0f")
    lab.must(answer, _RIGHT, 0x9402)


@case(
    "PIN",
    "PIN UNBLOCK gives a locked PIN a new value",
    "PIN 解锁后新 PIN 生效",
    "4.11",
    needs=SPOILED,
)
def unblocked(lab: Lab) -> None:
    """Enciphered under DPUK, with a MAC; the old PIN is wrong then, with all its tries."""
    opened(lab)
    _use_up(lab)
    old, lab.pin = lab.pin, _NEW
    lab.must(lab.send(_unblock(lab, _NEW)))
    refused(lab, verify(old), 0x63C2)
    lab.must(lab.send(verify(_NEW)))


@case(
    "PIN",
    "PIN UNBLOCK under a wrong MAC unlocks nothing",
    "PIN 解锁 MAC 错误时不解锁",
    "4.11",
    "5.6",
    needs=SPOILED,
)
def unblock_forged(lab: Lab) -> None:
    """6988; the PIN stays locked."""
    opened(lab)
    _use_up(lab)
    refused(lab, _unblock(lab, _NEW, flip=1), 0x6988)
    refused(lab, verify(_NEW), _LOCKED)
    refused(lab, verify(lab.pin), _LOCKED)


@case(
    "PIN",
    "RELOAD PIN sets a new PIN and its tries",
    "PIN 重装设置新 PIN 并恢复次数",
    "4.11",
    needs=SPOILED,
)
def reloaded(lab: Lab) -> None:
    """MAC over the new PIN alone under folded DRPK; a locked one is opened."""
    opened(lab)
    _use_up(lab)
    lab.must(lab.send(_reload(lab, _NEW)))
    lab.must(lab.send(verify(_NEW)))


@case(
    "PIN",
    "RELOAD PIN under a wrong MAC changes nothing",
    "PIN 重装 MAC 错误时无变化",
    "4.11",
    needs=SPOILED,
)
def reload_forged(lab: Lab) -> None:
    """9302, or 6988; each byte of the MAC counts."""
    opened(lab)
    right = _reload(lab, _NEW)
    for at in (4, 3, 2, 1):
        made = bytearray(right)
        made[-at] ^= 0xFF
        refused(lab, bytes(made), 0x9302, 0x6988)
        lab.must(lab.send(verify(lab.pin)))
        lab.must(lab.send(_reload(lab, lab.pin)))


@case(
    "PIN",
    "The holder changes the PIN with the old one",
    "持卡人可用旧 PIN 修改 PIN",
    "4.11",
    needs=SPOILED | {Need.CUT},
)
def changed_by_holder(lab: Lab) -> None:
    """old, FF, new; it outlives the field."""
    opened(lab)
    lab.must(lab.send(CHANGE_PIN.command(ChangePin(lab.pin + b"\xff" + _NEW))))
    lab.reset()
    opened(lab)
    lab.must(lab.send(verify(_NEW)))
    refused(lab, verify(lab.pin), 0x63C2)


@case(
    "PIN",
    "CHANGE PIN with a wrong old PIN costs a try and changes nothing",
    "修改 PIN 时旧 PIN 错误则减少次数且无变化",
    "4.11",
    needs=SPOILED,
)
def changed_by_a_stranger(lab: Lab) -> None:
    """63C2, and VERIFY goes on counting from there."""
    opened(lab)
    stranger = lab.pin[:-1] + bytes((lab.pin[-1] ^ 1,))
    refused(lab, CHANGE_PIN.command(ChangePin(stranger + b"\xff" + _NEW)), 0x63C2)
    refused(lab, wrong(lab), 0x63C1)
    lab.must(lab.send(verify(lab.pin)))


@case(
    "PIN",
    "PIN commands move no money, number or record",
    "PIN 命令不改变余额、序号和记录",
    "4.11",
    "6.9",
    needs=SPOILED,
)
def pin_moves_nothing(lab: Lab) -> None:
    """Right, wrong, changed and reloaded."""
    opened(lab)
    before = picture(lab)
    lab.must(lab.send(verify(lab.pin)))
    refused(lab, wrong(lab), 0x63C2)
    lab.must(lab.send(_reload(lab, _NEW)))
    lab.must(lab.send(verify(_NEW)))
    same(lab, before)


_LOAD = {"dialect": {"pin_for_load": True}}


@case(
    "PIN",
    "Where a load wants the PIN, a wrong one does not open it",
    "需要 PIN 充值时，错误 PIN 不能充值",
    "4.11",
    "4.13",
    grade="D",
    setup=_LOAD,
    needs=SPOILED,
)
def load_after_a_wrong_pin(lab: Lab) -> None:
    """6982 before it and after a wrong one; open after the right one (Q13)."""
    ready(lab, TOP_UP)
    opened(lab)
    refused(lab, init_command(lab, TOP_UP, 100), 0x6982)
    refused(lab, wrong(lab), 0x63C2)
    refused(lab, init_command(lab, TOP_UP, 100), 0x6982)
    lab.must(lab.send(verify(lab.pin)))
    commit(lab, TOP_UP)


@case(
    "PIN",
    "The PIN is forgotten with the field",
    "掉电后 PIN 状态清除",
    "4.1",
    "4.13",
    grade="D",
    setup=_LOAD,
    needs=SPOILED | {Need.CUT},
)
def pin_is_forgotten(lab: Lab) -> None:
    """A load after the field was away is 6982 again."""
    ready(lab, TOP_UP)
    lab.must(lab.send(verify(lab.pin)))
    lab.reset()
    opened(lab)
    refused(lab, init_command(lab, TOP_UP, 100), 0x6982)


@case(
    "PIN",
    "The PIN is forgotten when another application is selected",
    "选择其他应用后 PIN 状态清除",
    "4.1",
    "4.13",
    grade="D",
    setup=_LOAD,
    needs=SPOILED,
)
def pin_is_forgotten_by_select(lab: Lab) -> None:
    """There and back again."""
    ready(lab, TOP_UP)
    lab.must(lab.send(verify(lab.pin)))
    lab.must(lab.ask(SELECT, SelectName(AID_PPSE)))
    lab.must(lab.ask(SELECT, SelectName(AID_PURSE)))
    refused(lab, init_command(lab, TOP_UP, 100), 0x6982)


@case(
    "PIN",
    "The PIN is kept through a whole load",
    "PIN 状态在一次充值后仍有效",
    "4.11",
    grade="I",
    setup=_LOAD,
    needs=SPOILED,
)
def pin_is_kept(lab: Lab) -> None:
    """Two loads after one PIN."""
    ready(lab, TOP_UP, 200)
    lab.must(lab.send(verify(lab.pin)))
    for _ in range(2):
        commit(lab, TOP_UP)


@case(
    "PIN",
    "The electronic deposit is behind the PIN",
    "电子存折须先校验 PIN",
    "4.11",
    grade="D",
    needs=PAID,
    setup={"has_ed": True},
)
def deposit_wants_the_pin(lab: Lab) -> None:
    """6982 without it: its balance, a load and a purchase."""
    ready(lab, ED_DEALS[0])
    opened(lab)
    refused(lab, bytes.fromhex("805C000104"), 0x6982)
    for deal in (ED_DEALS[0], ED_DEALS[3]):
        refused(lab, init_command(lab, deal, 0), 0x6982)
    lab.must(lab.send(verify(lab.pin)))
    balance = lab.must(lab.send(bytes.fromhex("805C000104"))).data
    lab.require(len(balance) == 4, Words("4 bytes", "4 字节"), f"{len(balance)}")


@case(
    "PIN",
    "Three wrong MACs in a row lock RELOAD PIN",
    "PIN 重装连续三次 MAC 错误后锁定",
    "4.11",
    grade="I",
    needs=SPOILED,
)
def reload_is_locked(lab: Lab) -> None:
    """Then even the right MAC is 6983, and the PIN is the old one."""
    opened(lab)
    for _ in range(3):
        refused(lab, _reload(lab, _NEW, flip=1), 0x9302, 0x6988)
    refused(lab, _reload(lab, _NEW), _LOCKED)
    lab.must(lab.send(verify(lab.pin)))


@case(
    "PIN",
    "Three wrong MACs in a row lock PIN UNBLOCK",
    "PIN 解锁连续三次 MAC 错误后锁定",
    "4.11",
    grade="I",
    needs=SPOILED,
)
def unblock_is_locked(lab: Lab) -> None:
    """Then even the right MAC is 6983, and the PIN stays locked."""
    opened(lab)
    _use_up(lab)
    for _ in range(3):
        refused(lab, _unblock(lab, _NEW, flip=1), 0x6988)
    refused(lab, _unblock(lab, _NEW), _LOCKED, 0x9303)
    refused(lab, verify(_NEW), _LOCKED)


@case(
    "PIN",
    "CHANGE PIN wants FF between the old PIN and the new",
    "修改 PIN 时新旧 PIN 之间须为 FF",
    "4.11",
    needs=SPOILED,
)
def change_wants_its_mark(lab: Lab) -> None:
    """Another byte there is a refusal; the PIN stays as it is."""
    opened(lab)
    answer = lab.send(CHANGE_PIN.command(ChangePin(lab.pin + b"\x00" + _NEW)))
    lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())
    lab.must(lab.send(verify(lab.pin)))


@case(
    "PIN",
    "A changed PIN has all its tries",
    "修改 PIN 后次数恢复",
    "4.11",
    grade="I",
    needs=SPOILED,
)
def changed_has_its_tries(lab: Lab) -> None:
    """One try lost before the holder changes it; the new one is right, so none is lost then."""
    opened(lab)
    refused(lab, wrong(lab), 0x63C2)
    lab.must(lab.send(CHANGE_PIN.command(ChangePin(lab.pin + b"\xff" + _NEW))))
    lab.pin = _NEW
    refused(lab, wrong(lab), 0x63C2)
    lab.must(lab.send(verify(_NEW)))
