"""Vectors of purchase and load through the card: V1 to V4 and CV1 to CV4 of 5.8.

Most are from cards with keys of their own, so each gets a blank card with the vector's keys.
"""

from dataclasses import replace
from typing import Any

import pytest

from emulator.card.env import ScriptedEnv
from emulator.card.state import with_directory
from tests.fmcos import Tool, application, blank, made_up
from tests.vectors.test_vectors_card import unhex, vectors
from tests.vectors.test_vectors_selfcheck import named

SPENT = vectors("purchase", "purchase")
LOADED = [v for v in vectors("load", "load") if "date" in v["inputs"]]
VALID = [v for v in (*SPENT, *LOADED) if v["expect"] == "valid"]
FORGED = [
    v
    for v in (*SPENT, *LOADED)
    if v["expect"] == "invalid"
    and ("mac1" if v["op"] == "purchase" else "mac2") in v["result"]
    and (v["op"] == "purchase" or int(v["inputs"]["amount"], 16))  # a load of 0 never gets there
]
LEFT = 1
"""Fen that a purchase leaves on the card."""


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def card_of(vector: dict[str, Any], i: dict[str, bytes]) -> Tool:
    """A card with the vector's keys, numbers and balance, that gives out its random number."""
    tool = application()
    tool.add_key(1, "3EF0EF0100", i.get("dpk") or made_up("3E"))
    tool.add_key(1, "3FF0EF0100", i.get("dlk") or made_up("3F"))
    tool.add_key(0, "34F0EF0100", i.get("dtk") or i.get("tac_key") or made_up("34"))
    tool.create("0018", "2E0A17F0EFFFFF")
    tool.create("0002", "2F0208F000FF18")
    is_load, seq = vector["op"] == "load", number(i["seq"])
    at, directory = 1, tool.card.image.directories[1]
    purse = replace(
        directory.purses[2],
        actual=number(i["old_balance"]) if is_load else number(i["amount"]) + LEFT,
        online_seq=seq if is_load else 0,
        offline_seq=0 if is_load else seq,
    )
    image = with_directory(tool.card.image, at, replace(directory, purses={2: purse}))
    ready = blank(image=image, env=ScriptedEnv([i["random"]]))
    ready.enter(b"fmcos-test")
    return ready


def begin(tool: Tool, vector: dict[str, Any], i: dict[str, bytes]) -> bytes:
    asked = f"0B01{i['amount'].hex()}{i['terminal'].hex()}"
    if vector["op"] == "load":
        return tool(f"80500002{asked}10")
    return tool(f"8050{'03' if i['type'] == bytes((9,)) else '01'}02{asked}0F")


def final(vector: dict[str, Any], i: dict[str, bytes], stated: dict[str, bytes]) -> str:
    at = (i["date"] + i["time"]).hex()
    if vector["op"] == "load":
        return f"805200000B{at}{stated['mac2'].hex()}04"
    return f"805401000F{i['terminal_seq'].hex()}{at}{stated['mac1'].hex()}08"


@pytest.mark.parametrize("vector", VALID, ids=named)
def test_the_card_answers_what_is_stated(vector):
    i, stated = unhex(vector["inputs"]), unhex(vector["result"])
    tool = card_of(vector, i)
    offer = begin(tool, vector, i)
    assert offer[4:6] == i["seq"]
    if vector["op"] == "load":
        assert offer[:4] + offer[12:] == i["old_balance"] + stated["mac1"]
        tac, mac2 = tool(final(vector, i, stated)), stated["mac2"]
        kind, left = b"\x02", number(i["new_balance"])
    else:
        answer = tool(final(vector, i, stated))
        tac, mac2 = answer[:4], answer[4:]
        assert mac2 == stated["mac2"]
        kind, left = i["type"], LEFT
    assert tac == stated.get("tac", tac)
    seq = (number(i["seq"]) + 1).to_bytes(2, "big")
    assert number(tool("805C000204")) == left
    log = seq + bytes(3) + i["amount"] + kind + i["terminal"] + i["date"] + i["time"]
    assert tool("00B201C400") == log
    assert tool(f"805A00{kind.hex()}02{seq.hex()}08") == mac2 + tac


@pytest.mark.parametrize("vector", FORGED, ids=named)
def test_the_card_refuses_a_forged_mac_and_keeps_everything(vector):
    i, stated = unhex(vector["inputs"]), unhex(vector["result"])
    tool = card_of(vector, i)
    before = tool.card.image
    begin(tool, vector, i)
    tool(final(vector, i, stated), "9302")
    assert tool.card.image is before


def test_the_printed_log_record_of_a_captured_load_comes_out():
    vector = next(v for v in VALID if v["id"] == "load-v4-load")
    i = unhex(vector["inputs"])
    tool = card_of(vector, i)
    begin(tool, vector, i)
    tool(final(vector, i, unhex(vector["result"])))
    assert tool("00B201C400").hex().upper() == "0001000000000000100266666666666620240411212121"


def test_enough_vectors_go_through_the_card():
    names = {v["id"].rsplit("-", 1)[0] for v in VALID}
    assert {f"load-{v}" for v in ("v2", "v3", "v4", "cv4")} <= names
    assert {f"purchase-{v}" for v in ("v1", "v2", "cv1", "cv2", "cv3")} <= names
    assert len(FORGED) > 10
