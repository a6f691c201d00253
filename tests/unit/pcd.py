"""A small reference reader for the tests of the card's radio, and cards without a purse.

`Pcd` plays the reader's side of ISO/IEC 14443-3 and -4 over any `air(frame) -> answer or None`,
where None is a timeout. It retries as rules 4 to 8 say, so it must get every APDU through an air
that loses frames; it fails loudly when the card breaks a rule.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.picc import Contactless
from emulator.radio.isodep import PiccLink

FSD = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
PHONE = Contactless(
    atqa=b"\x04\x00", sak=0x20, uid=bytes.fromhex("0411A2B3"), ats=bytes.fromhex("0578807002")
)

Air = Callable[[bytes], bytes | None]


def with_ats(fsci: int = 8, tc: int = 0x02, ta: int = 0x80, fwi: int = 7) -> Contactless:
    ats = bytes([5, 0x70 | fsci, ta, fwi << 4, tc])
    return Contactless(atqa=PHONE.atqa, sak=PHONE.sak, uid=PHONE.uid, ats=ats)


@dataclass
class EchoCard:
    """Answers each command with the command and 9000; remembers what happened to it."""

    contactless: Contactless = PHONE
    seen: list[bytes] = field(default_factory=list)
    power: list[str] = field(default_factory=list)

    def power_on(self) -> bytes:
        self.power.append("on")
        return self.contactless.historical

    def power_off(self) -> None:
        self.power.append("off")

    def process(self, command: bytes) -> bytes:
        self.seen.append(command)
        return self.answer(command) + b"\x90\x00"

    def answer(self, command: bytes) -> bytes:
        return command


@dataclass
class SizedCard(EchoCard):
    """Answers with as many bytes as the last two bytes of the command say, and 9000."""

    def answer(self, command: bytes) -> bytes:
        size = int.from_bytes(command[-2:], "big")
        return bytes(n & 0xFF for n in range(size))


def linked(card: EchoCard) -> PiccLink:
    link = PiccLink(card, card.contactless)
    link.field_on()
    return link


class Pcd:
    def __init__(self, air: Air, fsdi: int = 8, cid: int | None = None, tries: int = 3) -> None:
        self.air = air
        self.fsdi, self.cid, self.tries = fsdi, cid, tries
        self.number = 0  # rule A
        self.fsc = 32
        self.frames: list[tuple[bytes, bytes | None]] = []

    def exchange(self, frame: bytes) -> bytes | None:
        answer = self.air(frame)
        self.frames.append((frame, answer))
        return answer

    def select(self, poll: bytes = b"\x26") -> bytes | None:
        """REQA or WUPA to the last SAK. Returns the UID, or None if there is no card."""
        if self.exchange(poll) is None:
            return None
        uid = b""
        for level in (0x93, 0x95, 0x97):
            part = self.exchange(bytes([level, 0x20]))
            assert part is not None
            assert len(part) == 5
            sak = self.exchange(bytes([level, 0x70]) + part)
            assert sak is not None
            if not sak[0] & 0x04:
                return uid + part[:4]
            uid += part[1:4]
        raise AssertionError("more than three cascade levels")

    def rats(self) -> bytes | None:
        ats = self.exchange(bytes([0xE0, self.fsdi << 4 | (self.cid or 0)]))
        if ats is not None:
            self.number = 0  # rule A
            self.fsc = FSD[ats[1] & 0x0F]
        return ats

    def activate(self, poll: bytes = b"\x26") -> "Pcd":
        assert self.select(poll) is not None
        assert self.rats() is not None
        return self

    def block(self, pcb: int, inf: bytes = b"") -> bytes:
        return bytes([pcb]) + inf if self.cid is None else bytes([pcb | 0x08, self.cid]) + inf

    def transmit(self, command: bytes) -> bytes:
        """One APDU there and back, chained as FSC and FSD ask, repeated as rules 4 to 7 ask."""
        room = self.fsc - 3 - (self.cid is not None)
        parts = [command[at : at + room] for at in range(0, len(command), room)] or [b""]
        for part in parts[:-1]:
            answer = self._send(0x12, part)
            assert answer[0] & 0xF6 == 0xA2, "a part of a chain is answered by R(ACK)"  # rule 2
            self.number ^= 1  # rule B
        answer = self._send(0x02, parts[-1])
        response = self._inf(answer)
        while answer[0] & 0x10:
            self.number ^= 1  # rule B
            again = self.block(0xA2 | self.number)
            answer = self._repeat(again, again)  # rule 5
            response += self._inf(answer)
        self.number ^= 1  # rule B
        return response

    def is_present(self) -> bool:
        answer = self.exchange(self.block(0xB2 | self.number))
        return answer == self.block(0xA2 | self.number ^ 1)

    def deselect(self) -> bool:
        frame = self.block(0xC2)
        return any(self.exchange(frame) == frame for _ in range(self.tries))  # rule 8

    def _send(self, pcb: int, inf: bytes) -> bytes:
        """An I-block until it is answered by something else than "I did not get it"."""
        frame = self.block(pcb | self.number, inf)
        for _ in range(self.tries):
            answer = self._repeat(frame, self.block(0xB2 | self.number))  # rule 4
            if answer[0] & 0xF7 != 0xA2 | self.number ^ 1:
                return answer
            # rule 6: R(ACK) with the other number, the I-block was lost
        raise AssertionError("the card never gets the block")

    def _repeat(self, first: bytes, again: bytes) -> bytes:
        frame = first
        for _ in range(self.tries):
            answer = self.exchange(frame)
            while answer is not None and answer[0] & 0xF7 == 0xF2:
                frame = self.block(0xF2, bytes([answer[-1] & 0x3F]))
                answer = self.exchange(frame)
            if answer is not None:
                assert len(answer) + 2 <= FSD[self.fsdi], "a frame longer than FSD"
                return answer
            frame = again
        raise AssertionError("the card does not answer")

    def _inf(self, answer: bytes) -> bytes:
        assert answer[0] & 0xE6 == 0x02, "an I-block is answered by an I-block"  # rule 10
        assert answer[0] & 1 == self.number
        assert bool(answer[0] & 0x08) == (self.cid is not None)
        if self.cid is None:
            return answer[1:]
        assert answer[1] == self.cid
        return answer[2:]
