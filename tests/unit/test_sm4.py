"""The experimental SM4 purse keys against their vectors. Invented, not interoperable (5.9)."""

import json
from importlib.resources import files

import pytest

from apdu.crypto import Key, MacKey
from apdu.sm4 import Sm4Key, Sm4MacKey

VECTORS = [
    vector
    for group in json.loads(
        (files("fixtures") / "vectors" / "sm4_experimental.json").read_text("utf-8")
    )["groups"]
    for vector in group["vectors"]
]
KEY = bytes.fromhex("77CB7477C3ACE8F90C4FB5F7A25F3261")


def result(op: str, i: dict[str, bytes]) -> dict[str, bytes]:
    if op == "sm4_mac":
        return {"mac": Sm4MacKey(i["key"]).mac(i["data"])}
    key = Sm4Key(i["key"])
    if op == "sm4_diversify":
        return {"key": key.diversify(i["factor"]).expose()}
    block = i["random"] + i["seq"] + i["tail"]
    # A session key is not shown; its first block is what `encrypt` gives.
    return {"session_key": key.encrypt(block + bytes(b ^ 0xFF for b in block))}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_vectors_hold_and_their_neighbours_do_not(vector):
    inputs = {name: bytes.fromhex(text) for name, text in vector["inputs"].items()}
    expected = {name: bytes.fromhex(text) for name, text in vector["result"].items()}
    assert (result(vector["op"], inputs) == expected) == (vector["expect"] == "valid")


def test_a_session_key_is_made_of_the_block_and_its_complement():
    block, data = bytes.fromhex("A1B2C3D400120101"), b"any data"
    whole = Sm4Key(KEY).encrypt(block + bytes(b ^ 0xFF for b in block))
    assert Sm4Key(KEY).session(block).mac(data) == Sm4MacKey(whole).mac(data)


def test_the_tac_key_is_whole():
    assert Sm4Key(KEY).folded.mac(b"x") == Sm4MacKey(KEY).mac(b"x")


def test_decrypt_undoes_encrypt():
    assert Sm4Key(KEY).decrypt(Sm4Key(KEY).encrypt(bytes(range(32)))) == bytes(range(32))


@pytest.mark.parametrize("n", range(33))
def test_padding_is_always_there(n):
    mac = Sm4MacKey(KEY)
    assert mac.mac(bytes(n)) != mac.mac(bytes(n) + b"\x80")
    assert len(mac.mac(bytes(n))) == 4


def test_the_key_is_never_shown_and_differs_from_a_3des_key_of_its_value():
    key = Sm4Key(KEY)
    assert KEY.hex() not in repr(key).lower()
    assert repr(key) == f"Key(check value {key.check_value.hex().upper()})"
    assert key != Key(KEY)
    assert key == Sm4Key(KEY)
    assert hash(key) == hash(Sm4Key(KEY))
    assert isinstance(key.session(bytes(8)), MacKey)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sm4Key(bytes(8)),
        lambda: Sm4MacKey(bytes(8)),
        lambda: Sm4Key(KEY).encrypt(bytes(8)),
        lambda: Sm4Key(KEY).decrypt(bytes(8)),
        lambda: Sm4Key(KEY).diversify(bytes(7)),
        lambda: Sm4Key(KEY).session(bytes(16)),
        lambda: Sm4Key(KEY).retail_mac(b""),
    ],
)
def test_wrong_sizes_and_unknown_uses_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected|SM4"):
        wrong()
