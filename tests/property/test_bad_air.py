"""ISO-DEP on an air that loses frames, and against a reader that sends anything."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from apdu.blocks import KINDS
from emulator.radio.isodep import PiccLink
from tests.unit.pcd import EchoCard, Pcd, SizedCard, linked, with_ats

SOME = "26 52 9320 93700411A2B304 E080 5000 C2 A2 A3 B2 B3 F201 D01100 AA00 CA00"
FRAMES = st.one_of(
    st.sampled_from([bytes.fromhex(frame) for frame in SOME.split()]),
    st.builds(
        lambda pcb, inf: bytes([pcb]) + inf, st.sampled_from(sorted(KINDS)), st.binary(max_size=20)
    ),
    st.binary(max_size=270),
)
STEPS = st.one_of(FRAMES, st.sampled_from(["on", "off"]), st.integers(1, 59))


@given(st.lists(STEPS, max_size=25), st.sampled_from([0, 2, 8]), st.sampled_from([0x00, 0x02]))
def test_any_frames_in_any_order_never_raise(
    steps: list[bytes | str | int], fsdi: int, tc: int
) -> None:
    card = SizedCard(with_ats(fsci=2, tc=tc))
    link = linked(card)
    if fsdi:
        Pcd(link.receive, fsdi=fsdi).activate()
    answer: bytes | None = None
    for step in steps:
        if step == "on":
            link.field_on()
        elif step == "off":
            link.field_off()
        elif isinstance(step, int):
            if answer is not None and answer[0] & 0xC2 in (0x02, 0x82) and link.isodep.is_open:
                answer = link.isodep.request_wtx(step)
        else:
            assert isinstance(step, bytes)
            answer = link.receive(step)
            assert answer is None or len(answer) + 2 <= max(32, link.isodep.fsd)
    link.field_off()
    assert card.power == ["on", "off"] * (len(card.power) // 2)


@dataclass
class LossyAir:
    """Loses, or repeats, what `fate` says; afterwards the air is good."""

    link: PiccLink
    fate: list[int]

    def __call__(self, frame: bytes) -> bytes | None:
        fate = self.fate.pop() if self.fate else 0
        if fate == 1:  # the command is lost
            return None
        answer = self.link.receive(frame)
        if fate == 2:  # the answer is lost
            return None
        if fate == 3 and frame[0] & 0xE6 == 0xA2:
            # An R-block asks for a state, not for a step: heard twice, it gives the same answer.
            assert self.link.receive(frame) == answer
        return answer


@given(
    st.lists(st.integers(0, 3), max_size=40),
    st.lists(st.integers(0, 70), min_size=1, max_size=6),
    st.sampled_from([0, 1, 2, 8]),
    st.sampled_from([0, 2, 8]),
    st.sampled_from([None, 3]),
)
def test_a_bad_air_delivers_each_command_exactly_once(
    fate: list[int], sizes: list[int], fsdi: int, fsci: int, cid: int | None
) -> None:
    card = SizedCard(with_ats(fsci=fsci))
    link = linked(card)
    pcd = Pcd(link.receive, fsdi=fsdi, cid=cid, tries=len(fate) + 2).activate()
    pcd.air = LossyAir(link, fate)
    commands = [bytes([n]) * size + size.to_bytes(2, "big") for n, size in enumerate(sizes)]
    for size, command in zip(sizes, commands, strict=True):
        assert pcd.transmit(command) == bytes(range(size)) + b"\x90\x00"
    assert card.seen == commands


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.sampled_from([0, 8]))
def test_the_fast_path_answers_as_the_slow_path_does(commands: list[bytes], fsdi: int) -> None:
    quick, slow = linked(EchoCard()), linked(EchoCard())
    one, other = Pcd(quick.receive, fsdi=fsdi).activate(), Pcd(slow.receive, fsdi=fsdi).activate()
    slow.isodep.receive = slow.isodep._receive_any  # type: ignore[method-assign]
    for command in commands:
        assert one.transmit(command) == other.transmit(command) == command + b"\x90\x00"
    assert one.frames == other.frames
