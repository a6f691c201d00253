"""A process that uses a PSAM in a file until it is killed."""

import random
from multiprocessing.connection import Connection

from apdu.commands import SAM_CREDIT_PURCHASE, SAM_INIT_PURCHASE
from apdu.records import SamCreditData
from reader import psam_store
from reader.psam import Psam
from reader.psam_store import PsamFile
from tests.vectors.ladders import sam_keys

TERMINAL = bytes.fromhex("300089000195")
ASKED = bytes.fromhex(
    "A1B2C3D4001200000000092025090807301501005228009900000017" + "09981001FFFFFFFF"
)
OK = b"\x90\x00"


def use_for_ever(path: str, seed: int, answers: Connection) -> None:
    """Begin transactions and credit some; each answer is told before the next command."""
    source = random.Random(seed)
    command = SAM_INIT_PURCHASE.command(SAM_INIT_PURCHASE.data.parse(ASKED))
    while True:
        psam_store.LINES_KEPT = source.choice((3, 20, 1 << 14))
        with PsamFile(path, TERMINAL) as store:
            psam = Psam(TERMINAL, sam_keys(), store=store)
            for _ in range(source.randint(1, 60)):
                response = psam.process(command)
                assert response[-2:] == OK
                number = int.from_bytes(response[:4], "big")
                answers.send_bytes(b"given %d" % number)
                if source.random() < 0.9:
                    credit = SamCreditData(store.unresolved[number])
                    assert psam.process(SAM_CREDIT_PURCHASE.command(credit)) == OK
                    answers.send_bytes(b"credited %d" % number)
