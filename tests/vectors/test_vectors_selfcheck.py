"""The vectors are sound: recomputed by an independent implementation, sourced, and well formed."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.vectors import independent

FOLDER = Path(__file__).parents[2] / "fixtures" / "vectors"
CRYPTOGRAMS = (
    "diversification",
    "limit",
    "load",
    "purchase",
    "secure_messaging",
    "sm4_experimental",
    "unload",
)
RECORD_SIZES = {"EF15": 30, "EF17": 60, "EF18": 23, "EF1E": 48, "EF1A-2701": 128}
ROOT_LABEL = b"bjstu-sim/test-only/v1/"

Json = dict[str, Any]


def read(path: Path) -> Json:
    return json.loads(path.read_text(encoding="utf-8"))


FILES = {name: read(FOLDER / f"{name}.json") for name in (*CRYPTOGRAMS, "records")}
LADDERS = {path.stem: read(path) for path in sorted((FOLDER / "ladders").glob("*.json"))}
VECTORS = [v for name in CRYPTOGRAMS for g in FILES[name]["groups"] for v in g["vectors"]]
RECORDS = [r for g in FILES["records"]["groups"] for r in g["records"]]
BY_ID = {v["id"]: v for v in VECTORS}


def unhex(values: dict[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in values.items()}


def named(item: Json) -> str:
    return item["id"]


# The files


def test_every_json_file_here_is_checked():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(FILES)
    assert LADDERS


def test_ids_are_unique_in_all_files():
    ids = [item["id"] for item in (*VECTORS, *RECORDS, *LADDERS.values())]
    assert [i for i, count in Counter(ids).items() if count > 1] == []


@pytest.mark.parametrize("name", FILES)
def test_every_group_says_where_it_comes_from(name):
    assert FILES[name]["schema"] == 1
    assert FILES[name]["title"]
    for group in FILES[name]["groups"]:
        source = group["source"]
        assert source["kind"] in {"published", "captured", "computed"}
        assert source["reference"]
        assert source["clause"].startswith("protocol reference ")


@pytest.mark.parametrize("name", FILES)
def test_every_flag_is_explained_and_every_explanation_used(name):
    items = [i for g in FILES[name]["groups"] for i in g.get("vectors", g.get("records"))]
    assert {flag for item in items for flag in item["flags"]} == set(FILES[name]["notes"])
    assert all(FILES[name]["notes"].values())


@pytest.mark.parametrize("name", CRYPTOGRAMS)
def test_there_are_at_least_as_many_negatives_as_positives(name):
    counts = Counter(v["expect"] for g in FILES[name]["groups"] for v in g["vectors"])
    assert counts["invalid"] >= counts["valid"] > 0
    assert set(counts) == {"valid", "invalid"}


def test_the_invented_sm4_variant_is_flagged_and_alone():
    for name in CRYPTOGRAMS:
        for vector in (v for g in FILES[name]["groups"] for v in g["vectors"]):
            is_invented = name == "sm4_experimental"
            assert vector["op"].startswith("sm4_") == is_invented
            assert ("not-interoperable" in vector["flags"]) == is_invented


def test_hex_is_upper_case_without_spaces():
    for vector in VECTORS:
        for value in (*vector["inputs"].values(), *vector["result"].values()):
            assert value == bytes.fromhex(value).hex().upper(), vector["id"]


# The cryptograms


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_the_independent_implementation_agrees(vector):
    got = independent.OPS[vector["op"]](unhex(vector["inputs"]))
    assert vector["result"]
    for name, stated in unhex(vector["result"]).items():
        assert (got[name] == stated) == (vector["expect"] == "valid"), name


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["expect"] == "invalid"], ids=named)
def test_negatives_have_a_flag_and_the_size_of_a_right_answer(vector):
    got = independent.OPS[vector["op"]](unhex(vector["inputs"]))
    assert vector["flags"]
    if "wrong-padding" in vector["flags"] or "missing-length-byte" in vector["flags"]:
        return  # the wrong cipher text may be longer or shorter, and that is the point
    for name, stated in unhex(vector["result"]).items():
        assert len(got[name]) == len(stated)


def test_roots_are_the_hash_of_their_label():
    roots = ("PMK", "LMK", "UMK", "OMK", "TMK", "AMK", "BMK", "BUMK", "PUMK", "PRMK")
    keys = ("dpk", "dlk", "dulk", "duk", "dtk", "damk", "dbk", "dubk", "dpuk", "drpk")
    for root, key in zip(roots, keys, strict=True):
        stated = BY_ID[f"diversification-{key}-level-1"]["inputs"]["key"]
        assert bytes.fromhex(stated) == sha256(ROOT_LABEL + root.encode()).digest()[:16]


def test_computed_cases_use_the_card_keys_of_the_table():
    cases = {"dpk": "purchase-cv1-purchase", "dlk": "load-cv4-load"}
    cases |= {"dulk": "unload-cv5-unload", "duk": "limit-cv6-limit", "dtk": "limit-cv6-limit"}
    for key, case in cases.items():
        table = BY_ID[f"diversification-{key}-level-2"]["result"]["key"]
        assert BY_ID[case]["inputs"][key] == table


# The records


WIDE = {"interop": 2, "seq": 2, "overdraft_limit": 3, "amount": 4, "balance": 4, "max_fare": 4}
WIDE |= {"entry_amount": 4, "entry_balance": 4, "exit_amount": 4}
"""Number fields of more than one byte (protocol reference 3)."""


def spelled(fields: Json) -> bytes:
    """The fields, one after the other, as bytes."""
    return b"".join(
        bytes.fromhex(value) if isinstance(value, str) else value.to_bytes(WIDE.get(name, 1), "big")
        for name, value in fields.items()
    )


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_records_have_their_size_and_their_fields_spell_them(record):
    raw = bytes.fromhex(record["hex"])
    if record["file"] in {"FCI", "PPSE"}:
        assert raw[:2] == bytes((0x6F, len(raw) - 2))
        assert raw[2] == 0x84
        assert bytes.fromhex(record["fields"]["df_name"]) == raw[4 : 4 + raw[3]]
    else:
        assert len(raw) == RECORD_SIZES[record["file"]]
        assert spelled(record["fields"]) == raw


# The ladders


def pairs(ladder: Json) -> list[tuple[str, bytes, bytes]]:
    return [
        (s["to"], bytes.fromhex(s["command"]), bytes.fromhex(s["response"]))
        for s in ladder["steps"]
    ]


def card_key(name: str) -> bytes:
    return bytes.fromhex(BY_ID[f"diversification-{name}-level-2"]["result"]["key"])


def one(ladder: Json, to: str, *heads: str) -> tuple[bytes, bytes]:
    """Data and answer data of the one step whose command starts with one of these heads."""
    starts = tuple(bytes.fromhex(head) for head in heads)
    found = [(c, r) for peer, c, r in pairs(ladder) if peer == to and c.startswith(starts)]
    assert len(found) == 1
    command, response = found[0]
    return command[5 : 5 + command[4]], response[:-2]


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=named)
def test_ladders_are_well_formed_apdus(ladder):
    assert ladder["schema"] == 1
    assert LADDERS[ladder["id"]] is ladder
    assert ladder["clause"].startswith("protocol reference 6.")
    for step, (to, command, response) in zip(ladder["steps"], pairs(ladder), strict=True):
        assert to in {"card", "psam"}
        assert step["note"]
        assert response[-2:] == b"\x90\x00"
        if len(command) > 5:
            assert len(command) - 5 - command[4] in (0, 1)
            ne = command[5 + command[4] :]
        else:
            ne = command[4:]
        if ne and ne[0]:
            assert len(response) - 2 == ne[0]


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=named)
def test_ladders_start_from_their_card(ladder):
    card = ladder["card"]
    ef15 = bytes.fromhex(card["ef15"])
    assert (len(ef15), len(bytes.fromhex(card["ef17"]))) == (30, 60)
    assert ef15[:8].hex().upper() == card["issuer"]
    assert ef15[10:20].hex().upper() == card["serial"]
    reads = {command: response[:-2] for _, command, response in pairs(ladder)}
    assert reads[bytes.fromhex("00B0950000")] == ef15


BLOCKING = [LADDERS["listed-card"]]
SPENDING = [ladder for ladder in LADDERS.values() if ladder["psam"] and ladder not in BLOCKING]
LOADING = [ladder for ladder in LADDERS.values() if not ladder["psam"]]


@pytest.mark.parametrize("ladder", SPENDING, ids=named)
def test_purchase_ladders_carry_the_right_cryptograms(ladder):
    asked, offer = one(ladder, "card", "80500102", "80500302")
    sam, proof = one(ladder, "psam", "80700000")
    debit, paid = one(ladder, "card", "80540100")
    kind = sam[10:11]
    got = independent.purchase(
        {
            "dpk": card_key("dpk"),
            "dtk": card_key("dtk"),
            "type": kind,
            "amount": asked[1:5],
            "terminal": asked[5:11],
            "random": offer[11:15],
            "seq": offer[4:6],
            "terminal_seq": debit[:4],
            "date": debit[4:8],
            "time": debit[8:11],
        }
    )
    card, psam = ladder["card"], ladder["psam"]
    assert offer[:4] == card["balance"].to_bytes(4, "big")
    assert offer[4:6] == card["offline_seq"].to_bytes(2, "big")
    assert offer[11:15].hex().upper() == card["randoms"][0]
    assert asked[5:11].hex().upper() == psam["terminal"]
    assert debit[4:11].hex().upper() == ladder["at"]
    assert sam == b"".join(
        (
            offer[11:15] + offer[4:6] + asked[1:5] + kind + debit[4:11] + offer[9:11],
            bytes.fromhex(card["serial"])[2:],
            bytes.fromhex(card["issuer"]),
        )
    )
    assert proof == psam["terminal_seq"].to_bytes(4, "big") + got["mac1"]
    assert debit[:4] + debit[11:] == proof
    assert paid == got["tac"] + got["mac2"]
    credit, _ = one(ladder, "psam", "80720000")
    assert credit == got["mac2"]


@pytest.mark.parametrize("ladder", BLOCKING, ids=named)
def test_blocking_ladders_carry_the_right_cryptograms(ladder):
    _, challenge = one(ladder, "card", "0084")
    factors, _ = one(ladder, "psam", "801A4502")
    assert factors.hex().upper() == ladder["card"]["serial"][4:] + ladder["card"]["issuer"]
    head = bytes.fromhex("841E000004")
    blocks, answer = one(ladder, "psam", "80FA0500")
    assert blocks == challenge + bytes(4) + head + bytes.fromhex("800000")
    mac, _ = one(ladder, "card", head.hex())
    assert answer[:4] == mac
    got = independent.secure_messaging_mac(
        {"key": card_key("dbk"), "challenge": challenge, "header": head, "data": b""}
    )
    assert got["mac"] == mac


@pytest.mark.parametrize("ladder", LOADING, ids=named)
def test_load_ladders_carry_the_right_cryptograms(ladder):
    asked, offer = one(ladder, "card", "80500002")
    credit, tac = one(ladder, "card", "80520000")
    new = int.from_bytes(offer[:4], "big") + int.from_bytes(asked[1:5], "big")
    got = independent.load(
        {
            "dlk": card_key("dlk"),
            "dtk": card_key("dtk"),
            "random": offer[8:12],
            "seq": offer[4:6],
            "old_balance": offer[:4],
            "new_balance": new.to_bytes(4, "big"),
            "amount": asked[1:5],
            "terminal": asked[5:11],
            "date": credit[:4],
            "time": credit[4:7],
        }
    )
    assert offer[:4] == ladder["card"]["balance"].to_bytes(4, "big")
    assert offer[4:6] == ladder["card"]["online_seq"].to_bytes(2, "big")
    assert offer[12:16] == got["mac1"]
    assert credit[7:] == got["mac2"]
    assert tac == got["tac"]


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=named)
def test_a_lost_answer_is_proved_on_the_next_tap(ladder):
    lost = [bytes.fromhex(s["response"])[:-2] for s in ladder["steps"] if s.get("lost")]
    proofs = [(c, r[:-2]) for _, c, r in pairs(ladder) if c.startswith(b"\x80\x5a")]
    assert len(lost) == len(proofs) <= 1
    for answer, (command, proof) in zip(lost, proofs, strict=True):
        assert proof[4:] == answer[:4]  # the TAC comes first in the answer, second in the proof
        is_load = command[3] == 2
        seq = ladder["card"]["online_seq" if is_load else "offline_seq"]
        assert command[5:7] == (seq + 1).to_bytes(2, "big")
        if is_load:
            credit, _ = one(ladder, "card", "80520000")
            assert proof[:4] == credit[7:]
        else:
            assert proof[:4] == answer[4:]


@pytest.mark.parametrize("name", ["gate-entry", "gate-exit", "bus-capp", "interrupted-purchase"])
def test_cached_trip_records_repeat_the_transaction(name):
    ladder = LADDERS[name]
    asked, offer = one(ladder, "card", "80500302")
    trip, _ = one(ladder, "card", "80DC00F0")
    left = int.from_bytes(offer[:4], "big") - int.from_bytes(asked[1:5], "big")
    assert trip[17:21] == asked[1:5]
    assert trip[21:25] == left.to_bytes(4, "big")
    assert trip[25:32].hex().upper() == ladder["at"]
    assert trip[3:9] == asked[5:11]
