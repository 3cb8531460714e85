"""Rates and places within phases, as functions of the step."""

import pytest

from dagan.training.phases import Phase
from dagan.training.schedule import falling, step_of_phase

PHASES = (Phase(steps=3), Phase(steps=4), Phase(steps=2))


def test_each_phase_counts_its_own_steps() -> None:
    assert [step_of_phase(PHASES, step) for step in range(9)] == [0, 1, 2, 0, 1, 2, 3, 0, 1]


def test_the_rate_stays_then_falls_in_a_line_to_a_fiftieth() -> None:
    phase = Phase(steps=1000, learning_rate=2e-4, decay=0.5)
    rates = [phase.learning_rate_at(step) for step in range(1000)]
    assert rates[:500] == [2e-4] * 500
    assert rates[750] == pytest.approx(1e-4)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(2e-4 / 50)


def test_without_decay_it_stays() -> None:
    assert {falling(step, 5, 0.0) for step in range(5)} == {1.0}
