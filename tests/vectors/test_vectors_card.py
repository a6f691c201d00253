"""Vectors of unload, overdraft limit and secure messaging through the card, CV5 to CV12 and V6.

Purchases and loads are in `test_vectors_spend.py`. What a valid vector states the card must answer
or accept, bit for bit; what an invalid one states it must never answer and must refuse.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

import fixtures
from emulator.card.env import ScriptedEnv
from emulator.card.personalise import card_secrets, personalise
from tests.fmcos import Tool, application, scripted
from tests.vectors import independent
from tests.vectors.test_vectors_selfcheck import FILES, named

PURSE = "A000000632010105"


def unhex(values: dict[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in values.items()}


def vectors(name: str, *ops: str) -> list[dict[str, Any]]:
    listed = [v for group in FILES[name]["groups"] for v in group["vectors"]]
    return [v for v in listed if not ops or v["op"] in ops]


def student(randoms: Iterable[str], **changes: Any) -> Tool:
    """The student's card with its purse selected; it gives out these random numbers."""
    profile = replace(fixtures.load_profile("student"), **changes)
    env = ScriptedEnv(bytes.fromhex(n) for n in randoms)
    tool = Tool(personalise(profile, fixtures.load_roots(), env))
    tool(f"00A4040008{PURSE}")
    return tool


def test_the_cards_keys_are_those_of_the_reference():
    secrets = card_secrets(fixtures.load_profile("student"), fixtures.load_roots())
    printed = {
        "dpk": "FEB42A9907937AA191BCCA8A0A22F6A9",
        "dlk": "CBC9B482C9A2376153DB301563A84824",
        "dulk": "A331372F781EB365889A19F5D6633E6B",
        "duk": "BE1B15EA26BEFA363B6BFAB2DC2CB93F",
        "dtk": "2D3F0313DD349C623A1DE45C8167FBA1",
        "damk": "F9BEBC82D9D3AFA546FB042E0F12448A",
        "dbk": "4253C1DBF7E489D0070189F611055C36",
        "dubk": "0D739D534803F7790F6C14AFD78146E1",
        "dpuk": "EF9F430A2F31CA03F817B5F3B57BB6CA",
        "drpk": "5E5174B9BB7A25F1294038206D91F792",
        "dack": "F9BEBC82D9D3AFA546FB042E0F12448A",  # CV12 authenticates with DAMK
    }
    assert {name: getattr(secrets, name).expose().hex().upper() for name in printed} == printed


# As printed (protocol reference 5.8, 6.5 to 6.7)


def test_cv5_unload():
    tool = student(["13579BDF"], balance=0x251C, online_seq=4)
    offer = tool("805005020B01000007D010000000000110")
    assert offer.hex().upper() == "0000251C0004010013579BDFDEB580C8"
    assert tool("805403000B202509091112139550FC1404").hex().upper() == "C917313A"
    assert tool("805C030204").hex().upper() == "00001D4C"
    assert tool("805A000302000508").hex().upper() == "C917313A00000000"
    log = "0005000000000007D003100000000001" + "20250909111213"
    assert tool("00B201C400").hex().upper() == log


def test_cv6_overdraft_limit():
    tool = student(["2468ACE0"], balance=0x1D4C, online_seq=5)
    offer = tool("80500401070110000000000113")
    assert offer.hex().upper() == "00001D4C000500000001002468ACE0626AEB7F"
    assert tool("805800000E00025820250909121314CD515CDC04").hex().upper() == "F65B4317"
    assert [tool(f"805C{p1}0204").hex().upper() for p1 in ("00", "01", "02", "03")] == [
        "00001FA4",
        "00000258",
        "00000000",
        "00001D4C",
    ]
    assert tool("805A000702000608").hex().upper() == "CD515CDCF65B4317"


def test_cv7_renewal():
    tool = student(["C0FFEE01"], end_date=date(2025, 9, 30))
    before = tool("00B0950000")
    assert before[24:28].hex() == "20250930"
    tool("0084000004")
    tool("04D69518082026093024657B30")
    assert tool("00B0950000") == before[:24] + bytes.fromhex("20260930") + before[28:]
    assert bytes.fromhex("20260930") in tool(f"00A4040008{PURSE}")


def test_cv8_temporary_and_cv9():
    tool = student(["C0FFEE02", "C0FFEE03"])
    tool("0084000004")
    tool("841E000004A83FB840")
    tool("805C000204", "6A81")
    assert tool(f"00A4040008{PURSE}", "6A81")[0] == 0x6F
    tool("0084000004")
    tool("8418000004574037E6")
    tool("805C000204")


def test_cv8_permanent():
    tool = student(["C0FFEE02", "C0FFEE03"])
    tool("0084000004")
    tool("841E000104F4FCE349")
    tool("805C000204", "9303")
    tool("0084000004")
    tool("8418000004574037E6", "9303")


def test_cv10_pin_unblock():
    tool = student(["C0FFEE04"], pin=bytes.fromhex("999999"))
    for sw in ("63C2", "63C1", "63C0", "6983"):
        tool("0020000003000000", sw)
    tool("0084000004")
    tool("842400010C706D3FEBD230E2114E8817DC")
    tool("0020000003123456")


def test_cv11_reload_pin():
    tool = student([])
    tool("805E000007654321B9F640FC")
    tool("0020000003654321")


@pytest.mark.parametrize(
    ("challenge", "cryptogram"),
    [("C0FFEE05C0FFEE06", "5DAEB1FC43852DAA"), ("C0FFEE05", "42E0E96EEAF25A7B")],
)
def test_cv12_external_authenticate(challenge, cryptogram):
    tool = student([challenge])
    tool(f"00840000{len(challenge) // 2:02X}")
    tool(f"0082000008{cryptogram}")


# Every vector: unload and limit


BASE = {
    op: next(v for v in vectors(op, op) if v["expect"] == "valid") for op in ("unload", "limit")
}
"""The whole transaction whose parts the other vectors of a file are."""


def final(op: str, i: dict[str, bytes], mac2: bytes) -> str:
    at = (i["date"] + i["time"] + mac2).hex()
    return f"805403000B{at}04" if op == "unload" else f"805800000E{i['new_limit'].hex()}{at}04"


def begun(op: str, i: dict[str, bytes]) -> tuple[Tool, bytes]:
    """A card just after INITIALIZE with a vector's inputs, and its MAC1."""
    limit = int.from_bytes(i.get("old_limit", b""), "big")
    tool = student(
        [i["random"].hex()],
        balance=int.from_bytes(i["old_balance"], "big") - limit,
        overdraft_limit=limit,
        online_seq=int.from_bytes(i["seq"], "big"),
    )
    terminal = i["terminal"].hex()
    if op == "unload":
        return tool, tool(f"805005020B01{i['amount'].hex()}{terminal}10")[12:]
    return tool, tool(f"805004010701{terminal}13")[15:]


def comes_out(op: str, i: dict[str, bytes], name: str, stated: bytes) -> bool:
    """Whether the card answers a stated MAC1, MAC3 or TAC, or accepts a stated MAC2."""
    tool, mac1 = begun(op, i)
    if name == "mac1":
        return mac1 == stated
    before = tool.card.image
    if name == "mac2":
        answer = tool.card.process(bytes.fromhex(final(op, i, stated)))
        assert answer[-2:].hex() in ("9000", "9302")
        assert (answer[-2:].hex() == "9302") == (tool.card.image is before)
        return answer[-2:] == b"\x90\x00"
    mac2 = independent.OPS[op](i)["mac2"]
    return tool(final(op, i, mac2)) == stated


@pytest.mark.parametrize(
    "vector", vectors("unload", "unload") + vectors("limit", "limit"), ids=named
)
def test_whole_transactions(vector):
    i = unhex(vector["inputs"])
    stated = {k: v for k, v in unhex(vector["result"]).items() if k != "session_key"}
    for name, value in stated.items():
        assert comes_out(vector["op"], i, name, value) == (vector["expect"] == "valid"), name


PARTS = [(op, v) for op in BASE for v in vectors(op, "mac", "tac", "session_key")]


@pytest.mark.parametrize(
    ("op", "vector"), PARTS, ids=lambda v: v if isinstance(v, str) else named(v)
)
def test_single_cryptograms_of_a_transaction(op, vector):
    """One MAC of CV5 or CV6; a session key shows in the MAC1 that it makes."""
    i, (stated,) = unhex(BASE[op]["inputs"]), unhex(vector["result"]).values()
    if vector["op"] == "session_key":
        block = next(v for v in vectors(op, "mac") if v["id"].endswith("-mac1"))
        name, stated = "mac1", independent.mac4(stated, unhex(block["inputs"])["data"])
    else:
        name = next(n for n in ("mac1", "mac2", "mac3", "tac") if f"-{n}" in vector["id"])
    assert comes_out(op, i, name, stated) == (vector["expect"] == "valid")


# Every vector: secure messaging


@pytest.mark.parametrize("vector", vectors("secure_messaging", "secure_messaging_mac"), ids=named)
def test_commands_under_mac(vector):
    i, mac = unhex(vector["inputs"]), unhex(vector["result"])["mac"]
    challenge = i["challenge"].hex()
    if i["header"].hex().startswith("84d4"):  # V6: no key of ours, and a type of another card
        tool = scripted([challenge])
        tool.key_file()
        tool.add_key(0, "39F0F00133", i["key"])
        taken, refused = "6A80", "9302"
    else:
        tool, taken, refused = student([challenge]), "9000", "6988"
    before = tool.card.image
    tool("0084000004")
    is_valid = vector["expect"] == "valid"
    tool((i["header"] + i["data"] + mac).hex(), taken if is_valid else refused)
    assert is_valid or changed_only_counters(before, tool.card.image)


def changed_only_counters(before: Any, after: Any) -> bool:
    """Whether nothing but tries and strikes differs between two images."""
    return [(d.files, d.purses, d.blocked) for d in before.directories] == [
        (d.files, d.purses, d.blocked) for d in after.directories
    ]


@pytest.mark.parametrize(
    "vector", vectors("secure_messaging", "secure_messaging_encrypt"), ids=named
)
def test_enciphered_answers(vector):
    """The card enciphers what it answers from a file of type E8 that is read under MAC."""
    i, stated = unhex(vector["inputs"]), unhex(vector["result"])["ciphertext"]
    tool = application()
    tool.add_key(0, "36F0F0FF33", i["key"])
    tool.create("0004", f"E8{len(i['plaintext']):04X}F0F0FF7F")
    tool.enciphered("04D68400", i["key"], i["plaintext"])
    answer = tool.maced("04B08400", i["key"], le="00")
    assert (answer[:-4] == stated) == (vector["expect"] == "valid")


@pytest.mark.parametrize("vector", vectors("secure_messaging", "reload_pin_mac"), ids=named)
def test_reload_pin(vector):
    i, mac = unhex(vector["inputs"]), unhex(vector["result"])["mac"]
    tool = student([])
    is_valid = vector["expect"] == "valid"
    field = (i["pin"] + mac).hex()
    tool(f"805E0000{len(field) // 2:02X}{field}", "9000" if is_valid else "9302")


@pytest.mark.parametrize("vector", vectors("secure_messaging", "external_authenticate"), ids=named)
def test_external_authenticate(vector):
    i, stated = unhex(vector["inputs"]), unhex(vector["result"])["cryptogram"]
    tool = student([i["challenge"].hex()])
    tool(f"00840000{len(i['challenge']):02X}")
    tool(f"0082000008{stated.hex()}", "9000" if vector["expect"] == "valid" else "63C2")


def test_no_operation_of_these_files_is_left_out():
    taken = {"secure_messaging_mac", "secure_messaging_encrypt", "reload_pin_mac"}
    assert {v["op"] for v in vectors("secure_messaging")} == taken | {"external_authenticate"}
    for op in BASE:
        assert {v["op"] for v in vectors(op)} <= {op, "mac", "tac", "session_key"}
