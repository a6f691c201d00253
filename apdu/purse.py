"""What goes into each cryptogram of the transit purse: session keys, MAC1, MAC2, MAC3, TAC.

The composition of protocol reference 5.2 to 5.5, nothing else: card, PSAM and issuer all call
these, so a field order exists once. `Key` and `MacKey` of `apdu.crypto` do the arithmetic.
Amounts and balances are int fen; a terminal is 6 bytes; `when` is 7 bytes of YYYYMMDDhhmmss.
"""

from struct import Struct

from apdu.crypto import Key, MacKey

ED_LOAD, LOAD, UNLOAD, CASH_WITHDRAW = 0x01, 0x02, 0x03, 0x04
ED_PURCHASE, PURCHASE, LIMIT, CAPP = 0x05, 0x06, 0x07, 0x09
"""Transaction types (protocol reference 3.7)."""

_SEQUENCES = Struct(">HH")
_SPENT = Struct(">LB6s7s")
_TAC_SPENT = Struct(">LB6sL7s")
_LOAD_OFFER = Struct(">LLB6s")
_ONLINE_TAC = Struct(">LHLB6s7s")
_ONLINE_TAIL = b"\x80\x00"


def card_key(root: Key, issuer: bytes, serial: bytes) -> Key:
    """A card's own key from a root key, two levels down (protocol reference 5.2).

    issuer: EF15[0..7], 8 bytes.  serial: EF15[10..19], 10 bytes, of which the low 8 count.
    """
    return root.diversify(issuer).diversify(serial[-8:])


def purchase_session(dpk: Key, random: bytes, offline_seq: int, terminal_seq: int) -> MacKey:
    """Session key of a purchase or CAPP purchase (protocol reference 5.3).

    random: 4 bytes from the card. offline_seq: as INITIALIZE answered it, before the increment.
    terminal_seq: the PSAM's transaction number, of which the low 2 bytes count.
    """
    return dpk.session(random + _SEQUENCES.pack(offline_seq, terminal_seq & 0xFFFF))


def online_session(key: Key, random: bytes, online_seq: int) -> MacKey:
    """Session key of load (DLK), unload (DULK) and limit change (DUK) (protocol reference 5.3)."""
    return key.session(random + online_seq.to_bytes(2, "big") + _ONLINE_TAIL)


def spend_mac1(session: MacKey, amount: int, kind: int, terminal: bytes, when: bytes) -> bytes:
    """The terminal's MAC over a purchase, which the card checks before it pays."""
    return session.mac(_SPENT.pack(amount, kind, terminal, when))


def spend_mac2(session: MacKey, amount: int) -> bytes:
    """The card's MAC over the amount paid, which the PSAM checks before the gate opens."""
    return session.mac(amount.to_bytes(4, "big"))


def spend_tac(
    dtk: Key, amount: int, kind: int, terminal: bytes, terminal_seq: int, when: bytes
) -> bytes:
    """The card's proof of a purchase for the clearing house."""
    return dtk.folded.mac(_TAC_SPENT.pack(amount, kind, terminal, terminal_seq, when))


def online_mac1(session: MacKey, balance: int, amount: int, kind: int, terminal: bytes) -> bytes:
    """The card's MAC in INITIALIZE FOR LOAD or UNLOAD: it is this card, with this balance."""
    return session.mac(_LOAD_OFFER.pack(balance, amount, kind, terminal))


def online_mac2(session: MacKey, amount: int, kind: int, terminal: bytes, when: bytes) -> bytes:
    """The host's MAC that lets the card credit a load or debit an unload."""
    return session.mac(_SPENT.pack(amount, kind, terminal, when))


def load_tac(
    dtk: Key,
    balance: int,
    online_seq: int,
    amount: int,
    terminal: bytes,
    when: bytes,
    kind: int = LOAD,
) -> bytes:
    """The card's proof of a load. balance: after it. online_seq: before the increment."""
    return dtk.folded.mac(_ONLINE_TAC.pack(balance, online_seq, amount, kind, terminal, when))


def unload_mac3(
    session: MacKey, balance: int, online_seq: int, amount: int, terminal: bytes, when: bytes
) -> bytes:
    """The card's proof of an unload. balance: after it. online_seq: before the increment."""
    return session.mac(_ONLINE_TAC.pack(balance, online_seq, amount, UNLOAD, terminal, when))


def limit_mac1(session: MacKey, balance: int, limit: int, terminal: bytes) -> bytes:
    """The card's MAC in INITIALIZE FOR UPDATE. limit: the old overdraft limit, 3 bytes wide."""
    return session.mac(
        balance.to_bytes(4, "big") + limit.to_bytes(3, "big") + bytes((LIMIT,)) + terminal
    )


def limit_mac2(session: MacKey, limit: int, terminal: bytes, when: bytes) -> bytes:
    """The host's MAC that lets the card take a new overdraft limit."""
    return session.mac(limit.to_bytes(3, "big") + bytes((LIMIT,)) + terminal + when)


def limit_tac(
    dtk: Key, balance: int, online_seq: int, limit: int, terminal: bytes, when: bytes
) -> bytes:
    """The card's proof of a limit change. balance: after it. online_seq: before the increment."""
    return dtk.folded.mac(
        balance.to_bytes(4, "big")
        + online_seq.to_bytes(2, "big")
        + limit.to_bytes(3, "big")
        + bytes((LIMIT,))
        + terminal
        + when
    )


def secure_messaging_mac(key: Key, challenge: bytes, command: bytes) -> bytes:
    """MAC at the end of a protected command (protocol reference 5.6).

    challenge: the 4 (or 8) bytes GET CHALLENGE gave.
    command:   CLA INS P1 P2 Lc and data without the MAC; Lc already counts the MAC's 4 bytes.
    """
    return key.retail_mac(command, (challenge + bytes(8))[:8])


def secure_messaging_encrypt(key: Key, plain: bytes) -> bytes:
    """Encrypted data field: length byte and plain text, padded with 80 00.. only if needed."""
    block = bytes((len(plain),)) + plain
    if len(block) % 8:
        block = block + b"\x80" + bytes(7 - len(block) % 8)
    return key.encrypt(block)


def external_authenticate(key: Key, challenge: bytes) -> bytes:
    """Cryptogram for EXTERNAL AUTHENTICATE; a 4-byte challenge is followed by zeros."""
    return key.encrypt((challenge + bytes(8))[:8])


def reload_pin_mac(drpk: Key, pin: bytes) -> bytes:
    """MAC of RELOAD PIN: over the new PIN only, IV zero, DRPK folded (protocol reference 4.11)."""
    return drpk.folded.mac(pin)


__all__ = [
    "CAPP",
    "CASH_WITHDRAW",
    "ED_LOAD",
    "ED_PURCHASE",
    "LIMIT",
    "LOAD",
    "PURCHASE",
    "UNLOAD",
    "card_key",
    "external_authenticate",
    "limit_mac1",
    "limit_mac2",
    "limit_tac",
    "load_tac",
    "online_mac1",
    "online_mac2",
    "online_session",
    "purchase_session",
    "reload_pin_mac",
    "secure_messaging_encrypt",
    "secure_messaging_mac",
    "spend_mac1",
    "spend_mac2",
    "spend_tac",
    "unload_mac3",
]
