"""The PSAM: MAC1 out, MAC2 checked, and nothing else believed (protocol reference 5.7)."""

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import (
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
    SAM_INIT_PURCHASE,
    SAM_TABLE,
)
from apdu.records import (
    SamCreditData,
    SamEarlierData,
    SamPurchaseData,
    SamPurchaseReply,
)
from apdu.sw import SW
from reader.psam import Psam
from tests.cards import OK, sw_of
from tests.vectors.test_vectors_selfcheck import BY_ID

ISSUER = bytes.fromhex("09981001FFFFFFFF")
SERIAL = bytes.fromhex("5228009900000017")
PMK = fixtures.load_roots()["PMK"]
CASES = [
    (BY_ID[f"purchase-{name}-purchase"], kind)
    for name, kind in (("cv1", 0x09), ("cv2", 0x09), ("cv3", 0x06))
]


def psam(vector=CASES[0][0], seq: int | None = None) -> Psam:
    given_seq = int(vector["inputs"]["terminal_seq"], 16) if seq is None else seq
    return Psam(bytes.fromhex(vector["inputs"]["terminal"]), {1: PMK}, given_seq)


def asked(vector=CASES[0][0], **changes) -> SamPurchaseData:
    i = {k: bytes.fromhex(v) for k, v in vector["inputs"].items()}
    fields = {
        "random": i["random"],
        "offline_seq": int.from_bytes(i["seq"], "big"),
        "amount": int.from_bytes(i["amount"], "big"),
        "kind": i["type"][0],
        "date": i["date"],
        "time": i["time"],
        "key_version": 1,
        "algorithm": 0,
        "serial": SERIAL,
        "issuer": ISSUER,
    }
    return SamPurchaseData(**fields | changes)


def begin(sam: Psam, q: SamPurchaseData) -> SamPurchaseReply:
    response = sam.process(SAM_INIT_PURCHASE.command(q))
    assert response[-2:] == OK, response.hex()
    return SamPurchaseReply.parse(response[:-2])


def credit(sam: Psam, mac2: bytes) -> int:
    return sw_of(sam.process(SAM_CREDIT_PURCHASE.command(SamCreditData(mac2))))


def earlier(sam: Psam, seq: int, mac2: bytes) -> int:
    return sw_of(sam.process(SAM_CREDIT_EARLIER.command(SamEarlierData(seq, mac2))))


@pytest.mark.parametrize(("vector", "kind"), CASES, ids=[v["id"] for v, _ in CASES])
def test_mac1_is_the_vector_s_and_its_mac2_is_taken_once(vector, kind):
    assert asked(vector).kind == kind
    stated = {k: bytes.fromhex(v) for k, v in vector["result"].items()}
    sam = psam(vector)
    reply = begin(sam, asked(vector))
    assert reply.terminal_seq.to_bytes(4, "big").hex() == vector["inputs"]["terminal_seq"].lower()
    assert reply.mac1 == stated["mac1"]
    assert credit(sam, stated["mac2"]) == SW.OK
    assert credit(sam, stated["mac2"]) == SW.WRONG_STATE


def test_a_wrong_mac2_is_9302_and_the_right_one_is_still_taken():
    vector = CASES[1][0]
    sam = psam(vector)
    begin(sam, asked(vector))
    right = bytes.fromhex(vector["result"]["mac2"])
    for bit in range(32):
        wrong = int.from_bytes(right, "big") ^ 1 << bit
        assert credit(sam, wrong.to_bytes(4, "big")) == SW.MAC_INVALID
    assert credit(sam, right) == SW.OK
    assert credit(sam, right) == SW.WRONG_STATE


def test_anything_else_ends_the_transaction_under_way():
    vector = CASES[1][0]
    sam = psam(vector)
    begin(sam, asked(vector))
    assert sam.process(bytes.fromhex("00A40000023F00"))[-2:] == OK
    right = bytes.fromhex(vector["result"]["mac2"])
    assert credit(sam, right) == SW.WRONG_STATE
    assert earlier(sam, int(vector["inputs"]["terminal_seq"], 16), right) == SW.OK


def test_nothing_is_credited_before_a_transaction_is_begun():
    assert credit(psam(), bytes(4)) == SW.WRONG_STATE


def test_each_transaction_gets_the_next_number():
    sam = psam(seq=0x2202)
    assert [begin(sam, asked()).terminal_seq for _ in range(3)] == [0x2202, 0x2203, 0x2204]
    assert sam.terminal_seq == 0x2205


def test_the_last_number_is_used_and_then_no_more():
    sam = psam(seq=0xFFFFFFFF)
    assert begin(sam, asked()).terminal_seq == 0xFFFFFFFF
    response = sam.process(SAM_INIT_PURCHASE.command(asked()))
    assert sw_of(response) == SW.COUNTER_AT_MAXIMUM
    assert SW.COUNTER_AT_MAXIMUM in SAM_INIT_PURCHASE.errors


@pytest.mark.parametrize("version", [0, 2, 0xFF])
def test_an_unknown_key_version_is_9403_and_uses_no_number(version):
    sam = psam(seq=5)
    response = sam.process(SAM_INIT_PURCHASE.command(asked(key_version=version)))
    assert sw_of(response) == SW.KEY_INDEX
    assert sam.terminal_seq == 5


def test_two_versions_of_the_key_make_two_macs():
    roots = {1: PMK, 2: fixtures.load_roots()["LMK"]}
    macs = {begin(Psam(bytes(6), roots), asked(key_version=v)).mac1 for v in roots}
    assert len(macs) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"random": bytes(4)},
        {"offline_seq": 1},
        {"amount": 1},
        {"kind": 0x06},
        {"date": bytes(4)},
        {"time": bytes(3)},
        {"serial": bytes(8)},
        {"issuer": bytes(8)},
    ],
    ids=lambda c: next(iter(c)),
)
def test_every_field_counts_in_mac1(change):
    assert begin(psam(), asked()).mac1 != begin(psam(), asked(**change)).mac1


def test_the_psam_s_own_terminal_number_is_in_mac1():
    assert (
        begin(Psam(bytes(6), {1: PMK}), asked()).mac1
        != begin(Psam(bytes(5) + b"\1", {1: PMK}), asked()).mac1
    )


def test_lost_answers_are_checked_in_any_order_later():
    sam = psam(seq=1)
    for n in range(10):
        begin(sam, asked(amount=n))
    wanted = dict(sam.store.unresolved)
    for seq in [*range(1, 11, 2), *range(10, 0, -2)]:
        assert earlier(sam, seq, wanted[seq % 10 + 1]) == SW.MAC_INVALID
        assert earlier(sam, seq, wanted[seq]) == SW.OK
    assert earlier(sam, 1, wanted[1]) == SW.REFERENCE_NOT_FOUND


def test_an_issuer_key_kept_is_the_issuer_key_made():
    sam = psam(seq=1)
    first = begin(sam, asked()).mac1
    for n in range(200):
        begin(sam, asked(issuer=n.to_bytes(8, "big")))
    sam.store.next_seq = 1
    assert begin(sam, asked()).mac1 == first


@pytest.mark.parametrize("size", [0, 5, 7])
def test_a_terminal_number_has_six_bytes(size):
    with pytest.raises(ValueError, match="6 bytes"):
        Psam(bytes(size), {})


def test_a_psam_is_its_own_transport():
    sam = psam()
    command = SAM_CREDIT_PURCHASE.command(SamCreditData(bytes(4)))
    assert sam.transmit(command) == sam.process(command)


SIZED = [spec for spec in SAM_TABLE if spec.data and len(spec.data.SIZES) == 1]


@pytest.mark.parametrize("spec", SIZED, ids=lambda s: s.name)
def test_lengths_are_judged_as_the_card_judges_them(spec):
    sam = psam()
    begin(sam, asked())
    size = spec.data.size()
    head = bytes((spec.cla, spec.ins, *spec.usual))
    for n in (size - 1, size + 1, 255):
        assert sam.process(head + bytes((n,)) + bytes(n)).hex() == "6700"
    assert sam.process(head + b"\0\0\0").hex() == "6700"


def test_a_date_is_taken_as_it_comes():
    """The PSAM does not check dates: those are the gate's."""
    at = Moment(b"\xff" * 4, b"\xff" * 3)
    assert begin(psam(), asked(date=at.date, time=at.time)).mac1


def test_an_algorithm_the_psam_has_not_is_9403():
    response = psam().process(SAM_INIT_PURCHASE.command(asked(algorithm=0x41)))
    assert sw_of(response) == SW.KEY_INDEX
