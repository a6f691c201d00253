"""An issuer's tool for blank FMCOS 2.0 cards, written from the annex: commands as hexadecimal text.

Nothing of the product makes a command or a cryptogram here; `tests.vectors.independent` does. The
card under test is the only thing of ours that is imported.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, ScriptedEnv, SeededEnv
from emulator.card.personalise import blank_image
from emulator.card.state import Chip, Image
from emulator.card.store import MemoryStore
from emulator.picc import Contactless
from tests.vectors import independent

MF_NAME = b"1PAY.SYS.DDF01"
FACTORY = bytes.fromhex("FF" * 8)
"""The public transport default of a card as sold (annex 1)."""

_RADIO = Contactless(b"\x04\x00", 0x28, bytes.fromhex("01020304"), bytes.fromhex("0578807002"))


def made_up(name: str, size: int = 16) -> bytes:
    """A key for these tests and nothing else."""
    return sha256(b"tapbench made-up FMCOS key " + name.encode()).digest()[:size]


def field(plain: bytes, *, always: bool = False) -> bytes:
    """LD, data, padding: none if it fits (manual), or always a block 80 (client F), annex 6."""
    block = bytes((len(plain),)) + plain
    return independent.padded(block) if always or len(block) % 8 else block


class Tool:
    """Sends commands and insists on the status word."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def __call__(self, command: str, sw: str = "9000") -> bytes:
        """The answer's data. command: hexadecimal; sw: the status word it must have."""
        answer = self.card.process(bytes.fromhex(command))
        assert answer[-2:].hex().upper() == sw, f"{command}: {answer[-2:].hex()}"
        return answer[:-2]

    def challenge(self, n: int = 4) -> bytes:
        return self(f"00840000{n:02X}")

    def maced(
        self,
        head: str,
        key: bytes,
        data: bytes = b"",
        sw: str = "9000",
        *,
        n: int = 4,
        le: str = "",
    ) -> bytes:
        """A command under MAC: head is CLA INS P1 P2, n the bytes of the challenge."""
        header = bytes.fromhex(head) + bytes((len(data) + 4,))
        iv = independent.challenge_iv(self.challenge(n))
        mac = independent.retail4(key, header + data, iv)
        return self((header + data + mac).hex() + le, sw)

    def enciphered(
        self,
        head: str,
        key: bytes,
        plain: bytes,
        sw: str = "9000",
        *,
        always: bool = True,
        n: int = 4,
    ) -> bytes:
        """A command with encryption and MAC."""
        return self.maced(head, key, independent.t(key, field(plain, always=always)), sw, n=n)

    def authenticate(self, key: bytes, kid: int = 0, sw: str = "9000", n: int = 8) -> None:
        """EXTERNAL AUTHENTICATE."""
        cryptogram = independent.t(key, independent.challenge_iv(self.challenge(n)))
        self(f"008200{kid:02X}08{cryptogram.hex()}", sw)

    def select(self, fid: str) -> bytes:
        return self(f"00A4000002{fid}")

    def create(self, fid: str, header: str, sw: str = "9000") -> None:
        self(f"80E0{fid}{len(bytes.fromhex(header)):02X}{header}", sw)

    def directory(
        self, fid: str, name: bytes, space: int = 0x1000, rights: str = "F0F0", sw: str = "9000"
    ) -> None:
        self.create(fid, f"38{space:04X}{rights}95FFFF{name.hex()}", sw)

    def enter(self, name: bytes) -> bytes:
        return self(f"00A40400{len(name):02X}{name.hex()}")

    def key_file(self, size: int = 0x0200, add: str = "F0", sw: str = "9000") -> None:
        self.create("0000", f"3F{size:04X}95{add}FFFF", sw)

    def add_key(self, kid: int, attributes: str, key: bytes, sw: str = "9000") -> None:
        """WRITE KEY in the clear. attributes: type, usage, change and two more."""
        self.write_key(0x01, kid, attributes, key, sw)

    def write_key(self, p1: int, kid: int, attributes: str, key: bytes, sw: str = "9000") -> None:
        data = bytes.fromhex(attributes) + key
        self(f"80D4{p1:02X}{kid:02X}{len(data):02X}{data.hex()}", sw)

    def write_key_secret(
        self, p1: int, kid: int, attributes: str, key: bytes, master: bytes, sw: str = "9000"
    ) -> None:
        """WRITE KEY with encryption and MAC of the master key."""
        plain = bytes.fromhex(attributes) + key
        self.enciphered(f"84D4{p1:02X}{kid:02X}", master, plain, sw)


def blank(
    *, dialect: Dialect | None = None, env: Env | None = None, image: Image | None = None
) -> Tool:
    """A tool at a blank card: an empty MF, all rights free (annex 1, BLANK)."""
    chip = Chip(dialect or Dialect(), env or SeededEnv("fmcos"), {})
    return Tool(Card(chip, MemoryStore(image or blank_image(MF_NAME)), _RADIO))


def scripted(numbers: Iterable[str], **more: Dialect) -> Tool:
    """A blank card that gives out these challenges and randoms."""
    return blank(env=ScriptedEnv(bytes.fromhex(n) for n in numbers), **more)


def factory(numbers: Iterable[str] = ()) -> Tool:
    """A card as sold: a transport key in the MF, whose erase right wants state A (annex 1)."""
    image = blank_image(MF_NAME)
    tool = blank(image=image)
    tool.key_file()
    tool.add_key(0, "39F0F0AA33", FACTORY)
    mf = tool.card.image.directories[0]
    closed = replace(mf, head=replace(mf.head, erase=0xAA))
    made = replace(tool.card.image, directories=(closed,))
    return blank(image=made, env=ScriptedEnv(bytes.fromhex(n) for n in numbers))


def application(**more: Dialect) -> Tool:
    """A blank card with one directory, entered: it is open, and has a key file."""
    tool = blank(**more)
    tool.directory("3F01", b"fmcos-test")
    tool.enter(b"fmcos-test")
    tool.key_file()
    return tool
