"""The PN532 as a card: activation, raw frames, ISO-DEP in the chip, and how it ends."""

import threading
from collections.abc import Callable

import pytest

from apdu.crc import append_crc
from apdu.frame import HLTA, REQA, SHORT_BITS, WUPA, Frame
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.medium import Ask, Heard, Trouble, drive
from emulator.radio.pcd import Found, LinkDead, PcdIsoDep, find
from emulator.radio.pn532.link import ACK
from tests.pn532_host import Host, frame

UID = bytes.fromhex("08A1B2C3")
CARD = Found(b"\x04\x00", UID, 0x20)
ATS = bytes.fromhex("06753392034B")  # the chip's, with one historical byte
LISTEN_NS = 2_000_000


def init(mode: str = "01", sak: str = "20", historical: str = "4B") -> str:
    size = f"{len(historical) // 2:02X}"
    return f"8C {mode} 0400 A1B2C3 {sak}" + "00" * 28 + "00" + size + historical


class Listening:
    """A chip that plays a card: its host answers from within the reader's turn.

    on_answer: what the host does when the chip's running command ends, with its code and data.
    """

    def __init__(self, *, parameters: str = "00", command: str = "") -> None:
        self.air = Air(Unpaced())
        self.host = Host(air=self.air)
        self.code = 0
        self.came: list[str] = []
        self.on_answer: Callable[[str], None] = lambda data: None
        self.host.chip.on_news(self._news)
        self.host.ask("12" + parameters)
        self.start(command or init())

    def start(self, command: str) -> None:
        """A command of the host that waits for the reader, unless something is there already."""
        self.code = int(command[:2], 16)
        data = self.host.start(command)
        if data is not None:
            self._take(data)

    def _news(self) -> None:
        data = self.host.resume(self.code)
        if data is not None:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.came.append(data.hex())
        self.on_answer(data.hex())

    def found(self) -> Found | None:
        self.air.field_on()
        return drive(find(), self.air)

    def hears(self, body: str) -> Heard:
        return self.air.exchange(Ask(bytes.fromhex(body), LISTEN_NS))


# Activation


def test_the_chip_runs_anticollision_with_a_uid_that_begins_with_08() -> None:
    listening = Listening()
    assert listening.found() == CARD
    assert listening.came == []


def test_the_first_frame_to_the_selected_card_ends_the_wait() -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    assert listening.came == ["00e080"]
    assert listening.host.ask("8A") == "0100"


def test_in_a_field_that_is_on_already_the_chip_is_found_too() -> None:
    air = Air(Unpaced())
    air.field_on()
    host = Host(air=air)
    host.start(init())
    assert drive(find(), air) == CARD


def test_a_chip_that_is_no_target_is_silent() -> None:
    listening = Listening()
    listening.host.say(ACK)
    assert listening.found() is None
    listening.start(init())
    listening.host.ask("02")
    assert listening.found() is None


@pytest.mark.parametrize(
    "spoilt",
    [
        Frame(b"\x93\x20", parity=b"\0\0"),
        Frame(append_crc(bytes.fromhex("9370") + UID + b"\xd8")[:-1] + b"\0"),
        Frame(append_crc(HLTA)),
        Frame(b"\x93"),
    ],
)
def test_bad_frames_during_activation_are_met_with_silence(spoilt: Frame) -> None:
    listening = Listening()
    antenna = listening.host.chip.antenna
    antenna.field_on()
    assert antenna.receive(Frame(REQA, SHORT_BITS), LISTEN_NS) is not None
    assert antenna.receive(spoilt, LISTEN_NS) is None
    assert listening.came == []


def test_a_selected_chip_can_be_halted_and_woken() -> None:
    listening = Listening()
    listening.found()
    assert listening.air.exchange(Ask(HLTA, LISTEN_NS)).trouble is Trouble.TIMEOUT
    assert listening.found() is None
    assert not listening.air.exchange(Ask(WUPA, LISTEN_NS, SHORT_BITS, False, False)).trouble
    assert listening.came == []


def test_dep_only_and_picc_only_ignore_other_activations() -> None:
    for mode, ignored in (("02", "E080"), ("05", "D45500"), ("02", "30 04")):
        listening = Listening(command=init(mode))
        listening.found()
        assert listening.hears(ignored).trouble is Trouble.TIMEOUT
        assert listening.came == []
        assert listening.hears("E080").trouble is Trouble.TIMEOUT
    listening = Listening(command=init("02", sak="40"))
    listening.found()
    listening.hears("F011D400" + "00" * 14)
    assert listening.came == ["04f011d400" + "00" * 14]


def test_a_reader_that_leaves_before_the_host_looks_is_forgotten() -> None:
    listening = Listening()
    news = listening.host.chip.antenna.on_news
    listening.host.chip.antenna.on_news = lambda: None
    listening.found()
    listening.hears("E080")
    listening.air.field_off()
    listening.host.chip.antenna.on_news = news
    assert listening.host.resume(0x8C) is None
    assert listening.found() == CARD


# Raw frames


def raw_session(answers: dict[str, str]) -> Listening:
    """A host that answers raw frames from a table and then waits for the next."""
    listening = Listening()

    def on_answer(data: str) -> None:
        if data[:2] == "00" and data[2:] in answers:
            assert listening.host.ask("90" + answers[data[2:]]) == "00"
            listening.start("88")

    listening.on_answer = on_answer
    return listening


def test_raw_frames_pass_both_ways() -> None:
    listening = raw_session({"e080": "0578807002", "0200b0950000": "029000"})
    listening.found()
    assert listening.hears("E080").data == bytes.fromhex("0578807002")
    assert listening.hears("0200B0950000").data == bytes.fromhex("029000")
    assert listening.came == ["00e080", "000200b0950000"]


def test_a_host_that_is_too_late_is_not_heard() -> None:
    listening = Listening()
    listening.found()
    assert listening.hears("E080").trouble is Trouble.TIMEOUT
    assert listening.host.ask("90 0578807002") == "00"
    assert listening.hears("E080").trouble is Trouble.TIMEOUT


def test_a_frame_that_comes_before_the_host_waits_is_kept_until_the_host_sends() -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    listening.hears("B2")
    assert listening.host.ask("88") == "00b2"
    listening.hears("B3")
    assert listening.host.ask("90 A3") == "00"
    assert listening.host.start("88") is None


@pytest.mark.parametrize(
    ("spoilt", "status"),
    [
        (Frame(REQA, SHORT_BITS), "02"),
        (Frame(b"\xb2\x00\x00"), "02"),
        (Frame(append_crc(b"\xb2"), parity=b"\0\0\0"), "03"),
    ],
)
def test_a_damaged_frame_is_an_error_code(spoilt: Frame, status: str) -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    listening.start("88")
    assert listening.host.chip.antenna.receive(spoilt, LISTEN_NS) is None
    assert listening.came[-1] == status


def test_checksums_parity_and_bits_are_the_hosts_where_registers_say_so() -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    antenna, host = listening.host.chip.antenna, listening.host
    host.ask("08 6302 00 6303 00")
    listening.start("88")
    sent = {}

    def answer_raw(data: str) -> None:
        sent["heard"] = data
        host.ask("90" + sent["say"])

    listening.on_answer = answer_raw
    sent["say"] = "A3"
    reply = antenna.receive(Frame(append_crc(b"\xb2")), LISTEN_NS)
    assert reply is not None
    assert reply.frame == Frame(b"\xa3")
    assert sent["heard"] == "00" + append_crc(b"\xb2").hex()
    listening.start("88")
    host.say(frame(b"\x08\x63\x3d\x04"))
    listening.start("88")
    reply = antenna.receive(Frame(b"\x30\x00"), LISTEN_NS)
    assert reply is not None
    assert reply.frame == Frame(b"\xa3", 4)


@pytest.mark.parametrize("settings", ["6302 80", "6302 00", "633D 04", "630D 10"])
def test_a_response_of_nothing_is_silence(settings: str) -> None:
    listening = Listening()
    listening.found()
    said = []

    def say_nothing(_data: str) -> None:
        listening.host.ask("08" + settings)
        said.append(listening.host.ask("90"))

    listening.on_answer = say_nothing
    assert listening.hears("E080").trouble is Trouble.TIMEOUT
    assert said == ["00"]


def test_a_field_that_goes_off_releases_the_host() -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    listening.start("88")
    listening.air.field_off()
    assert listening.came[-1] == "29"
    assert [listening.host.ask(command) for command in ("88", "86", "90 00", "8E 00")] == ["29"] * 4
    assert listening.host.ask("8A") == "0000"
    listening.start(init())
    assert listening.found() == CARD


def test_a_reader_that_waits_is_let_go_when_the_host_gives_up() -> None:
    listening = Listening()
    listening.found()
    listening.on_answer = lambda _data: listening.host.chip.antenna.stop()
    heard = listening.air.exchange(Ask(bytes.fromhex("E080"), 60_000_000_000))
    assert heard.trouble is Trouble.TIMEOUT


@pytest.mark.parametrize("command", ["86", "88", "8E 00", "90 00", "92 00", "94 00"])
def test_target_commands_are_out_of_context_before_activation(command: str) -> None:
    assert Host().ask(command) == "27"


@pytest.mark.parametrize("command", ["86", "8E 00", "94 00"])
def test_commands_of_the_block_protocol_are_out_of_context_in_raw_frames(command: str) -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    assert listening.host.ask(command) == "27"


# ISO-DEP in the chip


def picc_session(answer: Callable[[str], str], mode: str = "05") -> Listening:
    """A host that gets commands and gives responses."""
    listening = Listening(parameters="20", command=init(mode))

    def on_answer(data: str) -> None:
        if listening.code == 0x8C:
            listening.start("86")
        elif data[:2] == "00":
            said = answer(data[2:])
            if said:
                assert listening.host.ask("8E" + said) == "00"
                listening.start("86")

    listening.on_answer = on_answer
    return listening


def activated(listening: Listening, fsdi: int = 8) -> PcdIsoDep:
    assert listening.found() == CARD
    isodep = PcdIsoDep(fsdi)
    assert drive(isodep.activate(), listening.air) == ATS
    return isodep


def test_the_chip_answers_rats_and_tells_the_host_that_it_is_a_picc() -> None:
    listening = picc_session(lambda command: command + "9000")
    activated(listening)
    assert listening.came == ["08e080"]


def test_commands_and_responses_pass_without_their_blocks() -> None:
    listening = picc_session(lambda command: command + "9000")
    isodep = activated(listening)
    for command in (b"\x00\xb0\x95\x00\x00", bytes(61), bytes(200)):
        assert drive(isodep.transmit(command), listening.air) == command + b"\x90\x00"
    assert listening.host.ask("8A") == "0100"


def test_long_commands_are_fetched_and_long_responses_given_in_parts() -> None:
    listening = picc_session(lambda command: "")
    isodep = activated(listening)
    parts: list[str] = []

    def on_answer(data: str) -> None:
        parts.append(data)
        if data[:2] == "40":
            listening.start("86")
        else:
            assert listening.host.ask("94" + "AA" * 250) == "00"
            assert listening.host.ask("8E" + "BB" * 250) == "00"
            listening.start("86")

    listening.on_answer = on_answer
    said = drive(isodep.transmit(b"\x01" * 300), listening.air)
    assert said == b"\xaa" * 250 + b"\xbb" * 250
    assert parts == ["40" + "01" * 262, "00" + "01" * 38]


def test_the_chip_asks_for_time_while_the_host_thinks() -> None:
    listening = picc_session(lambda command: "")
    activated(listening)
    antenna = listening.host.chip.antenna

    def say(body: str) -> str:
        reply = antenna.receive(Frame.whole(bytes.fromhex(body)), LISTEN_NS)
        assert reply is not None
        said = reply.frame.body()
        assert said is not None
        return said.hex()

    assert say("0200B0") == "f204"
    assert listening.came[-1] == "0000b0"
    assert say("B2") == "f204"  # R(NAK): once more
    assert say("F204") == "f204"
    assert listening.host.ask("8E 9000") == "00"  # between two turns
    assert say("F204") == "029000"
    assert say("B2") == "029000"


def test_a_response_that_comes_while_the_reader_waits_goes_out_at_once() -> None:
    listening = picc_session(lambda command: "")
    isodep = activated(listening)
    said = {}

    def transmit() -> None:
        said["response"] = drive(isodep.transmit(b"\x00\xb0"), listening.air)

    reader = threading.Thread(target=transmit)
    asked = threading.Event()
    listening.on_answer = lambda _data: asked.set()
    reader.start()
    assert asked.wait(5)
    assert listening.host.ask("8E 9000") == "00"
    reader.join(5)
    assert said["response"] == b"\x90\x00"


def test_a_response_without_a_command_is_out_of_context() -> None:
    listening = picc_session(lambda command: "")
    activated(listening)
    assert listening.host.ask("8E 9000") == "27"


def test_deselect_is_answered_by_the_chip_and_told_to_the_host() -> None:
    listening = picc_session(lambda command: "9000")
    isodep = activated(listening)
    assert drive(isodep.deselect(), listening.air)
    assert listening.came[-1] == "29"
    assert listening.host.ask("8A") == "0200"
    listening.start(init("05"))
    activated(listening)


def test_a_field_that_goes_off_ends_the_block_protocol() -> None:
    listening = picc_session(lambda command: "")
    isodep = activated(listening)
    listening.on_answer = lambda _data: listening.air.field_off()
    with pytest.raises(LinkDead):
        drive(isodep.transmit(b"\x00\xb0"), listening.air)
    assert listening.host.ask("86") == "29"
    assert listening.host.ask("8E 9000") == "29"


def test_without_the_parameter_the_chip_hands_rats_to_the_host() -> None:
    listening = Listening(parameters="00", command=init("05"))
    listening.found()
    assert listening.hears("E080").trouble is Trouble.TIMEOUT
    assert listening.came == []
    listening = Listening(parameters="20", command=init("00", sak="00"))
    listening.found()
    listening.hears("E080")
    assert listening.came == ["00e080"]


def test_release_of_all_ends_being_a_target() -> None:
    listening = Listening()
    listening.found()
    listening.hears("E080")
    assert listening.host.ask("52 00") == "00"
    assert listening.host.ask("88") == "27"


def test_a_frame_that_does_not_fit_one_to_the_host_is_an_error() -> None:
    listening = Listening()
    listening.found()
    listening.hears("00" * 263)
    assert listening.came == []
    listening.found()
    listening.hears("E080")
    listening.start("88")
    listening.hears("00" * 263)
    assert listening.came[-1] == "07"
