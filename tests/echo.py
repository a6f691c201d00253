"""A card that says back what it is told: for the roads to a card, where no real one is needed."""

from collections.abc import Callable

from emulator.picc import Contactless

OK = b"\x90\x00"


class EchoCard:
    """Answers every command with itself and 9000, or with what `answer` makes of it."""

    def __init__(self, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.contactless = Contactless(
            atqa=b"\x44\x00", sak=0x20, uid=bytes(7), ats=bytes.fromhex("08788080024543484f")
        )
        self.answer = answer or (lambda command: command + OK)
        self.commands: list[bytes] = []
        self.powers: list[str] = []

    def power_on(self) -> bytes:
        self.powers.append("on")
        return self.contactless.historical

    def power_off(self) -> None:
        self.powers.append("off")

    def process(self, command: bytes) -> bytes:
        self.commands.append(command)
        return self.answer(command)
