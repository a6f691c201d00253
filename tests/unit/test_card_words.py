"""A card in words, and the difference between two."""

from dataclasses import replace

import pytest

import fixtures
from apdu.commands import CREDIT_LOAD, INIT_LOAD, SELECT
from bench.cli.card_fields import FIELDS, with_fields
from bench.cli.card_words import Node, card_node, differences
from bench.problem import Problem
from emulator.card.cardfile import CardFile
from emulator.card.state import Image
from tests.acts import ACTS, settled_image
from tests.cards import app_of, new_card, purse_in, with_app
from tests.desk import PRELUDE, Desk, settled
from tests.saved import card_file


def lines(old: Image, new: Image) -> list[str]:
    return list(differences(card_node(card_file(old)), card_node(card_file(new))))


def walk(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in walk(child))]


@pytest.mark.parametrize("name", ACTS)
def test_every_act_is_told_and_no_act_is_silence(name: str):
    desk = Desk(new_card())
    desk.run(SELECT)
    before, act = ACTS[name]
    if before is not None:
        before(desk)
    old = desk.card.image
    desk.filler = 0x77
    act(desk)
    assert lines(old, desk.card.image)
    assert lines(old, old) == []


def test_every_command_that_changes_a_card_is_told():
    from apdu.commands import TABLE

    desk = settled()
    desk.run(*PRELUDE)
    told = 0
    for spec in TABLE:
        for pair in spec.params.examples():
            old = desk.card.image
            desk.filler = (desk.filler + 1) % 256
            desk.ask(spec, pair=pair)
            if desk.card.image != old:
                assert lines(old, desk.card.image), spec.name
                told += 1
    assert told > 5


def test_a_load_is_told_by_what_it_did():
    desk = Desk(new_card())
    desk.run(SELECT, INIT_LOAD, CREDIT_LOAD)
    told = lines(new_card().image, desk.card.image)
    assert [one.removeprefix("3F01 A000000632010105, ") for one in told if "proofs" not in one] == [
        "purse EP: 50.00 yuan available -> 51.00 yuan available",
        "purse EP, actual balance B: 50.00 -> 51.00",
        "purse EP, next online number: 0 -> 1",
        "EF18: 0 of 10 records of 23 bytes, never written -> 1 of 10 records of 23 bytes",
        "EF18: new record 1: seq 1, amount 1.00, kind 2 (EP load),"
        " terminal 300089000195, date 2025-09-08, time 07:30:15",
    ]
    assert "proofs: new, type 02 number 1, MAC2 " in told[-1]


def test_records_pushed_down_are_not_told_again():
    old = settled_image()
    desk = Desk(new_card(lambda _: old))
    desk.run(SELECT, INIT_LOAD, CREDIT_LOAD)
    told = [one for one in lines(old, desk.card.image) if "EF18" in one and "record " in one]
    assert len(told) == 1


def test_a_pin_and_a_key_are_compared_and_not_shown():
    old = new_card().image
    new = with_fields(card_file(old), ["pin=654321"])
    assert lines(old, new) == [
        "3F01 A000000632010105, key file, 3A id 00: another one of the same length"
    ]
    shown = " ".join(f"{n.label} {n.value} {n.note}" for n in walk(card_node(card_file(old))))
    for key in app_of(old).keys.values():
        secret = key.pin if key.secret is None else key.secret.expose()
        assert secret.hex().upper() not in shown


def test_every_field_of_the_tree_has_a_label_of_its_own_among_its_kin():
    for node in walk(card_node(card_file(settled().card.image))):
        labels = [child.label for child in node.children]
        if "BF0C" not in node.label and node.label != "EF01":
            assert len(set(labels)) == len(labels), node.label


# Fields that can be set


GOOD = {
    "balance": "12.34",
    "ceiling": "2000",
    "limit": "7",
    "used": "0",
    "online-seq": "65535",
    "offline-seq": "0",
    "ed-balance": "1",
    "ed-ceiling": "500",
    "ed-limit": "0.01",
    "ed-used": "0.00",
    "ed-online-seq": "3",
    "ed-offline-seq": "4",
    "blocked": "temporary",
    "strikes": "2",
    "start-date": "2024-02-29",
    "end-date": "2030-01-01",
    "enabled": "0",
    "card-kind": "senior",
    "interop": "no",
    "province": "1200",
    "city": "2900",
    "trip-state": "entered",
    "pin-tries": "0",
    "pin": "4321",
}


def passbook() -> CardFile:
    return card_file(name="student-passbook")


def test_every_field_has_a_good_value_here():
    assert GOOD.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_alone_changes_the_card(name: str):
    card = passbook()
    image = with_fields(card, [f"{name}={GOOD[name]}"])
    is_as_it_was = GOOD[name] in ("0", "0.00") and name in ("used", "ed-used", "offline-seq")
    assert (image == card.image) is is_as_it_was


def test_all_fields_together():
    image = with_fields(passbook(), [f"{name}={text}" for name, text in GOOD.items()])
    purse, app = purse_in(image), app_of(image)
    assert (purse.actual, purse.ceiling, purse.limit, purse.used) == (1234, 200_000, 700, 0)
    assert (purse.online_seq, purse.offline_seq) == (65535, 0)
    assert app.blocked.value == "temporary"
    assert app.files[0x15].content[20:28].hex() == "2024022920300101"
    assert app.files[0x15].content[28] == app.files[0x17].content[10] == 3
    assert app.files[0x17].content[4:10].hex() == "120029000000"
    assert app.files[0x1A].content[0][14] == 1


def test_the_order_of_fields_does_not_matter():
    fields = ["balance=0", "limit=10", "used=9.99", "ceiling=1"]
    assert with_fields(passbook(), fields) == with_fields(passbook(), fields[::-1])


def test_the_kind_in_ef15_is_left_alone_where_the_dialect_says_so():
    card = passbook()
    other = replace(card, dialect=replace(card.dialect, kind_in_ef15=False))
    assert app_of(with_fields(other, ["card-kind=test"])).files[0x15].content[28] == 2


def test_lifting_a_block_forgets_the_failures():
    card = passbook()
    spoilt = replace(card, image=with_app(strikes=3, unblock_strikes=2)(card.image))
    app = app_of(with_fields(spoilt, ["blocked=no"]))
    assert (app.strikes, app.unblock_strikes) == (0, 0)


BAD = [
    ([], "there is nothing to set; give FIELD=VALUE"),
    (["balance"], "'balance' is not FIELD=VALUE; choose a field of: balance"),
    (["money=1"], "'money=1' is not FIELD=VALUE"),
    (["=1"], "'=1' is not FIELD=VALUE"),
    (["balance=1", "balance=2"], "'balance' is set twice"),
    (["balance="], "'' is not an amount"),
    (["balance=-1"], "'-1' is not an amount"),
    (["balance=1.001"], "'1.001' is not an amount"),
    (["balance=1e999999999"], "is not an amount"),
    (["balance=NaN"], "'NaN' is not an amount"),
    (["balance=1000.01"], "the purse cannot be set like this: balance 100001 is above the ceiling"),
    (["balance=1", "limit=9", "used=1"], "cannot both be above zero"),
    (["used=1"], "overdraft in use 100 is above its limit 0 fen"),
    (["limit=167772.15"], "together pass"),
    (["ceiling=167772.16"], "'167772.16' is not an amount"),
    (["ed-used=1"], "the ED cannot be set like this"),
    (["online-seq=65536"], "'65536' is not a transaction number"),
    (["online-seq=" + "9" * 5000], "is not a transaction number"),
    (["online-seq=\u0661"], "is not a transaction number"),
    (["blocked=maybe"], "'maybe' is no way to be blocked; expected one of no, temporary, perm"),
    (["strikes=-1"], "'-1' is not a number of failures"),
    (["start-date=2025-02-29"], "'2025-02-29' is not a day"),
    (["enabled=yes"], "'yes' is not an enable flag"),
    (["card-kind=dog"], "'dog' is no card kind; expected one of normal, student, senior"),
    (["card-kind=256"], "'256' is no card kind"),
    (["interop=perhaps"], "'perhaps' is not a value of interop; expected yes or no"),
    (["city=12"], "'12' is not a code of GB 13497"),
    (["trip-state=lost"], "'lost' is no trip state; expected one of initial, entered"),
    (["pin-tries=4"], "'4' is not a number of tries; expected a whole number from 0 to 3"),
    (["pin=12345"], "this is not a PIN"),
]


@pytest.mark.parametrize(("assignments", "said"), BAD)
def test_a_bad_value_is_told_in_one_sentence(assignments: list[str], said: str):
    with pytest.raises(Problem) as refused:
        with_fields(passbook(), assignments)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_card_without_the_thing_is_told():
    with pytest.raises(Problem, match="the card has no ED"):
        with_fields(card_file(), ["ed-balance=1"])
    bare = replace(card_file(), image=Image((), False, 0, 0))
    with pytest.raises(Problem, match="no purse application"):
        with_fields(bare, ["balance=1"])
    empty = replace(card_file(), image=with_app(files={}, keys={})(card_file().image))
    for name, said in (
        ("start-date", "no EF15"),
        ("trip-state", "no EF1A"),
        ("pin", "no PIN"),
        ("pin-tries", "no PIN"),
    ):
        with pytest.raises(Problem, match=said):
            with_fields(empty, [f"{name}={GOOD[name]}"])


def test_equal_logs_do_not_differ():
    """Two cards alike but for the balance, each with one record in its logs."""
    told = lines(
        fixtures.card("student-open-trip").image,
        fixtures.card("student-open-trip", balance=1234).image,
    )
    assert told
    assert not any("EF18" in line or "EF1E" in line for line in told)
