"""Writes the generated pages of `docs/`: `python -m bench.docs`, or `make docs`."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from apdu.blocks import Kind
from apdu.docs import GENERATED, commands_page, files_page, table
from apdu.statechart import states_svg
from bench.crowd_docs import throughput_page
from bench.decision_docs import decisions_page
from bench.gate_picture import gate_picture
from bench.money_docs import fares_page, policy_page
from bench.requirement_docs import requirements_page
from bench.rules_docs import rules_page
from emulator.card.dialect import switches
from emulator.card.profile import Profile
from emulator.card.state import Blocked
from emulator.phone import CONDITIONS, Sight
from emulator.radio.isodep import LEGAL, Phase
from emulator.radio.rules import RULES, Rule
from fixtures import STANDING_DAY, load_profile, profile_names
from fixtures.phones import load_phone, phone_names
from issuer.faults import Fault

FOLDER = Path(__file__).resolve().parent.parent / "docs"

_CALIBRATION = "calibration-"


def dialects_page() -> str:
    """`docs/dialects.md`."""
    rows = (
        (
            f"`{s.name}`",
            f"`{_toml(s.default)}`" if s.default else "nothing",
            ", ".join(f"`{_toml(choice)}`" for choice in s.choices) or "a text",
            s.reason,
        )
        for s in switches()
    )
    parts = [
        GENERATED,
        "# Dialects",
        "Where real cards and readers contradict each other the card has a switch, set in the"
        " `dialect` table of a profile. The default is what the protocol reference recommends;"
        " clauses and open questions (Q) are the reference's. `tapbench card dialects` prints this"
        " list.",
        '```toml\n[dialect]\nunused_records = "6A83"\nfci_label = true\n```',
        table(("switch", "default", "choices", "why it exists"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _toml(choice: str) -> str:
    return choice.lower() if choice in ("True", "False") else choice


def profiles_page() -> str:
    """`docs/profiles.md`."""
    profiles = {name: load_profile(name) for name in profile_names()}
    named = [(n, p) for n, p in profiles.items() if not n.startswith(_CALIBRATION)]
    sets = [(n, p) for n, p in profiles.items() if n.startswith(_CALIBRATION)]
    parts = [
        GENERATED,
        "# Profiles",
        'Every card of the library: `fixtures.card("student-open-trip")` in a test, or'
        " `tapbench card new --profile student-open-trip FILE`. Their files are in"
        f' `fixtures/profiles/`. "Today" is the bench\'s standing day, {STANDING_DAY}.',
        table(
            ("profile", "what it is", "valid", "balance, yuan", "SAK"),
            (
                (f"`{n}`", p.title, _valid(p), _money(p), f"`{p.contactless.sak:02X}`")
                for n, p in named
            ),
        ),
        "## Calibration sets",
        "A ceiling, B actual balance, C overdraft limit and D overdraft in use are published"
        " (hexadecimal fen). The card data of sets 106 to 154 are not: their deviations are ours,"
        " one a set.",
        table(
            ("profile", "A", "B", "C", "D", "deviation"),
            (
                (f"`{n}`", *(f"`{v:06X}`" for v in _model(p)), p.title.partition(": ")[2])
                for n, p in sets
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _valid(profile: Profile) -> str:
    blocked = "" if profile.blocked is Blocked.NO else f", blocked: {profile.blocked.value}"
    return f"{profile.start_date} to {profile.end_date}{blocked}"


def _money(profile: Profile) -> str:
    return f"{(profile.balance - profile.overdraft_used) / 100:.2f}"


def _model(profile: Profile) -> tuple[int, int, int, int]:
    return profile.ceiling, profile.balance, profile.overdraft_limit, profile.overdraft_used


def phones_page() -> str:
    """`docs/phones.md`."""
    phones = {name: load_phone(name) for name in phone_names()}
    conditions = (
        (
            ", ".join(f"`{carrier}`" for carrier in condition.carriers),
            condition.says,
            {Sight.SILENCE: "no answer to REQA", Sight.NO_PURSE: "SELECT: 6A82"}[
                condition.otherwise
            ],
            condition.grade.value,
            condition.source,
        )
        for condition in CONDITIONS
    )
    parts = [
        GENERATED,
        "# Phones",
        "A card in a phone is found when the phone lets it be found."
        ' `fixtures.phone("nfc-off", card=...)` in a test, or `tapbench emulate --phone nfc-off`.'
        " Their files are in `fixtures/phones/`; entries are the fields of `emulator.phone.Phone`.",
        "Carriers: `ese` the phone's secure element, `hce` an app (host card emulation), `apple`"
        " Express Mode, `super-sim` an operator's SIM.",
        "## What matters for which carrier",
        "R numbers are rules of the seed document. Grades: SEED stated by it, V-A seen in an"
        " official text or in source code, V-B in the news, ASSUMED ours.",
        table(("carrier", "condition", "otherwise a reader sees", "grade", "source"), conditions),
        "A phone that readers find shows SAK 20. Its UID is the card's, but for `hce` a random one"
        " in each field. Without the card in reach an unknown name is 6A82 and any other command"
        " 6F00, as in Android's own code.",
        "## Named phones",
        table(
            ("phone", "what it is", "what a reader meets"),
            ((f"`{name}`", phone.title, phone.sentence) for name, phone in phones.items()),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def isodep_page() -> str:
    """`docs/isodep.md`."""
    rows = ((rule.name, rule.side.value, rule.says, _places(rule)) for rule in RULES)
    parts = [
        GENERATED,
        "# ISO-DEP, rule by rule",
        "The block protocol of ISO/IEC 14443-4, 7.5.4, in our own words, with the functions of"
        " `emulator/radio` that keep each rule. Each has a test of its name in"
        " `tests/unit/test_isodep.py` (card) or `tests/unit/test_pcd.py` (reader).",
        table(("rule", "who", "says", "kept in"), rows),
        "What the card waits for, and which blocks mean something then; all else is silence:",
        table(("phase", *(kind.name for kind in Kind)), (_phase_row(p) for p in LEGAL)),
    ]
    return "\n\n".join(parts) + "\n"


def _places(rule: Rule) -> str:
    return ", ".join(f"`{place}`" for place in rule.where)


def _phase_row(phase: Phase) -> tuple[str, ...]:
    return (phase.name, *("yes" if kind in LEGAL[phase] else "" for kind in Kind))


def faults_page() -> str:
    """`docs/faults.md`."""
    rows = (
        (
            fault.code,
            fault.zh,
            fault.en,
            "held" if fault.holds else "note" if fault.is_note else "",
            fault.todo,
        )
        for fault in Fault
    )
    parts = [
        GENERATED,
        "# What clearing finds",
        "`tapbench clearing exceptions` lists them with the record (domain facts 4.4; the codes are"
        " tapbench's own). Held: the record's money is not settled until staff has decided. Note:"
        " nobody has to act.",
        table(("code", "中文", "what is wrong", "", "what to do"), rows),
    ]
    return "\n\n".join(parts) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "files.md": files_page,
    "states.svg": states_svg,
    "dialects.md": dialects_page,
    "profiles.md": profiles_page,
    "phones.md": phones_page,
    "isodep.md": isodep_page,
    "faults.md": faults_page,
    "fares.md": fares_page,
    "policy.md": policy_page,
    "rules.md": rules_page,
    "decisions.md": decisions_page,
    "gate.svg": gate_picture,
    "requirements.md": requirements_page,
    "throughput.md": throughput_page,
}
"""Every generated page, by its name in `docs/`."""


def write(folder: Path = FOLDER) -> list[str]:
    """Write the pages that are stale. Returns their names."""
    stale = []
    for name, page in PAGES.items():
        text, path = page(), folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            stale.append(name)
    return stale


if __name__ == "__main__":
    for written in write():
        sys.stdout.write(f"docs/{written}\n")
