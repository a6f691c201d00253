"""The printed ladders as test cases: the card, the PSAM and the steps of each."""

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import fixtures
from emulator.card.card import Card
from emulator.card.env import ScriptedEnv
from emulator.card.personalise import new_image, personalise, purse_index
from emulator.card.store import MemoryStore
from reader.psam import Psam
from reader.psam_keys import SamKeys

h = bytes.fromhex


@dataclass(frozen=True)
class Ladder:
    id: str
    raw: dict[str, Any]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.raw["steps"]

    def commands(self) -> list[tuple[str, str]]:
        return [(s["to"], s["command"]) for s in self.steps]

    def card(self) -> Card:
        """A card in the state the ladder starts from."""
        given = self.raw["card"]
        profile = replace(
            fixtures.load_profile("student"),
            balance=given["balance"],
            offline_seq=given["offline_seq"],
            online_seq=given["online_seq"],
            overdraft_limit=given["overdraft_limit"],
            trip_record=h(given["trip_record"]) if given["trip_record"] else None,
        )
        image = new_image(profile, fixtures.load_roots())
        files = image.directories[purse_index(image)].files
        assert files[0x15].content == h(given["ef15"])
        assert files[0x17].content == h(given["ef17"])
        env = ScriptedEnv([h(r) for r in given["randoms"]])
        return personalise(profile, fixtures.load_roots(), env, MemoryStore(image))

    def psam(self) -> Psam | None:
        given = self.raw["psam"]
        if given is None:
            return None
        return Psam(h(given["terminal"]), sam_keys(), given["terminal_seq"])


def sam_keys() -> SamKeys:
    """What a PSAM of the laboratory holds: purchase, TAC and lock keys."""
    roots = fixtures.load_roots()
    return SamKeys({1: roots["PMK"]}, {1: roots["TMK"]}, roots["BMK"])


def load_ladders() -> list[Ladder]:
    folder = files("fixtures").joinpath("vectors/ladders")
    texts = sorted((e.name, e.read_text("utf-8")) for e in folder.iterdir())
    return [Ladder(raw["id"], raw) for raw in (json.loads(text) for _, text in texts)]


LADDERS = {ladder.id: ladder for ladder in load_ladders()}
