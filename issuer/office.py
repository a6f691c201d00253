"""What every operation of the back office has at hand: database, keys, payer, policies, time."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from apdu.crypto import Key
from issuer.devices import Catalogue
from issuer.documents import Documents
from issuer.moments import Now
from issuer.payer import Payer
from issuer.policy import IssuerPolicy
from reader.policy import Policy


@dataclass(frozen=True, slots=True)
class Office:
    """One back office.

    roots:     the issuer's root keys by name (protocol reference 5.1): PMK, LMK, TMK, UMK, AMK ...
    transport: the key of cards from stock, which opening replaces.
    policy:    what the issuer has decided. gate_policy: limits of purses and top-ups.
    now:       always aware; no rule reads a clock of its own.
    terminal:  the office's own terminal number in loads and unloads, 6 bytes.
    """

    engine: Engine
    documents: Documents
    payer: Payer
    catalogue: Catalogue
    roots: Mapping[str, Key]
    transport: Key
    now: Now
    policy: IssuerPolicy
    gate_policy: Policy
    terminal: bytes = bytes.fromhex("100000000001")
    issuer: bytes = bytes.fromhex("09981001FFFFFFFF")

    def __repr__(self) -> str:
        return f"Office({self.engine.url.render_as_string(hide_password=True)})"
