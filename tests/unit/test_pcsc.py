"""The PC/SC coupler without a service: which reader is meant, and what result codes mean."""

import sys

import pytest

from reader.transport.base import CardLost, ReaderFault
from reader.transport.pcsc import PcscCoupler, choose_reader, fault, list_readers

PICC = "ACS ACR1252 1S CL Reader PICC 0"
SAM = "ACS ACR1252 1S CL Reader SAM 0"
SLOT_0, SLOT_1 = "tapbench 00 00", "tapbench 00 01"


@pytest.mark.parametrize(
    ("readers", "wanted", "chosen"),
    [
        ([PICC], None, PICC),
        ([PICC, SAM], "picc", PICC),
        ([PICC, SLOT_0], "TAPBENCH", SLOT_0),
        ([SLOT_0, SLOT_1], SLOT_1, SLOT_1),
        (["tap", "tapbench"], "tap", "tap"),  # a whole name is never ambiguous
    ],
)
def test_the_one_reader_meant_is_chosen(readers, wanted, chosen):
    assert choose_reader(readers, wanted) == chosen


@pytest.mark.parametrize(
    ("readers", "wanted", "sentence"),
    [
        ([PICC], "omnikey", f"no reader matches 'omnikey' of: {PICC}."),
        ([PICC, SAM], "acr", f"several readers match 'acr' of: {PICC}, {SAM}."),
        ([PICC, SAM], None, f"there are several readers, name one of: {PICC}, {SAM}."),
        ([], "acr", "the PC/SC service has no reader; plug one in or start a virtual one."),
        ([], None, "the PC/SC service has no reader; plug one in or start a virtual one."),
    ],
)
def test_no_or_several_readers_are_listed(readers, wanted, sentence):
    with pytest.raises(ReaderFault) as failure:
        choose_reader(readers, wanted)
    assert str(failure.value) == sentence


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (0x80100069, CardLost, "the card left R before it answered"),
        (0x80100069 - (1 << 32), CardLost, "the card left R before it answered"),
        (0x80100016, CardLost, "the card left R before it answered"),
        (0x80100068, CardLost, "another program reset the card in R"),
        (0x8010000B, ReaderFault, "another program holds R for itself"),
        (0x80100017, ReaderFault, "reader R is gone"),
        (0x8010001D, ReaderFault, "no PC/SC service answers; start pcscd"),
        (0x80100001, ReaderFault, "R failed with PC/SC error 80100001"),
    ],
)
def test_result_codes_become_errors_with_advice(result, kind, words):
    error = fault(result, "R")
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize("use", [PcscCoupler, list_readers])
def test_without_pyscard_the_message_says_what_to_install(use, monkeypatch):
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(ReaderFault, match=r"pip install 'tapbench\[pcsc\]'"):
        use()
