"""C-APDU and R-APDU: ISO/IEC 7816-4 cases 1 to 4, short form.

The command header is parsed by hand: it is hot, hostile, and its errors are status words.
"""

from dataclasses import dataclass

from apdu.codec import WireError
from apdu.value import value


def body(command: bytes) -> tuple[bytes, int | None]:
    """Split what follows the 4 header bytes into data and Ne (None when Le is absent).

    Le 00 asks for 256 bytes. Raises WireError if the length bytes do not fit the command,
    extended lengths included: the card takes short APDUs only (protocol reference 4.1).

    >>> body(bytes.fromhex("805c000204"))
    (b'', 4)
    >>> body(bytes.fromhex("00a4000002 3f00"))
    (b'?\\x00', None)
    """
    n = len(command)
    if n == 5:
        return b"", command[4] or 256
    if n > 5:
        end = 5 + command[4]
        if command[4] and n == end:
            return command[5:], None
        if command[4] and n == end + 1:
            return command[5:end], command[end] or 256
        raise WireError(f"Lc is {command[4]:02X} but {n - 5} bytes follow it")
    if n == 4:
        return b"", None
    raise WireError(f"a command has at least 4 bytes, got {n}")


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed C-APDU. ne: how many bytes the reader expects at most, None without Le."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    ne: int | None = None

    @classmethod
    def parse(cls, raw: bytes) -> "Command":
        """From bytes. Raises WireError if the lengths do not fit.

        >>> Command.parse(bytes.fromhex("00B0950000"))
        Command(cla=0, ins=176, p1=149, p2=0, data=b'', ne=256)
        """
        data, ne = body(raw)
        return cls(raw[0], raw[1], raw[2], raw[3], data, ne)

    def build(self) -> bytes:
        """To bytes. Raises WireError if data or Ne do not fit a short APDU."""
        if len(self.data) > 255 or not (self.ne is None or 1 <= self.ne <= 256):
            raise WireError(
                f"a short APDU holds 255 bytes and asks for 1 to 256, "
                f"got {len(self.data)} and {self.ne}"
            )
        lc = bytes((len(self.data),)) if self.data else b""
        le = b"" if self.ne is None else bytes((self.ne & 0xFF,))
        return bytes((self.cla, self.ins, self.p1, self.p2)) + lc + self.data + le


@value
class Response:
    """A parsed R-APDU."""

    data: bytes
    sw: int

    @classmethod
    def parse(cls, raw: bytes) -> "Response":
        """From bytes. Raises WireError if there is no status word."""
        if len(raw) < 2:
            raise WireError(f"a response has at least 2 bytes, got {len(raw)}")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))
