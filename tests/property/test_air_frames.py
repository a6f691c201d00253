"""Any frames, in any order, against the reader's machines, the card's station and the air."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.blocks import KINDS, Block, Kind
from apdu.frame import Frame, odd_parity
from emulator.radio.activation import State
from emulator.radio.air import Air
from emulator.radio.faults import Fault, FaultKind, Script, dump_faults, load_faults
from emulator.radio.medium import Ask, Heard, Radio, Trouble, drive
from emulator.radio.pcd import (
    MOST_EXTENSIONS,
    MOST_RESPONSE,
    LinkDead,
    PcdIsoDep,
    find,
    find_all,
    halt,
    select,
)
from emulator.radio.reception import flipped, truncated
from emulator.radio.station import Station
from tests.unit.guests import Parrot
from tests.unit.pcd import PHONE, EchoCard, with_ats

BODIES = st.one_of(
    st.builds(
        lambda pcb, inf: bytes([pcb]) + inf, st.sampled_from(sorted(KINDS)), st.binary(max_size=20)
    ),
    st.sampled_from(
        [bytes.fromhex(body) for body in ("0400", "20", "0578807002", "9320", "E080", "A2", "A3")]
    ),
    st.binary(max_size=300),
)
HEARD = st.one_of(
    st.builds(Heard, BODIES),
    st.sampled_from([Heard(b"", trouble) for trouble in Trouble if trouble]),
    st.builds(Heard, st.binary(max_size=6), st.just(Trouble.COLLISION), st.integers(0, 60)),
)
FRAMES = st.one_of(
    st.builds(Frame.whole, BODIES, st.booleans(), st.integers(0, 3)),
    st.builds(
        lambda data, tail, parity, rate: Frame(
            data[:-1] + bytes([data[-1] & (1 << tail) - 1]),
            tail,
            parity=None if parity is None else parity.ljust(len(data), b"\0")[: len(data)],
            rate=rate,
        ),
        st.binary(min_size=1, max_size=12),
        st.integers(1, 8),
        st.one_of(st.none(), st.binary(max_size=12)),
        st.integers(0, 3),
    ),
)
UIDS = st.lists(
    st.sampled_from([4, 7, 10]).flatmap(
        # 88 begins no UID, nor the second part of a longer one.
        lambda size: st.binary(min_size=size, max_size=size).filter(
            lambda uid: 0x88 not in (uid[0], *uid[3:4], *uid[6:7])
        )
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


def answered(radio: Radio[object], answers: list[Heard], most: int) -> list[Ask]:
    """Carry a conversation on these answers, the last one for ever. Returns what was asked."""
    asked: list[Ask] = []
    try:
        ask = next(radio)
        while True:
            asked.append(ask)
            assert len(asked) <= most, "it does not end"
            ask = radio.send(answers[min(len(asked), len(answers)) - 1])
    except (StopIteration, LinkDead):
        return asked


@given(
    st.lists(HEARD, min_size=1, max_size=12),
    st.binary(min_size=1, max_size=40),
    st.sampled_from([None, 0, 5]),
    st.sampled_from(["0578807002", "0570807002", "01"]),
)
def test_a_reader_ends_whatever_it_hears(
    answers: list[Heard], command: bytes, cid: int | None, ats: str
):
    pcd = PcdIsoDep(8, cid)
    first = [Heard(bytes.fromhex(ats))]
    assert answered(pcd.activate(), first, 1)
    most = (pcd.tries + 2) * MOST_EXTENSIONS * 10 + MOST_RESPONSE
    asked = answered(pcd.transmit(command), answers, most)
    assert all(not ask.data or Block.parse(ask.data) is not None for ask in asked)
    answered(pcd.is_present(), answers, most)
    answered(pcd.deselect(), answers, most)


@given(st.lists(HEARD, min_size=1, max_size=12), st.sampled_from([find, find_all, halt, select]))
def test_a_search_ends_whatever_it_hears(answers: list[Heard], search):
    arguments = {find: (), find_all: (3,), halt: (), select: (PHONE.uid,)}[search]
    answered(search(*arguments), answers, 6 * 3 * 45)


@given(
    st.lists(HEARD, min_size=1, max_size=12), st.binary(min_size=1, max_size=60), st.integers(1, 9)
)
def test_a_block_is_sent_again_only_on_an_r_ack_that_answers_r_nak(
    answers: list[Heard], command: bytes, tries: int
):
    """The reader's half of exactly-once delivery, for any air whatsoever (rule 6)."""
    pcd = PcdIsoDep(8, tries=tries)
    answered(pcd.activate(), [Heard(bytes.fromhex("0570807002"))], 1)
    asked = [ask.data for ask in answered(pcd.transmit(command), answers, 10**5)]
    for n in range(1, len(asked)):
        now = Block.parse(asked[n])
        if now is None or now.kind is not Kind.I_BLOCK or asked[n] not in asked[:n]:
            continue
        before = Block.parse(asked[n - 1])
        heard = Block.parse(answers[min(n, len(answers)) - 1].data)
        assert before is not None
        if before.kind is Kind.I_BLOCK:  # the next part of a chain with equal content
            assert before.number != now.number
            continue
        assert before.is_nak or before.kind is Kind.WTX
        assert heard is not None
        assert heard.kind is Kind.R_BLOCK


@given(st.lists(FRAMES, max_size=30), st.integers(0, 3), st.sampled_from([None, 50_000_000]))
def test_a_station_takes_any_frames(frames: list[Frame], start: int, took_ns: int | None):
    card = EchoCard(with_ats(fsci=2, ta=0x77))
    station = Station(card, None if took_ns is None else Always(took_ns))
    station.field_on()
    opening = [Frame(b"\x26", 7), Frame(b"\x93\x20"), select_frame(), Frame.whole(b"\xe0\x20")]
    for frame in [*opening[: start + 1], *frames]:
        was_open = station.link.isodep.is_open
        reply = station.receive(frame, 0)
        if reply is None:
            continue
        assert reply.after_ns >= 0
        if was_open or reply.frame.body() is not None:
            assert reply.frame.body() is not None
            assert len(reply.frame.data) <= max(32, station.link.isodep.fsd)
    station.field_off()
    assert station.link.activation.state is State.POWER_OFF
    assert card.power == ["on", "off"] * (len(card.power) // 2)


def select_frame() -> Frame:
    uid = PHONE.uid
    return Frame.whole(b"\x93\x70" + uid + bytes([uid[0] ^ uid[1] ^ uid[2] ^ uid[3]]))


class Always:
    def __init__(self, took_ns: int) -> None:
        self._took_ns = took_ns

    def time_ns(self, command: bytes) -> int:
        return self._took_ns


@given(UIDS)
def test_cards_of_any_uids_are_each_found_once(uids: list[bytes]):
    stations = [Station(EchoCard(replace(PHONE, uid=uid))) for uid in uids]
    air = Air()
    for station in stations:
        air.bring(station)
    air.field_on()
    found = [card.uid for card in drive(find_all(len(uids)), air)]
    assert sorted(found) == sorted(uids)
    states = {station.contactless.uid: station.link.activation.state for station in stations}
    assert states.pop(found[-1]) in (State.ACTIVE, State.ACTIVE_STAR)
    assert set(states.values()) <= {State.HALT}
    for uid in uids:
        drive(halt(), air)
        known = drive(select(uid), air)
        assert known is not None
        assert known.uid == uid


FAULTS = st.lists(
    st.builds(
        lambda kind, frame, at_ns, bit, width, ns, count, timed: Fault(
            kind, None if timed else frame, at_ns if timed else None, bit, width, ns, count
        ),
        st.sampled_from(FaultKind),
        st.integers(0, 40),
        st.integers(0, 60_000_000),
        st.integers(0, 120),
        st.integers(0, 20),
        st.integers(0, 10_000_000),
        st.integers(0, 6),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(
    FAULTS,
    st.lists(st.tuples(st.binary(min_size=1, max_size=5), st.integers(0, 8_000_000)), max_size=3),
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=9), st.integers(0, 5_000_000), st.booleans()),
        max_size=20,
    ),
)
def test_the_air_keeps_its_time_whatever_happens_in_it(
    faults: list[Fault], guests: list[tuple[bytes, int]], asks: list[tuple[bytes, int, bool]]
):
    seen = []
    air = Air(faults=Script(faults), observer=seen.append, stranger=Parrot())
    for answer, after_ns in guests:
        air.bring(Parrot(answer, after_ns))
    air.field_on()
    for data, timeout_ns, has_crc in asks:
        before_ns = air.clock.now_ns()
        heard = air.exchange(Ask(data, timeout_ns, adds_crc=has_crc, wants_crc=has_crc))
        assert air.clock.now_ns() > before_ns
        assert not heard.data or heard.trouble in (Trouble.NONE, Trouble.COLLISION)
        assert (heard.collision is None) == (heard.trouble is not Trouble.COLLISION)
    times = [event.t_ns for event in seen]
    assert times == sorted(times)
    assert all(event.duration_ns > 0 for event in seen[1:])


@given(FRAMES, st.integers(0, 400), st.integers(0, 8))
def test_bits_that_are_flipped_twice_are_as_before(frame: Frame, bit: int, width: int):
    again = flipped(flipped(frame, bit, width), bit, width)
    assert again.data == frame.data
    parity = odd_parity(frame.data) if frame.parity is None else frame.parity
    assert again.parity == parity


@given(FRAMES, st.integers(-3, 400))
def test_a_cut_frame_has_the_first_bits_and_no_more(frame: Frame, bits: int):
    cut = truncated(frame, bits)
    if bits <= 0 or not frame.data:
        assert cut is None
        return
    assert cut is not None
    assert cut.bits == min(bits, frame.bits)
    assert cut.bit_values() == frame.bit_values()[:bits]
    assert (cut.head, cut.rate) == (frame.head, frame.rate)
    assert cut.data[-1] >> cut.tail == 0


@given(FAULTS)
def test_faults_survive_being_written_down(faults: list[Fault]):
    assert load_faults(dump_faults(faults)) == faults
