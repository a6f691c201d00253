"""Faults as values: scripts, noise from a seed, and lists in a file."""

import json
from collections import Counter

import pytest

from emulator.radio.faults import (
    NOISE,
    Fault,
    FaultKind,
    Noise,
    Script,
    dump_faults,
    load_faults,
)

EVERY = tuple(FaultKind)


def test_a_script_says_what_happens_at_each_frame():
    lost, bent = Fault(FaultKind.LOST, 3), Fault(FaultKind.FLIPPED, 3, bit=5)
    script = Script([lost, Fault(FaultKind.LOST, 7), bent])
    assert list(script.at_frame(3, 100)) == [lost, bent]
    assert list(script.at_frame(4, 100)) == []
    assert list(script.due(10**12)) == []
    assert script.next_leave_ns() is None


def test_a_script_tells_each_instant_once_and_in_order():
    leave, back, again = (
        Fault(kind, at_ns=at_ns)
        for kind, at_ns in (
            (FaultKind.LEAVES, 10),
            (FaultKind.RETURNS, 20),
            (FaultKind.LEAVES, 30),
        )
    )
    script = Script([again, leave, back])
    assert script.next_leave_ns() == 10
    assert list(script.due(9)) == []
    assert list(script.due(10)) == [leave]
    assert list(script.due(10)) == []
    assert script.next_leave_ns() == 30
    assert list(script.due(100)) == [back, again]
    assert script.next_leave_ns() is None
    assert list(script.due(10**18)) == []


def test_a_fault_strikes_one_frame_at_its_first_bit_unless_told():
    assert Fault(FaultKind.FLIPPED, 3) == Fault(FaultKind.FLIPPED, 3, None, 0, 1, 0, 1)


def test_an_instant_may_be_the_first():
    script = Script([Fault(FaultKind.LEAVES, at_ns=0)])
    assert script.next_leave_ns() == 0
    assert len(script.due(0)) == 1


@pytest.mark.parametrize("fault", [Fault(FaultKind.LOST), Fault(FaultKind.LOST, 1, at_ns=1)])
def test_a_fault_is_at_a_frame_or_at_an_instant(fault: Fault):
    with pytest.raises(ValueError, match="at a frame or at an instant"):
        Script([fault])


def test_noise_follows_from_its_seed():
    def drawn(seed: int | str) -> list[Fault]:
        noise = Noise(seed, 0.3, EVERY)
        told = [fault for n in range(500) for fault in noise.at_frame(n, 50)]
        assert told == noise.happened
        return told

    assert drawn(1) == drawn(1)
    assert drawn("a word") == drawn("a word")
    assert drawn(1) != drawn(2)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 1.0])
def test_noise_hits_its_share_of_frames(rate: float):
    noise = Noise(7, rate)
    for n in range(4000):
        noise.at_frame(n, 40)
    assert abs(len(noise.happened) / 4000 - rate) < 0.02
    assert {fault.kind for fault in noise.happened} <= set(NOISE)


def test_noise_stays_within_the_frame_and_its_longest_delay():
    noise = Noise(3, 1.0, EVERY, most_ns=1000)
    for n in range(2000):
        bits = 1 + n % 90
        (fault,) = noise.at_frame(n, bits)
        assert fault.frame == n
        assert 0 <= fault.bit < bits
        assert 1 <= fault.width <= 3
        assert 0 <= fault.ns < 1000
    kinds = Counter(fault.kind for fault in noise.happened)
    assert set(kinds) == set(EVERY)
    assert min(kinds.values()) > 2000 / len(EVERY) / 2
    assert (list(noise.due(10**18)), noise.next_leave_ns()) == ([], None)


def test_noise_takes_frames_without_bits():
    noise = Noise(3, 1.0, EVERY)
    assert [fault.bit for n in range(50) for fault in noise.at_frame(n, 0)] == [0] * 50


def test_noise_may_be_replayed_as_a_script():
    noise = Noise(5, 0.4, EVERY)
    told = [list(noise.at_frame(n, 30)) for n in range(200)]
    script = Script(noise.happened)
    assert [list(script.at_frame(n, 30)) for n in range(200)] == told


# Lists in a file


def test_faults_survive_being_written_down():
    noise = Noise(9, 1.0, EVERY)
    for n in range(300):
        noise.at_frame(n, 80)
    faults = [
        *noise.happened,
        Fault(FaultKind.LEAVES, at_ns=0),
        Fault(FaultKind.RETURNS, at_ns=12_345_678_901),
        Fault(FaultKind.WEAK, 0, count=20),
    ]
    assert load_faults(dump_faults(faults)) == faults
    assert load_faults("") == load_faults("\n  \n") == []


def test_default_values_are_left_out():
    assert dump_faults([Fault(FaultKind.WEAK, 2, count=5)]) == (
        '{"kind": "weak", "frame": 2, "count": 5}\n'
    )


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        "null",
        '"lost"',
        "{}",
        '{"frame": 1}',
        '{"kind": "lost"}',
        '{"kind": "lost", "frame": 1, "at_ns": 1}',
        '{"kind": "bent", "frame": 1}',
        '{"kind": ["lost"], "frame": 1}',
        '{"kind": null, "frame": 1}',
        '{"kind": "lost", "frame": -1}',
        '{"kind": "lost", "frame": 1.5}',
        '{"kind": "lost", "frame": true}',
        '{"kind": "lost", "frame": "1"}',
        '{"kind": "lost", "frame": 1e400}',
        '{"kind": "lost", "frame": NaN}',
        '{"kind": "lost", "frame": 1, "bit": -2}',
        '{"kind": "lost", "frame": 1, "width": null, "colour": 3}',
        '{"kind": "lost", "frame": 1, "ns": [1]}',
        '{"kind": "lost", "frame": 1, "": 1}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_fault_is_named(line: str):
    good = '{"kind": "lost", "frame": 4}'
    with pytest.raises(ValueError, match=r"^line 3 of the faults is none: expected a JSON object"):
        load_faults(f"{good}\n\n{line}\n{good}\n")


@pytest.mark.parametrize("name", ["bit", "width", "ns", "count"])
def test_a_number_that_is_null_is_no_number(name: str):
    line = json.dumps({"kind": "lost", "frame": 1, name: None})
    with pytest.raises(ValueError, match="line 1"):
        load_faults(line)
