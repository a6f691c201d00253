"""What a card on a reader is: what it says of itself, and what is declared for it."""

import tomllib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import fixtures
from apdu.bcd import unpack_date
from apdu.codec import WireError
from apdu.command import Response
from apdu.commands import AID_PURSE, READ_BINARY, SELECT
from apdu.files import EF15, EF17, Interop, PublicInfo
from apdu.records import SelectName
from apdu.tlv import value_of
from bench.problem import Problem
from emulator.card.profile import Profile
from fixtures.profiles import profile_from
from reader.transport.base import Transport

TEST_ISSUERS = frozenset(map(bytes.fromhex, ("09981001", "09991001")))
"""The laboratory's issuer code and the one of terminal tests; no gate in service accepts them
(protocol reference 3.2, Q2)."""

ISSUER_DATA = 0x9F0C
_WHOLE_FILE = 0x80
_EP_ONLY = 2
ITSELF = "the card"
"""The name of a profile that nobody declared but the card."""
_EVER = (date(2000, 1, 1), date(2099, 12, 31))


@dataclass(frozen=True, slots=True)
class Identity:
    """What a card says of itself. interop: EF17, if it can be read. in_fci: EF15 is in the FCI."""

    info: PublicInfo
    interop: Interop | None
    in_fci: bool

    @property
    def is_test_card(self) -> bool:
        """Whether the card is of an issuer that exists for tests alone."""
        return self.info.issuer[:4] in TEST_ISSUERS


def issuer_data(answer: bytes) -> PublicInfo | None:
    """EF15 out of an answer to SELECT, whatever its status word; None if it shows none."""
    try:
        data = value_of(answer[:-2], ISSUER_DATA)
        return None if data is None else PublicInfo.from_wire(data)
    except WireError:
        return None


def look_at(link: Transport, where: str) -> Identity:
    """Ask a card who it is; nothing on it changes. Raises Problem, TransportError."""
    answer = link.transmit(SELECT.command(SelectName(AID_PURSE), *SELECT.usual))
    info = issuer_data(answer)
    in_fci = info is not None
    if info is None:
        info = _file(link, EF15.sfi, PublicInfo)
    if info is None:
        status = answer[-2:].hex().upper()
        raise Problem(
            f"the card on {where} has no purse {AID_PURSE.hex().upper()} with an EF15 that can be"
            f" read (SELECT answered {status}); put a T-Union card there"
        )
    return Identity(info, _file(link, EF17.sfi, Interop), in_fci)


def _file(link: Transport, sfi: int, layout: Any) -> Any:  # noqa: ANN401 - a record of the table
    answer = link.transmit(READ_BINARY.command(None, _WHOLE_FILE | sfi, 0))
    try:
        response = Response.parse(answer)
        return layout.from_wire(response.data) if response.sw == 0x9000 else None
    except WireError:
        return None


def declared(identity: Identity, wanted: str | None) -> Profile:
    """The profile that expectations come from: kind and dialect declared, identity the card's own.

    wanted: a profile's name or a TOML file; a plain dialect if left out. Raises Problem,
    ProfileError.
    """
    info, spoken = identity.info, identity.interop
    if wanted is None:
        made = profile_from(ITSELF, _plain(identity))
    elif "/" in wanted or wanted.endswith(".toml"):
        made = _from_file(Path(wanted))
    else:
        made = fixtures.load_profile(wanted)
    start, end = (
        _day(raw, usual) for raw, usual in zip((info.start_date, info.end_date), _EVER, strict=True)
    )
    made = replace(made, issuer=info.issuer, serial=info.serial, start_date=start, end_date=end)
    if spoken is None:
        return made
    return replace(made, country=spoken.country, province=spoken.province, city=spoken.city)


def _plain(identity: Identity) -> dict[str, Any]:
    info, spoken = identity.info, identity.interop
    table: dict[str, Any] = {
        "title": "Declared by the card itself",
        "serial": info.serial.hex(),
        "start_date": _EVER[0],
        "end_date": _EVER[1],
        "enabled": info.enabled,
        "has_ed": info.application_type != _EP_ONLY,
        "uid": "08000000",
    }
    if spoken is not None:
        table |= {"card_kind": spoken.card_kind, "interop": bool(spoken.interop)}
        table["dialect"] = {"kind_in_ef15": info.fci1 == spoken.card_kind}
    return table


def _day(packed: bytes, otherwise: date) -> date:
    try:
        return unpack_date(packed)
    except ValueError:
        return otherwise


def _from_file(path: Path) -> Profile:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Problem(f"profile {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Problem(f"profile {path} is not TOML: {' '.join(str(error).split())}") from error
    return profile_from(path.stem, table)
