"""The host of a PN532, by hand: builds frames, takes answers apart, owns an air with the chip."""

from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.medium import Guest
from emulator.radio.pn532.chip import Pn532
from emulator.radio.pn532.link import ACK, ERROR, FIRST_RATE

WAKE_UP = bytes.fromhex("5555000000")
TARGET = "8C01 0400 A1B2C3 20" + "00" * 18 + "00" * 10 + "00" + "00"

# What each command takes.
WELL_FORMED = [
    "00 00 01 02", "00 01", "00 02", "00 04 01", "00 05 00 00 00", "00 06", "00 07 00",
    "02", "04", "06 6301", "06 6301 6302", "08 6302 80", "08 6302 80 6303 80", "0C", "0E 80 80",
    "10 00", "10 08", "12 00", "14 01", "14 01 14", "14 04 00 01", "16 F0", "16 F0 01",
    "32 01 01", "32 02 00 0B 0A", "32 04 00", "32 05 FF 01 FF", "32 0A" + "00" * 11,
    "32 0B" + "00" * 8, "32 0C 000000", "32 0D" + "00" * 9,
    "40 01", "40 41 00", "42", "42 26", "44 00", "44 01", "46 00 00 00", "4A 01 00", "4A 02 00",
    "4A 01 00 08A1B2C3", "4A 01 00 8804112233445566", "4A 01 01 00FFFF0000", "4A 01 03 00",
    "4A 01 03 00 00", "4A 01 04", "4E 01 00 00", "50 01 00", "50 01 01" + "00" * 10, "50 01 02 00",
    "52 00", "54 01", "56 01 02 00", "56 00 01 01 00FFFF0000", "56 00 00 07" + "00" * 15,
    "60 01 01 20", "60 FF 0F 00 01 02 03 04 10 11 12 20 23 40 41 42 80 81",
    "86", "88", "8A", TARGET, "8C00" + "00" * 34 + "02 0000" + "01 80", "8E", "8E 9000", "90 9000",
    "92 00", "94 00",
]  # fmt: skip


def frame(data: bytes) -> bytes:
    """A command frame of the host, without TFI in `data`."""
    body = b"\xd4" + data
    if len(body) < 256:
        head = bytes([len(body), -len(body) & 0xFF])
    else:
        size = len(body).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes([-sum(size) & 0xFF])
    return b"\x00\x00\xff" + head + body + bytes([-sum(body) & 0xFF, 0x00])


def answer_in(said: bytes) -> bytes:
    """What an answer frame of the chip says, checksums checked: response code and data."""
    assert said.startswith(b"\x00\x00\xff")
    assert said.endswith(b"\x00")
    if said[3:5] == b"\xff\xff":
        assert sum(said[5:8]) & 0xFF == 0
        size, body = int.from_bytes(said[5:7], "big"), said[8:-1]
    else:
        assert sum(said[3:5]) & 0xFF == 0
        size, body = said[3], said[5:-1]
    assert len(body) == size + 1
    assert sum(body) & 0xFF == 0
    assert body[0] == 0xD5
    return body[1:-1]


class Host:
    """A chip that is awake, and its host."""

    def __init__(self, *guests: Guest, air: Air | None = None) -> None:
        self.air = Air(Unpaced()) if air is None else air
        for guest in guests:
            self.air.bring(guest)
        self.chip = Pn532(self.air)
        self.air.bring(self.chip.antenna)
        self.say(WAKE_UP)

    def say(self, chunk: bytes, rate: int = FIRST_RATE, now_ns: int = 0) -> bytes:
        """Bytes to the chip, and all it says at once."""
        return b"".join(self.chip.receive(chunk, rate, now_ns))

    def start(self, command: str) -> bytes | None:
        """A command in hexadecimal. Returns the answer's data, or None if there is none yet."""
        data = bytes.fromhex(command)
        said = self.say(frame(data))
        assert said.startswith(ACK), said.hex()
        return self._data(data[0], said[len(ACK) :])

    def ask(self, command: str) -> str:
        """A command that is answered at once, both in hexadecimal."""
        data = self.start(command)
        assert data is not None
        return data.hex()

    def poll(self, command: str, times: int = 10_000) -> str:
        """A command that takes its time: the pauses are skipped."""
        data = self.start(command)
        for _ in range(times):
            if data is not None:
                return data.hex()
            data = self.resume(int(command[:2], 16))
        raise AssertionError("the command does not end")

    def resume(self, code: int) -> bytes | None:
        """Let the running command go on. Returns its answer's data, or None."""
        return self._data(code, self.chip.resume())

    def is_refused(self, command: str) -> bool:
        """Whether the chip acknowledges a command and answers with the error frame."""
        return self.say(frame(bytes.fromhex(command))) == ACK + ERROR

    def _data(self, code: int, said: bytes) -> bytes | None:
        if not said:
            return None
        answer = answer_in(said)
        assert answer[0] == code + 1
        return answer[1:]
