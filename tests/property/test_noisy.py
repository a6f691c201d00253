"""A seeded slice of the noisy conversations; `make air` has ten thousand and more."""

from random import Random

from emulator.radio.faults import FaultKind, Noise, Script, dump_faults, load_faults
from tests.property import noisy


def test_two_thousand_noisy_conversations_deliver_each_apdu_exactly_once_or_die():
    result = noisy.campaign(2_000, seed=11)
    assert result.conversations == 2_000
    # The campaign is worth something only if much is delivered, and some links do die.
    assert result.commands > 8_000
    assert result.dead > 100
    assert result.extensions > 500
    assert set(result.faults) == {kind.value for kind in noisy.KINDS}
    assert min(result.faults.values()) > 1_000


def test_a_noisy_campaign_replays_from_its_seed():
    assert noisy.campaign(50, seed=3) == noisy.campaign(50, seed=3)
    assert noisy.campaign(50, seed=3) != noisy.campaign(50, seed=4)


def test_what_noise_did_replays_from_a_list(monkeypatch):
    """The faults of a noisy conversation, written down and read back, make it again."""
    made: list[Noise] = []

    def kept(*arguments, **options):
        made.append(Noise(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(noisy, "Noise", kept)
    first = noisy.Result()
    noisy.converse(77, first)
    script = Script(load_faults(dump_faults(made[0].happened)))
    script.happened = made[0].happened  # type: ignore[attr-defined]  # what the result counts
    monkeypatch.setattr(noisy, "Noise", lambda *_, **__: script)
    second = noisy.Result()
    noisy.converse(77, second)
    assert first == second
    assert first.faults.total() > 0


def test_an_air_without_noise_loses_nothing(monkeypatch):
    monkeypatch.setattr(noisy, "MOST_RATE", 0.0)
    result = noisy.campaign(200, seed=5)
    assert (result.dead, result.never_active, result.faults.total()) == (0, 0, 0)


def test_noise_draws_every_kind_it_is_given():
    noise = Noise(1, 1.0, tuple(FaultKind))
    rng = Random(2)
    for n in range(400):
        noise.at_frame(n, rng.randint(1, 300))
    assert {fault.kind for fault in noise.happened} == set(FaultKind)
