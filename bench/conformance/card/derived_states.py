"""Every command in every state: what it answers, and where the card stands after it (4.2)."""

from collections.abc import Iterator
from itertools import product

from apdu.codec import WireError
from apdu.commands import TABLE
from apdu.key_commands import APPLICATION_BLOCK, CARD_BLOCK
from apdu.spec import State
from apdu.sw import SW
from bench.conformance.case import Body, Broken, Case, Level, Need
from bench.conformance.derive import ENDINGS, clauses_of, ending, made, slug
from bench.conformance.desk import Spec, needs_challenge
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import (
    if_known,
    needs_of,
    refuse,
    right_answer,
    right_pair,
    send_right,
    settle,
    zeros,
)
from bench.conformance.words import Words

STATES = {
    State.IDLE: "空闲",
    State.LOAD: "圈存",
    State.UNLOAD: "圈提",
    State.UPDATE_LIMIT: "修改透支限额",
    State.PURCHASE: "消费",
    State.CAPP_INIT: "复合消费开始",
    State.CAPP_CACHED: "复合消费已缓存",
}

_SILENT = (APPLICATION_BLOCK, CARD_BLOCK)
"""After their success nothing shows a state: every other answer is 6A81."""


@family
def states() -> Iterator[Case]:
    """One case for each command and state."""
    for spec, state in product(TABLE, State):
        here = f"state {state.value}" if state is not State.IDLE else "rest"
        yield made(
            "STAT",
            f"states.{slug(spec)}.{state.name}",
            (
                f"{spec.name} at {here}: the table's answer and the table's next state",
                f"{spec.name}，{STATES[state]}状态：应答与后续状态符合状态表",
            ),
            clauses_of(spec, "4.2"),
            if_known(spec, _body(spec, state)),
            _needs(spec, state),
            grade=spec.grade[:1],
            level=Level.BASIC if spec in ENDINGS and state in spec.when else Level.FULL,
        )


def _needs(spec: Spec, state: State) -> frozenset[Need]:
    if spec in ENDINGS and state not in spec.when:
        return frozenset()
    needs = needs_of(spec)
    if needs_challenge(spec) and state is not State.IDLE:
        return needs - {Need.WRITE, Need.FRESH}  # refused for want of a challenge
    return needs


def _body(spec: Spec, state: State) -> Body:
    def body(lab: Lab) -> None:
        settle(lab, spec, state)
        response = send_right(lab, spec)
        wanted = right_answer(lab, spec, state, right_pair(lab, spec))
        if wanted != SW.OK:
            refuse(lab, response, wanted)
            stands(lab, State.IDLE, state)
            return
        _has_its_form(lab, spec, lab.must(response).data)
        if spec in _SILENT:
            lab.must(lab.send(zeros(ENDINGS[0], ENDINGS[0].usual)), SW.BLOCKED, clause="4.19")
            return
        stands(lab, spec.then, state)

    return body


def _has_its_form(lab: Lab, spec: Spec, data: bytes) -> None:
    if spec.ne is None:
        lab.must_be(data, b"", Words("the status word alone", "仅有状态字"), clause=spec.clause)
    try:
        spec.parse_reply(data)
    except WireError as error:
        said = f"{len(data)} bytes"
        raise Broken(
            Words(f"an answer of the declared form ({error})", "符合声明格式的应答"),
            said,
            spec.clause,
            len(lab.said) - 1,
        ) from error


def stands(lab: Lab, state: State, before: State = State.IDLE) -> None:
    """Require that the card is in a state, by a final command with nobody's MAC.

    In its own state it answers 9302, anywhere else 6901. before: where the card was last; at rest
    it is asked for the end of that transaction.
    """
    final = ending(state) or ending(before) or ENDINGS[0]
    why = Words(f"the card stands in state {state.value}", f"卡片处于{STATES[state]}状态")
    wanted = SW.WRONG_STATE if state is State.IDLE else SW.MAC_INVALID
    lab.must(lab.send(zeros(final, right_pair(lab, final))), wanted, clause="4.2", why=why)
