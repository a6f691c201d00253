"""A second opinion on every cryptogram: slow, plain, and written only from the protocol reference.

Nothing of the project is imported here, on purpose: a mistake shared with the product would
check itself. Only the block ciphers come from elsewhere (`cryptography`); chaining, padding and
the order of the data elements are spelled out, clause by clause.

`OPS` maps the `op` of a vector to a function from named inputs to named results. A
transaction computes only the results for which the vector gives the inputs.
"""

from collections.abc import Callable, Mapping

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

Inputs = Mapping[str, bytes]
Results = dict[str, bytes]

AT = {"date", "time"}


# Blocks and bytes


def xor(left: bytes, right: bytes) -> bytes:
    assert len(left) == len(right)
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def complement(data: bytes) -> bytes:
    return bytes(0xFF - byte for byte in data)


def blocks(data: bytes, size: int = 8) -> list[bytes]:
    assert len(data) % size == 0
    return [data[i : i + size] for i in range(0, len(data), size)]


def padded(data: bytes, size: int = 8) -> bytes:
    """ISO 9797-1 method 2: 80, then zeros; a full last block gets a whole block more (5.4)."""
    data += b"\x80"
    while len(data) % size:
        data += b"\x00"
    return data


def des(key: bytes, block: bytes) -> bytes:
    """Single DES is triple DES with three equal keys."""
    assert len(key) == 8
    assert len(block) == 8
    return Cipher(TripleDES(key * 3), modes.ECB()).encryptor().update(block)


def des_decrypt(key: bytes, block: bytes) -> bytes:
    assert len(key) == 8
    assert len(block) == 8
    return Cipher(TripleDES(key * 3), modes.ECB()).decryptor().update(block)


def t(key: bytes, data: bytes) -> bytes:
    """T(k, x) of 0.2: EDE with K1 K2 K1, every block for itself, here in three visible steps.

    An 8-byte key is single DES (annex 4.1).
    """
    if len(key) == 8:
        return b"".join(des(key, block) for block in blocks(data))
    assert len(key) == 16
    k1, k2 = key[:8], key[8:]
    return b"".join(des(k1, des_decrypt(k2, des(k1, block))) for block in blocks(data))


def t_inverse(key: bytes, data: bytes) -> bytes:
    """T undone, block by block."""
    assert len(key) == 16
    k1, k2 = key[:8], key[8:]
    return b"".join(des_decrypt(k1, des(k2, des_decrypt(k1, block))) for block in blocks(data))


def sm4(key: bytes, data: bytes) -> bytes:
    assert len(key) == 16
    cipher = Cipher(SM4(key), modes.ECB())
    return b"".join(cipher.encryptor().update(block) for block in blocks(data, 16))


def cbc_last(key: bytes, data: bytes, iv: bytes) -> bytes:
    """The last block of single-DES CBC over data that is already padded."""
    chain = iv
    for block in blocks(data):
        chain = des(key, xor(chain, block))
    return chain


# Primitives (5.2 to 5.6)


def diversify(i: Inputs) -> Results:
    """5.2, one step."""
    return {"key": t(i["key"], i["factor"]) + t(i["key"], complement(i["factor"]))}


def session_key(i: Inputs) -> Results:
    """5.3: random 4, sequence number 2, tail 2."""
    block = i["random"] + i["seq"] + i["tail"]
    return {"session_key": t(i["key"], block)}


def mac4(key: bytes, data: bytes) -> bytes:
    """5.4: IV zero, the left four bytes."""
    return cbc_last(key, padded(data), bytes(8))[:4]


def mac(i: Inputs) -> Results:
    return {"mac": mac4(i["key"], i["data"])}


def folded_tac_key(i: Inputs) -> bytes:
    """5.3: left xor right of DTK, or the eight bytes as given."""
    if "tac_key" in i:
        assert len(i["tac_key"]) == 8
        return i["tac_key"]
    return xor(i["dtk"][:8], i["dtk"][8:])


def has_tac_key(i: Inputs) -> bool:
    return "tac_key" in i or "dtk" in i


def tac(i: Inputs) -> Results:
    return {"tac": mac4(folded_tac_key(i), i["data"])}


def challenge_iv(challenge: bytes) -> bytes:
    """5.6: four bytes and zeros; annex 6: some tools ask for eight and use all of them."""
    assert len(challenge) in (4, 8)
    return (challenge + bytes(4))[:8]


def retail4(key: bytes, data: bytes, iv: bytes) -> bytes:
    """5.6: ISO 9797-1 algorithm 3, the left four bytes. An 8-byte key gives plain DES-CBC."""
    last = cbc_last(key[:8], padded(data), iv)
    if len(key) == 16:
        last = des(key[:8], des_decrypt(key[8:], last))
    return last[:4]


def secure_messaging_mac(i: Inputs) -> Results:
    """5.6: IV challenge and zeros; ISO 9797-1 algorithm 3; header and data as sent."""
    assert len(i["header"]) == 5
    assert i["header"][4] == len(i["data"]) + 4  # Lc counts the MAC
    covered = i["header"] + i["data"]
    return {"mac": retail4(i["key"], covered, challenge_iv(i["challenge"]))}


def secure_messaging_encrypt(i: Inputs) -> Results:
    """5.6: a length byte first; padding only where the block does not fit already."""
    block = bytes([len(i["plaintext"])]) + i["plaintext"]
    if len(block) % 8:
        block = padded(block)
    return {"ciphertext": t(i["key"], block)}


def external_authenticate(i: Inputs) -> Results:
    """4.10: the challenge is 8 bytes, or 4 bytes followed by zeros."""
    return {"cryptogram": t(i["key"], challenge_iv(i["challenge"]))}


def reload_pin_mac(i: Inputs) -> Results:
    """4.11: left xor right of DRPK, over the new PIN alone."""
    return {"mac": mac4(xor(i["key"][:8], i["key"][8:]), i["pin"])}


# Transactions (5.3 and 5.5)


def purchase(i: Inputs) -> Results:
    sk = t(i["dpk"], i["random"] + i["seq"] + i["terminal_seq"][2:])
    out = {"session_key": sk, "mac2": mac4(sk, i["amount"])}
    at = i["date"] + i["time"]
    out["mac1"] = mac4(sk, i["amount"] + i["type"] + i["terminal"] + at)
    if has_tac_key(i):
        data = i["amount"] + i["type"] + i["terminal"] + i["terminal_seq"] + at
        out["tac"] = mac4(folded_tac_key(i), data)
    return out


def load(i: Inputs) -> Results:
    sk = t(i["dlk"], i["random"] + i["seq"] + b"\x80\x00")
    what = i["amount"] + i.get("type", b"\x02") + i["terminal"]  # 01 for an ED (3.7)
    out = {"session_key": sk, "mac1": mac4(sk, i["old_balance"] + what)}
    if i.keys() >= AT:
        out["mac2"] = mac4(sk, what + i["date"] + i["time"])
    if i.keys() >= AT and has_tac_key(i):
        data = i["new_balance"] + i["seq"] + what + i["date"] + i["time"]
        out["tac"] = mac4(folded_tac_key(i), data)
    return out


def unload(i: Inputs) -> Results:
    sk = t(i["dulk"], i["random"] + i["seq"] + b"\x80\x00")
    what = i["amount"] + b"\x03" + i["terminal"]
    at = i["date"] + i["time"]
    return {
        "session_key": sk,
        "mac1": mac4(sk, i["old_balance"] + what),
        "mac2": mac4(sk, what + at),
        "mac3": mac4(sk, i["new_balance"] + i["seq"] + what + at),
    }


def limit(i: Inputs) -> Results:
    sk = t(i["duk"], i["random"] + i["seq"] + b"\x80\x00")
    at = i["date"] + i["time"]
    new = i["new_limit"] + b"\x07" + i["terminal"]
    return {
        "session_key": sk,
        "mac1": mac4(sk, i["old_balance"] + i["old_limit"] + b"\x07" + i["terminal"]),
        "mac2": mac4(sk, new + at),
        "tac": mac4(folded_tac_key(i), i["new_balance"] + i["seq"] + new + at),
    }


# The experimental SM4 variant (5.9): invented, not interoperable


def sm4_diversify(i: Inputs) -> Results:
    return {"key": sm4(i["key"], i["factor"] + complement(i["factor"]))}


def sm4_session_key(i: Inputs) -> Results:
    block = i["random"] + i["seq"] + i["tail"]
    return {"session_key": sm4(i["key"], block + complement(block))}


def sm4_mac(i: Inputs) -> Results:
    chain = bytes(16)
    for block in blocks(padded(i["data"], 16), 16):
        chain = sm4(i["key"], xor(chain, block))
    return {"mac": chain[:4]}


OPS: dict[str, Callable[[Inputs], Results]] = {
    f.__name__: f
    for f in (
        diversify,
        session_key,
        mac,
        tac,
        secure_messaging_mac,
        secure_messaging_encrypt,
        external_authenticate,
        reload_pin_mac,
        purchase,
        load,
        unload,
        limit,
        sm4_diversify,
        sm4_session_key,
        sm4_mac,
    )
}
