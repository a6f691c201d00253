"""The PN532 as a card: activation, raw frames to and from the host, and how it ends."""

import pytest

from apdu.crc import append_crc
from apdu.frame import HLTA, REQA, SHORT_BITS, WUPA, Frame
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.medium import Ask, Trouble, drive
from emulator.radio.pcd import find
from emulator.radio.pn532.link import ACK
from tests.pn532_host import Host, frame
from tests.pn532_listener import CARD, LISTEN_NS, UID, Listening, init

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
