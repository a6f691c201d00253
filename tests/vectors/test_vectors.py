"""Every vector through the project: its cryptograms, its records and its trace."""

from collections.abc import Callable
from typing import Any

import pytest

import fixtures
from apdu.codec import Show
from apdu.commands import AID_PPSE, AID_PURSE, SAM_TABLE, SELECT, TABLE
from apdu.crypto import Key, MacKey
from apdu.files import FILES, RailTrip, layout_of
from apdu.purse import (
    LOAD,
    external_authenticate,
    limit_mac1,
    limit_mac2,
    limit_tac,
    load_tac,
    online_mac1,
    online_mac2,
    online_session,
    purchase_session,
    reload_pin_mac,
    secure_messaging_encrypt,
    secure_messaging_mac,
    spend_mac1,
    spend_mac2,
    spend_tac,
    unload_mac3,
)
from apdu.records import SelectName
from apdu.show import money
from apdu.sm4 import BLOCK, Sm4Key, Sm4MacKey
from apdu.spec import CommandSpec
from apdu.tlv import Tlv
from apdu.trace import explain, explain_command, explain_response
from tests.vectors.ladders import LADDERS
from tests.vectors.test_vectors_selfcheck import CRYPTOGRAMS, RECORDS, named
from tests.vectors.test_vectors_selfcheck import FILES as VECTOR_FILES

Bytes = dict[str, bytes]

VECTORS = [
    vector
    for name in CRYPTOGRAMS
    for group in VECTOR_FILES[name]["groups"]
    for vector in group["vectors"]
]


def unhex(values: dict[str, str]) -> Bytes:
    return {name: bytes.fromhex(value) for name, value in values.items()}


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def tac_key(i: Bytes) -> Key:
    return Key(i["tac_key"] if "tac_key" in i else i["dtk"])


class Session:
    """A session key cannot be read back, so it is compared by what it makes."""

    def __init__(self, session: MacKey) -> None:
        self.session = session

    def __eq__(self, stated: object) -> bool:
        assert isinstance(stated, bytes)
        probe, kind = b"any message will do", type(self.session)
        size = BLOCK if kind is Sm4MacKey else 8
        return len(stated) == size and kind(stated).mac(probe) == self.session.mac(probe)

    __hash__ = None  # type: ignore[assignment]


Results = dict[str, Any]


def purchase(i: Bytes) -> Results:
    amount, kind, terminal, seq = (
        number(i["amount"]),
        i["type"][0],
        i["terminal"],
        number(i["terminal_seq"]),
    )
    when = i["date"] + i["time"]
    session = purchase_session(Key(i["dpk"]), i["random"], number(i["seq"]), seq)
    out: Results = {
        "session_key": Session(session),
        "mac1": spend_mac1(session, amount, kind, terminal, when),
        "mac2": spend_mac2(session, amount),
    }
    if "dtk" in i or "tac_key" in i:
        out["tac"] = spend_tac(tac_key(i), amount, kind, terminal, seq, when)
    return out


def load(i: Bytes) -> Results:
    session = online_session(Key(i["dlk"]), i["random"], number(i["seq"]))
    amount, terminal = number(i["amount"]), i["terminal"]
    out: Results = {
        "session_key": Session(session),
        "mac1": online_mac1(session, number(i["old_balance"]), amount, LOAD, terminal),
    }
    if "date" in i:
        when = i["date"] + i["time"]
        out["mac2"] = online_mac2(session, amount, LOAD, terminal, when)
        if "new_balance" in i:
            new = number(i["new_balance"])
            out["tac"] = load_tac(tac_key(i), new, number(i["seq"]), amount, terminal, when)
    return out


def unload(i: Bytes) -> Results:
    session = online_session(Key(i["dulk"]), i["random"], number(i["seq"]))
    amount, terminal, when = number(i["amount"]), i["terminal"], i["date"] + i["time"]
    new, seq = number(i["new_balance"]), number(i["seq"])
    return {
        "session_key": Session(session),
        "mac1": online_mac1(session, number(i["old_balance"]), amount, 0x03, terminal),
        "mac2": online_mac2(session, amount, 0x03, terminal, when),
        "mac3": unload_mac3(session, new, seq, amount, terminal, when),
    }


def limit(i: Bytes) -> Results:
    session = online_session(Key(i["duk"]), i["random"], number(i["seq"]))
    new, terminal, when = number(i["new_limit"]), i["terminal"], i["date"] + i["time"]
    balance, seq = number(i["new_balance"]), number(i["seq"])
    return {
        "session_key": Session(session),
        "mac1": limit_mac1(session, number(i["old_balance"]), number(i["old_limit"]), terminal),
        "mac2": limit_mac2(session, new, terminal, when),
        "tac": limit_tac(Key(i["dtk"]), balance, seq, new, terminal, when),
    }


OPS: dict[str, Callable[[Bytes], Results]] = {
    "diversify": lambda i: {"key": Key(i["key"]).diversify(i["factor"]).expose()},
    "session_key": lambda i: {
        "session_key": Key(i["key"]).encrypt(i["random"] + i["seq"] + i["tail"])
    },
    "mac": lambda i: {"mac": MacKey(i["key"]).mac(i["data"])},
    "tac": lambda i: {"tac": tac_key(i).folded.mac(i["data"])},
    "secure_messaging_mac": lambda i: {
        "mac": secure_messaging_mac(Key(i["key"]), i["challenge"], i["header"] + i["data"])
    },
    "secure_messaging_encrypt": lambda i: {
        "ciphertext": secure_messaging_encrypt(Key(i["key"]), i["plaintext"])
    },
    "external_authenticate": lambda i: {
        "cryptogram": external_authenticate(Key(i["key"]), i["challenge"])
    },
    "reload_pin_mac": lambda i: {"mac": reload_pin_mac(Key(i["key"]), i["pin"])},
    "purchase": purchase,
    "load": load,
    "unload": unload,
    "limit": limit,
    "sm4_diversify": lambda i: {"key": Sm4Key(i["key"]).diversify(i["factor"]).expose()},
    "sm4_session_key": lambda i: {
        "session_key": Session(Sm4Key(i["key"]).session(i["random"] + i["seq"] + i["tail"]))
    },
    "sm4_mac": lambda i: {"mac": Sm4MacKey(i["key"]).mac(i["data"])},
}


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_the_product_makes_what_is_stated_and_nothing_else(vector):
    got = OPS[vector["op"]](unhex(vector["inputs"]))
    assert vector["result"]
    for name, stated in unhex(vector["result"]).items():
        assert (got[name] == stated) == (vector["expect"] == "valid"), name


def test_a_key_makes_the_same_whatever_it_made_before():
    """Cipher contexts are reused from message to message: order must not matter."""
    macs = [unhex(v["inputs"]) for v in VECTORS if v["op"] == "mac"]
    for key in {i["key"] for i in macs}:
        reused = MacKey(key)
        for i in (*macs, *reversed(macs)):
            assert reused.mac(i["data"]) == MacKey(key).mac(i["data"])


# The records

LAYOUTS = {f"EF{sfi:02X}": spec.layout for sfi, spec in FILES.items()} | {"EF1A-2701": RailTrip}
ELEMENTARY = [r for r in RECORDS if r["file"] in LAYOUTS]
TEMPLATES = [r for r in RECORDS if r["file"] == "FCI"]
DIRECTORIES = [r for r in RECORDS if r["file"] == "PPSE"]


def test_every_record_is_one_of_the_three_kinds():
    assert len(ELEMENTARY) + len(TEMPLATES) + len(DIRECTORIES) == len(RECORDS)
    assert TEMPLATES
    assert DIRECTORIES


@pytest.mark.parametrize("vector", ELEMENTARY, ids=named)
def test_records_are_read_and_built_field_by_field(vector):
    raw, layout = bytes.fromhex(vector["hex"]), LAYOUTS[vector["file"]]
    read = layout.parse(raw)
    fields = {f.name: getattr(read, f.name) for f in layout.FIELDS}
    shown = {k: v.hex().upper() if isinstance(v, bytes) else v for k, v in fields.items()}
    assert list(shown.items()) == list(vector["fields"].items())
    assert layout(**fields).build() == raw
    assert layout_of(int(vector["file"][2:4], 16), raw) is layout


TAGS = {
    "df_name": 0x84,
    "version": 0x9F08,
    "issuer_data": 0x9F0C,
    "label": 0x50,
    "priority": 0x87,
    "preferred_name": 0x9F12,
    "df00": 0xDF00,
}
TEXTS = {"label", "preferred_name"}


def stated_value(name: str, value: Any) -> bytes:
    if isinstance(value, int):
        return bytes((value,))
    return value.encode() if name in TEXTS else bytes.fromhex(value)


@pytest.mark.parametrize("vector", TEMPLATES, ids=named)
def test_fci_fields_are_found_by_their_tags(vector):
    fci = Tlv(bytes.fromhex(vector["hex"]))
    assert fci.tag == 0x6F
    assert set(vector["fields"]) <= set(TAGS)
    for name, tag in TAGS.items():
        stated = vector["fields"].get(name)
        assert fci.get(tag) == (None if stated is None else stated_value(name, stated)), name


@pytest.mark.parametrize("vector", DIRECTORIES, ids=named)
def test_the_directory_lists_its_applications_in_order(vector):
    fci = Tlv(bytes.fromhex(vector["hex"]))
    assert fci.get(0x84).hex().upper() == vector["fields"]["df_name"]
    listed = [
        {
            "aid": entry.get(0x4F).hex().upper(),
            "label": entry.get(0x50).decode(),
            "priority": entry.get(0x87)[0],
        }
        for entry in fci.first(0xBF0C).children()
        if entry.tag == 0x61
    ]
    assert listed == vector["fields"]["applications"]


@pytest.mark.parametrize("vector", RECORDS, ids=named)
def test_every_record_is_explained_by_itself(vector):
    raw = bytes.fromhex(vector["hex"])
    told = explain(raw)
    assert told.kind == {"FCI": "FCI", "PPSE": "FCI"}.get(vector["file"], told.kind) != "unknown"
    if vector["file"] in LAYOUTS:
        assert vector["file"][:4] in told.title
        assert [n.label for n in told.lines] == list(vector["fields"])


def test_the_cards_own_directory_and_fci_are_those_of_the_vectors():
    by_id = {r["id"]: bytes.fromhex(r["hex"]) for r in RECORDS}
    card = fixtures.card("student")
    assert card.process(SELECT.command(SelectName(AID_PPSE)))[:-2] == by_id["ppse-ep-only"]
    assert card.process(SELECT.command(SelectName(AID_PURSE)))[:-2] == by_id["fci-plain"]


# The trace

STEPS = [
    pytest.param(step, id=f"{ladder.id}-{n:02d}")
    for ladder in LADDERS.values()
    for n, step in enumerate(ladder.steps, 1)
]


def amounts(layout: Any, data: bytes) -> list[str]:
    """The amounts a record holds, as people read them."""
    read = layout.parse(data)
    return [money(getattr(read, f.name)) for f in layout.FIELDS if f.show is Show.MONEY]


def known(sfi: int, data: bytes) -> list[str]:
    layout = layout_of(sfi, data)
    assert layout is not None
    return amounts(layout, data)


def amounts_asked(spec: CommandSpec[Any, Any], command: bytes) -> list[str]:
    data = command[5 : 5 + command[4]] if spec.data is not None else b""
    if spec.name == "UPDATE CAPP DATA CACHE":
        return known(command[3] >> 3, data)
    return amounts(spec.data, data) if spec.data is not None else []


def amounts_answered(spec: CommandSpec[Any, Any], command: bytes, data: bytes) -> list[str]:
    if spec.name == "READ RECORD":
        return known(command[3] >> 3, data)
    if spec.name == "READ BINARY":
        return known(command[2] & 0x1F, data)
    return amounts(spec.reply, data) if spec.reply is not bytes else []


@pytest.mark.parametrize("step", STEPS)
def test_every_command_and_answer_of_a_ladder_is_explained(step):
    command, response = bytes.fromhex(step["command"]), bytes.fromhex(step["response"])
    spec = (TABLE if step["to"] == "card" else SAM_TABLE).route(command[:4])
    assert isinstance(spec, CommandSpec)
    asked, answered = explain_command(command), explain_response(response, command)
    assert (asked.kind, asked.title) == ("command", spec.name)
    assert (answered.kind, answered.title, answered.sw) == ("response", spec.name, 0x9000)
    assert explain(command).title == spec.name
    assert explain(response, command) == answered
    for told, expected in (
        (asked, amounts_asked(spec, command)),
        (answered, amounts_answered(spec, command, response[:-2])),
    ):
        assert "unknown" not in told.text()
        values = [n.value for n in told.lines]
        assert [v for v in expected if v not in values] == []
    assert len(response) == 2 or answered.lines


def test_the_ladders_show_amounts_at_all():
    shown = {
        value
        for ladder in LADDERS.values()
        for step in ladder.steps
        for line in explain_command(bytes.fromhex(step["command"])).lines
        if (value := line.value)
    }
    assert {"4.00", "0.50", "50.00", "0.01", "0.00"} <= shown
