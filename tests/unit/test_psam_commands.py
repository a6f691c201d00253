"""The PSAM's files, delivered keys, states and status words, derived from its table (5.7)."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures
from apdu.bcd import Moment
from apdu.commands import SAM_TABLE
from apdu.crypto import Key, pad
from apdu.purse import card_key, secure_messaging_mac, spend_tac
from apdu.sam_commands import (
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
    SAM_DELIVERY_KEY,
    SAM_DELIVERY_KEY_ONE,
    SAM_GET_CHALLENGE,
    SAM_INIT_PURCHASE,
    SAM_READ_BINARY,
    SAM_SELECT,
    KeyType,
    SamSpec,
    SamState,
    usage,
)
from apdu.sam_records import SamApplication, SamPublicInfo, SamTerminal
from apdu.sm4 import Sm4Key
from apdu.spec import CommandSpec
from apdu.sw import SW
from reader.psam import Psam
from reader.psam_keys import SamKeys
from tests.cards import OK, sw_of
from tests.vectors.ladders import sam_keys

h = bytes.fromhex
TERMINAL = h("300089000195")
SERIAL, ISSUER = h("5228009900000017"), h("09981001FFFFFFFF")
ROOTS = fixtures.load_roots()
ASKED = h("A1B2C3D4 0012 00000000 09 20250908 073015 01 00") + SERIAL + ISSUER
MAC2 = h("AEAB0D28")  # of ASKED with number 101
NUMBER = 0x101


def psam(**others) -> Psam:
    return Psam(TERMINAL, sam_keys(), NUMBER, **others)


def said(sam: Psam, command: str) -> str:
    return sam.process(h(command)).hex().upper()


# Files

READS = {
    "00B0960006": "300089000195",
    "00B0960000": "300089000195",
    "00B0970001": "01",
    "00B0960203": "890001",
}
SELECTS = {"nothing": [], "MF": ["00A40000023F00"], "8011": ["00A40000023F00", "00A40000028011"]}


@pytest.mark.parametrize("selects", SELECTS.values(), ids=SELECTS)
@pytest.mark.parametrize("read", READS)
def test_files_are_read_in_the_master_file_and_after_8011(selects, read):
    sam = psam()
    for select in selects:
        assert said(sam, select).endswith("9000")
    assert said(sam, read) == READS[read] + "9000"


def test_the_fci_of_8011_names_the_application():
    fci = "6F128410A0000006324D4F542E435053414D30319000"
    assert said(psam(), "00A40000028011") == fci
    assert said(psam(), "00A4040010A0000006324D4F542E435053414D303100") == fci
    assert said(psam(), "00A4040005A000000632") == fci
    assert b"1PAY.SYS.DDF01" in psam().process(h("00A404000E315041592E5359532E4444463031"))


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("00A40000020015", 0x6A82),
        ("00A4040008A000000632010105", 0x6A82),
        ("00A40400113030303030303030303030303030303030", 0x6700),
        ("00A4020002DF01", 0x6A86),
        ("00B0980000", 0x6A82),
        ("00B0000000", 0x6986),
        ("00B0960600", 0x6B00),
        ("00B0960007", 0x6C06),
        ("00B097001A", 0x6C19),
        ("0084000003", 0x6700),
        ("00840000", 0x6700),
        ("0084010004", 0x6A86),
        ("00D6960006300089000195", 0x6D00),
        ("04B0960006", 0x6E00),
        ("8054010000", 0x6D00),
        ("FFCA000000", 0x6E00),
        ("801A65021000000000000000000000000000000000", 0x6A86),
        ("801A4302105228009900000017" + ISSUER.hex(), 0x6A86),
        ("801A450208" + SERIAL.hex(), 0x6700),
        ("801A2502105228009900000017" + ISSUER.hex(), 0x6700),
        ("80FA000010" + "00" * 16, 0x6A86),
        ("80FA050008" + "00" * 8, 0x6700),
    ],
)
def test_what_is_not_there_is_refused_with_its_word(command, word):
    assert sw_of(psam().process(h(command))) == word


def test_every_file_has_its_declared_layout():
    sam = psam()
    for sfi, layout in ((0x15, SamPublicInfo), (0x16, SamTerminal), (0x17, SamApplication)):
        response = sam.process(SAM_READ_BINARY.command(None, 0x80 | sfi, 0))
        assert layout.parse(response[:-2]).build() == response[:-2]


def test_the_key_index_is_what_the_psam_was_made_with():
    assert said(psam(key_index=41), "00B0970001") == "299000"


@pytest.mark.parametrize("ne", [4, 8])
def test_a_challenge_is_as_long_as_asked(ne):
    sam = psam(random=lambda n: bytes(range(n)))
    assert sam.process(h(f"008400000{ne}")) == bytes(range(ne)) + OK


def test_challenges_differ():
    sam = psam()
    assert len({sam.process(SAM_GET_CHALLENGE.command(None)) for _ in range(20)}) == 20


# Delivered keys


def delivered(sam: Psam, kind: KeyType, version: int = 1) -> int:
    command = bytes((0x80, 0x1A, usage(2, kind), version, 16)) + SERIAL + ISSUER
    return sw_of(sam.process(command))


def mac(sam: Psam, blocks: bytes, iv: bytes = bytes(8)) -> bytes:
    data = iv + blocks
    return sam.process(bytes((0x80, 0xFA, 0x05, 0x00, len(data))) + data)


@pytest.mark.parametrize("version", range(256))
def test_any_version_byte_means_the_lock_key(version):
    sam = psam()
    assert delivered(sam, KeyType.LOCK, version) == SW.OK
    block = h("841E000004800000")
    assert mac(sam, block, h("C0FFEE0200000000"))[:4] == h("A83FB840")
    assert mac(sam, h("841E000104800000"), h("C0FFEE0200000000"))[:4] == h("F4FCE349")


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
def test_a_mac_under_the_lock_key_is_the_secure_messaging_mac(data, challenge):
    sam = psam()
    assert delivered(sam, KeyType.LOCK) == SW.OK
    key = card_key(ROOTS["BMK"], ISSUER, h("0310") + SERIAL)
    made = mac(sam, pad(data), challenge + bytes(4))
    assert made[:4] == secure_messaging_mac(key, challenge, data)
    assert (len(made), made[-2:]) == (10, OK)


def test_a_mac_under_the_tac_key_is_the_tac():
    sam = psam()
    assert delivered(sam, KeyType.TAC) == SW.OK
    at = Moment(h("20250908"), h("073015"))
    data = h("00000000 09 300089000195 00000101 20250908073015")
    dtk = card_key(ROOTS["TMK"], ISSUER, h("0310") + SERIAL)
    expected = spend_tac(dtk, 0, 9, TERMINAL, NUMBER, at.date + at.time)
    assert mac(sam, pad(data))[:4] == expected == h("98A38758")


def test_one_level_makes_the_issuer_s_key():
    sam = psam()
    assert said(sam, f"801A250208{ISSUER.hex()}") == "9000"
    key = ROOTS["BMK"].diversify(ISSUER)
    assert mac(sam, pad(b"any"))[:4] == key.retail_mac(b"any")


def test_a_delivered_key_serves_until_another_command_comes():
    sam = psam()
    delivered(sam, KeyType.LOCK)
    assert mac(sam, bytes(8)) == mac(sam, bytes(8))
    sam.process(SAM_READ_BINARY.command(None, 0x96, 0))
    assert sw_of(mac(sam, bytes(8))) == SW.WRONG_STATE


def test_the_purchase_key_gives_no_macs():
    """T(DPK, block) is a session key: its holder would make MAC1 without the PSAM."""
    sam = psam()
    assert delivered(sam, KeyType.PURCHASE) == SW.OK
    assert sw_of(mac(sam, bytes(8))) == SW.CONDITIONS_OF_USE


@pytest.mark.parametrize("size", [n for n in range(16, 255) if n % 8])
def test_data_that_are_not_whole_blocks_are_wrong(size):
    sam = psam()
    delivered(sam, KeyType.LOCK)
    assert sw_of(mac(sam, bytes(size - 8))) == SW.WRONG_DATA


@pytest.mark.parametrize(("kind", "version"), [(KeyType.TAC, 2), (KeyType.PURCHASE, 0)])
def test_a_key_that_is_not_there_is_9403(kind, version):
    sam = psam()
    assert delivered(sam, kind, version) == SW.KEY_INDEX
    assert sw_of(mac(sam, bytes(8))) == SW.WRONG_STATE


def test_a_psam_without_lock_and_tac_keys_says_so():
    sam = Psam(TERMINAL, {1: ROOTS["PMK"]})
    assert {delivered(sam, kind) for kind in (KeyType.LOCK, KeyType.TAC)} == {SW.KEY_INDEX}


def test_one_version_may_have_a_key_of_each_algorithm():
    sm4 = Sm4Key(ROOTS["PMK"].expose())
    sam = Psam(TERMINAL, SamKeys({1: (ROOTS["PMK"], sm4)}), NUMBER)
    des_mac1 = sam.process(SAM_INIT_PURCHASE.command(asked()))[4:8]
    sam.store.next_seq = NUMBER
    sm4_mac1 = sam.process(SAM_INIT_PURCHASE.command(asked(algorithm=3)))[4:8]
    assert (des_mac1.hex(), sm4_mac1.hex()) == ("94e76395", "35f1a757")


def asked(**changed):
    q = SAM_INIT_PURCHASE.data.parse(ASKED)
    for name, value in changed.items():
        setattr(q, name, value)
    return q


def test_two_keys_for_one_version_and_algorithm_are_refused():
    with pytest.raises(ValueError, match="version 01 and algorithm 00"):
        SamKeys({1: (ROOTS["PMK"], ROOTS["LMK"])})


def test_tac_and_lock_keys_are_3des():
    sm4 = Sm4Key(bytes(16))
    for wrong in ({"tac": {1: sm4}}, {"lock": sm4}):
        with pytest.raises(ValueError, match="3DES"):
            SamKeys(**wrong)


def test_keys_are_never_shown():
    shown = repr(SamKeys({1: Key(h("00112233445566778899AABBCCDDEEFF"))}))
    assert "112233" not in shown.lower()


@pytest.mark.parametrize("kind", sorted(set(range(256)) - {6, 9}))
def test_a_type_that_is_no_purchase_is_wrong_and_uses_no_number(kind):
    sam = psam()
    assert sw_of(sam.process(SAM_INIT_PURCHASE.command(asked(kind=kind)))) == SW.WRONG_DATA
    assert sam.terminal_seq == NUMBER


def test_a_small_le_uses_no_number():
    sam = psam()
    assert said(sam, f"8070000024{ASKED.hex()}07") == "6700"
    assert sam.terminal_seq == NUMBER


# States

REACH = {
    SamState.IDLE: [],
    SamState.PURCHASE: [SAM_INIT_PURCHASE.command(SAM_INIT_PURCHASE.data.parse(ASKED))],
    SamState.KEYED: [SAM_DELIVERY_KEY.command(SAM_DELIVERY_KEY.data.parse(SERIAL + ISSUER))],
}


def in_state(state: SamState) -> Psam:
    sam = psam()
    for command in REACH[state]:
        assert sam.process(command)[-2:] == OK
    assert sam._state is state
    return sam


def well_formed(spec) -> bytes:
    """A command that succeeds where its state allows it."""
    data = {
        SAM_SELECT.name: b"1PAY.SYS.DDF01",
        "SAM SELECT FILE": h("8011"),
        SAM_INIT_PURCHASE.name: ASKED,
        SAM_CREDIT_PURCHASE.name: MAC2,
        SAM_CREDIT_EARLIER.name: NUMBER.to_bytes(4, "big") + MAC2,
        SAM_DELIVERY_KEY.name: SERIAL + ISSUER,
        SAM_DELIVERY_KEY_ONE.name: ISSUER,
        "CIPHER/MAC": bytes(16),
    }.get(spec.name)
    return spec.command(spec.data.parse(data) if data else None)


@pytest.mark.parametrize(
    ("state", "spec"),
    list(product(SamState, SAM_TABLE)),
    ids=lambda x: x.name,
)
def test_every_command_in_every_state_does_what_the_table_says(state, spec):
    assert isinstance(spec, SamSpec)
    sam = in_state(state)
    word = sw_of(sam.process(well_formed(spec)))
    is_open = state is SamState.PURCHASE
    if state not in spec.legal:
        assert word == SW.WRONG_STATE
        assert sam._state is SamState.IDLE
    elif spec is SAM_CREDIT_EARLIER and not is_open:
        assert word == SW.REFERENCE_NOT_FOUND
        assert sam._state is SamState.IDLE
    else:
        assert word == SW.OK
        assert sam._state is spec.leads
    if spec is SAM_INIT_PURCHASE:  # MAC2 is that of the first number
        assert said(sam, "8072000004AEAB0D28") == ("9302" if is_open else "9000")
    else:
        assert said(sam, "8072000004AEAB0D28") == "6901"


@pytest.mark.parametrize(
    ("state", "command"),
    list(
        product(
            SamState, ["", "00", "8070", "FF000000", "80720000", "8072000004AAAAAAAA00", "80FA0000"]
        )
    ),
)
def test_a_refusal_ends_what_is_under_way_unless_the_table_says_it_stays(state, command):
    sam = in_state(state)
    response = sam.process(h(command))
    stays = state is SamState.PURCHASE and sw_of(response) == SW.MAC_INVALID
    assert sam._state is (state if stays else SamState.IDLE)


@pytest.mark.parametrize("state", SamState)
@pytest.mark.parametrize("power", [Psam.power_on, Psam.power_off])
def test_power_ends_what_is_under_way_and_forgets_no_transaction(state, power):
    sam = in_state(state)
    power(sam)
    assert said(sam, "8072000004AEAB0D28") == "6901"
    earlier = said(sam, "8072000108" + "00000101AEAB0D28")
    assert earlier == ("9000" if state is SamState.PURCHASE else "6A88")


# Any bytes

headed = st.builds(
    lambda spec, p, rest: bytes((spec.cla, spec.ins, *p(spec))) + rest,
    st.sampled_from(SAM_TABLE.specs),
    st.sampled_from([lambda s: s.usual, lambda s: s.params.examples()[-1], lambda s: (0, 0)]),
    st.binary(max_size=60),
)
whole = st.sampled_from(SAM_TABLE.specs).map(well_formed)
extended = st.builds(
    lambda head, size, data: head[:4] + b"\0" + size.to_bytes(2, "big") + data,
    whole,
    st.integers(0, 0xFFFF),
    st.binary(max_size=300),
)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=300) | headed | whole | extended, max_size=12))
def test_any_bytes_are_answered_and_change_nothing_but_the_declared(inputs):
    sam = psam()
    for command in inputs:
        before, state = sam.terminal_seq, sam._state
        response = sam.process(command)
        assert 2 <= len(response) <= 258
        word = sw_of(response)
        spec = SAM_TABLE.route(command[:4])
        given_out = word == SW.OK and spec is SAM_INIT_PURCHASE
        assert sam.terminal_seq - before == int(given_out)
        if not isinstance(spec, CommandSpec):
            assert word == spec
        elif word >> 8 == 0x6C:
            assert spec is SAM_READ_BINARY
        else:
            assert word in {SW.OK, SW.WRONG_LENGTH, *spec.errors}
        stays = isinstance(spec, SamSpec) and word in spec.stays
        after = spec.leads if word == SW.OK else state if stays else SamState.IDLE
        assert sam._state is after
