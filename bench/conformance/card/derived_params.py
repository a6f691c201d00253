"""P1 and P2 of every command: the declared pairs are taken, their neighbours are 6A86 (4.1)."""

from collections.abc import Iterator

from apdu.commands import GET_PROVE, TABLE, UPDATE_CACHE
from apdu.file_commands import READ_RECORD, SELECT_FILE
from apdu.purse import CASH_WITHDRAW, ED_LOAD, ED_PURCHASE, PURCHASE
from apdu.sw import SW
from bench.conformance.card.derived_lengths import is_absent
from bench.conformance.case import Body, Case
from bench.conformance.derive import (
    clauses_of,
    edges,
    empty_request,
    flipped,
    home,
    made,
    near,
    slug,
)
from bench.conformance.desk import Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import (
    enter,
    if_known,
    needs_of,
    refuse,
    right_answer,
    settle,
)

_WAYS = {
    "near": (near, "beside the declared ones", "相邻的 P1 P2"),
    "bits": (flipped, "with one bit turned over", "翻转一位的 P1 P2"),
    "edges": (edges, "of 00 and FF", "为 00 或 FF 的 P1 P2"),
}


_DEPOSIT_TYPES = (ED_LOAD, CASH_WITHDRAW, ED_PURCHASE)


@family
def neighbours() -> Iterator[Case]:
    """For each command, P1 and P2 that nobody declared."""
    for spec in TABLE:
        for key, (derive, en, zh) in _WAYS.items():
            pairs = derive(spec)
            if pairs:  # some commands take any P1 and P2
                yield made(
                    "P1P2",
                    f"params.{slug(spec)}.{key}",
                    (f"{spec.name} refuses P1 and P2 {en}", f"{spec.name} 拒绝{zh}"),
                    clauses_of(spec, "4.1"),
                    if_known(spec, _refused(spec, pairs)),
                    grade=spec.grade[:1],
                )


def _refused(spec: Spec, pairs: list[Pair]) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        wanted = SW.INS_UNKNOWN if is_absent(lab, spec) else SW.WRONG_P1P2
        for pair in pairs:
            refuse(lab, lab.send(empty_request(spec, pair)), wanted)

    return body


@family
def examples() -> Iterator[Case]:
    """Each declared pair of P1 and P2 of each command, the usual ones aside."""
    for spec in TABLE:
        for pair in spec.params.examples()[1:]:
            name = f"{pair[0]:02X} {pair[1]:02X}"
            yield made(
                "P1P2",
                f"params.{slug(spec)}.{pair[0]:02x}{pair[1]:02x}",
                (f"{spec.name} takes P1 P2 {name}", f"{spec.name} 接受 P1 P2 {name}"),
                clauses_of(spec),
                _taken(spec, pair),
                needs_of(spec),
                grade=spec.grade[:1],
            )


def _taken(spec: Spec, pair: Pair) -> Body:
    def body(lab: Lab) -> None:
        if spec is GET_PROVE:
            _asks_for_proof(lab, pair)
            return
        if spec is READ_RECORD and pair[1] >> 3 != 0x1A:
            _reads_log(lab, pair)
            return
        settle(lab, spec, home(spec), pair)
        if spec.params.describe(*pair).get("file") == "current EF":
            lab.done_ok(SELECT_FILE)
            lab.prepare(spec)
        wanted = right_answer(lab, spec, home(spec), _addressed(lab, spec, pair))
        lab.must(lab.send(lab.request(spec, _addressed(lab, spec, pair))), wanted)

    return body


def _addressed(lab: Lab, spec: Spec, pair: Pair) -> Pair:
    """The same way to name a record, of a record that this card lets be written."""
    if spec is UPDATE_CACHE and pair[0]:
        return (lab.record, pair[1])
    return pair


def _reads_log(lab: Lab, pair: Pair) -> None:
    enter(lab)
    words = [SW.OK]
    if lab.declared.dialect.unused_records == "6A83":
        words.append(SW.RECORD_NOT_FOUND)
    lab.must(lab.ask(READ_RECORD, pair=pair), *words)


def _asks_for_proof(lab: Lab, pair: Pair) -> None:
    """A type without a transaction answers 9406; a purchase is made for its own type."""
    settle(lab, GET_PROVE)
    if pair[1] == PURCHASE:
        lab.must(lab.ask(GET_PROVE, pair=pair))
        return
    lab.done[pair[1]] = 0xFFFF
    words = [SW.PROOF_NOT_AVAILABLE]
    if pair[1] in _DEPOSIT_TYPES:
        words.append(SW.WRONG_P1P2)  # 4.20 has the purse's types alone
    lab.must(lab.ask(GET_PROVE, pair=pair), *words)
