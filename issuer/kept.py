"""What an operation keeps of a load or unload whose answer may be lost, as JSON.

With it GET TRANSACTION PROVE is asked later, by an office that has forgotten everything else.
"""

from collections.abc import Mapping
from typing import Any

from apdu.bcd import Moment
from apdu.files import PublicInfo
from apdu.fmcos import KEY_INDEX
from apdu.records import InitializeData, InitLoadReply
from issuer.unloading import UnresolvedUnload
from reader.loading import UnresolvedLoad

Data = Mapping[str, Any]


def keep(made: UnresolvedLoad | UnresolvedUnload) -> dict[str, Any]:
    """The data of an operation that holds it."""
    told = {
        "info": made.info.build().hex(),
        "fen": made.asked.amount,
        "terminal": made.asked.terminal.hex(),
        "offer": made.offer.build().hex(),
        "when": made.when.both.hex(),
    }
    if isinstance(made, UnresolvedLoad):
        told["mac2"] = made.mac2.hex()
    return {"kept": told}


def offer_in(data: Data) -> InitLoadReply | None:
    """What the card offered in the newest load or unload, None before the first."""
    kept = data.get("kept")
    return None if kept is None else InitLoadReply.from_wire(bytes.fromhex(kept["offer"]))


def load_in(data: Data) -> UnresolvedLoad | None:
    """The newest load that was let through, None before the first."""
    made = unload_in(data)
    if made is None:
        return None
    mac2 = bytes.fromhex(data["kept"]["mac2"])
    return UnresolvedLoad(made.info, made.asked, made.offer, made.when, mac2)


def unload_in(data: Data) -> UnresolvedUnload | None:
    """The newest unload that was let through, None before the first."""
    offer = offer_in(data)
    if offer is None:
        return None
    kept = data["kept"]
    when = bytes.fromhex(kept["when"])
    return UnresolvedUnload(
        PublicInfo.from_wire(bytes.fromhex(kept["info"])),
        InitializeData(KEY_INDEX, kept["fen"], bytes.fromhex(kept["terminal"])),
        offer,
        Moment(when[:4], when[4:]),
    )
