"""The PN532 takes any bytes, always answers the next good command, and never makes a card up."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apdu.frame import Frame
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.pn532.bits import with_parity, without_parity
from emulator.radio.pn532.commands import COMMANDS
from emulator.radio.pn532.link import ACK, ERROR, FIRST_RATE, GAP_NS, NACK, Command, HostLink
from emulator.radio.station import Station
from tests.pn532_host import WAKE_UP, WELL_FORMED, Host, answer_in, frame
from tests.unit.pcd import EchoCard

VERSION = frame(b"\x02")
PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([ACK, NACK, ERROR, VERSION, WAKE_UP, b"\x00\x00\xff", b"\x00\x00\xff\xff\xff"]),
    st.binary(min_size=1, max_size=263).map(frame),
)
COMMAND = st.one_of(
    st.sampled_from([bytes.fromhex(command) for command in WELL_FORMED]),
    st.builds(
        lambda code, parameters: bytes([code]) + parameters,
        st.sampled_from(sorted(COMMANDS)),
        st.binary(max_size=60),
    ),
)
FIRMWARE_FRAME = bytes.fromhex("0000FF06FAD50332010607E800")


def a_host() -> Host:
    return Host(Station(EchoCard()))


def is_answering(host: Host) -> bool:
    """Whether the chip, after silence, answers a command that is sent with waking bytes."""
    said = host.say(WAKE_UP + VERSION, now_ns=10 * GAP_NS)
    return said.endswith(FIRMWARE_FRAME) or said.endswith(FIRMWARE_FRAME[1:-1])


@given(st.lists(PIECES, max_size=10))
def test_any_bytes_are_taken_and_the_next_command_is_answered(pieces: list[bytes]) -> None:
    host = a_host()
    for piece in pieces:
        host.say(piece)
        host.chip.resume()
    host.chip.link.wake()  # a PowerDown among them may name no source that a host is
    if host.chip.link.rate == FIRST_RATE:
        assert is_answering(host)


@given(st.binary(max_size=400), st.data())
def test_where_a_stream_is_cut_makes_no_difference(stream: bytes, data: st.DataObject) -> None:
    stream = stream + VERSION + stream[::-1]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)) | {0, len(stream)})
    whole, parts = HostLink(), HostLink()
    heard = list(whole.receive(stream, FIRST_RATE, 0))
    pieces = [stream[start:end] for start, end in pairwise(cuts)]
    assert [one for piece in pieces for one in parts.receive(piece, FIRST_RATE, 0)] == heard


@given(st.integers(0, 255), st.binary(max_size=263))
def test_every_frame_that_is_built_is_understood(code: int, parameters: bytes) -> None:
    link = HostLink()
    built = frame(bytes([code]) + parameters)
    assert list(link.receive(built, FIRST_RATE, 0)) == [Command(code, parameters)]
    answer = link.answer(code & 0xFE, parameters[:262])
    assert answer_in(answer) == bytes([code & 0xFE | 1]) + parameters[:262]


@given(st.lists(COMMAND, max_size=12))
def test_any_sequence_of_commands_is_acknowledged_and_answered(commands: list[bytes]) -> None:
    host = a_host()
    for command in commands:
        said = ended(host, command)
        error = ERROR[1:-1] if host.chip.link.is_bare else ERROR
        assert not said or said == error or bytes([0xD5, command[0] + 1]) in said


@given(st.lists(COMMAND, max_size=12))
def test_no_target_is_listed_where_no_card_is(commands: list[bytes]) -> None:
    host = Host(air=Air(Unpaced()))
    for command in commands:
        said = ended(host, command)
        host.chip.link.is_bare = False
        if command[0] in (0x4A, 0x60) and said and said not in (ERROR, ERROR[1:-1]):
            assert said[said.index(b"\xd5") + 2] == 0


def ended(host: Host, command: bytes) -> bytes:
    """What a chip that is awake says to a command; nothing if it is still at it after a while."""
    host.chip.link.wake()
    said = host.say(frame(command), rate=host.chip.link.rate)
    assert said.startswith(ACK)
    said = said[len(ACK) :]
    for _ in range(40):
        said = said or host.chip.resume()
    host.say(ACK, rate=host.chip.link.rate)
    return said


@given(st.binary(min_size=2, max_size=100))
def test_parity_bits_are_put_in_and_taken_out(data: bytes) -> None:
    frame_heard = without_parity(*with_parity(data))
    assert frame_heard.data == data
    assert frame_heard.has_right_parity
    assert frame_heard.bits == Frame(data).bits
