"""A Sony Port-100 chip in software, as far as a card needs it, for nfcpy's RC-S380 driver.

It stands where the driver has its USB transport and speaks the chip's host frames. Its antenna is
two queues: `air` is the reader's end, for `tests.unit.pcd.Pcd`; `field_off` is the reader leaving.
"""

import queue
import struct
from errno import EIO, ENODEV, ETIMEDOUT

from emulator.picc import Contactless
from emulator.radio.activation import Activation

ACK = bytes.fromhex("0000ff00ff00")
FIELD_OFF = None
PATIENCE_S = 5.0
TIMEOUT_STATUS, RF_OFF_STATUS = 0x80, 0x400

_PLAIN = {0x2A: b"\x00", 0x20: b"\x11\x01", 0x22: b"\x00\x01", 0x06: b"\x00", 0x40: b"\x00"}
_COMM_RF = struct.Struct("<HH?6s18s??H")


class Port100:
    TYPE = "USB"
    manufacturer_name = "SONY"
    product_name = "RC-S380/S"

    def __init__(self) -> None:
        self.to_card: queue.Queue[bytes | None] = queue.Queue()
        self.to_reader: queue.Queue[bytes | None] = queue.Queue()
        self.pending: list[bytes] = []
        self.tells_rf_off = False
        self.activation: Activation | None = None
        self.is_unplugged = False
        self.hiccups = 0  # how many of the next commands go wrong

    # The reader's end

    def air(self, frame: bytes) -> bytes | None:
        self.to_card.put(frame)
        return self.to_reader.get(timeout=PATIENCE_S)

    def field_off(self) -> None:
        self.to_card.put(FIELD_OFF)

    # The driver's end

    def write(self, frame: bytes) -> None:
        if self.is_unplugged:
            raise OSError(ENODEV, "No such device")
        if self.hiccups:
            self.hiccups -= 1
            raise OSError(EIO, "Input/output error")
        frame = bytes(frame)
        if frame == ACK:
            return
        length = struct.unpack("<H", frame[5:7])[0]
        code, data = frame[9], frame[10 : 8 + length]
        self.pending = [ACK, _framed(bytes([0xD7, code + 1]) + self._do(code, data))]

    def read(self, timeout: int = 0) -> bytearray:
        if not self.pending:
            raise OSError(ETIMEDOUT, "Connection timed out")
        return bytearray(self.pending.pop(0))

    def close(self) -> None:
        pass

    def _do(self, code: int, data: bytes) -> bytes:
        if code == 0x42:  # TgSetProtocol
            settings = dict(zip(data[::2], data[1::2], strict=True))
            self.tells_rf_off = bool(settings.get(1, self.tells_rf_off))
            return b"\x00"
        return self._comm_rf(data) if code == 0x48 else _PLAIN[code]

    def _comm_rf(self, data: bytes) -> bytes:
        _, _, mdaa, nfca, _, _, _, recv_timeout_ms = _COMM_RF.unpack_from(data)
        answer = data[_COMM_RF.size :]
        if mdaa and self.activation is None:
            uid = b"\x08" + nfca[2:5]
            self.activation = Activation(Contactless(nfca[:2], nfca[5], uid, b"\x01"))
            self.activation.field_on()
        elif not mdaa:
            self.activation = None
        if answer:
            self.to_reader.put(answer)
        return self._receive(recv_timeout_ms / 1000)

    def _receive(self, timeout_s: float) -> bytes:
        while True:
            try:
                frame = self.to_card.get(timeout=timeout_s) if timeout_s else self._at_once()
            except queue.Empty:
                return _heard(TIMEOUT_STATUS)
            if frame is FIELD_OFF:
                self._restart()
                if self.tells_rf_off:
                    return _heard(RF_OFF_STATUS)
            elif self.activation is None or self.activation.is_selected:
                return _heard(0, frame)
            else:
                self.to_reader.put(self.activation.receive(frame))

    def _at_once(self) -> bytes | None:
        return self.to_card.get_nowait()

    def _restart(self) -> None:
        if self.activation is not None:
            self.activation.field_off()
            self.activation.field_on()


def _heard(status: int, frame: bytes = b"") -> bytes:
    return bytes([11, 0, 3]) + struct.pack("<L", status) + frame


def _framed(data: bytes) -> bytes:
    length = struct.pack("<H", len(data))
    head = b"\x00\x00\xff\xff\xff" + length + bytes([-sum(length) & 0xFF])
    return head + data + bytes([-sum(data) & 0xFF, 0])
