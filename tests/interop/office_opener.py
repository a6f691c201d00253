"""A process that opens cards, one for each student, and says each serial once it is in the books.

python -m tests.interop.office_opener DATABASE FIRST COUNT
"""

import sys

from issuer.cards_book import Card
from issuer.database import open_database
from tests.offices import NOW, Office


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    where, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    office = Office(open_database(where), NOW)
    say("ready")
    for student in range(first, first + count):
        card = office.reserve(student)
        if isinstance(card, Card):
            say(card.serial.hex())


if __name__ == "__main__":
    main()
