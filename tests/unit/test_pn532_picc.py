"""The PN532 as a card whose ISO/IEC 14443-4 runs in the chip."""

import threading
from collections.abc import Callable

import pytest

from apdu.frame import Frame
from emulator.radio.medium import Trouble, drive
from emulator.radio.pcd import LinkDead, PcdIsoDep
from emulator.radio.pn532.antenna import Antenna, Inbound
from emulator.radio.pn532.status import Status
from tests.pn532_listener import ATS, CARD, LISTEN_NS, Listening, init


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


def test_a_command_that_comes_before_the_host_looks_leaves_it_the_rats() -> None:
    listening = picc_session(lambda command: "")
    antenna = listening.host.chip.antenna
    antenna.on_news = lambda: None  # a host that gets no time from its machine
    activated(listening)

    def say(body: str) -> str:
        reply = antenna.receive(Frame.whole(bytes.fromhex(body)), LISTEN_NS)
        assert reply is not None
        return (reply.frame.body() or b"").hex()

    assert say("0200B0950000") == "f204"
    assert listening.host.resume(0x8C) == bytes.fromhex("08e080")
    assert listening.host.ask("86") == "0000b0950000"
    assert listening.host.ask("8E 9000") == "00"
    assert say("F204") == "029000"


def silent(listening: Listening) -> Antenna:
    """The antenna of a chip whose host gets no time from its machine until it is resumed."""
    antenna = listening.host.chip.antenna
    antenna.on_news = lambda: None
    return antenna


def test_a_reader_that_goes_while_the_rats_is_told_has_made_the_chip_a_picc_all_the_same() -> None:
    listening = picc_session(lambda command: "")
    antenna = silent(listening)
    activated(listening)
    take = antenna.take

    def take_and_lose_the_field() -> Inbound | None:
        came = take()
        antenna.field_off()
        return came

    antenna.take = take_and_lose_the_field  # type: ignore[method-assign]
    assert listening.host.resume(0x8C) == bytes.fromhex("08e080")
    assert listening.host.ask("86") == "29"


def test_a_response_to_a_reader_that_goes_in_this_moment_was_released() -> None:
    listening = picc_session(lambda command: "")
    antenna = silent(listening)
    activated(listening)
    assert listening.host.resume(0x8C) == bytes.fromhex("08e080")
    assert antenna.receive(Frame.whole(bytes.fromhex("0200B0")), LISTEN_NS) is not None
    assert listening.host.ask("86") == "0000b0"
    respond = antenna.respond

    def lose_the_field_and_respond(response: bytes) -> Status:
        antenna.field_off()
        return respond(response)

    antenna.respond = lose_the_field_and_respond  # type: ignore[method-assign]
    assert listening.host.ask("8E 9000") == "29"


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
