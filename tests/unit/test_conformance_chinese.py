"""Whatever a report shows is said in both languages."""

import re
from collections.abc import Iterator
from functools import cache

import pytest

from apdu.sw import describe
from bench.conformance.chinese import chinese, terms
from bench.conformance.gate.playing import shortened
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.gate.stand import own_gates
from bench.conformance.lab import Said
from bench.conformance.playing import STOPPED
from bench.conformance.runner import Result, run_case
from bench.conformance.shown import shown
from bench.conformance.stand import own_stand
from bench.conformance.suite import card_cases, gate_cases
from emulator.card.dialect import switches

CASES = card_cases() | gate_cases()
CHINESE = re.compile("[\u4e00-\u9fff]")
SMALL = re.compile("[a-z]{3,}")


@cache
def played() -> list[Result]:
    """Everything that our own card and gates say."""
    found = []
    for via in ("inproc", "air"):
        with own_stand(via) as stand:
            found += [run_case(case, stand) for case in card_cases().values()]
    with own_gates() as gates:
        found += [shortened(run_gate_case(case, gates)) for case in gate_cases().values()]
    return found


def texts(said: tuple[Said, ...]) -> Iterator[str]:
    for one in shown(said, None, is_ours=True):
        yield from (one.name, one.status)
        for line in (*one.request, *one.reply):
            yield from (line.label, line.value, line.note)


def test_every_name_status_field_and_remark_of_an_exchange_has_its_chinese():
    said = {text for result in played() for text in texts(result.said)}
    assert len(said) > 1000
    assert [text for text in said if chinese(text) is None] == []


def test_every_status_word_has_its_chinese():
    assert {text for text in map(describe, range(0x6000, 0xA000)) if chinese(text) is None} == set()


def test_what_is_said_in_chinese_has_no_english_and_every_number():
    for english, zh in terms().items():
        assert set(SMALL.findall(zh)) <= {"dual", "alg", "kbit", "trl"}, english
        assert english.count("#") == zh.count("#"), english


def test_every_title_is_in_both_languages():
    names = [f"{one.name} {' '.join(one.choices)}" for one in switches()]
    allowed = set(SMALL.findall(" ".join(names))) | {"kbit", "true", "false", "none"}
    for number, case in CASES.items():
        assert CHINESE.search(case.title.zh), number
        assert not CHINESE.search(case.title.en), number
        assert set(SMALL.findall(case.title.zh)) <= allowed, number


def test_every_reason_is_in_both_languages():
    for result in played():
        if result.why is not None:
            assert CHINESE.search(result.why.zh), result.why
            assert not CHINESE.search(result.why.en), result.why


@pytest.mark.parametrize(
    ("english", "zh"),
    [
        ("63C2 verification failed, 2 tries left", "63C2 验证失败，剩余 2 次"),
        ("lost before the card gets the command", "卡片收到命令之前中断"),
        ("UPDATE RECORD with MAC EF1A 3", "UPDATE RECORD（带 MAC） EF1A 3"),
        ("805C, not in the table", "805C，不在命令表中"),
        ("6 (EP CAPP purchase)", "6（EP 复合消费）"),
        ("100 fen", "100 分"),
        (f"{STOPPED}, at CARD-LOAD-001", "被 Ctrl-C 或信号中止，位置 CARD-LOAD-001"),
        ("nobody has said this", None),
    ],
)  # fmt: skip
def test_texts_of_parts_are_put_together(english: str, zh: str | None):
    assert chinese(english) == zh
